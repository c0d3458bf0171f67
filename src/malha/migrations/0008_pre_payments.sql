-- Written by intake, so without foreign keys (see 0007).
-- Tenders as recorded facts and an exact ledger of what was authorised, captured, refunded on each.

CREATE TABLE tender (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    position smallint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('prepaid', 'cash', 'card_terminal', 'credit_card', 'debit_card', 'pix', 'boleto', 'voucher', 'on_delivery')),
    currency text NOT NULL DEFAULT 'BRL',
    amount bigint NOT NULL CHECK (amount > 0),    -- what this tender is to cover
    reference text,                               -- the channel's or terminal's own id
    installments smallint NOT NULL DEFAULT 1 CHECK (installments > 0),
    expires_at timestamptz,                       -- PIX code, boleto
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (order_id, position)
);

CREATE TABLE payment_entry (
    id uuid PRIMARY KEY,
    tender_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('authorised', 'captured', 'refunded', 'voided', 'declined')),
    amount bigint NOT NULL CHECK (amount > 0),
    reference text NOT NULL,                      -- natural key of the fact: the same fact is recorded once
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL DEFAULT 'system',
    UNIQUE (tender_id, kind, reference)
);

-- Sums per order, moved only with a ledger row; `malha doctor` compares. state is derived (payments.rules.derive_state).
CREATE TABLE order_payment (
    order_id uuid PRIMARY KEY,
    state text NOT NULL,
    authorised bigint NOT NULL DEFAULT 0,
    captured bigint NOT NULL DEFAULT 0,
    refunded bigint NOT NULL DEFAULT 0,
    voided bigint NOT NULL DEFAULT 0
);
