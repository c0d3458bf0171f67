-- Messages to customers: what may be said, what was said, and to whom nothing may be sent any more.

-- Texts a retailer wrote. The newest version counts; one without a text means the text that comes with the program.
CREATE TABLE message_template (
    kind text NOT NULL,                           -- notifications.model.Kind
    channel text NOT NULL CHECK (channel IN ('email')),
    language text NOT NULL,
    version integer NOT NULL,
    subject text,                                 -- null: the default text again
    body text,
    saved_at timestamptz NOT NULL DEFAULT now(),
    saved_by text NOT NULL,
    PRIMARY KEY (kind, channel, language, version),
    CHECK ((body IS NULL) <= (subject IS NULL))
);

-- Which kinds go out on which channel, where it differs from notifications.model.KINDS.
CREATE TABLE message_switch (
    kind text NOT NULL,
    channel text NOT NULL,
    active boolean NOT NULL,
    PRIMARY KEY (kind, channel)
);

-- One row, written at the first change.
CREATE TABLE message_rules (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    quiet_from time NOT NULL,                     -- in the customer's zone; equal ends: no quiet hours
    quiet_until time NOT NULL,
    kept_days integer NOT NULL CHECK (kept_days BETWEEN 1 AND 3650),
    version integer NOT NULL DEFAULT 1
);

-- One row for each thing that is said to one buyer on one channel. It is written with the checkpoint of the event it tells of;
-- whether it may be sent is decided by `state` alone, so a crash cannot send it twice.
CREATE TABLE message (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    event_seq integer NOT NULL,                   -- the event of the order that it tells of
    kind text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('email')),
    language text NOT NULL,
    address text,                                 -- null: there was none, or it was forgotten after its time
    facts jsonb NOT NULL DEFAULT '{}',            -- of the event: ids and amounts, nothing personal
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'sending', 'sent', 'refused', 'uncertain', 'skipped', 'failed', 'bounced')),
    reason text,                                  -- a code, for every state that is not a success
    answer text,                                  -- of the server
    attempts smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),    -- not before
    created_at timestamptz NOT NULL DEFAULT now(),
    claimed_at timestamptz,
    done_at timestamptz,
    subject text,                                 -- what was said; forgotten with the address
    body text,
    UNIQUE (order_id, event_seq, kind, channel)
);
CREATE INDEX message_due ON message (due_at) WHERE state = 'queued';
CREATE INDEX message_sending ON message (claimed_at) WHERE state = 'sending';
CREATE INDEX message_newest ON message (created_at DESC, id DESC);
CREATE INDEX message_state ON message (state, created_at DESC, id DESC);
CREATE INDEX message_address ON message (address) WHERE address IS NOT NULL;
CREATE INDEX message_kept ON message (created_at) WHERE address IS NOT NULL;

-- Addresses that take no messages: they bounced, or a person said so.
CREATE TABLE message_suppression (
    channel text NOT NULL,
    address text NOT NULL,
    reason text NOT NULL,                         -- bounced | refused | by_hand
    since timestamptz NOT NULL DEFAULT now(),
    by text NOT NULL,
    PRIMARY KEY (channel, address)
);

-- What a customer wants, and how we know.
CREATE TABLE message_preference (
    customer_id uuid PRIMARY KEY,
    language text,                                -- null: the retailer's
    declined text[] NOT NULL DEFAULT '{}',        -- channels they want nothing on but news of losses
    source text NOT NULL,                         -- what the customer did, or who wrote it down
    version integer NOT NULL DEFAULT 1
);

-- Of ordering: which promises were found broken before the order left, each once.
CREATE TABLE order_lateness (
    order_id uuid NOT NULL,
    promised_at timestamptz NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, promised_at)
);
CREATE INDEX sales_order_promised ON sales_order (promised_at)
    WHERE promised_at IS NOT NULL AND status NOT IN ('ready', 'shipped', 'delivered', 'cancelled');
