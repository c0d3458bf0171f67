-- Fulfilment by others: which locations a connection's partner fulfils, what it was asked, and the files both sides wrote.

-- More is told to peers than channels hear.
ALTER TABLE channel_op DROP CONSTRAINT channel_op_kind_check;
ALTER TABLE channel_op ADD CONSTRAINT channel_op_kind_check
    CHECK (kind IN ('set_price', 'push_shipment', 'cancel', 'refund', 'ask')) NOT VALID;
ALTER TABLE channel_op VALIDATE CONSTRAINT channel_op_kind_check;

-- Files come in, too.
ALTER TABLE channel_inbox DROP CONSTRAINT channel_inbox_source_check;
ALTER TABLE channel_inbox ADD CONSTRAINT channel_inbox_source_check
    CHECK (source IN ('webhook', 'pull', 'file')) NOT VALID;
ALTER TABLE channel_inbox VALIDATE CONSTRAINT channel_inbox_source_check;

-- A location is fulfilled by one partner or by us. `theirs` is what the partner calls it.
CREATE TABLE partner_location (
    location_id int PRIMARY KEY REFERENCES location (id),
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    theirs text NOT NULL CHECK (theirs <> ''),
    UNIQUE (connection_id, theirs)
);

-- The key of a file server, as a person trusted it. Another one is not spoken with.
CREATE TABLE partner_host_key (
    connection_id int PRIMARY KEY REFERENCES connection (id) ON DELETE CASCADE,
    server text NOT NULL,                         -- host:port it was seen at
    public_key text NOT NULL,
    fingerprint text NOT NULL,
    trusted_at timestamptz NOT NULL DEFAULT now(),
    trusted_by text NOT NULL
);

-- A piece of work that a partner was asked for. Of a part that went ahead, `root` is the work that was asked for.
CREATE TABLE partner_request (
    fulfillment_id uuid PRIMARY KEY REFERENCES fulfillment_order (id),
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    order_id uuid NOT NULL,
    location_id int NOT NULL,
    root uuid NOT NULL,
    name text NOT NULL,                           -- what the partner is to answer with
    op_key uuid NOT NULL,                         -- how it was told
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'acknowledged', 'ended')),
    outcome text CHECK (outcome IN ('shipped', 'refused', 'cancelled')),
    note text NOT NULL DEFAULT '',
    due_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    told text,                                    -- what the partner said when it left
    left_at timestamptz,                          -- when the goods left, as the partner says
    ended_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX partner_request_open ON partner_request (connection_id, due_at) WHERE state <> 'ended';
CREATE INDEX partner_request_name ON partner_request (connection_id, name);
CREATE INDEX partner_request_root ON partner_request (root);
CREATE INDEX partner_request_order ON partner_request (order_id);
-- What left there and was told later, by when we heard of it.
CREATE INDEX partner_request_left ON partner_request (location_id, ended_at) WHERE left_at IS NOT NULL;

-- What was asked for by line, and what of it is not wanted any more (`cancelled`: told) or not there (`short`: heard).
CREATE TABLE partner_request_line (
    fulfillment_id uuid NOT NULL REFERENCES partner_request (fulfillment_id) ON DELETE CASCADE,
    line int NOT NULL,
    sku_id int NOT NULL,
    asked int NOT NULL CHECK (asked > 0),
    cancelled int NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    short int NOT NULL DEFAULT 0 CHECK (short >= 0),
    PRIMARY KEY (fulfillment_id, line, sku_id),
    CHECK (cancelled + short <= asked)
) WITH (fillfactor = 80);

-- Files, those written and those taken. What came in is taken once by name and content.
CREATE TABLE partner_file (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    way text NOT NULL CHECK (way IN ('in', 'out')),
    kind text NOT NULL,                           -- of what it tells
    name text NOT NULL,
    fingerprint bytea NOT NULL,
    bytes int NOT NULL,
    content bytea NOT NULL,                       -- gzipped, as it was
    rows int NOT NULL DEFAULT 0,
    held int NOT NULL DEFAULT 0,                  -- rows that somebody must mend
    state text NOT NULL CHECK (state IN ('taken', 'applied', 'done', 'held')),
    stated jsonb,                                 -- of stock: where and when
    says text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    UNIQUE (connection_id, way, fingerprint)
) WITH (fillfactor = 80);
ALTER TABLE partner_file ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX partner_file_newest ON partner_file (connection_id, number DESC);
CREATE INDEX partner_file_open ON partner_file (connection_id, number) WHERE state IN ('taken', 'applied');
CREATE INDEX partner_file_held ON partner_file (connection_id, number DESC) WHERE state = 'held';
CREATE INDEX partner_file_ended ON partner_file (ended_at) WHERE ended_at IS NOT NULL;

-- Which rows of a file say what; what became of it stands in the inbox.
CREATE TABLE partner_answer (
    file_id uuid NOT NULL REFERENCES partner_file (id) ON DELETE CASCADE,
    dedup text NOT NULL,
    rows int[] NOT NULL,
    PRIMARY KEY (file_id, dedup)
);

-- Rows that cannot be used, each with why.
CREATE TABLE partner_flaw (
    file_id uuid NOT NULL REFERENCES partner_file (id) ON DELETE CASCADE,
    row int NOT NULL,
    problem text NOT NULL,
    field text NOT NULL DEFAULT '',
    value text NOT NULL DEFAULT '',
    PRIMARY KEY (file_id, row)
);

-- What a partner was told to expect: a purchase order or a transfer.
CREATE TABLE partner_notice (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    name text NOT NULL,                           -- what the partner is to answer with
    kind text NOT NULL CHECK (kind IN ('purchase', 'transfer')),
    number bigint NOT NULL,
    location_id int NOT NULL,
    version int NOT NULL DEFAULT 1,               -- grows with what is told
    digest bytea NOT NULL,
    op_key uuid NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    received_at timestamptz,                      -- something of it, last
    PRIMARY KEY (connection_id, name)
);
