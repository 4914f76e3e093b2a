{{/* What the chart reads of the user's file: its regions, its partitions and the variables that it asks for. */}}

{{- define "afterwrite.configMapName" -}}
{{- default (printf "%s-config" (include "afterwrite.fullname" .)) .Values.config.existingConfigMap -}}
{{- end -}}

{{/*
Helm reads YAML 1.1, where a key `no` is false and a key `null` is none; the programs read 1.2, where the first is a name and the second is taken for
one. What stands at the beginning of a line or of a mapping in braces, and would be another, is put into quotes. Takes and gives text.
*/}}
{{- define "afterwrite.plainKeys" -}}
{{- regexReplaceAll "(?m)(^[ \\t]*|[{,][ \\t]*)(y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF|null|Null|NULL):([ \\t]|$)" . "${1}\"${2}\":${3}" -}}
{{- end -}}

{{/* The file as YAML. A variable may stand in braces without quotes, which no other reader of YAML takes: it becomes plain text first. */}}
{{- define "afterwrite.file" -}}
{{- if .Values.config.existingConfigMap -}}
{}
{{- else -}}
{{- $plain := regexReplaceAll "\\$\\{([A-Za-z_][A-Za-z0-9_]*)\\}" .Values.config.file "VARIABLE_${1}" -}}
{{- $file := include "afterwrite.plainKeys" $plain | fromYaml -}}
{{- if hasKey $file "Error" -}}
{{- fail (printf "config.file is no YAML: %s" (get $file "Error")) -}}
{{- end -}}
{{- toYaml $file -}}
{{- end -}}
{{- end -}}

{{/* "names: [...]" in the order of the alphabet: the regions that this release serves. */}}
{{- define "afterwrite.regions" -}}
{{- $ofFile := dict -}}
{{- if not .Values.config.existingConfigMap -}}
{{- $ofFile = default dict (get (include "afterwrite.file" . | fromYaml) "regions") -}}
{{- end -}}
{{- $names := list -}}
{{- if .Values.regions -}}
{{- range $name, $_ := .Values.regions -}}
{{- if and (not $.Values.config.existingConfigMap) (not (hasKey $ofFile $name)) -}}
{{- fail (printf "regions.%s: the file has no such region; it has %s." $name (keys $ofFile | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- else if .Values.config.existingConfigMap -}}
{{- fail "regions: the file is in a ConfigMap that the chart does not read, so its regions are to be named here, such as regions: { eu: {} }." -}}
{{- else -}}
{{- $names = keys $ofFile -}}
{{- end -}}
{{- $objects := list -}}
{{- range $names -}}
{{- $object := regexReplaceAll "[-_]+$" . "" | replace "_" "-" -}}
{{- if has $object $objects -}}
{{- fail (printf "Two regions would both be called %s: no object's name has \"_\" in it." $object) -}}
{{- end -}}
{{- $objects = append $objects $object -}}
{{- end -}}
{{- dict "names" (sortAlpha $names) | toYaml -}}
{{- end -}}

{{/* Partitions of the log: more agents than these in a region have nothing to do. */}}
{{- define "afterwrite.cells" -}}
{{- $log := default dict (get (include "afterwrite.file" . | fromYaml) "log") -}}
{{- $kind := default (default dict (get $log "kafka")) (get $log "redisStreams") -}}
{{- $partitions := default 12 (get $kind "partitions") -}}
{{- if .Values.config.cells -}}
{{- int .Values.config.cells -}}
{{- else if kindIs "string" $partitions -}}
{{- fail "config.cells: the file takes the partitions of its log from a variable, so their number is to be said here." -}}
{{- else -}}
{{- int $partitions -}}
{{- end -}}
{{- end -}}

{{/* The file's variables as a container's environment: each from a Secret that exists, unless it is said to be no secret. */}}
{{- define "afterwrite.variables" -}}
{{- $names := .Values.variables.names -}}
{{- if not .Values.config.existingConfigMap -}}
{{- $plain := regexReplaceAll "\\$\\{([A-Za-z_][A-Za-z0-9_]*)\\}" (.Values.config.file | replace "$${" "") "VARIABLE_${1}" -}}
{{- $values := include "afterwrite.plainKeys" $plain | fromYaml | toJson -}}
{{- range regexFindAll "VARIABLE_[A-Za-z_][A-Za-z0-9_]*" $values -1 -}}
{{- $names = append $names (trimPrefix "VARIABLE_" .) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := .Values.variables.from -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- range $name, $_ := .Values.variables.values -}}
{{- $names = append $names $name -}}
{{- end -}}
{{- range $name := $names | uniq | sortAlpha }}
{{- if hasPrefix "AFTERWRITE_" $name }}
{{- fail (printf "The variable %s: names that begin with AFTERWRITE_ are the programs' own settings." $name) }}
{{- end }}
{{- $from := default dict (get $.Values.variables.from $name) }}
- name: {{ $name | quote }}
  {{- if hasKey $.Values.variables.values $name }}
  value: {{ get $.Values.variables.values $name | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ default $.Values.variables.secret $from.secret | quote }}
      key: {{ default $name $from.key | quote }}
  {{- end }}
{{- end }}
{{- end -}}
