-- What may stand in for a variant when it cannot be had, in the order in which it is offered. `both_ways` lets the
-- variant stand in for its substitute, too.
CREATE TABLE variant_substitute (
    variant_id    integer NOT NULL REFERENCES variant (id),
    substitute_id integer NOT NULL REFERENCES variant (id),
    position      smallint NOT NULL,
    both_ways     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (variant_id, substitute_id),
    CHECK (variant_id <> substitute_id)
);
-- The other way round, and what stands in the way of removing a variant.
CREATE INDEX variant_substitute_back ON variant_substitute (substitute_id);

-- The line of the same order whose units this one stands in for.
ALTER TABLE order_line ADD COLUMN replaces smallint;
