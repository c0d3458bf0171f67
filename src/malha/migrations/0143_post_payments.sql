-- What was paid before, and while the former program, which does not know of it, still ran. Locked in a statement of its
-- own and by order, so that payments and this never wait for one another.
CREATE TEMPORARY TABLE paid_otherwise ON COMMIT DROP AS
    SELECT p.order_id FROM order_payment p JOIN sales_order o ON o.id = p.order_id
    WHERE p.refund_due <> greatest(p.captured - p.refunded - greatest(o.total - o.cancelled_total, 0), 0)
    ORDER BY p.order_id
    FOR NO KEY UPDATE OF p;
UPDATE order_payment p
SET refund_due = greatest(p.captured - p.refunded - greatest(o.total - o.cancelled_total, 0), 0)
FROM paid_otherwise n JOIN sales_order o ON o.id = n.order_id
WHERE p.order_id = n.order_id;
