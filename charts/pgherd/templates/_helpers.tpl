{{/* The names and labels that several templates share. */}}
{{- define "pgherd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pgherd.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "pgherd.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "pgherd.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "pgherd.selector" -}}
app.kubernetes.io/name: {{ include "pgherd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- define "pgherd.labels" -}}
{{ include "pgherd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "pgherd.monitoringLabels" -}}
{{ include "pgherd.labels" . }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pgherd.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "pgherd.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "pgherd.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Where a name stands for an object of the whole cluster, two releases must not meet. */}}
{{- define "pgherd.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "pgherd.fullname" .) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pgherd.webhookService" -}}
{{- include "pgherd.fullname" . }}-webhook
{{- end }}

{{/* The pods of all instances, of drills, and of nothing else. */}}
{{- define "pgherd.instances" -}}
matchExpressions:
  - {key: cnpg.io/cluster, operator: Exists}
  - {key: cnpg.io/podRole, operator: In, values: [instance]}
{{- end }}
