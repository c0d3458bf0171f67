-- Listings over a connection: what is said of them there instead of the catalogue's words, and what became of it.

ALTER TABLE channel_op DROP CONSTRAINT channel_op_kind_check;
ALTER TABLE channel_op ADD CONSTRAINT channel_op_kind_check
    CHECK (kind IN ('set_price', 'put_listing', 'push_shipment', 'cancel', 'refund', 'ask', 'post_document')) NOT VALID;
ALTER TABLE channel_op VALIDATE CONSTRAINT channel_op_kind_check;

-- How the peer's fields are made of ours, where not in the usual way; and the state of everything at which listings
-- were looked at last.
CREATE TABLE listing_plan (
    connection_id int PRIMARY KEY REFERENCES connection (id) ON DELETE CASCADE,
    mapping jsonb,                                -- of feeds.model.Mapped; NULL: the usual one
    version int NOT NULL DEFAULT 0,
    seen text NOT NULL DEFAULT ''
);

-- What is said on a connection instead of what is worked out, by the peer's field: of a variant, or (`sku_id` NULL) of
-- all variants of a product, where the peer has a field once for all of them. A row stays when nothing is said any more:
-- its version grows for ever.
CREATE TABLE listing_override (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    product_id int NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    sku_id int REFERENCES variant (id) ON DELETE CASCADE,
    said jsonb NOT NULL,
    version int NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (connection_id, product_id, sku_id)
);
CREATE INDEX listing_override_product ON listing_override (product_id);
CREATE INDEX listing_override_sku ON listing_override (sku_id);

-- What somebody published over a connection. One row once it was published; before that it is a draft.
CREATE TABLE listing_post (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    sku_id int NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    status text NOT NULL CHECK (status IN ('draft', 'submitted', 'live', 'rejected', 'ended')),
    wanted boolean NOT NULL,                      -- it shall be for sale there, as long as it is for sale here
    stamp bigint,                                 -- of all that the content was worked out from; NULL: anew
    version bigint NOT NULL DEFAULT 0,            -- of the last statement that was queued
    queued bytea,                                 -- digest of its content
    sent bytea,                                   -- digest of what the peer took last
    sent_version bigint,
    sent_at timestamptz,
    reference text NOT NULL DEFAULT '',           -- the peer's name of it
    errors jsonb NOT NULL DEFAULT '[]',           -- channels.listings.model.ListingError
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connection_id, sku_id)
) WITH (fillfactor = 80);
CREATE INDEX listing_post_sku ON listing_post (sku_id);
