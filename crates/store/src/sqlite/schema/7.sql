-- Version 7: what backtests of the service's own history need beside counts and texts.
ALTER TABLE series ADD COLUMN node TEXT;
-- Made by a source of what an object's state says.
ALTER TABLE series ADD COLUMN signal INTEGER NOT NULL DEFAULT 0;
-- Labels and annotations that rules look at, as JSON.
ALTER TABLE series ADD COLUMN metadata TEXT;

-- What a source said of objects: 24 h, and before that the newest of each object. `about`: what a newer report
-- replaces; `last`: nothing that has to be known later follows from it, such as a deletion.
CREATE TABLE report (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    about TEXT NOT NULL,
    last INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX report_about ON report (about, id);
CREATE INDEX report_at ON report (at);
