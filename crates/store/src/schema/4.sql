-- Version 4.

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
