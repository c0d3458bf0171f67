-- A service of which the channel gives the label knows the address that the seller may not see.
ALTER TABLE service ADD COLUMN channel_label boolean NOT NULL DEFAULT false;
