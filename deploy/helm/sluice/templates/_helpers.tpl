{{- define "sluice.select" -}}
app.kubernetes.io/name: {{ .root.Values.name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "sluice.labels" -}}
{{ include "sluice.select" . }}
llm-d.ai/engine-type: sluice
{{- if ne .role "coordinator" }}
llm-d.ai/role: {{ .role }}
{{- end }}
llm-d.ai/model: {{ .root.Values.model.label }}
{{- end }}

{{- define "sluice.plain" -}}
app.kubernetes.io/name: {{ .Values.name }}
llm-d.ai/model: {{ .Values.model.label }}
{{- end }}

{{- /* Lines of a daemon's TOML: its keys are flags. */}}
{{- define "sluice.toml" -}}
{{- range $key, $value := . }}
{{ $key }} = {{ $value | toJson }}
{{- end }}
{{- end }}

{{- define "sluice.clusterTlsArgs" -}}
{{- if .Values.tls.enabled -}}
- --cluster-cert=/etc/sluice-tls/cluster/tls.crt
- --cluster-key=/etc/sluice-tls/cluster/tls.key
- --cluster-ca=/etc/sluice-tls/cluster/ca.crt
{{- end }}
{{- end }}
{{- define "sluice.clusterTlsMount" -}}
{{- if .Values.tls.enabled -}}
- name: cluster-tls
  mountPath: /etc/sluice-tls/cluster
  readOnly: true
{{- end }}
{{- end }}
{{- define "sluice.clusterTlsVolume" -}}
{{- if .root.Values.tls.enabled -}}
# 288 is 0440: readable for root and the pod's fsGroup.
- name: cluster-tls
  secret:
    secretName: {{ .root.Values.name }}-{{ .role }}-tls
    defaultMode: 288
{{- end }}
{{- end }}

{{- define "sluice.registry" -}}
{{ .Values.ha.registry | default (printf "etcd://%s-etcd:2379" .Values.name) }}
{{- end }}

{{- define "sluice.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
topologySpreadConstraints:
  {{- range tuple "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "sluice.select" $ | nindent 8 }}
  {{- end }}
{{- end }}

{{- define "sluice.secretEnv" -}}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.secret }}
      key: {{ .key }}
{{- end }}

{{- /* What is like in every pod's one container. */}}
{{- define "sluice.mounts" -}}
- name: config
  mountPath: /etc/sluice
  readOnly: true
{{- if .Values.model.claim }}
- name: model
  mountPath: /models
  readOnly: true
{{- end }}
{{- end }}
{{- define "sluice.volumes" -}}
- name: config
  configMap:
    name: {{ .Values.name }}-config
{{- if .Values.model.claim }}
- name: model
  persistentVolumeClaim:
    claimName: {{ .Values.model.claim }}
    readOnly: true
{{- end }}
{{- end }}

{{- define "sluice.probes" -}}
startupProbe:
  httpGet:
    path: /livez
    port: {{ .port }}
    {{- if .https }}
    scheme: HTTPS
    {{- end }}
  periodSeconds: {{ .startPeriod }}
  failureThreshold: {{ .startFailures }}
readinessProbe:
  httpGet:
    path: /readyz
    port: {{ .port }}
    {{- if .https }}
    scheme: HTTPS
    {{- end }}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet:
    path: /livez
    port: {{ .port }}
    {{- if .https }}
    scheme: HTTPS
    {{- end }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{- /* The pod of a node, of either role. */}}
{{- define "sluice.nodePod" -}}
{{- $v := .root.Values }}
{{- $mine := index $v .role }}
metadata:
  labels:
    {{- include "sluice.labels" . | nindent 4 }}
  annotations:
    checksum/config: {{ include (print .root.Template.BasePath "/config.yaml") .root | sha256sum }}
spec:
  {{- include "sluice.pod" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ add $mine.drainTimeoutSeconds 20 }}
  {{- if $v.gpu.enabled }}
  resourceClaims:
    - name: gpu
      resourceClaimTemplateName: {{ $v.name }}-gpu
  {{- end }}
  containers:
    - name: {{ .role }}
      image: {{ $v.image.repository }}:{{ $v.image.tag }}
      command: [/usr/bin/sluice-{{ .role }}]
      args:
        - --config=/etc/sluice/{{ .role }}.toml
        - --model={{ $v.model.path }}
        {{- if $v.ha.enabled }}
        - --registry={{ include "sluice.registry" .root }}
        {{- else }}
        - --coordinator={{ $v.name }}-control:9000
        {{- end }}
        - --name=$(POD_NAME)
        - --advertise=$(POD_IP)
        - --threads=$(CPU_LIMIT)
        {{- include "sluice.clusterTlsArgs" .root | nindent 8 }}
        {{- range $mine.args }}
        - {{ . }}
        {{- end }}
      env:
        {{- include "sluice.secretEnv" (dict "root" .root "variable" "SLUICE_CLUSTER_TOKEN" "key" "cluster-token") | nindent 8 }}
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: POD_IP
          valueFrom:
            fieldRef:
              fieldPath: status.podIP
        - name: CPU_LIMIT
          valueFrom:
            resourceFieldRef:
              resource: limits.cpu
      ports:
        - name: admin
          containerPort: 9101
        {{- if eq .role "decode" }}
        - name: data
          containerPort: 9100
        {{- end }}
      {{- include "sluice.probes" (dict "port" "admin" "startPeriod" 5 "startFailures" 240) | nindent 6 }}
      resources:
        {{- if $v.gpu.enabled }}
        claims:
          - name: gpu
        {{- end }}
        {{- toYaml $mine.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
          {{- with $v.nodes.capabilities }}
          add: {{ toJson . }}
          {{- end }}
      volumeMounts:
        {{- include "sluice.mounts" .root | nindent 8 }}
        - name: shm
          mountPath: /dev/shm
        {{- include "sluice.clusterTlsMount" .root | nindent 8 }}
  volumes:
    {{- include "sluice.volumes" .root | nindent 4 }}
    - name: shm
      emptyDir:
        medium: Memory
        sizeLimit: {{ $v.nodes.shmSize }}
    {{- include "sluice.clusterTlsVolume" . | nindent 4 }}
{{- end }}
