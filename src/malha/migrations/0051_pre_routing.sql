-- What routing compares besides freight and handling, as a retailer set it, and what was learned of its locations.
-- Nothing of it is read for each order: caches hold it, and follow the network's revision.

-- One document: settings of a screen, read and replaced as a whole. Its version is that of the revision "routing_costs".
CREATE TABLE routing_costs (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    costs jsonb NOT NULL                          -- routing.cost_model.Costs
);

-- What selling a unit costs in tax, by the states it goes between and the class of the product: the beginning of its NCM.
CREATE TABLE tax_cost (
    from_state text NOT NULL,                     -- '*': any
    to_state text NOT NULL,                       -- '*': any
    ncm text NOT NULL DEFAULT '' CHECK (ncm ~ '^[0-9]{0,8}$'),
    basis_points integer NOT NULL CHECK (basis_points BETWEEN 0 AND 10000),  -- of the unit's value
    centavos bigint NOT NULL DEFAULT 0 CHECK (centavos >= 0),                -- a unit, besides
    PRIMARY KEY (from_state, to_state, ncm)
);

-- What getting rid of a unit of aged stock is worth where it is.
CREATE TABLE markdown_credit (
    sku_id integer NOT NULL REFERENCES variant ON DELETE CASCADE,
    location_id integer NOT NULL REFERENCES location ON DELETE CASCADE,
    centavos bigint NOT NULL CHECK (centavos > 0),  -- a unit
    PRIMARY KEY (sku_id, location_id)
);
CREATE INDEX markdown_credit_location ON markdown_credit (location_id);

-- How often locations give work back, and how often their promises are broken: made anew again and again.
CREATE TABLE routing_risk_version (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now(),
    works integer NOT NULL,                       -- orders that locations were asked for
    refused integer NOT NULL,                     -- of them, given back in whole or part
    promises integer NOT NULL,                    -- that were kept or broken
    broken integer NOT NULL
);
CREATE TABLE routing_risk (
    version_id integer NOT NULL REFERENCES routing_risk_version ON DELETE CASCADE,
    location_id integer NOT NULL REFERENCES location ON DELETE CASCADE,
    works integer NOT NULL,
    refused integer NOT NULL,
    promises integer NOT NULL,
    broken integer NOT NULL,
    rejection double precision,                   -- probability, drawn to the mean of all; null: too few outcomes of all
    lateness double precision,
    PRIMARY KEY (version_id, location_id)
);
CREATE INDEX routing_risk_location ON routing_risk (location_id);
