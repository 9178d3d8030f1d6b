# A job that fails every minute.
cronjob() {
  apply <<END
apiVersion: batch/v1beta1
kind: CronJob
metadata: {name: report, namespace: batch}
spec:
  schedule: "* * * * *"
  failedJobsHistoryLimit: 2
  jobTemplate:
    spec:
      backoffLimit: 1
      template:
        spec:
          restartPolicy: Never
          containers: [{name: report, image: "$image", command: [sh, -c, $(jq -Rn --arg command "$1" '$command')]}]
END
}
make() { cronjob 'echo "no such table: orders" >&2; exit 3'; }
mend() { cronjob 'echo done'; }
