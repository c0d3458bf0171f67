-- The network: who sells and invoices (legal entities, establishments), from where (locations), where to (channels), how (services).

CREATE TABLE legal_entity (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    cnpj_root text NOT NULL UNIQUE,              -- first 8 characters, alphanumeric since July 2026
    kind text NOT NULL DEFAULT 'own' CHECK (kind IN ('own', 'franchise', 'vendor', 'operator')),
    version integer NOT NULL DEFAULT 1
);

CREATE TABLE establishment (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    legal_entity_id integer NOT NULL REFERENCES legal_entity,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    cnpj text NOT NULL UNIQUE,                   -- 14 characters, no punctuation
    state_registration text,                     -- IE; null when exempt
    state text NOT NULL,                         -- UF
    tax_regime text NOT NULL DEFAULT 'normal' CHECK (tax_regime IN ('normal', 'simples', 'simples_excess', 'mei')),
    document_policy text NOT NULL DEFAULT 'required' CHECK (document_policy IN ('required', 'not_required')),
    active boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1
);

CREATE TABLE location (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('store', 'distribution_centre', 'factory', 'third_party', 'vendor', 'pickup_point')),
    establishment_id integer NOT NULL REFERENCES establishment,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'closed')),
    address jsonb NOT NULL DEFAULT '{}',         -- platform address: postal_code street number complement district city state country ibge
    state text NOT NULL,
    postal_code text,
    latitude double precision,
    longitude double precision,
    timezone text NOT NULL DEFAULT 'America/Sao_Paulo',
    opening_hours jsonb NOT NULL DEFAULT '{}',   -- {"mon": [["09:00", "18:00"]], ...} in the location's zone
    holiday_calendar text NOT NULL DEFAULT 'BR', -- "BR" or "BR-SP": country or state of the `holidays` package
    can_ship boolean NOT NULL DEFAULT true,
    can_pickup boolean NOT NULL DEFAULT false,
    can_curbside boolean NOT NULL DEFAULT false,
    can_return boolean NOT NULL DEFAULT false,
    cut_off time NOT NULL DEFAULT '14:00',       -- released later than this ships the next open day
    daily_capacity integer CHECK (daily_capacity >= 0),  -- fulfillment orders a day; null is unlimited
    handling_cost integer NOT NULL DEFAULT 0 CHECK (handling_cost >= 0),       -- centavos per parcel
    line_cost integer NOT NULL DEFAULT 0 CHECK (line_cost >= 0),               -- centavos per line picked
    priority integer NOT NULL DEFAULT 100,       -- ties go to the smaller
    version integer NOT NULL DEFAULT 1
);
CREATE INDEX location_establishment ON location (establishment_id);

CREATE TABLE location_closure (
    location_id integer NOT NULL REFERENCES location,
    day date NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (location_id, day)
);

-- Capacity taken per location and day; `taken` moves only by conditional UPDATE against the location's daily_capacity.
CREATE TABLE location_day (
    location_id integer NOT NULL REFERENCES location,
    day date NOT NULL,
    taken integer NOT NULL DEFAULT 0 CHECK (taken >= 0),
    PRIMARY KEY (location_id, day)
);

CREATE TABLE channel (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('web', 'app', 'store', 'telesales', 'sales_rep', 'franchise', 'marketplace')),
    establishment_id integer REFERENCES establishment,  -- whose account it is; null: any issuer
    currency text NOT NULL DEFAULT 'BRL',
    shortage_policy text NOT NULL DEFAULT 'hold' CHECK (shortage_policy IN ('reject', 'backorder', 'hold')),
    payment_policy text NOT NULL DEFAULT 'before_release' CHECK (payment_policy IN ('before_release', 'on_delivery', 'settled_by_channel')),
    release_delay_minutes integer NOT NULL DEFAULT 15 CHECK (release_delay_minutes >= 0),
    priority integer NOT NULL DEFAULT 100,       -- intake serves the smaller first: tills before marketplaces
    active boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1
);

-- Which locations may serve a channel; a channel without rows may be served by all.
CREATE TABLE channel_location (
    channel_id integer NOT NULL REFERENCES channel,
    location_id integer NOT NULL REFERENCES location,
    PRIMARY KEY (channel_id, location_id)
);

CREATE TABLE service (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    carrier text NOT NULL,
    method text NOT NULL DEFAULT 'ship' CHECK (method IN ('ship', 'pickup')),
    active boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1
);

-- A service's price and time from one state to one state, per weight bracket. '*' means any state.
CREATE TABLE service_rate (
    service_id integer NOT NULL REFERENCES service,
    from_state text NOT NULL,
    to_state text NOT NULL,
    max_grams integer NOT NULL CHECK (max_grams > 0),
    price integer NOT NULL CHECK (price >= 0),          -- centavos per parcel
    per_extra_kg integer NOT NULL DEFAULT 0 CHECK (per_extra_kg >= 0),  -- beyond the last bracket
    lead_days integer NOT NULL CHECK (lead_days >= 0),  -- business days in transit
    PRIMARY KEY (service_id, from_state, to_state, max_grams)
);

-- Cheap change detection for caches of reference data: writers bump, readers compare.
CREATE TABLE revision (
    name text PRIMARY KEY,
    n bigint NOT NULL DEFAULT 1
);
INSERT INTO revision (name) VALUES ('network'), ('catalog'), ('identity');
