{{- define "trawl.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "trawl.selector" -}}
app.kubernetes.io/name: trawl
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "trawl.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: trawl
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "trawl.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "trawl.address" -}}
{{ .Values.library.address | default "/library/data" }}
{{- end }}

{{- define "trawl.claim" -}}
{{ .Values.library.volume.existingClaim | default (printf "%s-library" (include "trawl.name" .)) }}
{{- end }}

{{/* The settings and secrets of the server and the jobs. */}}
{{- define "trawl.environment" -}}
envFrom:
  - configMapRef:
      name: {{ include "trawl.name" . }}-settings
  # Secrets: TRAWL_API_KEYS, without which the server does not start.
  - secretRef:
      name: {{ .Values.apiKeys.existingSecret | default (printf "%s-keys" (include "trawl.name" .)) }}
  {{- if or .Values.storage.existingSecret .Values.storage.options }}
  # Credentials of the object store.
  - secretRef:
      name: {{ .Values.storage.existingSecret | default (printf "%s-storage" (include "trawl.name" .)) }}
  {{- end }}
{{- end }}

{{- define "trawl.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "trawl.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "trawl.mounts" -}}
- name: library
  mountPath: /library
- name: tmp
  mountPath: /tmp
{{- range .Values.ingest.sources }}
- name: source-{{ .name }}
  mountPath: {{ .mountPath }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "trawl.volumes" -}}
- name: library
  {{- if .Values.library.address }}
  # The copy of the library's files on the local disk.
  emptyDir:
    sizeLimit: {{ .Values.server.copy }}
  {{- else }}
  persistentVolumeClaim:
    claimName: {{ include "trawl.claim" . }}
  {{- end }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.server.scratch }}
{{- range .Values.ingest.sources }}
- name: source-{{ .name }}
  {{- toYaml .volume | nindent 2 }}
{{- end }}
{{- end }}

{{- define "trawl.pod" -}}
automountServiceAccountToken: {{ ne .Values.serviceAccount.name "" }}
{{- with .Values.serviceAccount.name }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "trawl.podSecurity" . | nindent 2 }}
{{- end }}
