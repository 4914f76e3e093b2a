{{/* What the chart reads of the user's file: its regions, its partitions and the variables that it asks for. */}}

{{- define "afterwrite.configMapName" -}}
{{- default (printf "%s-config" (include "afterwrite.fullname" .)) .Values.config.existingConfigMap -}}
{{- end -}}

{{/* The file as YAML. A variable may stand in braces without quotes, which no other reader of YAML takes: it becomes plain text first. */}}
{{- define "afterwrite.file" -}}
{{- if .Values.config.existingConfigMap -}}
{}
{{- else -}}
{{- $plain := regexReplaceAll "\\$\\{([A-Za-z_][A-Za-z0-9_]*)\\}" .Values.config.file "VARIABLE_${1}" -}}
{{- $file := $plain | fromYaml -}}
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
{{- $object := replace "_" "-" . | trimSuffix "-" -}}
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
{{- $values := regexReplaceAll "\\$\\{([A-Za-z_][A-Za-z0-9_]*)\\}" (.Values.config.file | replace "$${" "") "VARIABLE_${1}" | fromYaml | toJson -}}
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
- name: {{ $name }}
  {{- if hasKey $.Values.variables.values $name }}
  value: {{ get $.Values.variables.values $name | quote }}
  {{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ default $.Values.variables.secret $from.secret }}
      key: {{ default $name $from.key }}
  {{- end }}
{{- end }}
{{- end -}}
