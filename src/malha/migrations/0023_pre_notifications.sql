-- Further means of contact (SMS, WhatsApp), the order in which they are tried, who tells the buyer, receipts and consent.

ALTER TABLE message DROP CONSTRAINT message_channel_check;
ALTER TABLE message ADD CONSTRAINT message_channel_check CHECK (channel IN ('email', 'sms', 'whatsapp'));
ALTER TABLE message_template DROP CONSTRAINT message_template_channel_check;
ALTER TABLE message_template ADD CONSTRAINT message_template_channel_check
    CHECK (channel IN ('email', 'sms', 'whatsapp'));

-- One message across means: the first that can work has rank 0, what is tried after a refusal for good the next one.
ALTER TABLE message ADD COLUMN rank smallint NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN reference text;               -- under which the gateway knows it
ALTER TABLE message ADD COLUMN delivered_at timestamptz;     -- as a receipt said
ALTER TABLE message ADD COLUMN read_at timestamptz;
CREATE UNIQUE INDEX message_once ON message (order_id, event_seq, kind, rank);
CREATE INDEX message_reference ON message (channel, reference) WHERE reference IS NOT NULL;

-- How a gateway is asked, and how it reports back. Of mail only the latter: it goes out by SMTP.
CREATE TABLE message_gateway (
    channel text PRIMARY KEY CHECK (channel IN ('email', 'sms', 'whatsapp')),
    active boolean NOT NULL DEFAULT false,
    config jsonb NOT NULL,                        -- notifications.gateways.Gateway; no secrets
    secret bytea,                                 -- sealed (platform.sealing)
    receipt_secret bytea,                         -- sealed; what a receipt proves itself by
    version integer NOT NULL DEFAULT 1
);

-- By which means a kind of message is told, first choice first. '*' is every kind without a row of its own.
CREATE TABLE message_route (
    kind text PRIMARY KEY,
    means text[] NOT NULL CHECK (cardinality(means) > 0),
    every boolean NOT NULL DEFAULT false,         -- by each of them, not by the first that works
    version integer NOT NULL DEFAULT 1
);

-- Who tells the buyers of a sales channel. Without a row: a marketplace does it itself, of the others we do.
CREATE TABLE message_teller (
    channel_id integer PRIMARY KEY REFERENCES channel (id),
    teller text NOT NULL CHECK (teller IN ('us', 'channel', 'losses')),
    version integer NOT NULL DEFAULT 1
);

-- What came back about a message before we knew under which reference the gateway keeps it.
CREATE TABLE message_receipt (
    channel text NOT NULL,
    reference text NOT NULL,
    status text NOT NULL,
    at timestamptz NOT NULL,
    words text NOT NULL DEFAULT '',
    bad_address boolean NOT NULL DEFAULT false,
    PRIMARY KEY (channel, reference, status)
);

-- What customers agreed to and took back, with the proof. Rows are only ever added; the newest of a purpose and a means
-- counts.
CREATE TABLE message_consent (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('transactional', 'marketing')),
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp')),
    given boolean NOT NULL,
    source text NOT NULL,                         -- notifications.model.ConsentSource
    proof text NOT NULL DEFAULT '',               -- what shows it: words, an address of the network, a record elsewhere
    at timestamptz NOT NULL,                      -- when they said so
    recorded_at timestamptz NOT NULL DEFAULT now(),
    recorded_by text NOT NULL,
    key text UNIQUE                               -- of whoever brings it: the same twice is one
);
CREATE INDEX message_consent_newest ON message_consent (customer_id, purpose, channel, at DESC, id DESC);
