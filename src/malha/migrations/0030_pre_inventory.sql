-- Allotments (fences and caps) and rules for safety stock.

-- Units set apart for fences and not drawn yet: the sum of fence_stock.remaining. Common stock is
-- on_hand - allocated - held - safety - fenced.
ALTER TABLE balance ADD COLUMN fenced integer NOT NULL DEFAULT 0 CHECK (fenced >= 0);

CREATE TABLE allotment (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('fence', 'cap')),
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'ended')),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz,                          -- null: until somebody ends it
    customer_groups text[] NOT NULL DEFAULT '{}', -- empty: every buyer
    quota integer CHECK (quota >= 0),             -- caps: units that may be sold; fences: null
    per_sku boolean NOT NULL DEFAULT false,       -- caps: the quota counts for each SKU by itself
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CHECK ((kind = 'cap') = (quota IS NOT NULL)),
    CHECK (ends_at > starts_at),
    CHECK ((state = 'ended') = (ended_at IS NOT NULL))
);
CREATE INDEX allotment_active ON allotment (id) WHERE state = 'active';

-- Whose it is: channels that draw from the fence, or that the cap counts; a cap without rows counts all channels.
CREATE TABLE allotment_channel (
    allotment_id integer NOT NULL REFERENCES allotment,
    channel_id integer NOT NULL REFERENCES channel,
    PRIMARY KEY (allotment_id, channel_id)
);
-- Channels that may draw from a fence when their own and the common stock are used up, from a time on.
CREATE TABLE allotment_borrower (
    allotment_id integer NOT NULL REFERENCES allotment,
    channel_id integer NOT NULL REFERENCES channel,
    borrows_from timestamptz,                     -- null: from its start
    PRIMARY KEY (allotment_id, channel_id)
);
-- What a cap counts. No rows of one kind: all SKUs, all locations. Categories are kept as stated and resolved to SKUs.
CREATE TABLE cap_sku (
    allotment_id integer NOT NULL REFERENCES allotment,
    sku_id integer NOT NULL REFERENCES variant,
    stated boolean NOT NULL,                      -- false: by one of its categories
    PRIMARY KEY (allotment_id, sku_id)
);
CREATE TABLE cap_category (
    allotment_id integer NOT NULL REFERENCES allotment,
    category_id integer NOT NULL REFERENCES category,
    PRIMARY KEY (allotment_id, category_id)
);
CREATE TABLE cap_location (
    allotment_id integer NOT NULL REFERENCES allotment,
    location_id integer NOT NULL REFERENCES location,
    PRIMARY KEY (allotment_id, location_id)
);
-- A cap's counters: one for everything (sku_id 0), or one per SKU. Conditional: used never passes the cap's quota by a
-- claim. used = sum of cap_use.
CREATE TABLE cap_counter (
    allotment_id integer NOT NULL REFERENCES allotment,
    sku_id integer NOT NULL,
    used integer NOT NULL DEFAULT 0 CHECK (used >= 0),
    PRIMARY KEY (allotment_id, sku_id)
) WITH (fillfactor = 70);
-- What a claim counted against caps, so that a cancel takes it off again. Units that leave stay counted.
CREATE TABLE cap_use (
    claim_id uuid NOT NULL,                       -- order or hold
    allotment_id integer NOT NULL REFERENCES allotment,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (claim_id, sku_id, location_id, allotment_id)
);
CREATE INDEX cap_use_allotment ON cap_use (allotment_id, sku_id);

-- A fence on one balance: granted = remaining + drawn + sold, always.
CREATE TABLE fence_stock (
    allotment_id integer NOT NULL REFERENCES allotment,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    wanted integer NOT NULL CHECK (wanted >= 0),                    -- what was asked for it
    granted integer NOT NULL DEFAULT 0 CHECK (granted >= 0),        -- set apart so far, without what was given back
    remaining integer NOT NULL DEFAULT 0 CHECK (remaining >= 0),
    drawn integer NOT NULL DEFAULT 0 CHECK (drawn >= 0),            -- claimed or held, not left yet
    sold integer NOT NULL DEFAULT 0 CHECK (sold >= 0),
    open boolean NOT NULL DEFAULT true,
    PRIMARY KEY (sku_id, location_id, allotment_id),
    FOREIGN KEY (sku_id, location_id) REFERENCES balance (sku_id, location_id),
    CHECK (granted = remaining + drawn + sold),
    CHECK (open OR remaining = 0)
) WITH (fillfactor = 70);
CREATE INDEX fence_stock_allotment ON fence_stock (allotment_id, sku_id, location_id);

