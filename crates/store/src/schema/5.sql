-- Version 5.

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
-- What is known of the last day already. Counts of a cluster may be anything; their sum must fit.
INSERT INTO tally
    SELECT o.target, o.at / 900000,
        sum(CASE WHEN s.level = 0 THEN 0 ELSE min(o.new, 1000000000) END),
        sum(CASE WHEN s.level = 0 THEN min(o.new, 1000000000) ELSE 0 END)
    FROM observation o JOIN series s ON s.target = o.target AND s.sid = o.sid AND s.episode = o.episode
    WHERE o.kind < 3 AND o.target IS NOT NULL GROUP BY o.target, o.at / 900000;
