-- Waves: orders that are still held are planned together, and those that gain by it move before their release.

CREATE TABLE routing_wave (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,                         -- absent: under way, or its worker was killed
    orders integer NOT NULL DEFAULT 0,            -- that were planned together
    proposed integer NOT NULL DEFAULT 0,          -- of them, whose place another one would be better
    moved integer NOT NULL DEFAULT 0,
    saved bigint NOT NULL DEFAULT 0,              -- centavos, at the rates of that moment
    bound_gap double precision,                   -- of the certificate
    seconds double precision,                     -- of the solver
    failure text                                  -- why nothing came of it
);
-- An order moves once at most: this is its whole unrest.
CREATE TABLE routing_move (
    order_id uuid PRIMARY KEY,                    -- no foreign key, like routing_decision
    wave_id integer NOT NULL,                     -- waves are forgotten before orders
    attempt smallint NOT NULL,                    -- the decision
    saved bigint NOT NULL,                        -- centavos; below zero where it made way for others that saved more
    moved_at timestamptz NOT NULL DEFAULT now()
);