-- The ledger of fences, append only: fence_stock is the sum of these rows.
CREATE TABLE fence_movement (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    allotment_id integer NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    d_remaining integer NOT NULL DEFAULT 0,
    d_drawn integer NOT NULL DEFAULT 0,
    d_sold integer NOT NULL DEFAULT 0,
    reason text NOT NULL,                         -- inventory.allotments.model.FenceReason
    ref_id uuid,                                  -- order or hold
    actor text NOT NULL DEFAULT 'system'
);
CREATE INDEX fence_movement_fence ON fence_movement (allotment_id, sku_id, location_id, id);

-- What a claim (order or hold) drew, in the order it was drawn: its fence, common stock, borrowed fences. A cancel gives
-- back from the end, a shipment takes from the beginning. Claims on balances they drew from no fence have no rows.
CREATE TABLE stock_draw (
    claim_id uuid NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    rank smallint NOT NULL,
    allotment_id integer REFERENCES allotment,    -- null: common stock
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (claim_id, sku_id, location_id, rank)
);
CREATE INDEX stock_draw_fence ON stock_draw (allotment_id, sku_id, location_id) WHERE allotment_id IS NOT NULL;

-- The group a buyer belongs to, as the channel says: decides which allotments are open to the order.
ALTER TABLE sales_order ADD COLUMN customer_group text;

-- Safety stock by rule. Every condition that is set must hold.
CREATE TABLE safety_rule (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    purpose text NOT NULL CHECK (purpose IN ('routing', 'online')),  -- may not be claimed | may not be published
    location_id integer REFERENCES location,
    group_id integer REFERENCES location_group,
    location_kind text,
    state text,
    sku_id integer REFERENCES variant,
    product_id integer REFERENCES product,
    category_id integer REFERENCES category,      -- and everything below it
    brand text,
    channel_id integer REFERENCES channel,        -- online only
    measure text NOT NULL CHECK (measure IN ('units', 'percent', 'days')),
    amount integer NOT NULL CHECK (amount >= 0),  -- units, percent of on hand, or days of what lately left
    starts_at timestamptz,
    ends_at timestamptz,
    active boolean NOT NULL DEFAULT true,
    changed_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1,
    CHECK (channel_id IS NULL OR purpose = 'online'),
    CHECK (measure <> 'percent' OR amount <= 100),
    CHECK (ends_at > starts_at)
);
CREATE INDEX safety_rule_group ON safety_rule (group_id);
CREATE INDEX safety_rule_product ON safety_rule (product_id);

-- What a person or a system stated for one balance: it wins over every rule until it is taken away.
CREATE TABLE safety_override (
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    quantity integer NOT NULL CHECK (quantity >= 0),
    stated_at timestamptz NOT NULL DEFAULT now(),
    stated_by text NOT NULL,
    PRIMARY KEY (sku_id, location_id),
    FOREIGN KEY (sku_id, location_id) REFERENCES balance (sku_id, location_id)
);
INSERT INTO safety_override (sku_id, location_id, quantity, stated_by)
SELECT sku_id, location_id, safety, 'system' FROM balance WHERE safety > 0;

-- What is not to be published, by channel (0: all others): written by the sweep, only where a rule says so.
CREATE TABLE safety_online (
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    channel_id integer NOT NULL,
    quantity integer NOT NULL CHECK (quantity >= 0),
    PRIMARY KEY (sku_id, location_id, channel_id)
);

-- How far the sweep has come: one row.
CREATE TABLE safety_sweep (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    fingerprint text NOT NULL DEFAULT '',         -- of everything the rules depend on, when the pass began
    after_sku integer,                            -- the pass goes on after this SKU; null: none under way
    finished_at timestamptz
);
INSERT INTO safety_sweep DEFAULT VALUES;
INSERT INTO revision (name) VALUES ('allotments') ON CONFLICT DO NOTHING;
