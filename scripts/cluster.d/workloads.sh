# What runs in the cluster before anything goes wrong, and the words in which troubles are written.

image=$registry/shop/web:v1
serve='mkdir -p /www; touch /www/ready /www/live; exec httpd -f -p 8080 -h /www'
sleeps='exec sleep 100000'
ready='readinessProbe: {httpGet: {path: /ready, port: 8080}, periodSeconds: 5}'
live='livenessProbe: {httpGet: {path: /live, port: 8080}, periodSeconds: 5, failureThreshold: 3}'

apply() { kubectl apply -f - >/dev/null; }

# deployment NAMESPACE NAME REPLICAS COMMAND [CONTAINER'S LINE]...: applies it. A line that begins with `pod.` is the pod's,
# with `spec.` the deployment's. $image is what it runs.
deployment() {
  local namespace=$1 name=$2 replicas=$3 command=$4 line container='' pod='' spec=''
  shift 4
  [[ $* == *resources:* ]] || container='          resources: {requests: {cpu: 1m}}'
  for line; do
    case $line in
      pod.*) pod+="      ${line#pod.}"$'\n' ;;
      spec.*) spec+="  ${line#spec.}"$'\n' ;;
      *) container+=$'\n'"          $line" ;;
    esac
  done
  apply <<END
apiVersion: apps/v1
kind: Deployment
metadata: {name: $name, namespace: $namespace}
spec:
  replicas: $replicas
$spec
  selector: {matchLabels: {app: $name}}
  template:
    metadata: {labels: {app: $name}}
    spec:
      terminationGracePeriodSeconds: 1
$pod
      containers:
        - name: $name
          image: $image
          command: [sh, -c, $(jq -Rn --arg command "$command" '$command')]
$container
END
}

namespaces=(shop pay data batch team-a)

# Healthy workloads of a shop, in five namespaces. The pods of shop/cache are on the hollow node.
make_workloads() {
  local namespace
  for namespace in "${namespaces[@]}"; do
    kubectl create namespace "$namespace" --dry-run=client -o yaml | apply
  done
  deployment shop web 3 "$serve" "$ready"
  deployment shop offers 2 "$sleeps"
  deployment shop search 2 "$serve" "$ready"
  deployment shop checkout 2 'exec httpd -f -p 8080 -h /www' "${live_folder[@]}"
  deployment pay api 2 "$sleeps"
  deployment shop cache 10 "$sleeps" 'pod.nodeSelector: {kubernetes.io/hostname: node-2}' \
    'pod.tolerations: [{key: hollow, operator: Exists}]'
}

# Pods that keep over a restart of their container whether they answer. Gone from there, they never answer again.
live_folder=("$live" 'volumeMounts: [{name: www, mountPath: /www}]' 'pod.volumes: [{name: www, emptyDir: {}}]'
  "pod.initContainers: [{name: content, image: \"$image\", command: [touch, /www/live], volumeMounts: [{name: www, mountPath: /www}]}]")

# in_each NAMESPACE NAME COMMAND...: runs a command in every pod of a workload.
in_each() {
  local namespace=$1 name=$2 pod
  shift 2
  for pod in $(kubectl -n "$namespace" get pod -l "app=$name" -o name); do
    kubectl -n "$namespace" exec "$pod" -- "$@"
  done
}
