-- Orders by what they are promised for, whatever became of them: a day's, a week's, those before or after one.
CREATE INDEX sales_order_promised_for ON sales_order (promised_at, id) WHERE promised_at IS NOT NULL;
