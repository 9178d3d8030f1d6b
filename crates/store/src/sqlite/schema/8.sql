-- Version 8: what names a command that several replicas may hand over.
ALTER TABLE inbox ADD COLUMN key TEXT;
CREATE UNIQUE INDEX inbox_key ON inbox (key) WHERE key IS NOT NULL;
