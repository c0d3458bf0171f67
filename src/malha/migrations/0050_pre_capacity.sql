-- Capacity that can be reserved: slots of a location by kind of work. What a location offers is stated by weekday and
-- corrected by date; a counter row comes into being with the first reservation of its slot, and its quota follows the
-- statement from then on.

-- One row per location that states slots. Its lock orders a change of the statement against the first reservation of a
-- slot: neither can work from what the other is replacing.
CREATE TABLE capacity_plan (
    location_id integer PRIMARY KEY REFERENCES location (id),
    version integer NOT NULL DEFAULT 0
);

CREATE TABLE capacity_template (
    location_id integer NOT NULL REFERENCES capacity_plan (location_id),
    kind text NOT NULL CHECK (kind IN ('pick', 'pickup', 'delivery')),
    weekday smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),  -- 1 is Monday
    starts time NOT NULL,                                       -- on the location's clock
    ends time NOT NULL CHECK (ends > starts),
    quota integer NOT NULL CHECK (quota BETWEEN 0 AND 1000000),
    PRIMARY KEY (location_id, kind, weekday, starts)
);

-- Of one date: another quota for a slot, a slot that is not usual, or (without times) no slot of this kind at all.
CREATE TABLE capacity_override (
    location_id integer NOT NULL REFERENCES capacity_plan (location_id),
    kind text NOT NULL CHECK (kind IN ('pick', 'pickup', 'delivery')),
    day date NOT NULL,
    starts time,
    ends time,
    quota integer NOT NULL CHECK (quota BETWEEN 0 AND 1000000),
    reason text NOT NULL DEFAULT '',
    UNIQUE NULLS NOT DISTINCT (location_id, kind, day, starts),
    CHECK ((starts IS NULL) = (ends IS NULL) AND (starts IS NOT NULL OR quota = 0)),
    CHECK (ends > starts)
);

-- What is taken of a slot. No foreign keys: each would lock its parent for every order. A quota lowered below what is
-- reserved stands: nothing is taken from who has it, nobody else gets in.
CREATE TABLE capacity_slot (
    location_id integer NOT NULL,
    kind text NOT NULL,
    day date NOT NULL,
    starts time NOT NULL,
    ends time NOT NULL,
    quota integer NOT NULL CHECK (quota >= 0),
    widest integer NOT NULL,                      -- the largest quota it had: nobody got in beyond it
    held integer NOT NULL DEFAULT 0 CHECK (held >= 0),
    confirmed integer NOT NULL DEFAULT 0 CHECK (confirmed >= 0),
    PRIMARY KEY (location_id, kind, day, starts)
) WITH (fillfactor = 70);

-- One row per place taken; a counter is the number of its rows in that state. A row leaves 'held' once and 'confirmed'
-- once, so a place is given back once. Times are repeated here: an order keeps its slot when the slot is stated no more.
CREATE TABLE capacity_reservation (
    id uuid PRIMARY KEY,
    location_id integer NOT NULL,
    kind text NOT NULL,
    day date NOT NULL,
    starts time NOT NULL,
    ends time NOT NULL,
    state text NOT NULL CHECK (state IN ('held', 'confirmed', 'released', 'expired')),
    reference text,                               -- the cart or promise that holds it
    order_id uuid,
    expires_at timestamptz,
    made_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    reason text NOT NULL DEFAULT '',              -- why it was given back
    actor text NOT NULL DEFAULT 'system',
    CHECK ((state = 'held') <= (expires_at IS NOT NULL AND reference IS NOT NULL)),
    CHECK ((state = 'confirmed') <= (order_id IS NOT NULL)),
    CHECK ((state IN ('released', 'expired')) = (ended_at IS NOT NULL))
);
CREATE UNIQUE INDEX capacity_reservation_reference ON capacity_reservation (reference) WHERE state = 'held';
CREATE UNIQUE INDEX capacity_reservation_order ON capacity_reservation (order_id) WHERE state = 'confirmed';
CREATE INDEX capacity_reservation_expiry ON capacity_reservation (expires_at) WHERE state = 'held';
CREATE INDEX capacity_reservation_slot ON capacity_reservation (location_id, kind, day, starts);
