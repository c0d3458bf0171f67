-- The ledger may be long: it is looked through while others write to it, which adding the constraint at once forbids.
ALTER TABLE payment_entry VALIDATE CONSTRAINT payment_entry_kind_check;
