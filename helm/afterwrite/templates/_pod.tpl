{{/* One pod for all: dict "root" "component" "region" "values" "args", and where it differs: "command", "image", "env", "mounts", "volumes",
"token" (true: the API server's token), "serviceAccount", "scratch" (true: a /tmp that can be written), "once" (true: no probes, ends by itself; "serves" true: its
metrics are read all the same). */}}

{{/* Without the chart's version: a new one alone starts no pod anew. */}}
{{- define "afterwrite.podLabels" -}}
{{ include "afterwrite.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: afterwrite
{{- with .values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What has drained ends at once; a process that has not by then is killed, and loses nothing that counts. */}}
{{- define "afterwrite.graceSeconds" -}}
{{- add .Values.settings.preStopSeconds .Values.settings.drainSeconds 5 -}}
{{- end -}}

{{- define "afterwrite.settings" -}}
- name: AFTERWRITE_CONFIG
  value: /etc/afterwrite/afterwrite.yaml
- name: AFTERWRITE_HTTP_HOST
  value: {{ .Values.settings.httpHost | quote }}
- name: AFTERWRITE_HTTP_PORT
  value: {{ .Values.settings.httpPort | quote }}
- name: AFTERWRITE_LOG_LEVEL
  value: {{ .Values.settings.logLevel | quote }}
- name: AFTERWRITE_DRAIN_TIMEOUT_MS
  value: {{ mul .Values.settings.drainSeconds 1000 | quote }}
{{- end -}}

{{- define "afterwrite.podSpec" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ default (include "afterwrite.serviceAccountName" .root) .serviceAccount | quote }}
automountServiceAccountToken: {{ default false .token }}
# A Service of the namespace would otherwise put variables into the pod, and one called afterwrite-http would set our port.
enableServiceLinks: false
{{- if .once }}
restartPolicy: Never
{{- end }}
terminationGracePeriodSeconds: {{ include "afterwrite.graceSeconds" .root }}
{{- with $values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  {{- with $values.podSecurity.runAsUser }}
  runAsUser: {{ . }}
  {{- end }}
  {{- with $values.podSecurity.runAsGroup }}
  runAsGroup: {{ . }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and (not .once) $values.topologySpread.keys }}
topologySpreadConstraints:
  {{- range $values.topologySpread.keys }}
  - topologyKey: {{ . | quote }}
    maxSkew: 1
    whenUnsatisfiable: {{ $values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "afterwrite.selectorLabels" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
containers:
  - name: {{ .component | quote }}
    image: {{ include "afterwrite.image" (dict "root" .root "image" .image) | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    {{- with .command }}
    command: {{ toJson . }}
    {{- end }}
    args: {{ toJson .args }}
    env:
      {{- include "afterwrite.settings" .root | nindent 6 }}
      {{- with include "afterwrite.variables" .root | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with .env }}
      {{- . | nindent 6 }}
      {{- end }}
    {{- if or (not .once) .serves }}
    ports:
      - name: http
        containerPort: {{ $values.settings.httpPort }}
        protocol: TCP
    {{- end }}
    {{- if not .once }}
    # A first start may wait for a slow volume or a cold image; after it, liveness is the event loop's turning and nothing else.
    startupProbe:
      httpGet: { path: /livez, port: http }
      periodSeconds: 2
      timeoutSeconds: 3
      failureThreshold: 60
    livenessProbe:
      httpGet: { path: /livez, port: http }
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      httpGet: { path: /readyz, port: http }
      periodSeconds: 5
      timeoutSeconds: 3
      failureThreshold: 2
    {{- if gt (int $values.settings.preStopSeconds) 0 }}
    # Whoever still asks for /gate or /metrics is told of the end before it comes.
    lifecycle:
      preStop:
        sleep:
          seconds: {{ $values.settings.preStopSeconds }}
    {{- end }}
    {{- end }}
    {{- with .values.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
      - name: config
        mountPath: /etc/afterwrite
        readOnly: true
      {{- if .scratch }}
      - name: scratch
        mountPath: /tmp
      {{- end }}
      {{- with .mounts }}
      {{- . | nindent 6 }}
      {{- end }}
volumes:
  - name: config
    configMap:
      name: {{ include "afterwrite.configMapName" .root | quote }}
      items:
        - key: {{ $values.config.key | quote }}
          path: afterwrite.yaml
  {{- if .scratch }}
  - name: scratch
    emptyDir:
      sizeLimit: 64Mi
  {{- end }}
  {{- with .volumes }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* A Deployment that never has fewer ready pods than it was asked for: what is new is ready before what is old goes. */}}
{{- define "afterwrite.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "afterwrite.componentName" . | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "afterwrite.labels" . | nindent 4 }}
spec:
  {{- if not .scaled }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  minReadySeconds: 5
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "afterwrite.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "afterwrite.podLabels" . | nindent 8 }}
      annotations:
        {{- if not .root.Values.config.existingConfigMap }}
        # A file that is changed starts the pods anew: none of them reads it twice.
        checksum/config: {{ .root.Values.config.file | sha256sum }}
        {{- end }}
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- with .values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "afterwrite.podSpec" . | nindent 6 }}
{{- end -}}

{{/* One at a time, and one that is not ready never stands in the way of a node that is drained. */}}
{{- define "afterwrite.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "afterwrite.componentName" . | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
  labels:
    {{- include "afterwrite.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "afterwrite.selectorLabels" . | nindent 6 }}
{{- end -}}
