{{/* Pods are the same with either store, but for the volume. */}}
{{- define "podbell.pod" -}}
metadata:
  labels:
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "podbell.selector" . | nindent 4 }}
  annotations:
    # podbell reloads only `rules` and `maintenance` of podbell.yaml, so the pod restarts when podbell.yaml changes.
    checksum/config: {{ include "podbell.config" . | sha256sum }}
    {{- if .Values.secret.create }}
    checksum/secret: {{ toYaml .Values.secret.values | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "podbell.account" . }}
  automountServiceAccountToken: true
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "podbell.priority" . }}
  priorityClassName: {{ . }}
  {{- end }}
  # Polls and requests in flight get 10 s; messages that are still due are sent {{ if include "podbell.shared" . }}by the next replica{{ else }}after the next start{{ end }}.
  terminationGracePeriodSeconds: 30
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: podbell
      image: "{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [run, --config, /etc/podbell/podbell.yaml, --log-format, json]
      {{- if or .Values.env (not (include "podbell.shared" .)) }}
      env:
        {{- if not (include "podbell.shared" .) }}
        # For SQLite's temporary files: the root is read-only, the volume has room.
        - name: SQLITE_TMPDIR
          value: /var/lib/podbell
        {{- end }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      ports:
        - name: http
          containerPort: 8080
          protocol: TCP
      {{- if not (include "podbell.shared" .) }}
      # A start may wait 60 s until the previous owner releases the store, and then migrate the store.
      {{- end }}
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 90
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 2
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 2
        failureThreshold: 3
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        # Mount folders, never a subPath: files mounted by subPath do not change in a running pod.
        - name: config
          mountPath: /etc/podbell
          readOnly: true
        - name: rules
          mountPath: /etc/podbell.d
          readOnly: true
        - name: secrets
          mountPath: /run/secrets/podbell
          readOnly: true
        {{- if not (include "podbell.shared" .) }}
        - name: store
          mountPath: /var/lib/podbell
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "podbell.name" . }}
    - name: rules
      configMap:
        name: {{ include "podbell.name" . }}-rules
    - name: secrets
      secret:
        secretName: {{ include "podbell.secret" . }}
        # 0440, for root and the pod's group.
        defaultMode: 288
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if include "podbell.shared" . }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - labelSelector:
        matchLabels:
          {{- include "podbell.selector" $ | nindent 10 }}
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- end }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
