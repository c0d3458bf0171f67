-- What a customer fetched back through their bank: a fact of its own, for it may come after the money was refunded.
ALTER TABLE order_payment ADD COLUMN charged_back bigint DEFAULT 0 NOT NULL;
ALTER TABLE payment_entry
    DROP CONSTRAINT payment_entry_kind_check,
    ADD CONSTRAINT payment_entry_kind_check
        CHECK (kind IN ('authorised', 'captured', 'refunded', 'voided', 'declined', 'charged_back')) NOT VALID;
