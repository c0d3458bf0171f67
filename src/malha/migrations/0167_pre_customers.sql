-- Whose data was erased for good: the row stays for its orders and documents, without anything of the person.
ALTER TABLE customer ADD COLUMN erased_at timestamptz;

-- That it was done, by whom and why; and how much was done, so that it can be shown without what was erased.
CREATE TABLE customer_erasure (
    customer_id uuid PRIMARY KEY REFERENCES customer,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    person text NOT NULL,
    reason text NOT NULL,
    orders integer NOT NULL,
    messages integer NOT NULL,
    documents integer NOT NULL                     -- fiscal documents that the law has kept
);
