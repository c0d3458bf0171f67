-- Whether people want dates by learned days; one row, once somebody has said it. Without it they are wanted, unless the
-- setting says otherwise.
CREATE TABLE promise_learning (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    wanted boolean NOT NULL,
    said_at timestamptz NOT NULL DEFAULT now()
);
