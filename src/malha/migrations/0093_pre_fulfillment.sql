-- Work at a location that states picking slots is done in one of them: which, on `capacity_day`. The location is the one
-- the slot is counted at, the first of its site when the work was released. The slot's counter is the number of pieces
-- of work in it that were not given back.
ALTER TABLE fulfillment_order
    ADD COLUMN slot_location_id integer,
    ADD COLUMN slot_starts time,
    ADD COLUMN slot_ends time,
    ADD CONSTRAINT fulfillment_order_slot_check CHECK (num_nulls(slot_location_id, slot_starts, slot_ends) IN (0, 3));
-- Who is in a slot and has not begun: they move when it is closed. Nothing is in it where nobody states picking slots.
CREATE INDEX fulfillment_order_slot ON fulfillment_order (slot_location_id, capacity_day, slot_starts, number)
    WHERE slot_starts IS NOT NULL AND state = 'open';
