-- What was given back of a day's orders, on both sides; NULL where the channel does not count it.
ALTER TABLE reconciliation
    ADD COLUMN ours_refunded bigint NOT NULL DEFAULT 0,
    ADD COLUMN theirs_refunded bigint;
