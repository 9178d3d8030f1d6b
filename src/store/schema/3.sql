-- Version 3. What people do: mutes, acknowledgements, and who did what.

-- In force: not ended. body: JSON.
CREATE TABLE mute (id INTEGER PRIMARY KEY, until INTEGER NOT NULL, ended_at INTEGER, body TEXT NOT NULL) STRICT;
CREATE INDEX mute_open ON mute (id) WHERE ended_at IS NULL;

-- Who has an incident that is open. body: JSON.
CREATE TABLE acknowledged (incident INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;

-- What people did, by whom and when. body: JSON.
CREATE TABLE action (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, incident INTEGER, body TEXT NOT NULL) STRICT;
CREATE INDEX action_at ON action (at);
CREATE INDEX action_incident ON action (incident) WHERE incident IS NOT NULL;
