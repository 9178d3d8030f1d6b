-- Version 2. The engine's private state of an incident is bytes (MessagePack, see form.rs; the JSON of
-- version 1 is still read); what became of Warning changes; rule files that were good; what windows hold.
CREATE TABLE incident_2 (
    id INTEGER PRIMARY KEY,
    rule_file TEXT NOT NULL,
    rule_name TEXT NOT NULL,
    group_key TEXT NOT NULL,
    cluster TEXT NOT NULL,
    namespace TEXT NOT NULL,
    workload TEXT NOT NULL,
    phase TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    ended_at INTEGER,
    state_version INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT;
INSERT INTO incident_2 SELECT id, rule_file, rule_name, group_key, cluster, namespace, workload, phase, last_at,
    ended_at, state_version, CAST(state AS BLOB) FROM incident;
DROP TABLE incident;
ALTER TABLE incident_2 RENAME TO incident;
CREATE UNIQUE INDEX incident_open ON incident (rule_file, rule_name, group_key) WHERE ended_at IS NULL;
CREATE INDEX incident_ended ON incident (ended_at) WHERE ended_at IS NOT NULL;

-- The last good text of each rule file. Beside it, meta has `rules`: the generation of the rules that
-- incidents are in line with.
CREATE TABLE rule_file (name TEXT NOT NULL PRIMARY KEY, text TEXT NOT NULL, good_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- What became of Warning changes: a ring of the newest.
CREATE TABLE decision (id INTEGER PRIMARY KEY AUTOINCREMENT, incident INTEGER, body BLOB NOT NULL) STRICT;

-- What changed from poll to poll, for backtests of the service's own history: 24 h, or the newest
-- million. kind: 0 appeared, 1 increased, 2 restarted (with an episode of series); 3 the target cannot
-- be read, 4 it can again; 5 podbell did not run since last_seen.
CREATE TABLE observation (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    target INTEGER,
    sid BLOB,
    episode INTEGER,
    kind INTEGER NOT NULL,
    new INTEGER NOT NULL,
    count INTEGER NOT NULL,
    last_seen INTEGER NOT NULL
) STRICT;

-- What one request carried: of several incidents it was a digest.
CREATE INDEX delivery_send ON delivery (send) WHERE send IS NOT NULL;

-- What a window (a maintenance, the hours in which a rule does not tell) keeps from a destination.
CREATE TABLE held (
    destination TEXT NOT NULL,
    window TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (destination, window)
) STRICT, WITHOUT ROWID;
