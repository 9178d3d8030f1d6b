# A volume claim of a storage class that does not exist.
make() {
  apply <<END
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: data}
spec:
  replicas: 1
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: "$image", command: [sleep, "100000"], volumeMounts: [{name: disk, mountPath: /disk}]}]
  volumeClaimTemplates:
    - metadata: {name: disk}
      spec: {storageClassName: fast, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
END
}
mend() {
  mkdir -p "$disk/db"
  apply <<END
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: kubernetes.io/no-provisioner
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk-1}
spec: {storageClassName: fast, capacity: {storage: 2Gi}, accessModes: [ReadWriteOnce], hostPath: {path: "$disk/db"}}
END
}
