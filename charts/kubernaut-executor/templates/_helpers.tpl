{{/* The labels of every object that is written by hand, by component: call it with (dict "root" $ "component" "..."). */}}
{{- define "kubernaut-executor.labels" -}}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: kubernaut
{{ include "kubernaut-executor.selector" . }}
{{- end }}

{{/* What selects the pods of a component. The release's name is no part of it: there is one release in a cluster. */}}
{{- define "kubernaut-executor.selector" -}}
app.kubernetes.io/name: kubernaut-executor
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* An image by digest, or by tag, or by the chart's version: (dict "root" $ "image" .Values.image). */}}
{{- define "kubernaut-executor.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Not empty where the cluster serves MutatingAdmissionPolicy v1; elsewhere the validating policy demands the truth. */}}
{{- define "kubernaut-executor.stampsRequester" -}}
{{- if semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version -}}true{{- end -}}
{{- end }}

{{/* The names of the pull secrets as references. */}}
{{- define "kubernaut-executor.pullSecrets" -}}
{{- range $index, $name := .Values.imagePullSecrets }}
{{- if $index }}{{ "\n" }}{{ end -}}
- name: {{ $name | quote }}
{{- end }}
{{- end }}

{{/* Pod Security `restricted`, for a pod: call it with the numeric user. Each part of ours has a user of its own. */}}
{{- define "kubernaut-executor.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Pod Security `restricted`, for a container. */}}
{{- define "kubernaut-executor.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end }}

{{/* What the controller must know of the runners' pods, as JSON. */}}
{{- define "kubernaut-executor.runnerPod" -}}
{{- $resources := dict }}
{{- range $action, $settings := .Values.actions }}
{{- with $settings.resources }}
{{- $_ := set $resources $action . }}
{{- end }}
{{- end }}
{{- dict
  "imagePullSecrets" .Values.imagePullSecrets
  "nodeSelector" .Values.runner.nodeSelector
  "tolerations" .Values.runner.tolerations
  "priorityClassName" .Values.runner.priorityClassName
  "resources" $resources | toJson }}
{{- end }}

{{/* Rules of egress to the API server and nothing else. */}}
{{- define "kubernaut-executor.apiServerEgress" -}}
- to:
  {{- range .Values.apiServer.cidrs }}
  - ipBlock:
      cidr: {{ . | quote }}
  {{- end }}
  ports:
  {{- range .Values.apiServer.ports }}
  - port: {{ . }}
    protocol: TCP
  {{- end }}
{{- end }}

{{/* Why an image without a digest is not found fault with; nothing when it has one. */}}
{{- define "kubernaut-executor.withoutDigest" -}}
{{- if not .digest -}}
checkov.io/skip1: CKV_K8S_43=whoever installs the chart sets a digest or a tag; a chart cannot know the digest
checkov.io/skip2: CKV_K8S_15=ADR-34 asks for IfNotPresent; a tag of a release is not moved
{{- end -}}
{{- end }}
