-- A connection that sells nothing, as one to a logistics partner, has no sales channel.
ALTER TABLE connection ALTER COLUMN channel_id DROP NOT NULL;
