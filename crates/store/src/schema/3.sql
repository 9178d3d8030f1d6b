-- Version 3.

-- What people ask for. Every question goes through one of these: none reads all series, all incidents
-- or all decisions.
CREATE INDEX target_service ON target (service);
CREATE INDEX incident_newest ON incident (phase, last_at) WHERE ended_at IS NULL;
CREATE INDEX incident_workload ON incident (workload);
CREATE INDEX notice_incident ON notice (incident) WHERE incident IS NOT NULL;
CREATE INDEX decision_incident ON decision (incident);

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

-- The silent baseline: Warnings that were there before podbell came, until they happen again.
ALTER TABLE series ADD COLUMN silent INTEGER NOT NULL DEFAULT 0;
CREATE INDEX series_silent ON series (last_seen) WHERE silent = 1;
CREATE INDEX series_silent_target ON series (target, last_seen) WHERE silent = 1;

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
