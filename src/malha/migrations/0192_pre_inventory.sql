-- Everybody who scanned something of a line of a count, by attempt: the line has the last one only. What is being scanned
-- while this is applied has at least that one.
CREATE TABLE count_hand (
    task_id uuid NOT NULL,
    sku_id integer NOT NULL,
    attempt smallint NOT NULL,                    -- of the count that the scans become
    actor text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (task_id, sku_id, attempt, actor),
    FOREIGN KEY (task_id, sku_id) REFERENCES count_line
);
INSERT INTO count_hand (task_id, sku_id, attempt, actor, began_at)
SELECT task_id, sku_id, attempts + 1, tallied_by, tallied_at FROM count_line
WHERE tally IS NOT NULL AND tallied_by IS NOT NULL AND tallied_at IS NOT NULL;
