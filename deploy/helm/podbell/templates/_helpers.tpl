{{/* The name of everything: the release's. A StatefulSet's pods carry it with a hash behind, so it stays under 53 characters. */}}
{{- define "podbell.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What never changes over the life of a release: a StatefulSet's selector cannot. */}}
{{- define "podbell.selector" -}}
app.kubernetes.io/name: podbell
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "podbell.labels" -}}
{{ include "podbell.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "podbell.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "podbell.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The class of priority: one of its own, or what the values name; empty: the cluster's default. */}}
{{- define "podbell.priority" -}}
{{- if .Values.priorityClass.create -}}
{{- include "podbell.name" . -}}
{{- else -}}
{{- .Values.priorityClassName -}}
{{- end -}}
{{- end -}}

{{/* Whether several podbells may use the store: true for PostgreSQL, empty for a file. An address that is a secret is a database's. */}}
{{- define "podbell.shared" -}}
{{- with .Values.config.store -}}{{- if not (hasPrefix "sqlite:" (toString .)) -}}true{{- end -}}{{- end -}}
{{- end -}}

{{- define "podbell.kind" -}}
{{- if include "podbell.shared" . -}}deployment{{- else -}}statefulset{{- end -}}
{{- end -}}

{{- define "podbell.secret" -}}
{{- default (include "podbell.name" .) .Values.secret.name -}}
{{- end -}}

{{/* podbell.yaml: `namespaces` go to the sources that watch this cluster and say nothing of their own. */}}
{{- define "podbell.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- range $config.sources -}}
{{- if and (eq .kind "kubernetes") $.Values.namespaces (not .kubeconfig) (not .context) (not .namespaces) -}}
{{- $_ := set . "namespaces" $.Values.namespaces -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What podbell may do: list and watch what it reads. A test takes every one of these away and shows what then fails. */}}
{{- define "podbell.rights" -}}
- apiGroups: [""]
  resources: [events]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [pods, services]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, watch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [list, watch]
{{- if not .Values.namespaces }}
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
{{- end }}
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [list, watch]
{{- if not .Values.namespaces }}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- range .Values.config.sources }}
{{- if eq (toString .enrich) "logs" }}
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- break }}
{{- end }}
{{- end }}
{{- end -}}
