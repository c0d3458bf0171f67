-- One profile per person or company, however many channels it buys in.

CREATE TABLE customer (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    kind text NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'company')),
    name text NOT NULL,
    document text,                                -- CPF (11 digits) or CNPJ (14 characters), normalised; null when not given
    email text,                                   -- normalised: trimmed, lower case
    phone text,                                   -- E.164
    address jsonb NOT NULL DEFAULT '{}',
    folded text NOT NULL,                         -- searched text: name, document, e-mail, phone; accents and case folded
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX customer_document ON customer (document) WHERE document IS NOT NULL;
-- Without a document the e-mail is the identity: a second profile for it would be a duplicate.
CREATE UNIQUE INDEX customer_email_alone ON customer (email) WHERE document IS NULL AND email IS NOT NULL;
CREATE INDEX customer_email ON customer (email) WHERE email IS NOT NULL;
CREATE INDEX customer_phone ON customer (phone) WHERE phone IS NOT NULL;
CREATE INDEX customer_folded ON customer USING gin (folded gin_trgm_ops);
