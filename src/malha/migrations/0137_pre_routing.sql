-- A run that came to no prices stands among the others with what went wrong, and every run says how many SKUs may run out.
ALTER TABLE stock_price_version
    DROP CONSTRAINT stock_price_version_method_check,
    ADD CONSTRAINT stock_price_version_method_check CHECK (method IN ('programme', 'closed_form', 'none')),
    ADD COLUMN at_risk integer,                  -- SKUs; null where it was not counted
    ADD COLUMN problem text NOT NULL DEFAULT ''; -- why there is no solution of the programme, as it was said
-- What a price rests on: units free there, and those that a week is expected to ask for.
ALTER TABLE stock_price
    ADD COLUMN free integer,
    ADD COLUMN shipped double precision,  -- by orders that are sent, from wherever
    ADD COLUMN fetched double precision;  -- by customers who fetch them there
-- Whether people want prices of stock, and the run that a person asked for; one row, once somebody has said something.
CREATE TABLE stock_pricing (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    wanted boolean NOT NULL DEFAULT true,
    asked_at timestamptz,  -- not done yet
    began_at timestamptz   -- of the run that is under way, whoever wanted it
);
