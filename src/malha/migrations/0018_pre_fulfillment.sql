-- Open work by its time, over all locations: what is late (on every list of orders) and the board of a whole retailer.
-- Without it both read the open work of every location, or worse, all work there ever was.
CREATE INDEX fulfillment_order_due ON fulfillment_order (due_at, number)
    WHERE state NOT IN ('closed', 'rejected', 'cancelled');
