-- Suppliers are found whatever their accents and case: "acucar" finds "Açúcar". The index is of the expression that the
-- search says; what older code asks during an update has its own index still.
CREATE INDEX inbound_order_supplier_folded ON inbound_order USING gin (
    (regexp_replace(replace(lower(regexp_replace(normalize(supplier, NFKD), '[\u0300-\u036f]', '', 'g')), 'ß', 'ss'),
                    '\s+', ' ', 'g')) gin_trgm_ops);
