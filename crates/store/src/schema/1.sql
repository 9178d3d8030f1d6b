-- Version 1. Times are milliseconds since the Unix epoch, UTC.

-- seed (of series ids), uuid (of this store), heartbeat (when the service was last alive).
CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE source (name TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE target (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    cluster TEXT NOT NULL,
    namespace TEXT NOT NULL,
    service TEXT NOT NULL,
    last_good INTEGER,
    failing_since INTEGER,
    failing_trouble INTEGER,
    discovered INTEGER NOT NULL,
    UNIQUE (source, cluster, namespace, service)
) STRICT;

-- One row per episode, its newest text inline; only changed rows are written.
CREATE TABLE series (
    target INTEGER NOT NULL,
    sid BLOB NOT NULL,
    episode INTEGER NOT NULL,
    count INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    level INTEGER NOT NULL,
    obj_type TEXT NOT NULL,
    obj_name TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    observed_at INTEGER NOT NULL,
    PRIMARY KEY (target, sid, episode)
) STRICT, WITHOUT ROWID;

-- What is asked for stands in columns; the engine's private state is versioned JSON.
CREATE TABLE incident (
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
    state TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX incident_open ON incident (rule_file, rule_name, group_key) WHERE ended_at IS NULL;
CREATE INDEX incident_ended ON incident (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE trouble (id INTEGER PRIMARY KEY, over INTEGER NOT NULL, state TEXT NOT NULL) STRICT;

CREATE TABLE notice (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    incident INTEGER,
    made_at INTEGER NOT NULL,
    facts TEXT NOT NULL
) STRICT;
CREATE INDEX notice_made ON notice (made_at);

-- state: due, claimed (part of an open send), sent, folded (into another delivery), dead.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    notice INTEGER NOT NULL,
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    content TEXT NOT NULL,
    born INTEGER NOT NULL,
    send INTEGER,
    done_at INTEGER,
    folded_into INTEGER,
    why TEXT
) STRICT;
CREATE INDEX delivery_open ON delivery (state) WHERE state IN ('due', 'claimed', 'dead');
CREATE INDEX delivery_notice ON delivery (notice);
CREATE INDEX delivery_done ON delivery (done_at) WHERE done_at IS NOT NULL;

-- One request; its body is frozen until it is settled.
CREATE TABLE send (
    id INTEGER PRIMARY KEY,
    destination TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    settled TEXT,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX send_open ON send (id) WHERE settled IS NULL;

CREATE TABLE attempt (at INTEGER NOT NULL, endpoint TEXT NOT NULL) STRICT;
CREATE INDEX attempt_at ON attempt (at);

CREATE TABLE destination (name TEXT NOT NULL PRIMARY KEY, fingerprint TEXT NOT NULL, health TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- What the command line asks of the running service.
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    command TEXT NOT NULL,
    done_at INTEGER,
    answer TEXT
) STRICT;
CREATE INDEX inbox_open ON inbox (id) WHERE done_at IS NULL;
