-- Of what was refunded, what was given as a favour: it is nothing of what is due for what was cancelled.
ALTER TABLE order_payment ADD COLUMN favour bigint DEFAULT 0 NOT NULL;
ALTER TABLE payment_entry ADD COLUMN favour boolean DEFAULT false NOT NULL;
