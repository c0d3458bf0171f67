-- Routing rules that people write. A published set never changes: the newest whose time has come is in force.

CREATE TABLE routing_rule_set (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number integer UNIQUE,                        -- of published ones, as people and decisions name them
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'published', 'withdrawn')),
    note text NOT NULL DEFAULT '',                -- why it was made
    content jsonb NOT NULL,                       -- routing.ruling.model.Content
    version integer NOT NULL DEFAULT 1,           -- of the draft
    based_on integer,                             -- number of the published one it began as
    effective_from timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    published_by text,
    CHECK ((status = 'draft') = (number IS NULL)),
    CHECK ((status = 'draft') = (effective_from IS NULL))
);
-- The gate asks twice a second which one is in force: from its time on, the last one published first.
CREATE INDEX routing_rule_set_force ON routing_rule_set (effective_from DESC, id DESC) WHERE status = 'published';

-- Which rule set decided; NULL: none took the order. Waves leave such orders where their rule put them.
ALTER TABLE routing_decision ADD COLUMN rule_set integer;
CREATE INDEX routing_decision_rule_set ON routing_decision (rule_set, decided_at) WHERE rule_set IS NOT NULL;

-- What waits for a person by a rule that cancels it after some days.
CREATE INDEX order_hold_routing_rule ON order_hold ((detail->>'cancel_on')) WHERE kind = 'routing_rule' AND resolved_at IS NULL;
