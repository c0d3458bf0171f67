-- Why an order went where it went: inputs, plan and explanation of every decision, immutable.

CREATE TABLE routing_decision (
    order_id uuid NOT NULL,                       -- no foreign key: written by intake (see 0007)
    attempt smallint NOT NULL,                    -- 1 at intake; more after rejections, short picks, mapping
    decided_at timestamptz NOT NULL DEFAULT now(),
    cost bigint NOT NULL,                         -- centavos, of what was placed
    record json NOT NULL,                         -- routing.model.DecisionRecord: rule and network revision, inputs, candidates, plan
    PRIMARY KEY (order_id, attempt)
);
-- A location that rejected or short-picked a line is not asked again for it.
CREATE TABLE routing_exclusion (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    location_id integer NOT NULL REFERENCES location,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, line, location_id)
);
