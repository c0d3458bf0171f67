-- A location says whether its picking slots count orders or units. Both are always counted, so that another measure is
-- another way to read the same counters: what work is in a slot, and how many units it has to fetch.
ALTER TABLE capacity_plan
    ADD COLUMN measure text NOT NULL DEFAULT 'orders' CHECK (measure IN ('orders', 'units'));
ALTER TABLE capacity_slot
    ADD COLUMN measure text NOT NULL DEFAULT 'orders' CHECK (measure IN ('orders', 'units')),  -- of quota and widest
    ADD COLUMN units integer NOT NULL DEFAULT 0 CHECK (units >= 0);  -- of the work in a picking slot
-- The units of work, without those that were cancelled or given back; of work that did not happen, those it had.
ALTER TABLE fulfillment_order ADD COLUMN units integer NOT NULL DEFAULT 0 CHECK (units >= 0);
