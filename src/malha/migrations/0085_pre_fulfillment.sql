-- Orders that a transfer was asked for: when its goods leave, they are claimed for those orders.
CREATE INDEX short_step_transfer ON short_step ((facts->>'transfer')) WHERE way = 'transfer';
