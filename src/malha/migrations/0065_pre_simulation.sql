-- Other rules on past orders: what rules may ask of an order is kept with its first decision.
ALTER TABLE routing_decision ADD COLUMN asked json;  -- routing.ruling.model.Asked; NULL: decided before it was kept

-- Under which rules the orders are decided again, and what became of those rules.
ALTER TABLE simulation
    ADD COLUMN rules jsonb,                       -- simulation.model.RulesTried; NULL: those that decided then
    ADD COLUMN rule_content jsonb,                -- routing.ruling.model.Content, as it was when it began
    ADD COLUMN promoted integer,                  -- number of the rule set that came of it
    ADD COLUMN promoted_at timestamptz,
    ADD COLUMN promoted_by text,
    ADD COLUMN taken_back integer;                -- number of the set that replaced it; 0: withdrawn before its time

ALTER TABLE shadow
    ADD COLUMN rules jsonb,
    ADD COLUMN rule_content jsonb,
    ADD COLUMN promoted integer,
    ADD COLUMN promoted_at timestamptz,
    ADD COLUMN promoted_by text,
    ADD COLUMN taken_back integer;

-- Orders that would have gone elsewhere: those whose cost differs most, each with its decision on paper.
CREATE TABLE simulation_order (
    simulation_id uuid NOT NULL REFERENCES simulation ON DELETE CASCADE,
    place smallint NOT NULL,                      -- from 1 on: the largest difference first
    order_id uuid NOT NULL,
    number text NOT NULL,
    day date NOT NULL,
    cost_before bigint NOT NULL,
    cost_after bigint NOT NULL,
    packages_before integer NOT NULL,
    packages_after integer NOT NULL,
    unplaced_before integer NOT NULL,             -- units
    unplaced_after integer NOT NULL,
    from_before text[] NOT NULL,                  -- location codes
    from_after text[] NOT NULL,
    run text,                                     -- of the rules on paper, and its rule; NULL: none took the order
    rule text,
    rows integer[] NOT NULL,                      -- of their table, from 1 on
    record json,                                  -- routing.records.Record, on paper; NULL: it names what is not there
    PRIMARY KEY (simulation_id, place)
);
