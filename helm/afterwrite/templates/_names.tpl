{{/* Names and labels. Everything is named after the release; a name that would not fit is refused rather than cut. */}}

{{- define "afterwrite.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "afterwrite.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "afterwrite.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "afterwrite.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* dict "root" $ "component" "agent" "region" "eu" (optional). A region may have "_" in its name, and an object may not. */}}
{{- define "afterwrite.componentName" -}}
{{- $name := printf "%s-%s" (include "afterwrite.fullname" .root) .component -}}
{{- if .region -}}
{{- $name = printf "%s-%s" $name (regexReplaceAll "[-_]+$" .region "" | replace "_" "-") -}}
{{- end -}}
{{- if gt (len $name) 63 -}}
{{- fail (printf "The name %s has more than 63 characters: set a shorter fullnameOverride." $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "afterwrite.chart" -}}
{{- printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What a selector may hold: never changes in the life of a release. */}}
{{- define "afterwrite.releaseLabels" -}}
app.kubernetes.io/name: {{ include "afterwrite.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* dict "root" "component" "region". Not afterwrite.dev/region: that label asks the controller for the gate, and is the application's. */}}
{{- define "afterwrite.selectorLabels" -}}
{{ include "afterwrite.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- if .region }}
afterwrite.dev/serves-region: {{ regexReplaceAll "[-_]+$" .region "" | quote }}
{{- end }}
{{- end -}}

{{- define "afterwrite.labels" -}}
{{ include "afterwrite.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: afterwrite
helm.sh/chart: {{ include "afterwrite.chart" .root }}
{{- end -}}

{{/* dict "root" "image" (may be empty): the chart's image, with what a component says otherwise. */}}
{{- define "afterwrite.image" -}}
{{- $own := default dict .image -}}
{{- $repository := default .root.Values.image.repository $own.repository -}}
{{- $digest := ternary .root.Values.image.digest (default "" $own.digest) (and (empty $own.tag) (empty $own.digest) (empty $own.repository)) -}}
{{- if $digest -}}
{{- printf "%s@%s" $repository $digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default (default .root.Chart.AppVersion .root.Values.image.tag) $own.tag) -}}
{{- end -}}
{{- end -}}

{{- define "afterwrite.serviceAccountName" -}}
{{- default (include "afterwrite.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}
