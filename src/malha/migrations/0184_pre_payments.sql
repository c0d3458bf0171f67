-- Which order a payment was recorded on that its reference tells apart from every other, as a PIX by its end-to-end id:
-- the primary key is the last word on one payment paying one order. What was on two orders before stays so; the first
-- of them has it here. Intake writes it, so it has no foreign key.
CREATE TABLE payment_claim (
    reference text PRIMARY KEY,                    -- as `payments.rules.identity_of` writes it
    order_id uuid NOT NULL
);
CREATE INDEX payment_claim_order ON payment_claim (order_id);
INSERT INTO payment_claim (reference, order_id)
SELECT DISTINCT ON (upper(btrim(e.reference))) upper(btrim(e.reference)), t.order_id
FROM payment_entry e JOIN tender t ON t.id = e.tender_id
WHERE e.kind IN ('authorised', 'captured')
  AND (upper(btrim(e.reference)) ~ '^E[0-9]{20}[A-Z0-9]{11}$'
       OR (t.kind = 'pix' AND btrim(e.reference) ~ '[0-9]' AND upper(btrim(e.reference))
           ~ '^([A-Z0-9]{26,35}|[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12})$'))
ORDER BY upper(btrim(e.reference)), e.recorded_at, e.id
ON CONFLICT (reference) DO NOTHING;
