{{/* Combinations that cannot work are refused here, each with the value to change. */}}
{{- define "event-bridge.validate" -}}
{{- $store := include "event-bridge.store" . -}}
{{- if not (or .Values.config.routes .Values.config.source) -}}
{{- fail "config.source: is missing. Write the settings of the bridge below `config`, at least `source` and `target` (docs/helm.md)" -}}
{{- end -}}
{{- range $name, $route := include "event-bridge.routes" . | fromJson -}}
{{- include "event-bridge.validateRoute" (dict "root" $ "name" $name "route" $route) -}}
{{- end -}}
{{- if and (ne $store "redis") (gt (int .Values.replicas) 1) (not .Values.autoscaling.enabled) -}}
{{- fail (printf "replicas: is %d, but `config.store.type: %s` is of one process: each pod would send what another one has sent already. Use 1, or a store of type redis" (int .Values.replicas) $store) -}}
{{- end -}}
{{- if and (ne $store "redis") .Values.autoscaling.enabled -}}
{{- fail (printf "autoscaling.enabled: needs a store that the pods share, and `config.store.type` is %s. Use a store of type redis" $store) -}}
{{- end -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail "autoscaling.minReplicas: is above autoscaling.maxReplicas" -}}
{{- end -}}
{{- if and (not .Values.autoscaling.enabled) .Values.autoscaling.authenticationRef -}}
{{- fail "autoscaling.authenticationRef: does nothing without autoscaling.enabled. Remove it" -}}
{{- end -}}
{{- if eq (dig "admin" "enabled" true .Values.config | toString) "false" -}}
{{- fail "config.admin.enabled: the probes need the admin port. Remove it" -}}
{{- end -}}
{{- if has (dig "admin" "host" "127.0.0.1" .Values.config) (list "127.0.0.1" "localhost" "::1") -}}
{{- fail "config.admin.host: the kubelet asks from outside of the pod. Use 0.0.0.0 or ::" -}}
{{- end -}}
{{- if eq (int (dig "admin" "port" 9464 .Values.config)) 0 -}}
{{- fail "config.admin.port: has to be known to the probes. Use another one than 0" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled -}}
{{- fail "serviceMonitor.enabled: podMonitor.enabled is set too, and everything would be counted twice. Use one of the two" -}}
{{- end -}}
{{- if and .Values.persistence.existingClaim (not (include "event-bridge.onVolume" .)) -}}
{{- fail (printf "persistence.existingClaim: would not be used, since `config.store.type` is %s, or persistence.enabled is false. Remove it" $store) -}}
{{- end -}}
{{- if lt (int (include "event-bridge.grace" .)) (int (include "event-bridge.seconds" (default "20s" .Values.config.drain_timeout))) -}}
{{- fail "terminationGracePeriodSeconds: is shorter than config.drain_timeout, so the drain would be cut short. Use null, or more" -}}
{{- end -}}
{{- range $path, $from := .Values.secrets -}}
{{- if and (kindIs "string" $from) (not $.Values.existingSecret) -}}
{{- fail (printf "existingSecret: is empty, and secrets.%s is a key of it. Name the Secret, or write {name: ..., key: ...}" $path) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "event-bridge.validateRoute" -}}
{{- $where := eq .name "default" | ternary "config" (printf "config.routes.%s" .name) -}}
{{- if eq (dig "source" "type" "" .route) "memory" -}}
{{- fail (printf "%s.source.type: memory is for trying things out: nobody outside of the pod could publish to it. Use rabbitmq or kafka" $where) -}}
{{- end -}}
{{- end }}
