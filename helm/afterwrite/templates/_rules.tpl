{{/* Which series are this release's: what the PodMonitor makes of it, or what is said where something else scrapes. */}}
{{- define "afterwrite.series" -}}
{{- if .Values.monitoring.series -}}
{{- .Values.monitoring.series -}}
{{- else -}}
{{- printf "namespace=%q,job=%q" .Release.Namespace (include "afterwrite.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/*
The alerts of rules/alerts.yaml, of the programs that are installed. In their expressions
    $SERIES   is what tells this release's series
    $CELLS    is how many cells a region has
    $REGION   is a region, for an alert that each region has for itself
*/}}
{{- define "afterwrite.rules" -}}
{{- $root := . -}}
{{- $regions := get (include "afterwrite.regions" . | fromYaml) "names" -}}
{{- $enabled := dict "relay" .Values.relay.enabled "agents" .Values.agents.enabled "flush" .Values.flush.enabled "controller" .Values.controller.enabled -}}
groups:
{{- range get (.Files.Get "rules/alerts.yaml" | fromYaml) "groups" }}
{{- if get $enabled .name }}
  - name: {{ printf "%s-%s" (include "afterwrite.fullname" $root) .name | quote }}
    rules:
      {{- range $rule := .rules }}
      {{- $own := list "" }}
      {{- if contains "$REGION" $rule.expr }}
      {{- $own = $regions }}
      {{- end }}
      {{- range $region := $own }}
      - alert: {{ $rule.alert }}
        expr: {{ $rule.expr | replace "$SERIES" (include "afterwrite.series" $root) | replace "$CELLS" (include "afterwrite.cells" $root) | replace "$REGION" $region | quote }}
        for: {{ get $rule "for" }}
        labels:
          severity: {{ $rule.severity }}
          {{- with $root.Values.monitoring.rules.alertLabels }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        annotations:
          summary: {{ $rule.summary | replace "$CELLS" (include "afterwrite.cells" $root) | quote }}
          runbook_url: {{ printf "%s/%s.md" (trimSuffix "/" $root.Values.monitoring.rules.runbooks) $rule.alert | quote }}
      {{- end }}
      {{- end }}
{{- end }}
{{- end }}
{{- end -}}
