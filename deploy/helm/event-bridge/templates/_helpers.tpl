{{/* Names and labels. */}}
{{- define "event-bridge.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "event-bridge.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "event-bridge.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "event-bridge.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "event-bridge.selector" -}}
app.kubernetes.io/name: {{ include "event-bridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "event-bridge.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "event-bridge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "event-bridge.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "event-bridge.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "event-bridge.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{/* What the settings say. */}}
{{- define "event-bridge.store" -}}
{{- dig "store" "type" "sqlite" .Values.config -}}
{{- end }}

{{- define "event-bridge.onVolume" -}}
{{- if and (eq (include "event-bridge.store" .) "sqlite") .Values.persistence.enabled -}}true{{- end -}}
{{- end }}

{{- define "event-bridge.several" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}true{{- end -}}
{{- end }}

{{- define "event-bridge.withService" -}}
{{- if or .Values.service.enabled .Values.serviceMonitor.enabled (eq .Values.kind "StatefulSet") -}}true{{- end -}}
{{- end }}

{{/* Every route by its name, as JSON; a file with one source and one target is the route `default`. */}}
{{- define "event-bridge.routes" -}}
{{- if .Values.config.routes -}}
{{- toJson .Values.config.routes -}}
{{- else -}}
{{- dict "default" .Values.config | toJson -}}
{{- end -}}
{{- end }}

{{/* A duration as people write it ("1m30s", 20), in whole seconds, rounded up. */}}
{{- define "event-bridge.seconds" -}}
{{- $text := . | toString | lower | nospace -}}
{{- if regexMatch "^[0-9.]+$" $text -}}
{{- $text | float64 | ceil | int -}}
{{- else -}}
{{- $unit := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 "d" 86400.0 -}}
{{- $total := 0.0 -}}
{{- range regexFindAll "[0-9.]+(ms|s|m|h|d)" $text -1 -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $total = addf $total (mulf (float64 $number) (get $unit (trimPrefix $number .))) -}}
{{- end -}}
{{- $total | ceil | int -}}
{{- end -}}
{{- end }}

{{- define "event-bridge.grace" -}}
{{- if kindIs "invalid" .Values.terminationGracePeriodSeconds -}}
{{- add 10 (include "event-bridge.seconds" (default "20s" .Values.config.drain_timeout) | int) -}}
{{- else -}}
{{- .Values.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end }}

{{/* Where a secret comes from: `name` and `key`, as JSON. Takes the root and the path of the setting. */}}
{{- define "event-bridge.secret" -}}
{{- $from := get .root.Values.secrets .path -}}
{{- if kindIs "string" $from -}}
{{- dict "name" .root.Values.existingSecret "key" $from | toJson -}}
{{- else -}}
{{- toJson $from -}}
{{- end -}}
{{- end }}

{{/* The file of a setting in a secrets directory: source.url is bridge_source__url. */}}
{{- define "event-bridge.secretFile" -}}
{{- printf "bridge_%s" (. | replace "." "__" | replace "-" "_") -}}
{{- end }}
