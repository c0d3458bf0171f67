-- One act on all orders that a list found: they are written down first, shown to the person, and begun by them.
CREATE TABLE bulk_action (
    id uuid PRIMARY KEY,
    number integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    act text NOT NULL CHECK (act IN ('release', 'hold', 'resolve', 'promise', 'tags', 'cancel')),
    wish jsonb NOT NULL,                           -- what belongs to the act: its reason, its day, its tags
    sought text NOT NULL,                          -- the address of the list that found them
    state text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'going', 'done', 'stopped')),
    orders integer NOT NULL DEFAULT 0,
    done integer NOT NULL DEFAULT 0,
    refused integer NOT NULL DEFAULT 0,
    actor text NOT NULL,
    person text NOT NULL,
    gathered_at timestamptz NOT NULL DEFAULT now(),
    begun_at timestamptz,
    ended_at timestamptz
);
-- What somebody gathered and has not begun: the next one they gather takes its place.
CREATE INDEX bulk_action_ready ON bulk_action (actor) WHERE state = 'ready';

-- Its orders, with the version each had when it was found, and what became of it; none: it waits for its turn.
CREATE TABLE bulk_action_order (
    action_id uuid NOT NULL REFERENCES bulk_action ON DELETE CASCADE,
    order_id uuid NOT NULL,
    seq integer NOT NULL,
    outcome text CHECK (outcome IN ('done', 'refused', 'left')),
    why jsonb,                                     -- of those that were refused
    PRIMARY KEY (action_id, order_id)
);
-- The next one of an action, however many are through.
CREATE INDEX bulk_action_order_waiting ON bulk_action_order (action_id, order_id) WHERE outcome IS NULL;
CREATE INDEX bulk_action_order_refused ON bulk_action_order (action_id, order_id) WHERE outcome = 'refused';
