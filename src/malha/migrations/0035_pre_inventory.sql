-- Counts: what people found on the shelf, against what was on hand at that moment; and stock that is suspected not to be
-- there.

CREATE TABLE count_task (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    location_id integer NOT NULL REFERENCES location,
    kind text NOT NULL CHECK (kind IN ('cycle', 'physical')),
    source text NOT NULL CHECK (source IN ('person', 'abc', 'short_pick', 'suspicion')),
    zone text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'applying', 'applied', 'cancelled')),
    blind boolean NOT NULL DEFAULT true,          -- the counter is not told what is expected
    frozen boolean NOT NULL DEFAULT false,        -- nothing leaves the location meanwhile
    paused boolean NOT NULL DEFAULT false,        -- the freeze paused the location, and its end resumes it
    limit_units integer NOT NULL CHECK (limit_units >= 0),     -- a variance up to here needs neither recount nor approval
    limit_value bigint NOT NULL CHECK (limit_value >= 0),      -- centavos
    seq integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    closed_at timestamptz,
    closed_by text
);
CREATE INDEX count_task_open ON count_task (location_id) WHERE state IN ('open', 'applying');
-- One freeze at a location at a time; also what shipping looks at.
CREATE UNIQUE INDEX count_task_frozen ON count_task (location_id) WHERE frozen;
-- What is raised by the system gathers in one open count per location and source.
CREATE UNIQUE INDEX count_task_raised ON count_task (location_id, source)
    WHERE state = 'open' AND source IN ('short_pick', 'suspicion');

CREATE TABLE count_line (
    task_id uuid NOT NULL REFERENCES count_task,
    sku_id integer NOT NULL REFERENCES variant,
    bin text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'recount', 'review', 'accepted', 'applied', 'skipped')),
    attempts smallint NOT NULL DEFAULT 0,
    counted integer CHECK (counted >= 0),         -- on the shelf and set aside for orders
    expected integer,                             -- on hand at that moment
    as_of timestamptz,
    counted_by text,
    approved_by text,
    tally integer CHECK (tally >= 0),             -- scanned so far, of the count that is under way
    tallied_at timestamptz,
    tallied_by text,
    PRIMARY KEY (task_id, sku_id)
);
CREATE INDEX count_line_state ON count_line (task_id, state);
CREATE INDEX count_line_sku ON count_line (sku_id);

-- Every count of every person, as it was said.
CREATE TABLE count_entry (
    task_id uuid NOT NULL,
    sku_id integer NOT NULL,
    attempt smallint NOT NULL,
    counted integer NOT NULL,
    set_aside integer NOT NULL DEFAULT 0,         -- picked units, which are on hand and not on the shelf
    expected integer NOT NULL,
    as_of timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    PRIMARY KEY (task_id, sku_id, attempt),
    FOREIGN KEY (task_id, sku_id) REFERENCES count_line
);

-- Stock that is probably not there. What of it was free is held back by a stock hold until a count says what is so.
CREATE TABLE stock_suspicion (
    id uuid PRIMARY KEY,
    sku_id integer NOT NULL REFERENCES variant,
    location_id integer NOT NULL REFERENCES location,
    kept_back integer NOT NULL CHECK (kept_back >= 0),
    score smallint NOT NULL CHECK (score BETWEEN 0 AND 100),
    why jsonb NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    lifted_at timestamptz,
    lifted_by text,
    lift_reason text
);
CREATE UNIQUE INDEX stock_suspicion_open ON stock_suspicion (sku_id, location_id) WHERE lifted_at IS NULL;
