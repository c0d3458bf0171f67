-- How connections did, by five minutes: what is plotted on their pages. Two weeks are kept. A row is of what was counted
-- in its five minutes, or the most (of the budget: the least) that was seen in them.
CREATE TABLE connection_sample (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    slot timestamptz NOT NULL,                     -- when its five minutes begin
    came int NOT NULL DEFAULT 0,
    ended int NOT NULL DEFAULT 0,
    told int NOT NULL DEFAULT 0,
    waiting_in int,                                -- null: nobody looked, as while no worker ran
    waiting_out int,
    lag_in_s int,                                  -- how old the oldest was that waited
    lag_out_s int,
    stuck jsonb NOT NULL DEFAULT '{}',             -- what waits for a person, by `in:cause` and `out:cause`
    calls bigint,                                  -- since the connection was made; so are the failures
    failures bigint,
    budget int,                                    -- percent of its requests that were left
    PRIMARY KEY (connection_id, slot)
);
