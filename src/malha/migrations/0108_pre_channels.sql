-- Products and orders that a file lists are kept page by page: how many of them are kept already.
ALTER TABLE partner_file ADD COLUMN listed int NOT NULL DEFAULT 0;
