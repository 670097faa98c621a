{{/* The pod of the workload, and of `helm test`. */}}
{{- define "event-bridge.podTemplate" -}}
metadata:
  labels: # without the chart's version, or each new one would restart the pods
    {{- include "event-bridge.selector" . | nindent 4 }}
    {{- with merge (deepCopy .Values.podLabels) .Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ toYaml .Values.config | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "event-bridge.podSettings" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ include "event-bridge.grace" . }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: event-bridge
      {{- include "event-bridge.container" . | nindent 6 }}
      args: [run]
      ports:
        - name: admin
          containerPort: {{ dig "admin" "port" 9464 .Values.config }}
          protocol: TCP
      {{- range $kind, $path := dict "startup" "/livez" "liveness" "/livez" "readiness" "/readyz" }}
      {{ $kind }}Probe:
        {{- $probe := dict "httpGet" (dict "path" $path "port" "admin") }}
        {{- toYaml (mergeOverwrite $probe (deepCopy (get $.Values.probes $kind))) | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: keys
      {{- if include "event-bridge.onVolume" . }}
      persistentVolumeClaim:
        claimName: {{ default (include "event-bridge.fullname" .) .Values.persistence.existingClaim }}
      {{- else }}
      emptyDir:
        sizeLimit: {{ .Values.persistence.size }}
      {{- end }}
    {{- include "event-bridge.volumes" . | nindent 4 }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - {{ toYaml . | nindent 6 | trim }}
      {{- if not .labelSelector }}
      labelSelector:
        matchLabels:
          {{- include "event-bridge.selector" $ | nindent 10 }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end }}

{{- define "event-bridge.podSettings" -}}
serviceAccountName: {{ include "event-bridge.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "event-bridge.container" -}}
image: {{ include "event-bridge.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
env:
  - name: BRIDGE_CONFIG
    value: /etc/event-bridge/settings/event-bridge.yaml
  {{- if .Values.secrets }}
  - name: BRIDGE_SECRETS_DIR
    value: /etc/event-bridge/secrets
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - {name: keys, mountPath: /var/lib/event-bridge}
  - {name: settings, mountPath: /etc/event-bridge/settings, readOnly: true}
  {{- if .Values.secrets }}
  - {name: secrets, mountPath: /etc/event-bridge/secrets, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "event-bridge.volumes" -}}
- name: settings
  configMap:
    name: {{ include "event-bridge.fullname" . }}
{{- if .Values.secrets }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $path := keys .Values.secrets | sortAlpha }}
      {{- $from := include "event-bridge.secret" (dict "root" $ "path" $path) | fromJson }}
      - secret:
          name: {{ $from.name }}
          items:
            - {key: {{ $from.key | quote }}, path: {{ include "event-bridge.secretFile" $path }}}
      {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
