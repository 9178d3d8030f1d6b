-- Version 6: what is known of the rollouts of workloads, as JSON.
CREATE TABLE rollout (
    source TEXT NOT NULL,
    cluster TEXT NOT NULL,
    namespace TEXT NOT NULL,
    service TEXT NOT NULL,
    workload TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (source, cluster, namespace, service, workload)
) STRICT, WITHOUT ROWID;
