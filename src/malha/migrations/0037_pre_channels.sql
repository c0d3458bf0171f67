-- What channels sell, and how they hear of its stock.

-- A SKU on a channel. What was last handed over is kept, so that only differences are.
CREATE TABLE listing (
    channel_id int NOT NULL REFERENCES channel (id),
    sku_id int NOT NULL REFERENCES variant (id),
    code text NOT NULL CHECK (code <> ''),        -- what the channel calls it
    active boolean NOT NULL DEFAULT true,
    sent_quantity int,                            -- what the channel was told last
    sent_version bigint,
    sent_at timestamptz,
    error text,                                   -- why the channel did not take it
    PRIMARY KEY (channel_id, sku_id),
    UNIQUE (channel_id, code)
) WITH (fillfactor = 80);                         -- `sent_*` change all day, without touching an index
CREATE INDEX listing_sku ON listing (sku_id);
CREATE INDEX listing_error ON listing (channel_id, sku_id) WHERE error IS NOT NULL;

-- Which SKUs changed, each with the last position of the event log that changed it. Written by one subscriber in the
-- order of the log: whoever has read up to a version has missed nothing before it.
CREATE TABLE stock_change (
    sku_id int PRIMARY KEY,
    version bigint NOT NULL,
    changed_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX stock_change_version ON stock_change (version);

-- How a channel hears of stock: a webhook is called, a feed is asked.
CREATE TABLE stock_push (
    channel_id int PRIMARY KEY REFERENCES channel (id),
    kind text NOT NULL CHECK (kind IN ('webhook', 'feed')),
    url text,
    secret bytea,                                 -- sealed
    active boolean NOT NULL DEFAULT true,
    all_skus boolean NOT NULL DEFAULT true,       -- list every active SKU under its own code
    version int NOT NULL DEFAULT 1,
    position bigint NOT NULL DEFAULT 0,           -- changes up to here were handed over
    seen text NOT NULL DEFAULT '',                -- network, catalogue and rules as they were when all were looked at
    resend_after int,                             -- all listings are being sent again; the last SKU that was
    taken_until timestamptz,                      -- a worker has it in hand
    next_at timestamptz NOT NULL DEFAULT now(),
    failures int NOT NULL DEFAULT 0,
    error text,
    sent_at timestamptz,
    sent_count bigint NOT NULL DEFAULT 0,
    CHECK ((kind = 'webhook') = (url IS NOT NULL))
);
