-- What the former program recorded while both ran: see 0184.
INSERT INTO payment_claim (reference, order_id)
SELECT DISTINCT ON (upper(btrim(e.reference))) upper(btrim(e.reference)), t.order_id
FROM payment_entry e JOIN tender t ON t.id = e.tender_id
WHERE e.kind IN ('authorised', 'captured')
  AND (upper(btrim(e.reference)) ~ '^E[0-9]{20}[A-Z0-9]{11}$'
       OR (t.kind = 'pix' AND btrim(e.reference) ~ '^[A-Za-z0-9._-]{6,200}$' AND btrim(e.reference) ~ '[0-9]'
           AND length(regexp_replace(btrim(e.reference), '[^A-Za-z0-9]', '', 'g')) >= 6))
ORDER BY upper(btrim(e.reference)), e.recorded_at, e.id
ON CONFLICT (reference) DO NOTHING;
