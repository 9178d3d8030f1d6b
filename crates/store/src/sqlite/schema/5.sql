-- The whole format, version 5. Times are milliseconds since the Unix epoch, UTC.

-- seed (of series ids), uuid (of this store), heartbeat (when the service was last alive), commit (the number of the
-- newest one), rules (the generation of the rules that incidents are in line with), epochs (of message ids), days (what
-- is counted for the daily lines), next_* (the first free numbers, which outlive the rows that they numbered).
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
CREATE INDEX target_service ON target (service);

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
    -- A Warning that was there before podbell came, until it happens again.
    silent INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (target, sid, episode)
) STRICT, WITHOUT ROWID;
CREATE INDEX series_silent ON series (last_seen) WHERE silent = 1;
CREATE INDEX series_silent_target ON series (target, last_seen) WHERE silent = 1;

-- What is asked for stands in columns; `state` is bytes, see incident_codec.rs.
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
    state BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX incident_open ON incident (rule_file, rule_name, group_key) WHERE ended_at IS NULL;
CREATE INDEX incident_ended ON incident (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX incident_newest ON incident (phase, last_at) WHERE ended_at IS NULL;
CREATE INDEX incident_workload ON incident (workload);

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
CREATE INDEX notice_incident ON notice (incident) WHERE incident IS NOT NULL;

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
-- What one request carried: of several incidents it was a digest.
CREATE INDEX delivery_send ON delivery (send) WHERE send IS NOT NULL;

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

-- The last good text of each rule file.
CREATE TABLE rule_file (name TEXT NOT NULL PRIMARY KEY, text TEXT NOT NULL, good_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- What became of Warning changes: a ring of the newest.
CREATE TABLE decision (id INTEGER PRIMARY KEY AUTOINCREMENT, incident INTEGER, body BLOB NOT NULL) STRICT;
CREATE INDEX decision_incident ON decision (incident);

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

-- What a window (a maintenance, the hours in which a rule does not tell) keeps from a destination.
CREATE TABLE held (
    destination TEXT NOT NULL,
    window TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (destination, window)
) STRICT, WITHOUT ROWID;

-- Which services show an incident. It is in the incident's private state, too; names and no ids, because
-- an incident is kept for longer than the services that showed it.
CREATE TABLE shown (
    incident INTEGER NOT NULL,
    source TEXT NOT NULL,
    cluster TEXT NOT NULL,
    namespace TEXT NOT NULL,
    service TEXT NOT NULL,
    PRIMARY KEY (incident, source, cluster, namespace, service)
) STRICT, WITHOUT ROWID;
CREATE INDEX shown_service ON shown (service, namespace);

-- What people said: mutes, acknowledgements, and the log of all that they did.
-- body: JSON of core::mute::Mute. In force: ended_at IS NULL AND until > now.
CREATE TABLE mute (id INTEGER PRIMARY KEY, until INTEGER NOT NULL, ended_at INTEGER, body TEXT NOT NULL) STRICT;
CREATE INDEX mute_until ON mute (until) WHERE ended_at IS NULL;
-- body: JSON of core::mute::Acknowledged.
CREATE TABLE acknowledged (incident INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
-- body: JSON of core::ask::Logged: {by, act, at}.
CREATE TABLE action (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, incident INTEGER, body TEXT NOT NULL) STRICT;
CREATE INDEX action_at ON action (at);
CREATE INDEX action_incident ON action (incident) WHERE incident IS NOT NULL;

-- The message that stands for an incident in a chat with threads, by the platform's names for it. `place`:
-- a hash of where it stands; `shown`: what it shows, as JSON, since `shown_at`.
CREATE TABLE thread (
    destination TEXT NOT NULL,
    incident INTEGER NOT NULL,
    place TEXT NOT NULL,
    channel TEXT NOT NULL,
    message TEXT NOT NULL,
    since INTEGER NOT NULL,
    shown TEXT,
    shown_at INTEGER,
    PRIMARY KEY (destination, incident)
) STRICT, WITHOUT ROWID;

-- How many new occurrences each service showed in a quarter of an hour (`quarter`: milliseconds since the
-- epoch by 900,000): the timelines of the status page. At most 97 rows a service; hours later they go.
CREATE TABLE tally (
    target INTEGER NOT NULL,
    quarter INTEGER NOT NULL,
    warnings INTEGER NOT NULL,
    others INTEGER NOT NULL,
    PRIMARY KEY (target, quarter)
) STRICT, WITHOUT ROWID;
CREATE INDEX tally_quarter ON tally (quarter);
