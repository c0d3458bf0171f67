-- A listing of which nobody knows whether its channel took the last quantity: when it is told again, and how often that
-- was so in a row.
ALTER TABLE listing ADD COLUMN again_at timestamptz;
ALTER TABLE listing ADD COLUMN doubts smallint NOT NULL DEFAULT 0;
CREATE INDEX listing_again ON listing (channel_id, again_at) WHERE again_at IS NOT NULL;
