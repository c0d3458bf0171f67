-- What-if runs over past orders. The result is one document: it is read whole, and computed once.
CREATE TABLE simulation (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    since date NOT NULL,                          -- days of orders, both included, in the retailer's time zone
    until date NOT NULL,
    channel text,                                 -- code; null: all
    scenario jsonb NOT NULL,                      -- simulation.model.Scenario
    status text NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    done bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    result jsonb,                                 -- simulation.model.Result, once done
    problem text NOT NULL DEFAULT '',
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CHECK (since <= until),
    CHECK ((status = 'done') = (result IS NOT NULL))
);
