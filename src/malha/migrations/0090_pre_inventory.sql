-- Goods that leave without a day are expected after the days that others took from there to there lately.
ALTER TABLE transfer ADD COLUMN eta_usual boolean NOT NULL DEFAULT false;  -- nobody stated the day: it is the usual one
-- What left from one location to another, the newest last.
CREATE INDEX transfer_way ON transfer (origin_id, destination_id, number) WHERE shipped_at IS NOT NULL;
