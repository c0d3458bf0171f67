-- What becomes of goods that no location has, and drafts that are decided beside the live network.

-- How often an order is asked elsewhere by itself before a person decides; without the row, the default.
CREATE TABLE reroute_policy (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    most_decisions smallint NOT NULL CHECK (most_decisions BETWEEN 1 AND 50),
    version integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL
);

-- What people did about units of an order that no location has, so that the next one sees it.
CREATE TABLE short_step (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id uuid NOT NULL,
    line smallint NOT NULL,                       -- 0: of the whole order
    way text NOT NULL CHECK (way IN ('substitute', 'split', 'wait', 'transfer', 'cancel', 'retry')),
    facts jsonb NOT NULL,
    by text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX short_step_order ON short_step (order_id, id);

-- A draft of the network (simulation.model.Scenario) that decides what is placed from now on a second time.
CREATE TABLE shadow (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    scenario jsonb NOT NULL,
    status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'stopped', 'failed')),
    position bigint NOT NULL,                     -- of the last event that was looked at
    seen_at timestamptz,                          -- when that was recorded
    decided bigint NOT NULL DEFAULT 0,
    passed_over bigint NOT NULL DEFAULT 0,        -- left out under load
    result jsonb,                                 -- simulation.shadow_model.Running
    problem text NOT NULL DEFAULT '',
    until timestamptz NOT NULL,                   -- it ends by itself then
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
-- One order in both worlds. Stock that the draft took elsewhere is kept, for the orders after it and for a restart.
CREATE TABLE shadow_order (
    shadow_id uuid NOT NULL REFERENCES shadow ON DELETE CASCADE,
    order_id uuid NOT NULL,
    position bigint NOT NULL,                     -- of its event
    number bigint NOT NULL,
    day date NOT NULL,                            -- of the order, in the retailer's time zone
    cost_live bigint NOT NULL,                    -- centavos
    cost_shadow bigint NOT NULL,
    packages_live smallint NOT NULL,
    packages_shadow smallint NOT NULL,
    days_live smallint,                           -- business days on the way of the slowest parcel
    days_shadow smallint,
    locations_live text[] NOT NULL,               -- codes
    locations_shadow text[] NOT NULL,
    differs boolean NOT NULL,
    shifts jsonb,                                 -- [[sku id, location id, units]] that are there, or missed, on paper
    PRIMARY KEY (shadow_id, order_id)
);
CREATE INDEX shadow_order_differs ON shadow_order (shadow_id, position DESC) WHERE differs;
CREATE INDEX shadow_order_day ON shadow_order (shadow_id, day);
