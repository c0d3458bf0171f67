-- Channels' own ids are compared byte by byte: equal is equal in any order of letters, and ids that begin alike stand
-- together in the unique index, whatever the server's language. No row is written, the index is built anew.
ALTER TABLE sales_order ALTER COLUMN external_id TYPE text COLLATE "C";

-- The words of an order's text: a CPF, an e-mail, a telephone, a SKU is one of them, and names are several. Without its
-- first two, number and the channel's own id, which have indexes of their own and would be half of its cost. Written by
-- the subscriber that writes the text, never by intake. Trigrams stay for parts of words.
CREATE INDEX order_search_words ON order_search USING gin (((string_to_array(document, ' '))[3:]));
