-- What the migrations add up to. Do not edit: python -m malha.platform.migrate --write-schema URL

CREATE TABLE ahead_policy (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    product_id integer,
    sku_id integer,
    channel_id integer,
    mode text NOT NULL,
    release_on date,
    cap integer,
    horizon_days smallint,
    handling_days smallint DEFAULT 1 NOT NULL,
    waiting integer DEFAULT 0 NOT NULL,
    removed boolean DEFAULT false NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by text DEFAULT 'system'::text NOT NULL,
    CONSTRAINT ahead_policy_pkey PRIMARY KEY (id),
    CONSTRAINT ahead_policy_product_id_sku_id_channel_id_key UNIQUE NULLS NOT DISTINCT (product_id, sku_id, channel_id),
    CONSTRAINT ahead_policy_cap_check CHECK ((cap > 0)),
    CONSTRAINT ahead_policy_check CHECK (((product_id IS NULL) <> (sku_id IS NULL))),
    CONSTRAINT ahead_policy_check1 CHECK (((mode <> 'preorder'::text) OR (release_on IS NOT NULL))),
    CONSTRAINT ahead_policy_handling_days_check CHECK (((handling_days >= 0) AND (handling_days <= 60))),
    CONSTRAINT ahead_policy_horizon_days_check CHECK ((horizon_days > 0)),
    CONSTRAINT ahead_policy_mode_check CHECK ((mode = ANY (ARRAY['none'::text, 'preorder'::text, 'backorder'::text]))),
    CONSTRAINT ahead_policy_waiting_check CHECK ((waiting >= 0))
) WITH (fillfactor = 70);

CREATE TABLE allotment (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    starts_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone,
    customer_groups text[] DEFAULT '{}'::text[] NOT NULL,
    quota integer,
    per_sku boolean DEFAULT false NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT allotment_pkey PRIMARY KEY (id),
    CONSTRAINT allotment_code_key UNIQUE (code),
    CONSTRAINT allotment_check CHECK (((kind = 'cap'::text) = (quota IS NOT NULL))),
    CONSTRAINT allotment_check1 CHECK ((ends_at > starts_at)),
    CONSTRAINT allotment_check2 CHECK (((state = 'ended'::text) = (ended_at IS NOT NULL))),
    CONSTRAINT allotment_kind_check CHECK ((kind = ANY (ARRAY['fence'::text, 'cap'::text]))),
    CONSTRAINT allotment_quota_check CHECK ((quota >= 0)),
    CONSTRAINT allotment_state_check CHECK ((state = ANY (ARRAY['active'::text, 'ended'::text])))
);

CREATE TABLE allotment_borrower (
    allotment_id integer NOT NULL,
    channel_id integer NOT NULL,
    borrows_from timestamp with time zone,
    CONSTRAINT allotment_borrower_pkey PRIMARY KEY (allotment_id, channel_id)
);

CREATE TABLE allotment_channel (
    allotment_id integer NOT NULL,
    channel_id integer NOT NULL,
    CONSTRAINT allotment_channel_pkey PRIMARY KEY (allotment_id, channel_id)
);

CREATE TABLE api_key (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    secret_hash bytea NOT NULL,
    permissions text[] NOT NULL,
    everywhere boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    kept_by text,
    CONSTRAINT api_key_pkey PRIMARY KEY (id),
    CONSTRAINT api_key_prefix_key UNIQUE (prefix)
);

CREATE TABLE api_key_location (
    key_id integer NOT NULL,
    location_id integer NOT NULL,
    CONSTRAINT api_key_location_pkey PRIMARY KEY (key_id, location_id)
);

CREATE TABLE api_log (
    connection_id integer NOT NULL,
    slot integer NOT NULL,
    at timestamp with time zone NOT NULL,
    operation text NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    status integer,
    ms integer NOT NULL,
    says text DEFAULT ''::text NOT NULL,
    CONSTRAINT api_log_pkey PRIMARY KEY (connection_id, slot)
) WITH (fillfactor = 70);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor_kind text NOT NULL,
    actor_id text,
    actor_name text NOT NULL,
    source text,
    request_id text,
    action text NOT NULL,
    entity text NOT NULL,
    entity_id text NOT NULL,
    before json,
    after json,
    CONSTRAINT audit_pkey PRIMARY KEY (id)
);

CREATE TABLE balance (
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    on_hand integer DEFAULT 0 NOT NULL,
    allocated integer DEFAULT 0 NOT NULL,
    held integer DEFAULT 0 NOT NULL,
    safety integer DEFAULT 0 NOT NULL,
    fenced integer DEFAULT 0 NOT NULL,
    CONSTRAINT balance_pkey PRIMARY KEY (sku_id, location_id),
    CONSTRAINT balance_allocated_check CHECK ((allocated >= 0)),
    CONSTRAINT balance_fenced_check CHECK ((fenced >= 0)),
    CONSTRAINT balance_held_check CHECK ((held >= 0)),
    CONSTRAINT balance_safety_check CHECK ((safety >= 0))
) WITH (fillfactor = 70);

CREATE TABLE binding (
    connection_id integer NOT NULL,
    entity text NOT NULL,
    internal_id text NOT NULL,
    external_id text NOT NULL,
    remote_version bigint,
    content_hash bytea,
    bound_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT binding_pkey PRIMARY KEY (connection_id, entity, internal_id),
    CONSTRAINT binding_connection_id_entity_external_id_key UNIQUE (connection_id, entity, external_id)
) WITH (fillfactor = 80);

CREATE TABLE bucket_balance (
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    bucket text NOT NULL,
    quantity integer DEFAULT 0 NOT NULL,
    CONSTRAINT bucket_balance_pkey PRIMARY KEY (sku_id, location_id, bucket),
    CONSTRAINT bucket_balance_bucket_check CHECK ((bucket = ANY (ARRAY['damaged'::text, 'quality_control'::text, 'display'::text, 'in_transit'::text]))),
    CONSTRAINT bucket_balance_quantity_check CHECK ((quantity >= 0))
) WITH (fillfactor = 80);

CREATE TABLE bulk_action (
    id uuid NOT NULL,
    number integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    act text NOT NULL,
    wish jsonb NOT NULL,
    sought text NOT NULL,
    state text DEFAULT 'ready'::text NOT NULL,
    orders integer DEFAULT 0 NOT NULL,
    done integer DEFAULT 0 NOT NULL,
    refused integer DEFAULT 0 NOT NULL,
    actor text NOT NULL,
    person text NOT NULL,
    gathered_at timestamp with time zone DEFAULT now() NOT NULL,
    begun_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT bulk_action_pkey PRIMARY KEY (id),
    CONSTRAINT bulk_action_number_key UNIQUE (number),
    CONSTRAINT bulk_action_act_check CHECK ((act = ANY (ARRAY['release'::text, 'hold'::text, 'resolve'::text, 'promise'::text, 'tags'::text, 'cancel'::text]))),
    CONSTRAINT bulk_action_state_check CHECK ((state = ANY (ARRAY['ready'::text, 'going'::text, 'done'::text, 'stopped'::text])))
);

CREATE TABLE bulk_action_order (
    action_id uuid NOT NULL,
    order_id uuid NOT NULL,
    seq integer NOT NULL,
    outcome text,
    why jsonb,
    CONSTRAINT bulk_action_order_pkey PRIMARY KEY (action_id, order_id),
    CONSTRAINT bulk_action_order_outcome_check CHECK ((outcome = ANY (ARRAY['done'::text, 'refused'::text, 'left'::text])))
);

CREATE TABLE cap_category (
    allotment_id integer NOT NULL,
    category_id integer NOT NULL,
    CONSTRAINT cap_category_pkey PRIMARY KEY (allotment_id, category_id)
);

CREATE TABLE cap_counter (
    allotment_id integer NOT NULL,
    sku_id integer NOT NULL,
    used integer DEFAULT 0 NOT NULL,
    CONSTRAINT cap_counter_pkey PRIMARY KEY (allotment_id, sku_id),
    CONSTRAINT cap_counter_used_check CHECK ((used >= 0))
) WITH (fillfactor = 70);

CREATE TABLE cap_location (
    allotment_id integer NOT NULL,
    location_id integer NOT NULL,
    CONSTRAINT cap_location_pkey PRIMARY KEY (allotment_id, location_id)
);

CREATE TABLE cap_sku (
    allotment_id integer NOT NULL,
    sku_id integer NOT NULL,
    stated boolean NOT NULL,
    CONSTRAINT cap_sku_pkey PRIMARY KEY (allotment_id, sku_id)
);

CREATE TABLE cap_use (
    claim_id uuid NOT NULL,
    allotment_id integer NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    quantity integer NOT NULL,
    CONSTRAINT cap_use_pkey PRIMARY KEY (claim_id, sku_id, location_id, allotment_id),
    CONSTRAINT cap_use_quantity_check CHECK ((quantity > 0))
);

CREATE TABLE capacity_override (
    location_id integer NOT NULL,
    kind text NOT NULL,
    day date NOT NULL,
    starts time without time zone,
    ends time without time zone,
    quota integer NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    CONSTRAINT capacity_override_location_id_kind_day_starts_key UNIQUE NULLS NOT DISTINCT (location_id, kind, day, starts),
    CONSTRAINT capacity_override_check CHECK ((((starts IS NULL) = (ends IS NULL)) AND ((starts IS NOT NULL) OR (quota = 0)))),
    CONSTRAINT capacity_override_check1 CHECK ((ends > starts)),
    CONSTRAINT capacity_override_kind_check CHECK ((kind = ANY (ARRAY['pick'::text, 'pickup'::text, 'delivery'::text]))),
    CONSTRAINT capacity_override_quota_check CHECK (((quota >= 0) AND (quota <= 1000000)))
);

CREATE TABLE capacity_plan (
    location_id integer NOT NULL,
    version integer DEFAULT 0 NOT NULL,
    measure text DEFAULT 'orders'::text NOT NULL,
    CONSTRAINT capacity_plan_pkey PRIMARY KEY (location_id),
    CONSTRAINT capacity_plan_measure_check CHECK ((measure = ANY (ARRAY['orders'::text, 'units'::text])))
);

CREATE TABLE capacity_reservation (
    id uuid NOT NULL,
    location_id integer NOT NULL,
    kind text NOT NULL,
    day date NOT NULL,
    starts time without time zone NOT NULL,
    ends time without time zone NOT NULL,
    state text NOT NULL,
    reference text,
    order_id uuid,
    expires_at timestamp with time zone,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    reason text DEFAULT ''::text NOT NULL,
    actor text DEFAULT 'system'::text NOT NULL,
    CONSTRAINT capacity_reservation_pkey PRIMARY KEY (id),
    CONSTRAINT capacity_reservation_check CHECK (((state = 'held'::text) <= ((expires_at IS NOT NULL) AND (reference IS NOT NULL)))),
    CONSTRAINT capacity_reservation_check1 CHECK (((state = 'confirmed'::text) <= (order_id IS NOT NULL))),
    CONSTRAINT capacity_reservation_check2 CHECK (((state = ANY (ARRAY['released'::text, 'expired'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT capacity_reservation_state_check CHECK ((state = ANY (ARRAY['held'::text, 'confirmed'::text, 'released'::text, 'expired'::text])))
);

CREATE TABLE capacity_slot (
    location_id integer NOT NULL,
    kind text NOT NULL,
    day date NOT NULL,
    starts time without time zone NOT NULL,
    ends time without time zone NOT NULL,
    quota integer NOT NULL,
    widest integer NOT NULL,
    held integer DEFAULT 0 NOT NULL,
    confirmed integer DEFAULT 0 NOT NULL,
    measure text DEFAULT 'orders'::text NOT NULL,
    units integer DEFAULT 0 NOT NULL,
    CONSTRAINT capacity_slot_pkey PRIMARY KEY (location_id, kind, day, starts),
    CONSTRAINT capacity_slot_confirmed_check CHECK ((confirmed >= 0)),
    CONSTRAINT capacity_slot_held_check CHECK ((held >= 0)),
    CONSTRAINT capacity_slot_measure_check CHECK ((measure = ANY (ARRAY['orders'::text, 'units'::text]))),
    CONSTRAINT capacity_slot_quota_check CHECK ((quota >= 0)),
    CONSTRAINT capacity_slot_units_check CHECK ((units >= 0))
) WITH (fillfactor = 70);

CREATE TABLE capacity_template (
    location_id integer NOT NULL,
    kind text NOT NULL,
    weekday smallint NOT NULL,
    starts time without time zone NOT NULL,
    ends time without time zone NOT NULL,
    quota integer NOT NULL,
    CONSTRAINT capacity_template_pkey PRIMARY KEY (location_id, kind, weekday, starts),
    CONSTRAINT capacity_template_check CHECK ((ends > starts)),
    CONSTRAINT capacity_template_kind_check CHECK ((kind = ANY (ARRAY['pick'::text, 'pickup'::text, 'delivery'::text]))),
    CONSTRAINT capacity_template_quota_check CHECK (((quota >= 0) AND (quota <= 1000000))),
    CONSTRAINT capacity_template_weekday_check CHECK (((weekday >= 1) AND (weekday <= 7)))
);

CREATE TABLE care (
    kind text NOT NULL,
    subject text NOT NULL,
    assignee uuid,
    snoozed_until timestamp with time zone,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT care_pkey PRIMARY KEY (kind, subject),
    CONSTRAINT care_kind_check CHECK ((kind = ANY (ARRAY['event'::text, 'job'::text, 'audit'::text])))
);

CREATE TABLE care_note (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    person_id uuid NOT NULL,
    text text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT care_note_pkey PRIMARY KEY (id)
);

CREATE TABLE category (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    parent_id integer,
    code text NOT NULL,
    name text NOT NULL,
    path text NOT NULL,
    CONSTRAINT category_pkey PRIMARY KEY (id),
    CONSTRAINT category_code_key UNIQUE (code)
);

CREATE TABLE category_mapping (
    connection_id integer NOT NULL,
    theirs text NOT NULL,
    ours integer,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT category_mapping_pkey PRIMARY KEY (connection_id, theirs),
    CONSTRAINT category_mapping_theirs_check CHECK ((theirs <> ''::text))
);

CREATE TABLE channel (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    establishment_id integer,
    currency text DEFAULT 'BRL'::text NOT NULL,
    shortage_policy text DEFAULT 'hold'::text NOT NULL,
    payment_policy text DEFAULT 'before_release'::text NOT NULL,
    release_delay_minutes integer DEFAULT 15 NOT NULL,
    priority integer DEFAULT 100 NOT NULL,
    active boolean DEFAULT true NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    pickup_days smallint,
    most_units integer,
    CONSTRAINT channel_pkey PRIMARY KEY (id),
    CONSTRAINT channel_code_key UNIQUE (code),
    CONSTRAINT channel_kind_check CHECK ((kind = ANY (ARRAY['web'::text, 'app'::text, 'store'::text, 'telesales'::text, 'sales_rep'::text, 'franchise'::text, 'marketplace'::text]))),
    CONSTRAINT channel_most_units_check CHECK (((most_units >= 1) AND (most_units <= 1000000))),
    CONSTRAINT channel_payment_policy_check CHECK ((payment_policy = ANY (ARRAY['before_release'::text, 'on_delivery'::text, 'settled_by_channel'::text]))),
    CONSTRAINT channel_pickup_days_check CHECK (((pickup_days >= 1) AND (pickup_days <= 90))),
    CONSTRAINT channel_release_delay_minutes_check CHECK ((release_delay_minutes >= 0)),
    CONSTRAINT channel_shortage_policy_check CHECK ((shortage_policy = ANY (ARRAY['reject'::text, 'backorder'::text, 'hold'::text])))
);

CREATE TABLE channel_inbox (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    connection_id integer NOT NULL,
    dedup text NOT NULL,
    entity text NOT NULL,
    source text NOT NULL,
    trust text NOT NULL,
    payload bytea NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    taken_until timestamp with time zone,
    cause text,
    error text,
    wants text[],
    done_at timestamp with time zone,
    CONSTRAINT channel_inbox_pkey PRIMARY KEY (id),
    CONSTRAINT channel_inbox_connection_id_dedup_key UNIQUE (connection_id, dedup),
    CONSTRAINT channel_inbox_source_check CHECK ((source = ANY (ARRAY['webhook'::text, 'pull'::text, 'file'::text]))),
    CONSTRAINT channel_inbox_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'unmapped'::text, 'parked'::text, 'done'::text, 'stale'::text, 'dropped'::text]))),
    CONSTRAINT channel_inbox_trust_check CHECK ((trust = ANY (ARRAY['data'::text, 'hint'::text])))
) WITH (fillfactor = 80);

CREATE TABLE channel_location (
    channel_id integer NOT NULL,
    location_id integer NOT NULL,
    CONSTRAINT channel_location_pkey PRIMARY KEY (channel_id, location_id)
);

CREATE TABLE channel_op (
    key uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    connection_id integer NOT NULL,
    kind text NOT NULL,
    entity text NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    payload jsonb NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    not_before timestamp with time zone DEFAULT now() NOT NULL,
    taken_until timestamp with time zone,
    sending boolean DEFAULT false NOT NULL,
    doubtful boolean DEFAULT false NOT NULL,
    reference text,
    cause text,
    error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    done_at timestamp with time zone,
    CONSTRAINT channel_op_pkey PRIMARY KEY (key),
    CONSTRAINT channel_op_kind_check CHECK ((kind = ANY (ARRAY['set_price'::text, 'put_listing'::text, 'push_shipment'::text, 'cancel'::text, 'refund'::text, 'ask'::text, 'post_document'::text]))),
    CONSTRAINT channel_op_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'done'::text, 'dead'::text, 'superseded'::text, 'dropped'::text])))
) WITH (fillfactor = 80);

CREATE TABLE channel_owner (
    channel_id integer NOT NULL,
    legal_entity_id integer NOT NULL,
    CONSTRAINT channel_owner_pkey PRIMARY KEY (channel_id, legal_entity_id)
);

CREATE TABLE channel_variant (
    connection_id integer NOT NULL,
    code text NOT NULL,
    external_id text DEFAULT ''::text NOT NULL,
    gtin text DEFAULT ''::text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    price bigint,
    active boolean DEFAULT true NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    source text NOT NULL,
    sku_id integer,
    how text,
    ignored boolean DEFAULT false NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    mapped_at timestamp with time zone,
    told jsonb DEFAULT '{}'::jsonb NOT NULL,
    to_take boolean DEFAULT false NOT NULL,
    parent text DEFAULT ''::text NOT NULL,
    to_make boolean DEFAULT false NOT NULL,
    make_batch bigint,
    make_flaws jsonb,
    held boolean DEFAULT false NOT NULL,
    CONSTRAINT channel_variant_pkey PRIMARY KEY (connection_id, code),
    CONSTRAINT channel_variant_check CHECK (((sku_id IS NULL) = (how IS NULL))),
    CONSTRAINT channel_variant_code_check CHECK ((code <> ''::text)),
    CONSTRAINT channel_variant_how_check CHECK ((how = ANY (ARRAY['exact'::text, 'gtin'::text, 'sku'::text, 'name'::text, 'person'::text]))),
    CONSTRAINT channel_variant_source_check CHECK ((source = ANY (ARRAY['catalog'::text, 'order'::text])))
) WITH (fillfactor = 80);

CREATE TABLE connection (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    connector text NOT NULL,
    channel_id integer,
    config jsonb NOT NULL,
    secrets bytea,
    former_secrets bytea,
    former_until timestamp with time zone,
    status text NOT NULL,
    why text DEFAULT ''::text NOT NULL,
    checked_at timestamp with time zone,
    check_says text DEFAULT ''::text NOT NULL,
    prices_seen bigint DEFAULT '-1'::integer NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT connection_pkey PRIMARY KEY (id),
    CONSTRAINT connection_code_key UNIQUE (code),
    CONSTRAINT connection_code_check CHECK ((code <> ''::text)),
    CONSTRAINT connection_status_check CHECK ((status = ANY (ARRAY['active'::text, 'paused'::text, 'broken'::text])))
);

CREATE TABLE connection_cursor (
    connection_id integer NOT NULL,
    stream text NOT NULL,
    value text,
    since timestamp with time zone,
    read_at timestamp with time zone,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    taken_until timestamp with time zone,
    handles text[] DEFAULT '{}'::text[] NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    error text,
    CONSTRAINT connection_cursor_pkey PRIMARY KEY (connection_id, stream)
);

CREATE TABLE connection_master (
    connection_id integer NOT NULL,
    fields text[] NOT NULL,
    version integer NOT NULL,
    creates text DEFAULT 'never'::text NOT NULL,
    categories text DEFAULT 'held'::text NOT NULL,
    CONSTRAINT connection_master_pkey PRIMARY KEY (connection_id),
    CONSTRAINT connection_master_categories_check CHECK ((categories = ANY (ARRAY['held'::text, 'made'::text]))),
    CONSTRAINT connection_master_creates_check CHECK ((creates = ANY (ARRAY['never'::text, 'held'::text, 'once'::text]))),
    CONSTRAINT connection_master_version_check CHECK ((version > 0))
);

CREATE TABLE connection_pace (
    connection_id integer NOT NULL,
    bucket jsonb,
    breaker jsonb,
    calls bigint DEFAULT 0 NOT NULL,
    failures bigint DEFAULT 0 NOT NULL,
    refused bigint DEFAULT 0 NOT NULL,
    refused_at timestamp with time zone,
    limited_at timestamp with time zone,
    CONSTRAINT connection_pace_pkey PRIMARY KEY (connection_id)
) WITH (fillfactor = 60);

CREATE TABLE connection_sample (
    connection_id integer NOT NULL,
    slot timestamp with time zone NOT NULL,
    came integer DEFAULT 0 NOT NULL,
    ended integer DEFAULT 0 NOT NULL,
    told integer DEFAULT 0 NOT NULL,
    waiting_in integer,
    waiting_out integer,
    lag_in_s integer,
    lag_out_s integer,
    stuck jsonb DEFAULT '{}'::jsonb NOT NULL,
    calls bigint,
    failures bigint,
    budget integer,
    CONSTRAINT connection_sample_pkey PRIMARY KEY (connection_id, slot)
);

CREATE TABLE connection_stock_role (
    connection_id integer NOT NULL,
    source_id integer NOT NULL,
    scope text NOT NULL,
    minutes integer NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT connection_stock_role_pkey PRIMARY KEY (connection_id),
    CONSTRAINT connection_stock_role_source_id_key UNIQUE (source_id),
    CONSTRAINT connection_stock_role_minutes_check CHECK (((minutes >= 1) AND (minutes <= 1440))),
    CONSTRAINT connection_stock_role_scope_check CHECK ((scope = ANY (ARRAY['whole'::text, 'partial'::text])))
);

CREATE TABLE connection_token (
    connection_id integer NOT NULL,
    tokens bytea NOT NULL,
    expires_at timestamp with time zone,
    generation integer DEFAULT 1 NOT NULL,
    renewing_until timestamp with time zone,
    CONSTRAINT connection_token_pkey PRIMARY KEY (connection_id)
);

CREATE TABLE count_entry (
    task_id uuid NOT NULL,
    sku_id integer NOT NULL,
    attempt smallint NOT NULL,
    counted integer NOT NULL,
    set_aside integer DEFAULT 0 NOT NULL,
    expected integer NOT NULL,
    as_of timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    ledger_id bigint,
    CONSTRAINT count_entry_pkey PRIMARY KEY (task_id, sku_id, attempt)
);

CREATE TABLE count_hand (
    task_id uuid NOT NULL,
    sku_id integer NOT NULL,
    attempt smallint NOT NULL,
    actor text NOT NULL,
    began_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT count_hand_pkey PRIMARY KEY (task_id, sku_id, attempt, actor)
);

CREATE TABLE count_line (
    task_id uuid NOT NULL,
    sku_id integer NOT NULL,
    bin text DEFAULT ''::text NOT NULL,
    state text DEFAULT 'pending'::text NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    counted integer,
    expected integer,
    as_of timestamp with time zone,
    counted_by text,
    approved_by text,
    tally integer,
    tallied_at timestamp with time zone,
    tallied_by text,
    superseded boolean DEFAULT false NOT NULL,
    CONSTRAINT count_line_pkey PRIMARY KEY (task_id, sku_id),
    CONSTRAINT count_line_counted_check CHECK ((counted >= 0)),
    CONSTRAINT count_line_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'recount'::text, 'review'::text, 'accepted'::text, 'applied'::text, 'skipped'::text]))),
    CONSTRAINT count_line_tally_check CHECK ((tally >= 0))
);

CREATE TABLE count_task (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    location_id integer NOT NULL,
    kind text NOT NULL,
    source text NOT NULL,
    zone text DEFAULT ''::text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    blind boolean DEFAULT true NOT NULL,
    frozen boolean DEFAULT false NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    limit_units integer NOT NULL,
    limit_value bigint NOT NULL,
    seq integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    closed_at timestamp with time zone,
    closed_by text,
    zone_frozen boolean DEFAULT false NOT NULL,
    whole_site boolean DEFAULT false NOT NULL,
    CONSTRAINT count_task_pkey PRIMARY KEY (id),
    CONSTRAINT count_task_number_key UNIQUE (number),
    CONSTRAINT count_task_kind_check CHECK ((kind = ANY (ARRAY['cycle'::text, 'physical'::text]))),
    CONSTRAINT count_task_limit_units_check CHECK ((limit_units >= 0)),
    CONSTRAINT count_task_limit_value_check CHECK ((limit_value >= 0)),
    CONSTRAINT count_task_one_freeze CHECK ((NOT (frozen AND zone_frozen))),
    CONSTRAINT count_task_source_check CHECK ((source = ANY (ARRAY['person'::text, 'abc'::text, 'short_pick'::text, 'suspicion'::text, 'drift'::text]))),
    CONSTRAINT count_task_state_check CHECK ((state = ANY (ARRAY['open'::text, 'applying'::text, 'applied'::text, 'cancelled'::text]))),
    CONSTRAINT count_task_thawed CHECK (((NOT zone_frozen) OR (state = ANY (ARRAY['open'::text, 'applying'::text]))))
);

CREATE TABLE customer (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    kind text DEFAULT 'person'::text NOT NULL,
    name text NOT NULL,
    document text,
    email text,
    phone text,
    address jsonb DEFAULT '{}'::jsonb NOT NULL,
    folded text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    erased_at timestamp with time zone,
    CONSTRAINT customer_pkey PRIMARY KEY (id),
    CONSTRAINT customer_number_key UNIQUE (number),
    CONSTRAINT customer_kind_check CHECK ((kind = ANY (ARRAY['person'::text, 'company'::text])))
);

CREATE TABLE customer_alias (
    value text NOT NULL,
    customer_id uuid NOT NULL,
    merge_id uuid NOT NULL,
    CONSTRAINT customer_alias_pkey PRIMARY KEY (value)
);

CREATE TABLE customer_distinct (
    one_id uuid NOT NULL,
    other_id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    CONSTRAINT customer_distinct_pkey PRIMARY KEY (one_id, other_id),
    CONSTRAINT customer_distinct_check CHECK ((one_id < other_id))
);

CREATE TABLE customer_erasure (
    customer_id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    person text NOT NULL,
    reason text NOT NULL,
    orders integer NOT NULL,
    messages integer NOT NULL,
    documents integer NOT NULL,
    CONSTRAINT customer_erasure_pkey PRIMARY KEY (customer_id)
);

CREATE TABLE customer_group (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT customer_group_pkey PRIMARY KEY (id),
    CONSTRAINT customer_group_code_key UNIQUE (code)
);

CREATE TABLE customer_merge (
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    person text NOT NULL,
    kept_id uuid NOT NULL,
    gone_id uuid NOT NULL,
    gone_number bigint NOT NULL,
    kept_before jsonb NOT NULL,
    gone_before jsonb NOT NULL,
    kept_version integer NOT NULL,
    orders uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    undone_at timestamp with time zone,
    undone_person text,
    CONSTRAINT customer_merge_pkey PRIMARY KEY (id)
);

CREATE TABLE default_view (
    person_id uuid NOT NULL,
    list text NOT NULL,
    view_id integer NOT NULL,
    CONSTRAINT default_view_pkey PRIMARY KEY (person_id, list)
);

CREATE TABLE drop_ship (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    order_id uuid NOT NULL,
    location_id integer NOT NULL,
    state text DEFAULT 'asked'::text NOT NULL,
    leaves_on date NOT NULL,
    reference text,
    reason text DEFAULT ''::text NOT NULL,
    seq integer DEFAULT 1 NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    answered_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT drop_ship_pkey PRIMARY KEY (id),
    CONSTRAINT drop_ship_number_key UNIQUE (number),
    CONSTRAINT drop_ship_state_check CHECK ((state = ANY (ARRAY['asked'::text, 'accepted'::text, 'sent'::text, 'refused'::text, 'cancelled'::text])))
);

CREATE TABLE drop_ship_line (
    drop_ship_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL,
    quantity integer NOT NULL,
    sent integer DEFAULT 0 NOT NULL,
    dropped integer DEFAULT 0 NOT NULL,
    expected integer GENERATED ALWAYS AS (((quantity - sent) - dropped)) STORED NOT NULL,
    unit_cost bigint NOT NULL,
    vendor_sku text DEFAULT ''::text NOT NULL,
    CONSTRAINT drop_ship_line_pkey PRIMARY KEY (drop_ship_id, line, sku_id),
    CONSTRAINT drop_ship_line_check CHECK (((sent + dropped) <= quantity)),
    CONSTRAINT drop_ship_line_dropped_check CHECK ((dropped >= 0)),
    CONSTRAINT drop_ship_line_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT drop_ship_line_sent_check CHECK ((sent >= 0))
);

CREATE TABLE erasure_search (
    customer_id uuid NOT NULL,
    actor text NOT NULL,
    person text NOT NULL,
    reason text NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    known text,
    since text,
    log_end bigint,
    positions bigint[],
    refused jsonb,
    CONSTRAINT erasure_search_pkey PRIMARY KEY (customer_id)
);

CREATE TABLE erasure_search_place (
    customer_id uuid NOT NULL,
    place text NOT NULL,
    file oid NOT NULL,
    blocks bigint NOT NULL,
    looked bigint DEFAULT 0 NOT NULL,
    found text[] DEFAULT '{}'::text[] NOT NULL,
    CONSTRAINT erasure_search_place_pkey PRIMARY KEY (customer_id, place)
);

CREATE TABLE establishment (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    legal_entity_id integer NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    cnpj text NOT NULL,
    state_registration text,
    state text NOT NULL,
    tax_regime text DEFAULT 'normal'::text NOT NULL,
    document_policy text DEFAULT 'required'::text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT establishment_pkey PRIMARY KEY (id),
    CONSTRAINT establishment_cnpj_key UNIQUE (cnpj),
    CONSTRAINT establishment_code_key UNIQUE (code),
    CONSTRAINT establishment_document_policy_check CHECK ((document_policy = ANY (ARRAY['required'::text, 'not_required'::text]))),
    CONSTRAINT establishment_tax_regime_check CHECK ((tax_regime = ANY (ARRAY['normal'::text, 'simples'::text, 'simples_excess'::text, 'mei'::text])))
);

CREATE TABLE event (
    position bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    seq integer NOT NULL,
    version smallint NOT NULL,
    key text NOT NULL,
    type text NOT NULL,
    actor text NOT NULL,
    payload json NOT NULL,
    CONSTRAINT event_pkey PRIMARY KEY ("position")
) PARTITION BY RANGE ("position");

CREATE TABLE feed (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    channel_id integer NOT NULL,
    plan jsonb NOT NULL,
    active boolean DEFAULT true NOT NULL,
    full_minutes integer,
    changes_minutes integer,
    next_full_at timestamp with time zone,
    next_changes_at timestamp with time zone,
    push_url text,
    push_secret bytea,
    salt bytea NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    baseline uuid,
    pulled_at timestamp with time zone,
    pulls integer DEFAULT 0 NOT NULL,
    pulls_since timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT feed_pkey PRIMARY KEY (id),
    CONSTRAINT feed_code_key UNIQUE (code),
    CONSTRAINT feed_changes_minutes_check CHECK ((changes_minutes > 0)),
    CONSTRAINT feed_code_check CHECK ((code <> ''::text)),
    CONSTRAINT feed_full_minutes_check CHECK ((full_minutes > 0))
);

CREATE TABLE feed_build (
    id uuid NOT NULL,
    number integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    feed_id integer NOT NULL,
    kind text NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    plan jsonb NOT NULL,
    seen text DEFAULT ''::text NOT NULL,
    position bigint DEFAULT 0 NOT NULL,
    at_sku integer DEFAULT 0 NOT NULL,
    parts integer DEFAULT 0 NOT NULL,
    total integer DEFAULT 0 NOT NULL,
    looked integer DEFAULT 0 NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    removed bigint DEFAULT 0 NOT NULL,
    refused bigint DEFAULT 0 NOT NULL,
    warned bigint DEFAULT 0 NOT NULL,
    size bigint DEFAULT 0 NOT NULL,
    packed bigint DEFAULT 0 NOT NULL,
    crc bigint DEFAULT 0 NOT NULL,
    digest bytea DEFAULT '\x'::bytea NOT NULL,
    problem text DEFAULT ''::text NOT NULL,
    by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    push_state text DEFAULT ''::text NOT NULL,
    push_error text DEFAULT ''::text NOT NULL,
    CONSTRAINT feed_build_pkey PRIMARY KEY (id),
    CONSTRAINT feed_build_number_key UNIQUE (number),
    CONSTRAINT feed_build_kind_check CHECK ((kind = ANY (ARRAY['full'::text, 'changes'::text]))),
    CONSTRAINT feed_build_push_state_check CHECK ((push_state = ANY (ARRAY[''::text, 'waiting'::text, 'done'::text, 'failed'::text]))),
    CONSTRAINT feed_build_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'building'::text, 'done'::text, 'failed'::text, 'stopped'::text])))
);

CREATE TABLE feed_count (
    build_id uuid NOT NULL,
    severity text NOT NULL,
    rule text NOT NULL,
    field text DEFAULT ''::text NOT NULL,
    rows bigint NOT NULL,
    CONSTRAINT feed_count_pkey PRIMARY KEY (build_id, severity, rule, field),
    CONSTRAINT feed_count_severity_check CHECK ((severity = ANY (ARRAY['error'::text, 'warning'::text, 'filter'::text])))
);

CREATE TABLE feed_flaw (
    build_id uuid NOT NULL,
    sku_id integer NOT NULL,
    place text DEFAULT ''::text NOT NULL,
    rule text NOT NULL,
    field text NOT NULL,
    severity text NOT NULL,
    value text DEFAULT ''::text NOT NULL,
    CONSTRAINT feed_flaw_pkey PRIMARY KEY (build_id, sku_id, place, rule, field),
    CONSTRAINT feed_flaw_severity_check CHECK ((severity = ANY (ARRAY['error'::text, 'warning'::text])))
);

CREATE TABLE feed_part (
    build_id uuid NOT NULL,
    part integer NOT NULL,
    data bytea NOT NULL,
    CONSTRAINT feed_part_pkey PRIMARY KEY (build_id, part)
);

CREATE TABLE feed_row (
    feed_id integer NOT NULL,
    sku_id integer NOT NULL,
    stamp bigint NOT NULL,
    keys text[] NOT NULL,
    digest bytea NOT NULL,
    checked text,
    CONSTRAINT feed_row_pkey PRIMARY KEY (feed_id, sku_id)
) WITH (fillfactor = 80);

CREATE TABLE feed_todo (
    build_id uuid NOT NULL,
    sku_id integer NOT NULL,
    CONSTRAINT feed_todo_pkey PRIMARY KEY (build_id, sku_id)
);

CREATE TABLE fence_movement (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    allotment_id integer NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    d_remaining integer DEFAULT 0 NOT NULL,
    d_drawn integer DEFAULT 0 NOT NULL,
    d_sold integer DEFAULT 0 NOT NULL,
    reason text NOT NULL,
    ref_id uuid,
    actor text DEFAULT 'system'::text NOT NULL,
    CONSTRAINT fence_movement_pkey PRIMARY KEY (id)
);

CREATE TABLE fence_stock (
    allotment_id integer NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    wanted integer NOT NULL,
    granted integer DEFAULT 0 NOT NULL,
    remaining integer DEFAULT 0 NOT NULL,
    drawn integer DEFAULT 0 NOT NULL,
    sold integer DEFAULT 0 NOT NULL,
    open boolean DEFAULT true NOT NULL,
    CONSTRAINT fence_stock_pkey PRIMARY KEY (sku_id, location_id, allotment_id),
    CONSTRAINT fence_stock_check CHECK ((granted = ((remaining + drawn) + sold))),
    CONSTRAINT fence_stock_check1 CHECK ((open OR (remaining = 0))),
    CONSTRAINT fence_stock_drawn_check CHECK ((drawn >= 0)),
    CONSTRAINT fence_stock_granted_check CHECK ((granted >= 0)),
    CONSTRAINT fence_stock_remaining_check CHECK ((remaining >= 0)),
    CONSTRAINT fence_stock_sold_check CHECK ((sold >= 0)),
    CONSTRAINT fence_stock_wanted_check CHECK ((wanted >= 0))
) WITH (fillfactor = 70);

CREATE TABLE fiscal_document (
    id uuid NOT NULL,
    establishment_id integer NOT NULL,
    model text NOT NULL,
    series integer NOT NULL,
    number integer NOT NULL,
    access_key character(44) NOT NULL,
    operation text DEFAULT 'sale'::text NOT NULL,
    state text DEFAULT 'authorised'::text NOT NULL,
    provider text NOT NULL,
    source_kind text NOT NULL,
    source_id uuid NOT NULL,
    total bigint NOT NULL,
    protocol text,
    issued_at timestamp with time zone NOT NULL,
    authorised_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    recorded_by text DEFAULT 'system'::text NOT NULL,
    CONSTRAINT fiscal_document_pkey PRIMARY KEY (id),
    CONSTRAINT fiscal_document_access_key_key UNIQUE (access_key),
    CONSTRAINT fiscal_document_establishment_id_model_series_number_key UNIQUE (establishment_id, model, series, number),
    CONSTRAINT fiscal_document_model_check CHECK ((model = ANY (ARRAY['55'::text, '65'::text]))),
    CONSTRAINT fiscal_document_number_check CHECK (((number >= 1) AND (number <= 999999999))),
    CONSTRAINT fiscal_document_provider_check CHECK ((provider = ANY (ARRAY['erp'::text, 'manual'::text, 'sefaz'::text, 'gateway'::text, 'store'::text]))),
    CONSTRAINT fiscal_document_series_check CHECK (((series >= 0) AND (series <= 999))),
    CONSTRAINT fiscal_document_state_check CHECK ((state = ANY (ARRAY['drafted'::text, 'signed'::text, 'sending'::text, 'authorised'::text, 'rejected'::text, 'unknown'::text, 'conflict'::text, 'offline'::text, 'cancelling'::text, 'cancelled'::text, 'abandoned'::text, 'voided'::text]))),
    CONSTRAINT fiscal_document_total_check CHECK ((total >= 0))
);

CREATE TABLE fiscal_line (
    document_id uuid NOT NULL,
    item smallint NOT NULL,
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL,
    quantity integer NOT NULL,
    total bigint DEFAULT 0 NOT NULL,
    CONSTRAINT fiscal_line_pkey PRIMARY KEY (document_id, item),
    CONSTRAINT fiscal_line_quantity_check CHECK ((quantity > 0))
);

CREATE TABLE fulfillment_order (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    order_id uuid NOT NULL,
    location_id integer NOT NULL,
    method text NOT NULL,
    service_id integer,
    state text DEFAULT 'open'::text NOT NULL,
    capacity_day date NOT NULL,
    released_at timestamp with time zone DEFAULT now() NOT NULL,
    due_at timestamp with time zone NOT NULL,
    accepted_at timestamp with time zone,
    picked_at timestamp with time zone,
    packed_at timestamp with time zone,
    closed_at timestamp with time zone,
    reason text,
    pickup_code text,
    pickup_until timestamp with time zone,
    pickup_misses smallint DEFAULT 0 NOT NULL,
    assignee text,
    version integer DEFAULT 1 NOT NULL,
    pickup_remind_at timestamp with time zone,
    pickup_expired_at timestamp with time zone,
    pickup_returned jsonb,
    slot_location_id integer,
    slot_starts time without time zone,
    slot_ends time without time zone,
    units integer DEFAULT 0 NOT NULL,
    to_location_id integer,
    transfer_id uuid,
    CONSTRAINT fulfillment_order_pkey PRIMARY KEY (id),
    CONSTRAINT fulfillment_order_number_key UNIQUE (number),
    CONSTRAINT fulfillment_order_check CHECK (((method = 'transfer'::text) = (to_location_id IS NOT NULL))),
    CONSTRAINT fulfillment_order_method_check CHECK ((method = ANY (ARRAY['ship'::text, 'pickup'::text, 'transfer'::text]))),
    CONSTRAINT fulfillment_order_slot_check CHECK ((num_nulls(slot_location_id, slot_starts, slot_ends) = ANY (ARRAY[0, 3]))),
    CONSTRAINT fulfillment_order_state_check CHECK ((state = ANY (ARRAY['open'::text, 'accepted'::text, 'picking'::text, 'picked'::text, 'packed'::text, 'ready'::text, 'closed'::text, 'rejected'::text, 'cancelled'::text]))),
    CONSTRAINT fulfillment_order_units_check CHECK ((units >= 0))
);

CREATE TABLE idempotency (
    client text NOT NULL,
    key text NOT NULL,
    operation text NOT NULL,
    body_hash bytea NOT NULL,
    status smallint NOT NULL,
    headers json DEFAULT '{}'::json NOT NULL,
    reply bytea NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT idempotency_pkey PRIMARY KEY (client, key)
);

CREATE TABLE import_flaw (
    run_id uuid NOT NULL,
    line integer NOT NULL,
    refused boolean NOT NULL,
    cells jsonb NOT NULL,
    problems jsonb NOT NULL,
    CONSTRAINT import_flaw_pkey PRIMARY KEY (run_id, line)
);

CREATE TABLE import_mapping (
    actor text NOT NULL,
    kind text NOT NULL,
    signature text NOT NULL,
    mapping jsonb NOT NULL,
    used_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT import_mapping_pkey PRIMARY KEY (actor, kind, signature)
);

CREATE TABLE import_part (
    run_id uuid NOT NULL,
    part integer NOT NULL,
    data bytea NOT NULL,
    CONSTRAINT import_part_pkey PRIMARY KEY (run_id, part)
);

CREATE TABLE import_run (
    id uuid NOT NULL,
    number integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    encoding text DEFAULT ''::text NOT NULL,
    delimiter text DEFAULT ''::text NOT NULL,
    header jsonb DEFAULT '[]'::jsonb NOT NULL,
    sample jsonb DEFAULT '[]'::jsonb NOT NULL,
    mapping jsonb DEFAULT '{}'::jsonb NOT NULL,
    turn smallint DEFAULT 0 NOT NULL,
    at_line integer DEFAULT 0 NOT NULL,
    total integer,
    seen integer DEFAULT 0 NOT NULL,
    created integer DEFAULT 0 NOT NULL,
    changed integer DEFAULT 0 NOT NULL,
    unchanged integer DEFAULT 0 NOT NULL,
    bad integer DEFAULT 0 NOT NULL,
    warned integer DEFAULT 0 NOT NULL,
    error jsonb,
    actor text NOT NULL,
    person text NOT NULL,
    permissions jsonb,
    locations jsonb,
    uploaded_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    undone integer DEFAULT 0 NOT NULL,
    kept integer DEFAULT 0 NOT NULL,
    undone_actor text,
    undone_person text,
    undone_at timestamp with time zone,
    other_sheets jsonb DEFAULT '[]'::jsonb NOT NULL,
    alive_at timestamp with time zone,
    oddities jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT import_run_pkey PRIMARY KEY (id),
    CONSTRAINT import_run_number_key UNIQUE (number),
    CONSTRAINT import_run_kind_check CHECK ((kind = ANY (ARRAY['products'::text, 'prices'::text, 'stock'::text, 'locations'::text, 'customers'::text, 'allotments'::text, 'safety_rules'::text, 'ahead_policies'::text, 'listings'::text]))),
    CONSTRAINT import_run_state_check CHECK ((state = ANY (ARRAY['uploading'::text, 'mapping'::text, 'checking'::text, 'checked'::text, 'applying'::text, 'done'::text, 'stopped'::text, 'failed'::text, 'undoing'::text, 'undone'::text])))
);

CREATE TABLE import_trace (
    run_id uuid NOT NULL,
    key text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    label text NOT NULL,
    before jsonb,
    after jsonb NOT NULL,
    outcome text,
    why jsonb,
    CONSTRAINT import_trace_pkey PRIMARY KEY (run_id, key),
    CONSTRAINT import_trace_outcome_check CHECK ((outcome = ANY (ARRAY['undone'::text, 'left'::text])))
);

CREATE TABLE inbound_eta (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    was date NOT NULL,
    became date NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    CONSTRAINT inbound_eta_pkey PRIMARY KEY (id)
);

CREATE TABLE inbound_line (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    quantity integer NOT NULL,
    received integer DEFAULT 0 NOT NULL,
    dropped integer DEFAULT 0 NOT NULL,
    drop_reason text,
    unit_cost bigint,
    eta date NOT NULL,
    expected integer GENERATED ALWAYS AS (GREATEST(((quantity - received) - dropped), 0)) STORED,
    CONSTRAINT inbound_line_pkey PRIMARY KEY (order_id, line),
    CONSTRAINT inbound_line_dropped_check CHECK ((dropped >= 0)),
    CONSTRAINT inbound_line_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT inbound_line_received_check CHECK ((received >= 0)),
    CONSTRAINT inbound_line_unit_cost_check CHECK ((unit_cost >= 0))
);

CREATE TABLE inbound_order (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    kind text NOT NULL,
    supplier text NOT NULL,
    reference text,
    location_id integer NOT NULL,
    over_percent smallint DEFAULT 0 NOT NULL,
    cancelled_at timestamp with time zone,
    state text DEFAULT 'open'::text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    seq integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    CONSTRAINT inbound_order_pkey PRIMARY KEY (id),
    CONSTRAINT inbound_order_number_key UNIQUE (number),
    CONSTRAINT inbound_order_kind_check CHECK ((kind = ANY (ARRAY['purchase'::text, 'production'::text]))),
    CONSTRAINT inbound_order_over_percent_check CHECK (((over_percent >= 0) AND (over_percent <= 100))),
    CONSTRAINT inbound_order_state_check CHECK ((state = ANY (ARRAY['open'::text, 'partial'::text, 'received'::text, 'closed'::text, 'cancelled'::text])))
);

CREATE TABLE kit_component (
    kit_id integer NOT NULL,
    component_id integer NOT NULL,
    quantity integer NOT NULL,
    CONSTRAINT kit_component_pkey PRIMARY KEY (kit_id, component_id),
    CONSTRAINT kit_component_check CHECK ((kit_id <> component_id)),
    CONSTRAINT kit_component_quantity_check CHECK ((quantity > 0))
);

CREATE TABLE legal_entity (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    name text NOT NULL,
    cnpj_root text NOT NULL,
    kind text DEFAULT 'own'::text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT legal_entity_pkey PRIMARY KEY (id),
    CONSTRAINT legal_entity_cnpj_root_key UNIQUE (cnpj_root),
    CONSTRAINT legal_entity_kind_check CHECK ((kind = ANY (ARRAY['own'::text, 'franchise'::text, 'vendor'::text, 'operator'::text])))
);

CREATE TABLE listing (
    channel_id integer NOT NULL,
    sku_id integer NOT NULL,
    code text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    sent_quantity integer,
    sent_version bigint,
    sent_at timestamp with time zone,
    error text,
    again_at timestamp with time zone,
    doubts smallint DEFAULT 0 NOT NULL,
    CONSTRAINT listing_pkey PRIMARY KEY (channel_id, sku_id),
    CONSTRAINT listing_channel_id_code_key UNIQUE (channel_id, code),
    CONSTRAINT listing_code_check CHECK ((code <> ''::text))
) WITH (fillfactor = 80);

CREATE TABLE listing_override (
    connection_id integer NOT NULL,
    product_id integer NOT NULL,
    sku_id integer,
    said jsonb NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT listing_override_connection_id_product_id_sku_id_key UNIQUE NULLS NOT DISTINCT (connection_id, product_id, sku_id)
);

CREATE TABLE listing_plan (
    connection_id integer NOT NULL,
    mapping jsonb,
    version integer DEFAULT 0 NOT NULL,
    seen text DEFAULT ''::text NOT NULL,
    CONSTRAINT listing_plan_pkey PRIMARY KEY (connection_id)
);

CREATE TABLE listing_post (
    connection_id integer NOT NULL,
    sku_id integer NOT NULL,
    status text NOT NULL,
    wanted boolean NOT NULL,
    stamp bigint,
    version bigint DEFAULT 0 NOT NULL,
    queued bytea,
    sent bytea,
    sent_version bigint,
    sent_at timestamp with time zone,
    reference text DEFAULT ''::text NOT NULL,
    errors jsonb DEFAULT '[]'::jsonb NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT listing_post_pkey PRIMARY KEY (connection_id, sku_id),
    CONSTRAINT listing_post_status_check CHECK ((status = ANY (ARRAY['draft'::text, 'submitted'::text, 'live'::text, 'rejected'::text, 'ended'::text])))
) WITH (fillfactor = 80);

CREATE TABLE listing_price (
    channel_id integer NOT NULL,
    sku_id integer NOT NULL,
    price integer,
    version integer DEFAULT 1 NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT listing_price_pkey PRIMARY KEY (channel_id, sku_id),
    CONSTRAINT listing_price_price_check CHECK ((price > 0))
);

CREATE TABLE location (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    establishment_id integer NOT NULL,
    status text DEFAULT 'active'::text NOT NULL,
    address jsonb DEFAULT '{}'::jsonb NOT NULL,
    state text NOT NULL,
    postal_code text,
    latitude double precision,
    longitude double precision,
    timezone text DEFAULT 'America/Sao_Paulo'::text NOT NULL,
    opening_hours jsonb DEFAULT '{}'::jsonb NOT NULL,
    holiday_calendar text DEFAULT 'BR'::text NOT NULL,
    can_ship boolean DEFAULT true NOT NULL,
    can_pickup boolean DEFAULT false NOT NULL,
    can_curbside boolean DEFAULT false NOT NULL,
    can_return boolean DEFAULT false NOT NULL,
    cut_off time without time zone DEFAULT '14:00:00'::time without time zone NOT NULL,
    daily_capacity integer,
    handling_cost integer DEFAULT 0 NOT NULL,
    line_cost integer DEFAULT 0 NOT NULL,
    priority integer DEFAULT 100 NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    paused_reason text,
    paused_until timestamp with time zone,
    pickup_days smallint DEFAULT 7 NOT NULL,
    owner_id integer,
    site_id integer,
    CONSTRAINT location_pkey PRIMARY KEY (id),
    CONSTRAINT location_code_key UNIQUE (code),
    CONSTRAINT location_daily_capacity_check CHECK ((daily_capacity >= 0)),
    CONSTRAINT location_handling_cost_check CHECK ((handling_cost >= 0)),
    CONSTRAINT location_kind_check CHECK ((kind = ANY (ARRAY['store'::text, 'distribution_centre'::text, 'factory'::text, 'third_party'::text, 'vendor'::text, 'pickup_point'::text]))),
    CONSTRAINT location_line_cost_check CHECK ((line_cost >= 0)),
    CONSTRAINT location_pickup_days_check CHECK (((pickup_days >= 1) AND (pickup_days <= 90))),
    CONSTRAINT location_site_check CHECK ((site_id <> id)),
    CONSTRAINT location_status_check CHECK ((status = ANY (ARRAY['active'::text, 'paused'::text, 'closed'::text])))
);

CREATE TABLE location_closure (
    location_id integer NOT NULL,
    day date NOT NULL,
    reason text NOT NULL,
    CONSTRAINT location_closure_pkey PRIMARY KEY (location_id, day)
);

CREATE TABLE location_day (
    location_id integer NOT NULL,
    day date NOT NULL,
    taken integer DEFAULT 0 NOT NULL,
    CONSTRAINT location_day_pkey PRIMARY KEY (location_id, day),
    CONSTRAINT location_day_taken_check CHECK ((taken >= 0))
);

CREATE TABLE location_group (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT location_group_pkey PRIMARY KEY (id),
    CONSTRAINT location_group_code_key UNIQUE (code)
);

CREATE TABLE location_group_member (
    group_id integer NOT NULL,
    location_id integer NOT NULL,
    CONSTRAINT location_group_member_pkey PRIMARY KEY (group_id, location_id)
);

CREATE TABLE login_answer (
    state_hash bytea NOT NULL,
    until timestamp with time zone NOT NULL,
    CONSTRAINT login_answer_pkey PRIMARY KEY (state_hash)
);

CREATE TABLE login_attempt (
    subject text NOT NULL,
    failures integer NOT NULL,
    last_at timestamp with time zone NOT NULL,
    blocked_until timestamp with time zone,
    CONSTRAINT login_attempt_pkey PRIMARY KEY (subject)
) WITH (fillfactor = 50);

CREATE TABLE login_policy (
    one boolean DEFAULT true NOT NULL,
    provider_only boolean DEFAULT false NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT login_policy_pkey PRIMARY KEY (one),
    CONSTRAINT login_policy_one_check CHECK (one)
);

CREATE TABLE login_provider (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    issuer text NOT NULL,
    client_id text NOT NULL,
    client_secret bytea,
    scopes text[] NOT NULL,
    domains text[] DEFAULT '{}'::text[] NOT NULL,
    creates boolean DEFAULT false NOT NULL,
    links boolean DEFAULT false NOT NULL,
    claim text,
    role text,
    everywhere boolean DEFAULT true NOT NULL,
    second_factor text DEFAULT 'provider'::text NOT NULL,
    proofs text[] DEFAULT '{mfa}'::text[] NOT NULL,
    active boolean DEFAULT false NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT login_provider_pkey PRIMARY KEY (id),
    CONSTRAINT login_provider_code_key UNIQUE (code),
    CONSTRAINT login_provider_second_factor_check CHECK ((second_factor = ANY (ARRAY['provider'::text, 'unless_proved'::text])))
);

CREATE TABLE login_provider_location (
    provider_id integer NOT NULL,
    location_id integer NOT NULL,
    CONSTRAINT login_provider_location_pkey PRIMARY KEY (provider_id, location_id)
);

CREATE TABLE login_rule (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    provider_id integer NOT NULL,
    place integer NOT NULL,
    value text NOT NULL,
    role text NOT NULL,
    everywhere boolean NOT NULL,
    CONSTRAINT login_rule_pkey PRIMARY KEY (id),
    CONSTRAINT login_rule_provider_id_place_key UNIQUE (provider_id, place)
);

CREATE TABLE login_rule_location (
    rule_id integer NOT NULL,
    location_id integer NOT NULL,
    CONSTRAINT login_rule_location_pkey PRIMARY KEY (rule_id, location_id)
);

CREATE TABLE markdown_credit (
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    centavos bigint NOT NULL,
    CONSTRAINT markdown_credit_pkey PRIMARY KEY (sku_id, location_id),
    CONSTRAINT markdown_credit_centavos_check CHECK ((centavos > 0))
);

CREATE TABLE media (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    product_id integer NOT NULL,
    variant_id integer,
    position smallint DEFAULT 0 NOT NULL,
    url text NOT NULL,
    alt text DEFAULT ''::text NOT NULL,
    CONSTRAINT media_pkey PRIMARY KEY (id)
);

CREATE TABLE message (
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    event_seq integer NOT NULL,
    kind text NOT NULL,
    channel text NOT NULL,
    language text NOT NULL,
    address text,
    facts jsonb DEFAULT '{}'::jsonb NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    reason text,
    answer text,
    attempts smallint DEFAULT 0 NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    claimed_at timestamp with time zone,
    done_at timestamp with time zone,
    subject text,
    body text,
    rank smallint DEFAULT 0 NOT NULL,
    reference text,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    CONSTRAINT message_pkey PRIMARY KEY (id),
    CONSTRAINT message_order_id_event_seq_kind_channel_key UNIQUE (order_id, event_seq, kind, channel),
    CONSTRAINT message_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'whatsapp'::text]))),
    CONSTRAINT message_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'sending'::text, 'sent'::text, 'refused'::text, 'uncertain'::text, 'skipped'::text, 'failed'::text, 'bounced'::text])))
);

CREATE TABLE message_consent (
    id uuid NOT NULL,
    customer_id uuid NOT NULL,
    purpose text NOT NULL,
    channel text NOT NULL,
    given boolean NOT NULL,
    source text NOT NULL,
    proof text DEFAULT ''::text NOT NULL,
    at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    recorded_by text NOT NULL,
    key text,
    CONSTRAINT message_consent_pkey PRIMARY KEY (id),
    CONSTRAINT message_consent_key_key UNIQUE (key),
    CONSTRAINT message_consent_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'whatsapp'::text]))),
    CONSTRAINT message_consent_purpose_check CHECK ((purpose = ANY (ARRAY['transactional'::text, 'marketing'::text])))
);

CREATE TABLE message_gateway (
    channel text NOT NULL,
    active boolean DEFAULT false NOT NULL,
    config jsonb NOT NULL,
    secret bytea,
    receipt_secret bytea,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT message_gateway_pkey PRIMARY KEY (channel),
    CONSTRAINT message_gateway_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'whatsapp'::text])))
);

CREATE TABLE message_preference (
    customer_id uuid NOT NULL,
    language text,
    declined text[] DEFAULT '{}'::text[] NOT NULL,
    source text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT message_preference_pkey PRIMARY KEY (customer_id)
);

CREATE TABLE message_receipt (
    channel text NOT NULL,
    reference text NOT NULL,
    status text NOT NULL,
    at timestamp with time zone NOT NULL,
    words text DEFAULT ''::text NOT NULL,
    bad_address boolean DEFAULT false NOT NULL,
    CONSTRAINT message_receipt_pkey PRIMARY KEY (channel, reference, status)
);

CREATE TABLE message_route (
    kind text NOT NULL,
    means text[] NOT NULL,
    every boolean DEFAULT false NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT message_route_pkey PRIMARY KEY (kind),
    CONSTRAINT message_route_means_check CHECK ((cardinality(means) > 0))
);

CREATE TABLE message_rules (
    only_row boolean DEFAULT true NOT NULL,
    quiet_from time without time zone NOT NULL,
    quiet_until time without time zone NOT NULL,
    kept_days integer NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT message_rules_pkey PRIMARY KEY (only_row),
    CONSTRAINT message_rules_kept_days_check CHECK (((kept_days >= 1) AND (kept_days <= 3650))),
    CONSTRAINT message_rules_only_row_check CHECK (only_row)
);

CREATE TABLE message_suppression (
    channel text NOT NULL,
    address text NOT NULL,
    reason text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    by text NOT NULL,
    CONSTRAINT message_suppression_pkey PRIMARY KEY (channel, address)
);

CREATE TABLE message_switch (
    kind text NOT NULL,
    channel text NOT NULL,
    active boolean NOT NULL,
    CONSTRAINT message_switch_pkey PRIMARY KEY (kind, channel)
);

CREATE TABLE message_teller (
    channel_id integer NOT NULL,
    teller text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT message_teller_pkey PRIMARY KEY (channel_id),
    CONSTRAINT message_teller_teller_check CHECK ((teller = ANY (ARRAY['us'::text, 'channel'::text, 'losses'::text])))
);

CREATE TABLE message_template (
    kind text NOT NULL,
    channel text NOT NULL,
    language text NOT NULL,
    version integer NOT NULL,
    subject text,
    body text,
    saved_at timestamp with time zone DEFAULT now() NOT NULL,
    saved_by text NOT NULL,
    CONSTRAINT message_template_pkey PRIMARY KEY (kind, channel, language, version),
    CONSTRAINT message_template_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'whatsapp'::text]))),
    CONSTRAINT message_template_check CHECK (((body IS NULL) <= (subject IS NULL)))
);

CREATE TABLE method_mapping (
    connection_id integer NOT NULL,
    kind text NOT NULL,
    theirs text NOT NULL,
    ours text,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT method_mapping_pkey PRIMARY KEY (connection_id, kind, theirs),
    CONSTRAINT method_mapping_kind_check CHECK ((kind = ANY (ARRAY['payment'::text, 'shipping'::text, 'location'::text])))
);

CREATE TABLE movement (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    d_on_hand integer DEFAULT 0 NOT NULL,
    d_allocated integer DEFAULT 0 NOT NULL,
    d_held integer DEFAULT 0 NOT NULL,
    reason text NOT NULL,
    ref_kind text,
    ref_id uuid,
    ref_text text,
    actor text DEFAULT 'system'::text NOT NULL,
    source_id integer,
    source_seq bigint,
    bucket text DEFAULT 'sellable'::text NOT NULL
) PARTITION BY RANGE (recorded_at);

CREATE TABLE movement_closing (
    partition text NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    on_hand bigint NOT NULL,
    allocated bigint NOT NULL,
    held bigint NOT NULL,
    bucket text DEFAULT 'sellable'::text NOT NULL,
    CONSTRAINT movement_closing_pkey PRIMARY KEY (partition, sku_id, location_id, bucket)
);

CREATE TABLE movement_partition (
    partition text NOT NULL,
    closed_at timestamp with time zone NOT NULL,
    rows bigint NOT NULL,
    last_id bigint NOT NULL,
    CONSTRAINT movement_partition_pkey PRIMARY KEY (partition)
);

CREATE TABLE op_attempt (
    op_key uuid NOT NULL,
    attempt integer NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    outcome text NOT NULL,
    says text DEFAULT ''::text NOT NULL,
    CONSTRAINT op_attempt_pkey PRIMARY KEY (op_key, attempt)
);

CREATE TABLE order_component (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL,
    quantity integer NOT NULL,
    CONSTRAINT order_component_pkey PRIMARY KEY (order_id, line, sku_id),
    CONSTRAINT order_component_quantity_check CHECK ((quantity > 0))
);

CREATE TABLE order_customer (
    order_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    CONSTRAINT order_customer_pkey PRIMARY KEY (order_id)
);

CREATE TABLE order_details (
    order_id uuid NOT NULL,
    details jsonb NOT NULL,
    CONSTRAINT order_details_pkey PRIMARY KEY (order_id)
);

CREATE TABLE order_document (
    connection_id integer NOT NULL,
    order_id uuid NOT NULL,
    trail jsonb NOT NULL,
    sale boolean NOT NULL,
    posted bigint NOT NULL,
    CONSTRAINT order_document_pkey PRIMARY KEY (connection_id, order_id)
) WITH (fillfactor = 80);

CREATE TABLE order_field_rules (
    connection_id integer NOT NULL,
    version integer NOT NULL,
    rules json NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    made_by text NOT NULL,
    CONSTRAINT order_field_rules_pkey PRIMARY KEY (connection_id, version),
    CONSTRAINT order_field_rules_version_check CHECK ((version > 0))
);

CREATE TABLE order_hold (
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    kind text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    placed_at timestamp with time zone DEFAULT now() NOT NULL,
    placed_by text DEFAULT 'system'::text NOT NULL,
    resolved_at timestamp with time zone,
    resolved_by text,
    resolution text,
    forced boolean DEFAULT false NOT NULL,
    CONSTRAINT order_hold_pkey PRIMARY KEY (id)
);

CREATE TABLE order_lateness (
    order_id uuid NOT NULL,
    promised_at timestamp with time zone NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT order_lateness_pkey PRIMARY KEY (order_id, promised_at)
);

CREATE TABLE order_line (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer,
    sku_text text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    quantity integer NOT NULL,
    unit_price bigint NOT NULL,
    discount bigint DEFAULT 0 NOT NULL,
    total bigint NOT NULL,
    external_id text,
    replaces smallint,
    shares_discount boolean DEFAULT true NOT NULL,
    CONSTRAINT order_line_pkey PRIMARY KEY (order_id, line),
    CONSTRAINT order_line_check CHECK ((total = ((quantity * unit_price) - discount))),
    CONSTRAINT order_line_discount_check CHECK ((discount >= 0)),
    CONSTRAINT order_line_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT order_line_unit_price_check CHECK ((unit_price >= 0))
);

CREATE TABLE order_line_promise (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    promised_at timestamp with time zone NOT NULL,
    CONSTRAINT order_line_promise_pkey PRIMARY KEY (order_id, line)
);

CREATE TABLE order_location (
    location_id integer NOT NULL,
    placed_at timestamp with time zone NOT NULL,
    order_id uuid NOT NULL,
    CONSTRAINT order_location_pkey PRIMARY KEY (location_id, placed_at, order_id)
);

CREATE TABLE order_note (
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    text text NOT NULL,
    written_at timestamp with time zone DEFAULT now() NOT NULL,
    written_by text NOT NULL,
    author text NOT NULL,
    CONSTRAINT order_note_pkey PRIMARY KEY (id)
);

CREATE TABLE order_payment (
    order_id uuid NOT NULL,
    state text NOT NULL,
    authorised bigint DEFAULT 0 NOT NULL,
    captured bigint DEFAULT 0 NOT NULL,
    refunded bigint DEFAULT 0 NOT NULL,
    voided bigint DEFAULT 0 NOT NULL,
    refund_due bigint DEFAULT 0 NOT NULL,
    charged_back bigint DEFAULT 0 NOT NULL,
    favour bigint DEFAULT 0 NOT NULL,
    CONSTRAINT order_payment_pkey PRIMARY KEY (order_id)
);

CREATE TABLE order_promise (
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    promised_at timestamp with time zone NOT NULL,
    former_at timestamp with time zone,
    lines smallint[],
    reason text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    made_by text NOT NULL,
    author text NOT NULL,
    CONSTRAINT order_promise_pkey PRIMARY KEY (id)
);

CREATE TABLE order_search (
    order_id uuid NOT NULL,
    placed_at timestamp with time zone NOT NULL,
    document text NOT NULL,
    CONSTRAINT order_search_pkey PRIMARY KEY (order_id)
);

CREATE TABLE order_tag (
    key text NOT NULL,
    placed_at timestamp with time zone NOT NULL,
    order_id uuid NOT NULL,
    tag text NOT NULL,
    CONSTRAINT order_tag_pkey PRIMARY KEY (key, placed_at, order_id)
);

CREATE TABLE order_timeline (
    order_id uuid NOT NULL,
    seq integer NOT NULL,
    at timestamp with time zone NOT NULL,
    type text NOT NULL,
    actor text DEFAULT 'system'::text NOT NULL,
    facts jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT order_timeline_pkey PRIMARY KEY (order_id, seq)
);

CREATE TABLE order_unit (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    part smallint NOT NULL,
    sku_id integer,
    quantity integer NOT NULL,
    state text NOT NULL,
    location_id integer,
    fulfillment_id uuid,
    shipment_id uuid,
    document_id uuid,
    CONSTRAINT order_unit_pkey PRIMARY KEY (order_id, line, part),
    CONSTRAINT order_unit_quantity_check CHECK ((quantity > 0))
) WITH (fillfactor = 80);

CREATE TABLE outbox (
    key text NOT NULL,
    seq integer NOT NULL,
    type text NOT NULL,
    version smallint NOT NULL,
    payload json NOT NULL,
    actor text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT outbox_pkey PRIMARY KEY (key, seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE parked_event (
    subscriber text NOT NULL,
    key text NOT NULL,
    position bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    seq integer NOT NULL,
    version smallint NOT NULL,
    type text NOT NULL,
    actor text NOT NULL,
    payload json NOT NULL,
    CONSTRAINT parked_event_pkey PRIMARY KEY (subscriber, key, "position")
);

CREATE TABLE parked_key (
    subscriber text NOT NULL,
    key text NOT NULL,
    state text DEFAULT 'retrying'::text NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    retry_at timestamp with time zone,
    cause text NOT NULL,
    error text NOT NULL,
    position bigint NOT NULL,
    first_failed_at timestamp with time zone DEFAULT now() NOT NULL,
    last_failed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT parked_key_pkey PRIMARY KEY (subscriber, key),
    CONSTRAINT parked_key_check CHECK (((state = 'retrying'::text) = (retry_at IS NOT NULL))),
    CONSTRAINT parked_key_state_check CHECK ((state = ANY (ARRAY['retrying'::text, 'parked'::text])))
);

CREATE TABLE partner_answer (
    file_id uuid NOT NULL,
    dedup text NOT NULL,
    rows integer[] NOT NULL,
    CONSTRAINT partner_answer_pkey PRIMARY KEY (file_id, dedup)
);

CREATE TABLE partner_file (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    connection_id integer NOT NULL,
    way text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    fingerprint bytea NOT NULL,
    bytes integer NOT NULL,
    content bytea NOT NULL,
    rows integer DEFAULT 0 NOT NULL,
    held integer DEFAULT 0 NOT NULL,
    state text NOT NULL,
    stated jsonb,
    says text DEFAULT ''::text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    listed integer DEFAULT 0 NOT NULL,
    CONSTRAINT partner_file_pkey PRIMARY KEY (id),
    CONSTRAINT partner_file_connection_id_way_fingerprint_key UNIQUE (connection_id, way, fingerprint),
    CONSTRAINT partner_file_number_key UNIQUE (number),
    CONSTRAINT partner_file_state_check CHECK ((state = ANY (ARRAY['taken'::text, 'applied'::text, 'done'::text, 'held'::text]))),
    CONSTRAINT partner_file_way_check CHECK ((way = ANY (ARRAY['in'::text, 'out'::text])))
) WITH (fillfactor = 80);

CREATE TABLE partner_flaw (
    file_id uuid NOT NULL,
    row integer NOT NULL,
    problem text NOT NULL,
    field text DEFAULT ''::text NOT NULL,
    value text DEFAULT ''::text NOT NULL,
    CONSTRAINT partner_flaw_pkey PRIMARY KEY (file_id, "row")
);

CREATE TABLE partner_host_key (
    connection_id integer NOT NULL,
    server text NOT NULL,
    public_key text NOT NULL,
    fingerprint text NOT NULL,
    trusted_at timestamp with time zone DEFAULT now() NOT NULL,
    trusted_by text NOT NULL,
    CONSTRAINT partner_host_key_pkey PRIMARY KEY (connection_id)
);

CREATE TABLE partner_location (
    location_id integer NOT NULL,
    connection_id integer NOT NULL,
    theirs text NOT NULL,
    CONSTRAINT partner_location_pkey PRIMARY KEY (location_id),
    CONSTRAINT partner_location_connection_id_theirs_key UNIQUE (connection_id, theirs),
    CONSTRAINT partner_location_theirs_check CHECK ((theirs <> ''::text))
);

CREATE TABLE partner_notice (
    connection_id integer NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    number bigint NOT NULL,
    location_id integer NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    digest bytea NOT NULL,
    op_key uuid NOT NULL,
    told_at timestamp with time zone DEFAULT now() NOT NULL,
    received_at timestamp with time zone,
    CONSTRAINT partner_notice_pkey PRIMARY KEY (connection_id, name),
    CONSTRAINT partner_notice_kind_check CHECK ((kind = ANY (ARRAY['purchase'::text, 'transfer'::text])))
);

CREATE TABLE partner_request (
    fulfillment_id uuid NOT NULL,
    connection_id integer NOT NULL,
    order_id uuid NOT NULL,
    location_id integer NOT NULL,
    root uuid NOT NULL,
    name text NOT NULL,
    op_key uuid NOT NULL,
    state text DEFAULT 'asked'::text NOT NULL,
    outcome text,
    note text DEFAULT ''::text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    answered_at timestamp with time zone,
    told text,
    left_at timestamp with time zone,
    ended_at timestamp with time zone,
    CONSTRAINT partner_request_pkey PRIMARY KEY (fulfillment_id),
    CONSTRAINT partner_request_outcome_check CHECK ((outcome = ANY (ARRAY['shipped'::text, 'refused'::text, 'cancelled'::text]))),
    CONSTRAINT partner_request_state_check CHECK ((state = ANY (ARRAY['asked'::text, 'acknowledged'::text, 'ended'::text])))
) WITH (fillfactor = 80);

CREATE TABLE partner_request_line (
    fulfillment_id uuid NOT NULL,
    line integer NOT NULL,
    sku_id integer NOT NULL,
    asked integer NOT NULL,
    cancelled integer DEFAULT 0 NOT NULL,
    short integer DEFAULT 0 NOT NULL,
    CONSTRAINT partner_request_line_pkey PRIMARY KEY (fulfillment_id, line, sku_id),
    CONSTRAINT partner_request_line_asked_check CHECK ((asked > 0)),
    CONSTRAINT partner_request_line_cancelled_check CHECK ((cancelled >= 0)),
    CONSTRAINT partner_request_line_check CHECK (((cancelled + short) <= asked)),
    CONSTRAINT partner_request_line_short_check CHECK ((short >= 0))
) WITH (fillfactor = 80);

CREATE TABLE password_link (
    id uuid NOT NULL,
    person_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    mailed boolean NOT NULL,
    sent_at timestamp with time zone,
    problem text,
    CONSTRAINT password_link_pkey PRIMARY KEY (id)
);

CREATE TABLE payment_claim (
    reference text NOT NULL,
    order_id uuid NOT NULL,
    CONSTRAINT payment_claim_pkey PRIMARY KEY (reference)
);

CREATE TABLE payment_deadline (
    order_id uuid NOT NULL,
    due_at timestamp with time zone NOT NULL,
    tender text NOT NULL,
    keep_days smallint NOT NULL,
    extended_by text,
    lapsed_at timestamp with time zone,
    cancel_at timestamp with time zone,
    settled_at timestamp with time zone,
    CONSTRAINT payment_deadline_pkey PRIMARY KEY (order_id),
    CONSTRAINT payment_deadline_check CHECK (((lapsed_at IS NULL) = (cancel_at IS NULL)))
);

CREATE TABLE payment_entry (
    id uuid NOT NULL,
    tender_id uuid NOT NULL,
    kind text NOT NULL,
    amount bigint NOT NULL,
    reference text NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    actor text DEFAULT 'system'::text NOT NULL,
    favour boolean DEFAULT false NOT NULL,
    CONSTRAINT payment_entry_pkey PRIMARY KEY (id),
    CONSTRAINT payment_entry_tender_id_kind_reference_key UNIQUE (tender_id, kind, reference),
    CONSTRAINT payment_entry_amount_check CHECK ((amount > 0)),
    CONSTRAINT payment_entry_kind_check CHECK ((kind = ANY (ARRAY['authorised'::text, 'captured'::text, 'refunded'::text, 'voided'::text, 'declined'::text, 'charged_back'::text])))
);

CREATE TABLE payment_term (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    channel_id integer,
    tender text NOT NULL,
    minutes integer NOT NULL,
    clearing_days smallint DEFAULT 0 NOT NULL,
    grace_minutes integer DEFAULT 0 NOT NULL,
    keep_days smallint DEFAULT 3 NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT payment_term_pkey PRIMARY KEY (id),
    CONSTRAINT payment_term_channel_id_tender_key UNIQUE NULLS NOT DISTINCT (channel_id, tender),
    CONSTRAINT payment_term_clearing_days_check CHECK (((clearing_days >= 0) AND (clearing_days <= 30))),
    CONSTRAINT payment_term_grace_minutes_check CHECK (((grace_minutes >= 0) AND (grace_minutes <= 10080))),
    CONSTRAINT payment_term_keep_days_check CHECK (((keep_days >= 0) AND (keep_days <= 60))),
    CONSTRAINT payment_term_minutes_check CHECK (((minutes >= 1) AND (minutes <= 525600)))
);

CREATE TABLE person (
    id uuid NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    password_hash text,
    role text NOT NULL,
    everywhere boolean DEFAULT true NOT NULL,
    language text,
    timezone text,
    active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    theme text,
    CONSTRAINT person_pkey PRIMARY KEY (id),
    CONSTRAINT person_email_key UNIQUE (email),
    CONSTRAINT person_language_check CHECK ((language = ANY (ARRAY['pt-BR'::text, 'en'::text]))),
    CONSTRAINT person_role_check CHECK ((role = ANY (ARRAY['owner'::text, 'manager'::text, 'customer_service'::text, 'planner'::text, 'store_lead'::text, 'store_associate'::text, 'integrator'::text, 'auditor'::text]))),
    CONSTRAINT person_theme_check CHECK ((theme = ANY (ARRAY['light'::text, 'dark'::text])))
);

CREATE TABLE person_identity (
    issuer text NOT NULL,
    subject text NOT NULL,
    person_id uuid NOT NULL,
    provider_id integer,
    since timestamp with time zone DEFAULT now() NOT NULL,
    last_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT person_identity_pkey PRIMARY KEY (issuer, subject)
);

CREATE TABLE person_location (
    person_id uuid NOT NULL,
    location_id integer NOT NULL,
    CONSTRAINT person_location_pkey PRIMARY KEY (person_id, location_id)
);

CREATE TABLE picture (
    key text NOT NULL,
    url text NOT NULL,
    state text DEFAULT 'wanted'::text NOT NULL,
    small bytea,
    large bytea,
    why text,
    told_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT picture_pkey PRIMARY KEY (key),
    CONSTRAINT picture_check CHECK (((state = 'kept'::text) = ((small IS NOT NULL) AND (large IS NOT NULL)))),
    CONSTRAINT picture_check1 CHECK (((state = 'refused'::text) = (why IS NOT NULL))),
    CONSTRAINT picture_state_check CHECK ((state = ANY (ARRAY['wanted'::text, 'kept'::text, 'refused'::text])))
);

CREATE TABLE product (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    brand text,
    category_id integer,
    ncm text,
    cest text,
    origin smallint DEFAULT 0 NOT NULL,
    options jsonb DEFAULT '[]'::jsonb NOT NULL,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    active boolean DEFAULT true NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    own_version integer DEFAULT 1 NOT NULL,
    CONSTRAINT product_pkey PRIMARY KEY (id),
    CONSTRAINT product_code_key UNIQUE (code),
    CONSTRAINT product_origin_check CHECK (((origin >= 0) AND (origin <= 8)))
);

CREATE TABLE product_at_once (
    connection_id integer NOT NULL,
    code text NOT NULL,
    sku text NOT NULL,
    product text NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    state text DEFAULT 'made'::text NOT NULL,
    reasons text[] DEFAULT '{}'::text[] NOT NULL,
    undo_at timestamp with time zone,
    undo_actor text,
    undo_person text,
    CONSTRAINT product_at_once_pkey PRIMARY KEY (connection_id, code),
    CONSTRAINT product_at_once_state_check CHECK ((state = ANY (ARRAY['made'::text, 'going'::text, 'undone'::text, 'kept'::text])))
);

CREATE TABLE product_batch (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    connection_id integer NOT NULL,
    asked integer NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    person text NOT NULL,
    undo_at timestamp with time zone,
    undo_actor text,
    undo_person text,
    ended_at timestamp with time zone,
    CONSTRAINT product_batch_pkey PRIMARY KEY (id),
    CONSTRAINT product_batch_asked_check CHECK ((asked > 0))
);

CREATE TABLE product_held (
    connection_id integer NOT NULL,
    product text NOT NULL,
    flaws jsonb NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT product_held_pkey PRIMARY KEY (connection_id, product)
);

CREATE TABLE product_made (
    batch_id bigint NOT NULL,
    code text NOT NULL,
    sku text NOT NULL,
    product text NOT NULL,
    state text DEFAULT 'made'::text NOT NULL,
    CONSTRAINT product_made_pkey PRIMARY KEY (batch_id, code),
    CONSTRAINT product_made_state_check CHECK ((state = ANY (ARRAY['made'::text, 'undone'::text, 'kept'::text])))
);

CREATE TABLE product_owner (
    field text NOT NULL,
    owner text NOT NULL,
    name text NOT NULL,
    CONSTRAINT product_owner_pkey PRIMARY KEY (field),
    CONSTRAINT product_owner_field_check CHECK ((field = ANY (ARRAY['name'::text, 'description'::text, 'brand'::text, 'category'::text, 'ncm'::text, 'cest'::text, 'origin'::text, 'attributes'::text, 'pictures'::text, 'variant_name'::text, 'gtin'::text, 'options'::text, 'weight'::text, 'dimensions'::text, 'price'::text])))
);

CREATE TABLE promise_days (
    version_id integer NOT NULL,
    service_id integer NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    days smallint NOT NULL,
    usual smallint NOT NULL,
    outcomes integer NOT NULL,
    chances real[] DEFAULT '{}'::real[] NOT NULL,
    CONSTRAINT promise_days_pkey PRIMARY KEY (version_id, service_id, from_state, to_state),
    CONSTRAINT promise_days_days_check CHECK ((days >= 0)),
    CONSTRAINT promise_days_usual_check CHECK ((usual >= 0))
);

CREATE TABLE promise_days_version (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    outcomes integer NOT NULL,
    level double precision NOT NULL,
    in_force boolean NOT NULL,
    worth double precision,
    since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT promise_days_version_pkey PRIMARY KEY (id),
    CONSTRAINT promise_days_version_worth_check CHECK ((worth > (0)::double precision))
);

CREATE TABLE promise_doubt (
    version_id integer NOT NULL,
    service_id integer NOT NULL,
    from_region text NOT NULL,
    to_region text NOT NULL,
    doubt double precision NOT NULL,
    promises integer NOT NULL,
    kept integer NOT NULL,
    foretold double precision NOT NULL,
    CONSTRAINT promise_doubt_pkey PRIMARY KEY (version_id, service_id, from_region, to_region),
    CONSTRAINT promise_doubt_doubt_check CHECK ((doubt > (0)::double precision))
);

CREATE TABLE promise_learning (
    one boolean DEFAULT true NOT NULL,
    wanted boolean NOT NULL,
    said_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT promise_learning_pkey PRIMARY KEY (one),
    CONSTRAINT promise_learning_one_check CHECK (one)
);

CREATE TABLE promise_outcome (
    work_id uuid NOT NULL,
    order_id uuid NOT NULL,
    channel_id integer NOT NULL,
    location_id integer,
    method text NOT NULL,
    service_id integer,
    from_state text,
    to_state text,
    placed_at timestamp with time zone NOT NULL,
    promised_at timestamp with time zone NOT NULL,
    present_at timestamp with time zone,
    due_at timestamp with time zone,
    released_at timestamp with time zone,
    ready_at timestamp with time zone,
    shipped_at timestamp with time zone,
    delivered_at timestamp with time zone,
    done_at timestamp with time zone GENERATED ALWAYS AS (
CASE
    WHEN (method = 'pickup'::text) THEN COALESCE(ready_at, delivered_at)
    ELSE delivered_at
END) STORED,
    foretold real,
    said real,
    CONSTRAINT promise_outcome_pkey PRIMARY KEY (work_id)
) WITH (fillfactor = 80);

CREATE TABLE promise_queue (
    version_id integer NOT NULL,
    location_id integer NOT NULL,
    method text NOT NULL,
    band smallint NOT NULL,
    usual double precision NOT NULL,
    chances real[] NOT NULL,
    CONSTRAINT promise_queue_pkey PRIMARY KEY (version_id, location_id, method, band)
);

CREATE TABLE promise_ready (
    version_id integer NOT NULL,
    location_id integer,
    method text NOT NULL,
    weekday smallint,
    chances real[] NOT NULL,
    outcomes integer NOT NULL,
    CONSTRAINT promise_ready_version_id_location_id_method_weekday_key UNIQUE NULLS NOT DISTINCT (version_id, location_id, method, weekday),
    CONSTRAINT promise_ready_weekday_check CHECK (((weekday >= 0) AND (weekday <= 6)))
);

CREATE TABLE promise_slip (
    order_id uuid NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    promised_at timestamp with time zone NOT NULL,
    expected_at timestamp with time zone,
    lines smallint[] NOT NULL,
    reason text NOT NULL,
    location_id integer,
    CONSTRAINT promise_slip_pkey PRIMARY KEY (order_id)
);

CREATE TABLE receipt (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    location_id integer NOT NULL,
    order_id uuid,
    transfer_id uuid,
    document text,
    note text DEFAULT ''::text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    received_by text NOT NULL,
    undone_at timestamp with time zone,
    undone_by text,
    undo_reason text,
    complete boolean,
    CONSTRAINT receipt_pkey PRIMARY KEY (id),
    CONSTRAINT receipt_number_key UNIQUE (number)
);

CREATE TABLE receipt_line (
    receipt_id uuid NOT NULL,
    position smallint NOT NULL,
    sku_id integer NOT NULL,
    order_line smallint,
    bucket text DEFAULT 'sellable'::text NOT NULL,
    quantity integer NOT NULL,
    shipment smallint,
    CONSTRAINT receipt_line_pkey PRIMARY KEY (receipt_id, "position"),
    CONSTRAINT receipt_line_quantity_check CHECK ((quantity > 0))
);

CREATE TABLE recent_choice (
    person_id uuid NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT recent_choice_pkey PRIMARY KEY (person_id, kind, key)
);

CREATE TABLE reconciliation (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    connection_id integer NOT NULL,
    kind text NOT NULL,
    day date NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    ours integer NOT NULL,
    theirs integer NOT NULL,
    ours_total bigint DEFAULT 0 NOT NULL,
    theirs_total bigint DEFAULT 0 NOT NULL,
    differing text[] DEFAULT '{}'::text[] NOT NULL,
    ours_refunded bigint DEFAULT 0 NOT NULL,
    theirs_refunded bigint,
    CONSTRAINT reconciliation_pkey PRIMARY KEY (id),
    CONSTRAINT reconciliation_connection_id_kind_day_key UNIQUE (connection_id, kind, day),
    CONSTRAINT reconciliation_kind_check CHECK ((kind = ANY (ARRAY['orders'::text, 'stock'::text, 'documents'::text])))
);

CREATE TABLE recovery_code (
    person_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    CONSTRAINT recovery_code_pkey PRIMARY KEY (person_id, code_hash)
);

CREATE TABLE refund_batch (
    id uuid NOT NULL,
    number integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    reference text NOT NULL,
    sought text NOT NULL,
    state text DEFAULT 'going'::text NOT NULL,
    orders integer DEFAULT 0 NOT NULL,
    recorded integer DEFAULT 0 NOT NULL,
    refused integer DEFAULT 0 NOT NULL,
    actor text NOT NULL,
    person text NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT refund_batch_pkey PRIMARY KEY (id),
    CONSTRAINT refund_batch_number_key UNIQUE (number),
    CONSTRAINT refund_batch_state_check CHECK ((state = ANY (ARRAY['going'::text, 'done'::text, 'stopped'::text])))
);

CREATE TABLE refund_batch_order (
    batch_id uuid NOT NULL,
    order_id uuid NOT NULL,
    due bigint NOT NULL,
    outcome text,
    why jsonb,
    CONSTRAINT refund_batch_order_pkey PRIMARY KEY (batch_id, order_id),
    CONSTRAINT refund_batch_order_due_check CHECK ((due > 0)),
    CONSTRAINT refund_batch_order_outcome_check CHECK ((outcome = ANY (ARRAY['recorded'::text, 'refused'::text, 'left'::text])))
);

CREATE TABLE reroute_policy (
    only_row boolean DEFAULT true NOT NULL,
    most_decisions smallint NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by text NOT NULL,
    CONSTRAINT reroute_policy_pkey PRIMARY KEY (only_row),
    CONSTRAINT reroute_policy_most_decisions_check CHECK (((most_decisions >= 1) AND (most_decisions <= 50))),
    CONSTRAINT reroute_policy_only_row_check CHECK (only_row)
);

CREATE TABLE retailer (
    only_row boolean DEFAULT true NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    colour text NOT NULL,
    logo bytea,
    logo_type text,
    languages text[] NOT NULL,
    timezone text,
    support_email text,
    support_phone text,
    website text,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT retailer_pkey PRIMARY KEY (only_row),
    CONSTRAINT retailer_check CHECK (((logo IS NULL) = (logo_type IS NULL))),
    CONSTRAINT retailer_colour_check CHECK ((colour ~ '^#[0-9a-f]{6}$'::text)),
    CONSTRAINT retailer_languages_check CHECK ((cardinality(languages) > 0)),
    CONSTRAINT retailer_logo_type_check CHECK ((logo_type = ANY (ARRAY['image/png'::text, 'image/jpeg'::text, 'image/webp'::text]))),
    CONSTRAINT retailer_only_row_check CHECK (only_row)
);

CREATE TABLE revision (
    name text NOT NULL,
    n bigint DEFAULT 1 NOT NULL,
    CONSTRAINT revision_pkey PRIMARY KEY (name)
);

CREATE TABLE role_policy (
    role text NOT NULL,
    second_factor boolean NOT NULL,
    CONSTRAINT role_policy_pkey PRIMARY KEY (role)
);

CREATE TABLE routing_cost_draft (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    content jsonb NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    promoted_at timestamp with time zone,
    promoted_by text,
    before jsonb,
    taken_back_at timestamp with time zone,
    taken_back_by text,
    CONSTRAINT routing_cost_draft_pkey PRIMARY KEY (id),
    CONSTRAINT routing_cost_draft_check CHECK (((promoted_at IS NULL) = (before IS NULL))),
    CONSTRAINT routing_cost_draft_check1 CHECK (((taken_back_at IS NULL) OR (promoted_at IS NOT NULL)))
);

CREATE TABLE routing_costs (
    id smallint DEFAULT 1 NOT NULL,
    costs jsonb NOT NULL,
    CONSTRAINT routing_costs_pkey PRIMARY KEY (id),
    CONSTRAINT routing_costs_id_check CHECK ((id = 1))
);

CREATE TABLE routing_decision (
    order_id uuid NOT NULL,
    attempt smallint NOT NULL,
    decided_at timestamp with time zone DEFAULT now() NOT NULL,
    cost bigint NOT NULL,
    record json NOT NULL,
    rule_set integer,
    promise json,
    asked json,
    CONSTRAINT routing_decision_pkey PRIMARY KEY (order_id, attempt)
);

CREATE TABLE routing_exclusion (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    location_id integer NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT routing_exclusion_pkey PRIMARY KEY (order_id, line, location_id)
);

CREATE TABLE routing_move (
    order_id uuid NOT NULL,
    wave_id integer NOT NULL,
    attempt smallint NOT NULL,
    saved bigint NOT NULL,
    moved_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT routing_move_pkey PRIMARY KEY (order_id)
);

CREATE TABLE routing_risk (
    version_id integer NOT NULL,
    location_id integer NOT NULL,
    works integer NOT NULL,
    refused integer NOT NULL,
    promises integer NOT NULL,
    broken integer NOT NULL,
    rejection double precision,
    lateness double precision,
    CONSTRAINT routing_risk_pkey PRIMARY KEY (version_id, location_id)
);

CREATE TABLE routing_risk_version (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    works integer NOT NULL,
    refused integer NOT NULL,
    promises integer NOT NULL,
    broken integer NOT NULL,
    CONSTRAINT routing_risk_version_pkey PRIMARY KEY (id)
);

CREATE TABLE routing_rule_set (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    number integer,
    status text DEFAULT 'draft'::text NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    content jsonb NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    based_on integer,
    effective_from timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    published_at timestamp with time zone,
    published_by text,
    effective_until timestamp with time zone,
    CONSTRAINT routing_rule_set_pkey PRIMARY KEY (id),
    CONSTRAINT routing_rule_set_number_key UNIQUE (number),
    CONSTRAINT routing_rule_set_check CHECK (((status = 'draft'::text) = (number IS NULL))),
    CONSTRAINT routing_rule_set_check1 CHECK (((status = 'draft'::text) = (effective_from IS NULL))),
    CONSTRAINT routing_rule_set_status_check CHECK ((status = ANY (ARRAY['draft'::text, 'published'::text, 'withdrawn'::text]))),
    CONSTRAINT routing_rule_set_until CHECK ((effective_until > effective_from))
);

CREATE TABLE routing_wave (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    began_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    orders integer DEFAULT 0 NOT NULL,
    proposed integer DEFAULT 0 NOT NULL,
    moved integer DEFAULT 0 NOT NULL,
    saved bigint DEFAULT 0 NOT NULL,
    bound_gap double precision,
    seconds double precision,
    failure text,
    CONSTRAINT routing_wave_pkey PRIMARY KEY (id)
);

CREATE TABLE safety_online (
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    channel_id integer NOT NULL,
    quantity integer NOT NULL,
    CONSTRAINT safety_online_pkey PRIMARY KEY (sku_id, location_id, channel_id),
    CONSTRAINT safety_online_quantity_check CHECK ((quantity >= 0))
);

CREATE TABLE safety_override (
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    quantity integer NOT NULL,
    stated_at timestamp with time zone DEFAULT now() NOT NULL,
    stated_by text NOT NULL,
    CONSTRAINT safety_override_pkey PRIMARY KEY (sku_id, location_id),
    CONSTRAINT safety_override_quantity_check CHECK ((quantity >= 0))
);

CREATE TABLE safety_rule (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    purpose text NOT NULL,
    location_id integer,
    group_id integer,
    location_kind text,
    state text,
    sku_id integer,
    product_id integer,
    category_id integer,
    brand text,
    channel_id integer,
    measure text NOT NULL,
    amount integer NOT NULL,
    starts_at timestamp with time zone,
    ends_at timestamp with time zone,
    active boolean DEFAULT true NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT safety_rule_pkey PRIMARY KEY (id),
    CONSTRAINT safety_rule_code_key UNIQUE (code),
    CONSTRAINT safety_rule_amount_check CHECK ((amount >= 0)),
    CONSTRAINT safety_rule_check CHECK (((channel_id IS NULL) OR (purpose = 'online'::text))),
    CONSTRAINT safety_rule_check1 CHECK (((measure <> 'percent'::text) OR (amount <= 100))),
    CONSTRAINT safety_rule_check2 CHECK ((ends_at > starts_at)),
    CONSTRAINT safety_rule_measure_check CHECK ((measure = ANY (ARRAY['units'::text, 'percent'::text, 'days'::text]))),
    CONSTRAINT safety_rule_purpose_check CHECK ((purpose = ANY (ARRAY['routing'::text, 'online'::text])))
);

CREATE TABLE safety_sweep (
    one boolean DEFAULT true NOT NULL,
    fingerprint text DEFAULT ''::text NOT NULL,
    after_sku integer,
    finished_at timestamp with time zone,
    CONSTRAINT safety_sweep_pkey PRIMARY KEY (one),
    CONSTRAINT safety_sweep_one_check CHECK (one)
);

CREATE TABLE sales_order (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    channel_id integer NOT NULL,
    external_id text NOT NULL,
    request_key text,
    body_hash uuid NOT NULL,
    placed_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    currency text DEFAULT 'BRL'::text NOT NULL,
    status text NOT NULL,
    items_total bigint NOT NULL,
    discount_total bigint DEFAULT 0 NOT NULL,
    shipping_total bigint DEFAULT 0 NOT NULL,
    total bigint NOT NULL,
    cancelled_total bigint DEFAULT 0 NOT NULL,
    method text NOT NULL,
    service_id integer,
    pickup_location_id integer,
    buyer_name text DEFAULT ''::text NOT NULL,
    buyer_document text,
    buyer_email text,
    buyer_phone text,
    ship_to jsonb,
    ship_state text,
    promised_at timestamp with time zone,
    release_after timestamp with time zone NOT NULL,
    seq integer DEFAULT 1 NOT NULL,
    customer_group text,
    merge_location_id integer,
    CONSTRAINT sales_order_pkey PRIMARY KEY (id),
    CONSTRAINT sales_order_channel_id_external_id_key UNIQUE (channel_id, external_id),
    CONSTRAINT sales_order_number_key UNIQUE (number),
    CONSTRAINT sales_order_check CHECK ((total = ((items_total - discount_total) + shipping_total))),
    CONSTRAINT sales_order_method_check CHECK ((method = ANY (ARRAY['ship'::text, 'pickup'::text])))
);

CREATE TABLE saved_view (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    person_id uuid NOT NULL,
    list text NOT NULL,
    name text NOT NULL,
    query text NOT NULL,
    role text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT saved_view_pkey PRIMARY KEY (id),
    CONSTRAINT saved_view_person_id_list_name_key UNIQUE (person_id, list, name)
);

CREATE TABLE second_factor (
    person_id uuid NOT NULL,
    secret bytea NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    last_step bigint DEFAULT 0 NOT NULL,
    CONSTRAINT second_factor_pkey PRIMARY KEY (person_id)
);

CREATE TABLE sequencer (
    one boolean DEFAULT true NOT NULL,
    position bigint DEFAULT 0 NOT NULL,
    CONSTRAINT sequencer_pkey PRIMARY KEY (one),
    CONSTRAINT sequencer_one_check CHECK (one)
) WITH (fillfactor = 10);

CREATE TABLE service (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    carrier text NOT NULL,
    method text DEFAULT 'ship'::text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    channel_label boolean DEFAULT false NOT NULL,
    CONSTRAINT service_pkey PRIMARY KEY (id),
    CONSTRAINT service_code_key UNIQUE (code),
    CONSTRAINT service_method_check CHECK ((method = ANY (ARRAY['ship'::text, 'pickup'::text])))
);

CREATE TABLE service_rate (
    service_id integer NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    max_grams integer NOT NULL,
    price integer NOT NULL,
    per_extra_kg integer DEFAULT 0 NOT NULL,
    lead_days integer NOT NULL,
    CONSTRAINT service_rate_pkey PRIMARY KEY (service_id, from_state, to_state, max_grams),
    CONSTRAINT service_rate_lead_days_check CHECK ((lead_days >= 0)),
    CONSTRAINT service_rate_max_grams_check CHECK ((max_grams > 0)),
    CONSTRAINT service_rate_per_extra_kg_check CHECK ((per_extra_kg >= 0)),
    CONSTRAINT service_rate_price_check CHECK ((price >= 0))
);

CREATE TABLE session (
    token_hash bytea NOT NULL,
    id uuid NOT NULL,
    person_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    source text,
    agent text,
    provider_id integer,
    vouched boolean DEFAULT false NOT NULL,
    id_token bytea,
    CONSTRAINT session_pkey PRIMARY KEY (token_hash),
    CONSTRAINT session_id_key UNIQUE (id)
);

CREATE TABLE shadow (
    id uuid NOT NULL,
    name text NOT NULL,
    scenario jsonb NOT NULL,
    status text DEFAULT 'running'::text NOT NULL,
    position bigint NOT NULL,
    seen_at timestamp with time zone,
    decided bigint DEFAULT 0 NOT NULL,
    passed_over bigint DEFAULT 0 NOT NULL,
    result jsonb,
    problem text DEFAULT ''::text NOT NULL,
    until timestamp with time zone NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    rules jsonb,
    rule_content jsonb,
    promoted integer,
    promoted_at timestamp with time zone,
    promoted_by text,
    taken_back integer,
    costs jsonb,
    cost_content jsonb,
    CONSTRAINT shadow_pkey PRIMARY KEY (id),
    CONSTRAINT shadow_status_check CHECK ((status = ANY (ARRAY['running'::text, 'stopped'::text, 'failed'::text])))
);

CREATE TABLE shadow_order (
    shadow_id uuid NOT NULL,
    order_id uuid NOT NULL,
    position bigint NOT NULL,
    number bigint NOT NULL,
    day date NOT NULL,
    cost_live bigint NOT NULL,
    cost_shadow bigint NOT NULL,
    packages_live smallint NOT NULL,
    packages_shadow smallint NOT NULL,
    days_live smallint,
    days_shadow smallint,
    locations_live text[] NOT NULL,
    locations_shadow text[] NOT NULL,
    differs boolean NOT NULL,
    shifts jsonb,
    CONSTRAINT shadow_order_pkey PRIMARY KEY (shadow_id, order_id)
);

CREATE TABLE shelf_count (
    location_id integer NOT NULL,
    sku_id integer NOT NULL,
    counted_at timestamp with time zone NOT NULL,
    counted_by text NOT NULL,
    CONSTRAINT shelf_count_pkey PRIMARY KEY (location_id, sku_id)
);

CREATE TABLE shipment (
    id uuid NOT NULL,
    fulfillment_id uuid NOT NULL,
    order_id uuid NOT NULL,
    carrier text,
    tracking_code text,
    tracking_url text,
    weight_grams integer,
    shipped_at timestamp with time zone,
    delivered_at timestamp with time zone,
    received_by text,
    out_at timestamp with time zone,
    CONSTRAINT shipment_pkey PRIMARY KEY (id),
    CONSTRAINT shipment_weight_grams_check CHECK ((weight_grams >= 0))
);

CREATE TABLE short_step (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    way text NOT NULL,
    facts jsonb NOT NULL,
    by text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT short_step_pkey PRIMARY KEY (id),
    CONSTRAINT short_step_way_check CHECK ((way = ANY (ARRAY['substitute'::text, 'split'::text, 'wait'::text, 'transfer'::text, 'cancel'::text, 'retry'::text])))
);

CREATE TABLE simulation (
    id uuid NOT NULL,
    name text NOT NULL,
    since date NOT NULL,
    until date NOT NULL,
    channel text,
    scenario jsonb NOT NULL,
    status text DEFAULT 'waiting'::text NOT NULL,
    done bigint DEFAULT 0 NOT NULL,
    total bigint DEFAULT 0 NOT NULL,
    result jsonb,
    problem text DEFAULT ''::text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    rules jsonb,
    rule_content jsonb,
    promoted integer,
    promoted_at timestamp with time zone,
    promoted_by text,
    taken_back integer,
    costs jsonb,
    cost_content jsonb,
    CONSTRAINT simulation_pkey PRIMARY KEY (id),
    CONSTRAINT simulation_check CHECK ((since <= until)),
    CONSTRAINT simulation_result CHECK ((((status <> 'done'::text) OR (result IS NOT NULL)) AND ((status <> ALL (ARRAY['waiting'::text, 'failed'::text])) OR (result IS NULL)))),
    CONSTRAINT simulation_status_check CHECK ((status = ANY (ARRAY['waiting'::text, 'running'::text, 'done'::text, 'failed'::text, 'cancelled'::text])))
);

CREATE TABLE simulation_order (
    simulation_id uuid NOT NULL,
    place smallint NOT NULL,
    order_id uuid NOT NULL,
    number text NOT NULL,
    day date NOT NULL,
    cost_before bigint NOT NULL,
    cost_after bigint NOT NULL,
    packages_before integer NOT NULL,
    packages_after integer NOT NULL,
    unplaced_before integer NOT NULL,
    unplaced_after integer NOT NULL,
    from_before text[] NOT NULL,
    from_after text[] NOT NULL,
    run text,
    rule text,
    rows integer[] NOT NULL,
    record json,
    together_before text,
    together_after text,
    CONSTRAINT simulation_order_pkey PRIMARY KEY (simulation_id, place)
);

CREATE TABLE stock_age (
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    days integer NOT NULL,
    oldest integer NOT NULL,
    units integer NOT NULL,
    worked_out_at timestamp with time zone NOT NULL,
    CONSTRAINT stock_age_pkey PRIMARY KEY (sku_id, location_id),
    CONSTRAINT stock_age_days_check CHECK ((days >= 0)),
    CONSTRAINT stock_age_oldest_check CHECK ((oldest >= 0)),
    CONSTRAINT stock_age_units_check CHECK ((units > 0))
);

CREATE TABLE stock_change (
    sku_id integer NOT NULL,
    version bigint NOT NULL,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT stock_change_pkey PRIMARY KEY (sku_id)
) WITH (fillfactor = 70);

CREATE TABLE stock_deficit (
    id uuid NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    quantity integer NOT NULL,
    reason text NOT NULL,
    seq integer DEFAULT 1 NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    resolved_at timestamp with time zone,
    resolved_by text,
    CONSTRAINT stock_deficit_pkey PRIMARY KEY (id),
    CONSTRAINT stock_deficit_quantity_check CHECK ((quantity > 0))
);

CREATE TABLE stock_delta (
    source_id integer NOT NULL,
    ref text NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    quantity integer NOT NULL,
    sets boolean NOT NULL,
    outcome text NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT stock_delta_pkey PRIMARY KEY (source_id, ref)
);

CREATE TABLE stock_difference (
    look_id bigint NOT NULL,
    code text NOT NULL,
    sku_id integer,
    cause text NOT NULL,
    shown integer,
    told integer,
    ours integer NOT NULL,
    places jsonb,
    since timestamp with time zone NOT NULL,
    told_again_at timestamp with time zone,
    repairs integer DEFAULT 0 NOT NULL,
    CONSTRAINT stock_difference_pkey PRIMARY KEY (look_id, code),
    CONSTRAINT stock_difference_cause_check CHECK ((cause = ANY (ARRAY['changed'::text, 'missing'::text, 'refused'::text, 'behind'::text, 'never_told'::text, 'push_off'::text, 'delisted'::text, 'unlisted'::text])))
);

CREATE TABLE stock_draw (
    claim_id uuid NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    rank smallint NOT NULL,
    allotment_id integer,
    quantity integer NOT NULL,
    CONSTRAINT stock_draw_pkey PRIMARY KEY (claim_id, sku_id, location_id, rank),
    CONSTRAINT stock_draw_quantity_check CHECK ((quantity > 0))
);

CREATE TABLE stock_drift (
    id uuid NOT NULL,
    source_id integer NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    snapshot_id uuid,
    kind text NOT NULL,
    state text NOT NULL,
    as_of timestamp with time zone NOT NULL,
    seq bigint,
    theirs integer NOT NULL,
    ours integer NOT NULL,
    underway integer NOT NULL,
    later integer NOT NULL,
    in_window integer NOT NULL,
    allocated integer NOT NULL,
    unexplained integer NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    settled_at timestamp with time zone,
    settled_by text,
    version integer DEFAULT 1 NOT NULL,
    count_id uuid,
    CONSTRAINT stock_drift_pkey PRIMARY KEY (id),
    CONSTRAINT stock_drift_source_id_sku_id_location_id_key UNIQUE (source_id, sku_id, location_id),
    CONSTRAINT stock_drift_kind_check CHECK ((kind = ANY (ARRAY['window'::text, 'compared'::text, 'negative'::text, 'beyond'::text, 'late'::text]))),
    CONSTRAINT stock_drift_state_check CHECK ((state = ANY (ARRAY['open'::text, 'explained'::text, 'agreed'::text, 'theirs'::text, 'ours'::text, 'counting'::text, 'counted'::text])))
);

CREATE TABLE stock_hold (
    id uuid NOT NULL,
    reference text NOT NULL,
    channel_id integer,
    state text DEFAULT 'active'::text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    retired_at timestamp with time zone,
    CONSTRAINT stock_hold_pkey PRIMARY KEY (id),
    CONSTRAINT stock_hold_check CHECK (((state = 'active'::text) = (retired_at IS NULL))),
    CONSTRAINT stock_hold_state_check CHECK ((state = ANY (ARRAY['active'::text, 'converted'::text, 'released'::text, 'expired'::text])))
);

CREATE TABLE stock_hold_line (
    hold_id uuid NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    quantity integer NOT NULL,
    CONSTRAINT stock_hold_line_pkey PRIMARY KEY (hold_id, sku_id, location_id),
    CONSTRAINT stock_hold_line_quantity_check CHECK ((quantity > 0))
);

CREATE TABLE stock_look (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    connection_id integer NOT NULL,
    began_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone DEFAULT now() NOT NULL,
    shown integer NOT NULL,
    listed integer NOT NULL,
    passing integer NOT NULL,
    underway integer NOT NULL,
    differing integer NOT NULL,
    CONSTRAINT stock_look_pkey PRIMARY KEY (id)
);

CREATE TABLE stock_price (
    version_id integer NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    price bigint NOT NULL,
    free integer,
    shipped double precision,
    fetched double precision,
    CONSTRAINT stock_price_pkey PRIMARY KEY (version_id, sku_id, location_id),
    CONSTRAINT stock_price_price_check CHECK ((price > 0))
);

CREATE TABLE stock_price_version (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    method text NOT NULL,
    baskets integer NOT NULL,
    bound_gap double precision,
    saving double precision NOT NULL,
    seconds double precision NOT NULL,
    in_force boolean NOT NULL,
    at_risk integer,
    problem text DEFAULT ''::text NOT NULL,
    CONSTRAINT stock_price_version_pkey PRIMARY KEY (id),
    CONSTRAINT stock_price_version_method_check CHECK ((method = ANY (ARRAY['programme'::text, 'closed_form'::text, 'none'::text])))
);

CREATE TABLE stock_pricing (
    one boolean DEFAULT true NOT NULL,
    wanted boolean DEFAULT true NOT NULL,
    asked_at timestamp with time zone,
    began_at timestamp with time zone,
    CONSTRAINT stock_pricing_pkey PRIMARY KEY (one),
    CONSTRAINT stock_pricing_one_check CHECK (one)
);

CREATE TABLE stock_push (
    channel_id integer NOT NULL,
    kind text NOT NULL,
    url text,
    secret bytea,
    active boolean DEFAULT true NOT NULL,
    all_skus boolean DEFAULT true NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    position bigint DEFAULT 0 NOT NULL,
    seen text DEFAULT ''::text NOT NULL,
    resend_after integer,
    taken_until timestamp with time zone,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    error text,
    sent_at timestamp with time zone,
    sent_count bigint DEFAULT 0 NOT NULL,
    CONSTRAINT stock_push_pkey PRIMARY KEY (channel_id),
    CONSTRAINT stock_push_check CHECK (((kind = 'webhook'::text) = (url IS NOT NULL))),
    CONSTRAINT stock_push_kind_check CHECK ((kind = ANY (ARRAY['webhook'::text, 'feed'::text, 'connector'::text])))
);

CREATE TABLE stock_snapshot (
    id uuid NOT NULL,
    number integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    source_id integer NOT NULL,
    seq bigint NOT NULL,
    as_of timestamp with time zone NOT NULL,
    scope text NOT NULL,
    state text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    client text NOT NULL,
    key text,
    digest bytea,
    bytes bigint DEFAULT 0 NOT NULL,
    rows integer DEFAULT 0 NOT NULL,
    held integer DEFAULT 0 NOT NULL,
    differing integer DEFAULT 0 NOT NULL,
    absent integer DEFAULT 0 NOT NULL,
    zeroed integer DEFAULT 0 NOT NULL,
    stocked integer DEFAULT 0 NOT NULL,
    done integer DEFAULT 0 NOT NULL,
    changed integer DEFAULT 0 NOT NULL,
    reviewed integer DEFAULT 0 NOT NULL,
    through_sku integer DEFAULT 0 NOT NULL,
    through_location integer DEFAULT 0 NOT NULL,
    reason jsonb,
    person text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    accepted_at timestamp with time zone,
    ended_at timestamp with time zone,
    other_sheets jsonb DEFAULT '[]'::jsonb NOT NULL,
    oddities jsonb DEFAULT '[]'::jsonb NOT NULL,
    CONSTRAINT stock_snapshot_pkey PRIMARY KEY (id),
    CONSTRAINT stock_snapshot_number_key UNIQUE (number),
    CONSTRAINT stock_snapshot_scope_check CHECK ((scope = ANY (ARRAY['whole'::text, 'partial'::text]))),
    CONSTRAINT stock_snapshot_state_check CHECK ((state = ANY (ARRAY['receiving'::text, 'waiting'::text, 'applying'::text, 'applied'::text, 'refused'::text, 'cancelled'::text, 'failed'::text])))
);

CREATE TABLE stock_snapshot_held (
    snapshot_id uuid NOT NULL,
    row integer NOT NULL,
    sku text NOT NULL,
    location text NOT NULL,
    stated text NOT NULL,
    problem text NOT NULL,
    CONSTRAINT stock_snapshot_held_pkey PRIMARY KEY (snapshot_id, "row")
);

CREATE TABLE stock_snapshot_location (
    snapshot_id uuid NOT NULL,
    location_id integer NOT NULL,
    rows integer NOT NULL,
    changed integer DEFAULT 0 NOT NULL,
    reviewed integer DEFAULT 0 NOT NULL,
    more bigint DEFAULT 0 NOT NULL,
    fewer bigint DEFAULT 0 NOT NULL,
    CONSTRAINT stock_snapshot_location_pkey PRIMARY KEY (snapshot_id, location_id)
);

CREATE TABLE stock_snapshot_row (
    snapshot_id uuid NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    stated integer NOT NULL,
    mentioned boolean NOT NULL,
    underway integer DEFAULT 0 NOT NULL,
    seen xid,
    waits boolean DEFAULT false NOT NULL,
    CONSTRAINT stock_snapshot_row_pkey PRIMARY KEY (snapshot_id, sku_id, location_id)
);

CREATE TABLE stock_source (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    leaves text DEFAULT 'ship'::text NOT NULL,
    skew_seconds integer DEFAULT 2 NOT NULL,
    zero_percent smallint DEFAULT 20 NOT NULL,
    zero_rule text DEFAULT 'ask'::text NOT NULL,
    active boolean DEFAULT true NOT NULL,
    last_seq bigint DEFAULT '-1'::integer NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT stock_source_pkey PRIMARY KEY (id),
    CONSTRAINT stock_source_code_key UNIQUE (code),
    CONSTRAINT stock_source_leaves_check CHECK ((leaves = ANY (ARRAY['pick'::text, 'pack'::text, 'invoice'::text, 'ship'::text]))),
    CONSTRAINT stock_source_skew_seconds_check CHECK (((skew_seconds >= 0) AND (skew_seconds <= 3600))),
    CONSTRAINT stock_source_zero_percent_check CHECK (((zero_percent >= 0) AND (zero_percent <= 100))),
    CONSTRAINT stock_source_zero_rule_check CHECK ((zero_rule = ANY (ARRAY['ask'::text, 'refuse'::text])))
);

CREATE TABLE stock_source_location (
    source_id integer NOT NULL,
    location_id integer NOT NULL,
    role text NOT NULL,
    last_seq bigint,
    last_as_of timestamp with time zone,
    CONSTRAINT stock_source_location_pkey PRIMARY KEY (source_id, location_id),
    CONSTRAINT stock_source_location_role_check CHECK ((role = ANY (ARRAY['truth'::text, 'secondary'::text])))
);

CREATE TABLE stock_suspicion (
    id uuid NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    kept_back integer NOT NULL,
    score smallint NOT NULL,
    why jsonb NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    lifted_at timestamp with time zone,
    lifted_by text,
    lift_reason text,
    CONSTRAINT stock_suspicion_pkey PRIMARY KEY (id),
    CONSTRAINT stock_suspicion_kept_back_check CHECK ((kept_back >= 0)),
    CONSTRAINT stock_suspicion_score_check CHECK (((score >= 0) AND (score <= 100)))
);

CREATE TABLE store_lane (
    to_id integer NOT NULL,
    from_id integer NOT NULL,
    days smallint NOT NULL,
    price integer NOT NULL,
    CONSTRAINT store_lane_pkey PRIMARY KEY (to_id, from_id),
    CONSTRAINT store_lane_check CHECK ((to_id <> from_id)),
    CONSTRAINT store_lane_days_check CHECK (((days >= 0) AND (days <= 60))),
    CONSTRAINT store_lane_price_check CHECK (((price >= 0) AND (price <= 100000000)))
);

CREATE TABLE subscriber (
    name text NOT NULL,
    position bigint DEFAULT 0 NOT NULL,
    moved_at timestamp with time zone DEFAULT now() NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    error text,
    CONSTRAINT subscriber_pkey PRIMARY KEY (name)
) WITH (fillfactor = 50);

CREATE TABLE supply (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    kind text NOT NULL,
    source_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    eta date NOT NULL,
    expected integer NOT NULL,
    promised integer DEFAULT 0 NOT NULL,
    CONSTRAINT supply_pkey PRIMARY KEY (id),
    CONSTRAINT supply_source_id_line_key UNIQUE (source_id, line),
    CONSTRAINT supply_check CHECK (((promised >= 0) AND (promised <= expected))),
    CONSTRAINT supply_expected_check CHECK ((expected >= 0)),
    CONSTRAINT supply_kind_check CHECK ((kind = ANY (ARRAY['purchase'::text, 'production'::text, 'transfer'::text])))
) WITH (fillfactor = 70);

CREATE TABLE supply_claim (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    state text NOT NULL,
    supply_id bigint,
    quantity integer NOT NULL,
    since timestamp with time zone NOT NULL,
    days smallint NOT NULL,
    not_before date,
    told date,
    policy_id integer,
    CONSTRAINT supply_claim_pkey PRIMARY KEY (id),
    CONSTRAINT supply_claim_check CHECK (((state = 'waiting'::text) = (supply_id IS NOT NULL))),
    CONSTRAINT supply_claim_quantity_check CHECK ((quantity > 0)),
    CONSTRAINT supply_claim_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'lost'::text, 'arrived'::text])))
);

CREATE TABLE supply_queue (
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    CONSTRAINT supply_queue_pkey PRIMARY KEY (sku_id, location_id)
);

CREATE TABLE tax_cost (
    from_state text NOT NULL,
    to_state text NOT NULL,
    ncm text DEFAULT ''::text NOT NULL,
    basis_points integer NOT NULL,
    centavos bigint DEFAULT 0 NOT NULL,
    CONSTRAINT tax_cost_pkey PRIMARY KEY (from_state, to_state, ncm),
    CONSTRAINT tax_cost_basis_points_check CHECK (((basis_points >= 0) AND (basis_points <= 10000))),
    CONSTRAINT tax_cost_centavos_check CHECK ((centavos >= 0)),
    CONSTRAINT tax_cost_ncm_check CHECK ((ncm ~ '^[0-9]{0,8}$'::text))
);

CREATE TABLE tender (
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    position smallint NOT NULL,
    kind text NOT NULL,
    currency text DEFAULT 'BRL'::text NOT NULL,
    amount bigint NOT NULL,
    reference text,
    installments smallint DEFAULT 1 NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tender_pkey PRIMARY KEY (id),
    CONSTRAINT tender_order_id_position_key UNIQUE (order_id, "position"),
    CONSTRAINT tender_amount_check CHECK ((amount > 0)),
    CONSTRAINT tender_installments_check CHECK ((installments > 0)),
    CONSTRAINT tender_kind_check CHECK ((kind = ANY (ARRAY['prepaid'::text, 'cash'::text, 'card_terminal'::text, 'credit_card'::text, 'debit_card'::text, 'pix'::text, 'boleto'::text, 'voucher'::text, 'on_delivery'::text])))
);

CREATE TABLE transfer (
    id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    origin_id integer NOT NULL,
    destination_id integer NOT NULL,
    state text DEFAULT 'requested'::text NOT NULL,
    needs_document boolean NOT NULL,
    document text,
    eta date,
    carrier text,
    tracking_code text,
    note text DEFAULT ''::text NOT NULL,
    seq integer DEFAULT 1 NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    requested_by text NOT NULL,
    approved_by text,
    shipped_at timestamp with time zone,
    shipped_by text,
    closed_at timestamp with time zone,
    eta_usual boolean DEFAULT false NOT NULL,
    crosses text DEFAULT 'nothing'::text NOT NULL,
    closed_short_at timestamp with time zone,
    closed_short_by text,
    closed_short_reason text,
    order_id uuid,
    CONSTRAINT transfer_pkey PRIMARY KEY (id),
    CONSTRAINT transfer_number_key UNIQUE (number),
    CONSTRAINT transfer_check CHECK ((origin_id <> destination_id)),
    CONSTRAINT transfer_crosses_check CHECK ((crosses = ANY (ARRAY['nothing'::text, 'establishment'::text, 'company'::text]))),
    CONSTRAINT transfer_state_check CHECK ((state = ANY (ARRAY['requested'::text, 'approved'::text, 'partly_shipped'::text, 'shipped'::text, 'received'::text, 'closed'::text, 'cancelled'::text])))
);

CREATE TABLE transfer_discrepancy (
    id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    line smallint NOT NULL,
    kind text NOT NULL,
    quantity integer NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    found_by text NOT NULL,
    decision text,
    reference text,
    note text DEFAULT ''::text NOT NULL,
    decided_at timestamp with time zone,
    decided_by text,
    shipment_id uuid,
    CONSTRAINT transfer_discrepancy_pkey PRIMARY KEY (id),
    CONSTRAINT transfer_discrepancy_check CHECK (((decision IS NULL) = (decided_at IS NULL))),
    CONSTRAINT transfer_discrepancy_decision_check CHECK ((decision = ANY (ARRAY['arrived_late'::text, 'found_at_origin'::text, 'lost'::text, 'carrier_claim'::text, 'kept'::text, 'taken_from_origin'::text]))),
    CONSTRAINT transfer_discrepancy_kind_check CHECK ((kind = ANY (ARRAY['missing'::text, 'damaged'::text, 'excess'::text]))),
    CONSTRAINT transfer_discrepancy_quantity_check CHECK ((quantity > 0))
);

CREATE TABLE transfer_eta (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    transfer_id uuid NOT NULL,
    was date,
    was_usual boolean NOT NULL,
    became date NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL,
    shipment smallint,
    CONSTRAINT transfer_eta_pkey PRIMARY KEY (id)
);

CREATE TABLE transfer_line (
    transfer_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL,
    asked integer NOT NULL,
    approved integer,
    shipped integer DEFAULT 0 NOT NULL,
    arrived integer DEFAULT 0 NOT NULL,
    settled integer DEFAULT 0 NOT NULL,
    transit integer GENERATED ALWAYS AS (((shipped - arrived) - settled)) STORED,
    dropped integer DEFAULT 0 NOT NULL,
    CONSTRAINT transfer_line_pkey PRIMARY KEY (transfer_id, line),
    CONSTRAINT transfer_line_transfer_id_sku_id_key UNIQUE (transfer_id, sku_id),
    CONSTRAINT transfer_line_approved_check CHECK ((approved >= 0)),
    CONSTRAINT transfer_line_arrived_check CHECK ((arrived >= 0)),
    CONSTRAINT transfer_line_asked_check CHECK ((asked >= 0)),
    CONSTRAINT transfer_line_dropped_check CHECK ((dropped >= 0)),
    CONSTRAINT transfer_line_settled_check CHECK ((settled >= 0)),
    CONSTRAINT transfer_line_shipped_check CHECK ((shipped >= 0)),
    CONSTRAINT transfer_line_transit_check CHECK ((transit >= 0))
);

CREATE TABLE transfer_shipment (
    id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    number smallint NOT NULL,
    document text,
    carrier text,
    tracking_code text,
    eta date,
    eta_usual boolean DEFAULT false NOT NULL,
    shipped_at timestamp with time zone DEFAULT now() NOT NULL,
    shipped_by text NOT NULL,
    arrived_at timestamp with time zone,
    CONSTRAINT transfer_shipment_pkey PRIMARY KEY (id),
    CONSTRAINT transfer_shipment_transfer_id_number_key UNIQUE (transfer_id, number)
);

CREATE TABLE transfer_shipment_line (
    shipment_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL,
    shipped integer NOT NULL,
    arrived integer DEFAULT 0 NOT NULL,
    settled integer DEFAULT 0 NOT NULL,
    missing integer DEFAULT 0 NOT NULL,
    transit integer GENERATED ALWAYS AS (((shipped - arrived) - settled)) STORED,
    coming integer GENERATED ALWAYS AS ((((shipped - arrived) - settled) - missing)) STORED,
    CONSTRAINT transfer_shipment_line_pkey PRIMARY KEY (shipment_id, line),
    CONSTRAINT transfer_shipment_line_arrived_check CHECK ((arrived >= 0)),
    CONSTRAINT transfer_shipment_line_coming_check CHECK ((coming >= 0)),
    CONSTRAINT transfer_shipment_line_missing_check CHECK ((missing >= 0)),
    CONSTRAINT transfer_shipment_line_settled_check CHECK ((settled >= 0)),
    CONSTRAINT transfer_shipment_line_shipped_check CHECK ((shipped > 0)),
    CONSTRAINT transfer_shipment_line_transit_check CHECK ((transit >= 0))
);

CREATE TABLE variant (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    product_id integer NOT NULL,
    sku text NOT NULL,
    name text NOT NULL,
    gtin text,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    weight_grams integer DEFAULT 0 NOT NULL,
    length_mm integer DEFAULT 0 NOT NULL,
    width_mm integer DEFAULT 0 NOT NULL,
    height_mm integer DEFAULT 0 NOT NULL,
    price integer,
    is_kit boolean DEFAULT false NOT NULL,
    active boolean DEFAULT true NOT NULL,
    folded text DEFAULT ''::text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    CONSTRAINT variant_pkey PRIMARY KEY (id),
    CONSTRAINT variant_sku_key UNIQUE (sku),
    CONSTRAINT variant_height_mm_check CHECK ((height_mm >= 0)),
    CONSTRAINT variant_length_mm_check CHECK ((length_mm >= 0)),
    CONSTRAINT variant_price_check CHECK ((price >= 0)),
    CONSTRAINT variant_weight_grams_check CHECK ((weight_grams >= 0)),
    CONSTRAINT variant_width_mm_check CHECK ((width_mm >= 0))
);

CREATE TABLE variant_owner (
    variant_id integer NOT NULL,
    owner text NOT NULL,
    CONSTRAINT variant_owner_pkey PRIMARY KEY (variant_id, owner)
);

CREATE TABLE variant_substitute (
    variant_id integer NOT NULL,
    substitute_id integer NOT NULL,
    position smallint NOT NULL,
    both_ways boolean DEFAULT false NOT NULL,
    CONSTRAINT variant_substitute_pkey PRIMARY KEY (variant_id, substitute_id),
    CONSTRAINT variant_substitute_check CHECK ((variant_id <> substitute_id))
);

CREATE TABLE vendor_offer (
    location_id integer NOT NULL,
    sku_id integer NOT NULL,
    vendor_sku text DEFAULT ''::text NOT NULL,
    unit_cost bigint NOT NULL,
    lead_days smallint NOT NULL,
    active boolean DEFAULT true NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_by text NOT NULL,
    CONSTRAINT vendor_offer_pkey PRIMARY KEY (location_id, sku_id),
    CONSTRAINT vendor_offer_lead_days_check CHECK (((lead_days >= 0) AND (lead_days <= 365))),
    CONSTRAINT vendor_offer_unit_cost_check CHECK ((unit_cost >= 0))
);

CREATE TABLE webhook_attempt (
    id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    endpoint_id integer NOT NULL,
    position bigint,
    at timestamp with time zone DEFAULT now() NOT NULL,
    status smallint,
    ms integer NOT NULL,
    error text,
    answer text,
    CONSTRAINT webhook_attempt_pkey PRIMARY KEY (id)
);

CREATE TABLE webhook_delivery (
    endpoint_id integer NOT NULL,
    position bigint NOT NULL,
    key text NOT NULL,
    type text NOT NULL,
    at timestamp with time zone NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    replays smallint DEFAULT 0 NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    taken_until timestamp with time zone,
    done_at timestamp with time zone,
    status smallint,
    ms integer,
    error text,
    CONSTRAINT webhook_delivery_pkey PRIMARY KEY (endpoint_id, "position"),
    CONSTRAINT webhook_delivery_check CHECK (((state = 'waiting'::text) = (done_at IS NULL))),
    CONSTRAINT webhook_delivery_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'delivered'::text, 'failed'::text])))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE TABLE webhook_endpoint (
    id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
    name text NOT NULL,
    url text NOT NULL,
    types text[] NOT NULL,
    permissions text[] NOT NULL,
    locations integer[],
    channels integer[],
    ordered boolean DEFAULT false NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    why text,
    secret bytea NOT NULL,
    former_secret bytea,
    former_until timestamp with time zone,
    version integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by text NOT NULL,
    stopped_at timestamp with time zone,
    stopped_position bigint,
    failures integer DEFAULT 0 NOT NULL,
    opened integer DEFAULT 0 NOT NULL,
    open_until timestamp with time zone,
    trial_until timestamp with time zone,
    rest_until timestamp with time zone,
    failing_since timestamp with time zone,
    error text,
    CONSTRAINT webhook_endpoint_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_endpoint_check CHECK (((state = 'active'::text) = (stopped_position IS NULL))),
    CONSTRAINT webhook_endpoint_check1 CHECK (((former_secret IS NULL) = (former_until IS NULL))),
    CONSTRAINT webhook_endpoint_name_check CHECK ((name <> ''::text)),
    CONSTRAINT webhook_endpoint_state_check CHECK ((state = ANY (ARRAY['active'::text, 'paused'::text, 'disabled'::text]))),
    CONSTRAINT webhook_endpoint_types_check CHECK ((cardinality(types) > 0))
) WITH (fillfactor = 70);

CREATE TABLE webhook_keeper (
    endpoint_id integer NOT NULL,
    kept_by text NOT NULL,
    CONSTRAINT webhook_keeper_pkey PRIMARY KEY (endpoint_id)
);

CREATE TABLE webhook_minute (
    endpoint_id integer NOT NULL,
    minute timestamp with time zone NOT NULL,
    delivered integer DEFAULT 0 NOT NULL,
    failed integer DEFAULT 0 NOT NULL,
    took integer[] NOT NULL,
    lag_ms bigint DEFAULT 0 NOT NULL,
    CONSTRAINT webhook_minute_pkey PRIMARY KEY (endpoint_id, minute)
) WITH (fillfactor = 50);

CREATE INDEX ahead_policy_sku ON ahead_policy USING btree (sku_id) WHERE (sku_id IS NOT NULL);
CREATE INDEX allotment_active ON allotment USING btree (id) WHERE (state = 'active'::text);
CREATE INDEX api_key_location_location ON api_key_location USING btree (location_id);
CREATE INDEX audit_action ON audit USING btree (action, id DESC);
CREATE INDEX audit_actor ON audit USING btree (actor_kind, actor_id, id DESC);
CREATE INDEX audit_at ON audit USING btree (at);
CREATE INDEX audit_entity ON audit USING btree (entity, entity_id, id DESC);
CREATE INDEX audit_import ON audit USING btree (split_part(COALESCE((after ->> 'import'::text), (after ->> 'undone_import'::text)), ' '::text, 1), id DESC) WHERE (COALESCE((after ->> 'import'::text), (after ->> 'undone_import'::text)) IS NOT NULL);
CREATE INDEX audit_kind_of_record ON audit USING btree (entity, id DESC);
CREATE INDEX audit_request ON audit USING btree (request_id);
CREATE INDEX audit_source ON audit USING btree (source, id DESC);
CREATE INDEX balance_location ON balance USING btree (location_id, sku_id);
CREATE INDEX balance_safety ON balance USING btree (location_id, sku_id) WHERE (safety > 0);
CREATE INDEX binding_internal ON binding USING btree (entity, internal_id);
CREATE INDEX bucket_balance_location ON bucket_balance USING btree (location_id, bucket) WHERE (quantity > 0);
CREATE INDEX bulk_action_ready ON bulk_action USING btree (actor) WHERE (state = 'ready'::text);
CREATE INDEX bulk_action_order_refused ON bulk_action_order USING btree (action_id, order_id) WHERE (outcome = 'refused'::text);
CREATE INDEX bulk_action_order_waiting ON bulk_action_order USING btree (action_id, order_id) WHERE (outcome IS NULL);
CREATE INDEX cap_use_allotment ON cap_use USING btree (allotment_id, sku_id);
CREATE INDEX capacity_reservation_expiry ON capacity_reservation USING btree (expires_at) WHERE (state = 'held'::text);
CREATE UNIQUE INDEX capacity_reservation_order ON capacity_reservation USING btree (order_id) WHERE (state = 'confirmed'::text);
CREATE UNIQUE INDEX capacity_reservation_reference ON capacity_reservation USING btree (reference) WHERE (state = 'held'::text);
CREATE INDEX capacity_reservation_slot ON capacity_reservation USING btree (location_id, kind, day, starts);
CREATE INDEX care_assignee ON care USING btree (assignee, kind) WHERE (assignee IS NOT NULL);
CREATE INDEX care_note_person ON care_note USING btree (person_id);
CREATE INDEX care_note_subject ON care_note USING btree (kind, subject, id);
CREATE INDEX category_path ON category USING btree (path text_pattern_ops);
CREATE INDEX channel_inbox_done ON channel_inbox USING btree (done_at) WHERE (state = ANY (ARRAY['done'::text, 'stale'::text, 'dropped'::text]));
CREATE INDEX channel_inbox_first ON channel_inbox USING btree (entity, connection_id, id) WHERE (state = 'waiting'::text);
CREATE INDEX channel_inbox_next ON channel_inbox USING btree (connection_id, trust, next_at, id) WHERE (state = 'waiting'::text);
CREATE INDEX channel_inbox_of_stuck ON channel_inbox USING btree (entity, id) WHERE (state = ANY (ARRAY['unmapped'::text, 'parked'::text]));
CREATE INDEX channel_inbox_stuck ON channel_inbox USING btree (connection_id, id) WHERE (state = ANY (ARRAY['unmapped'::text, 'parked'::text]));
CREATE INDEX channel_inbox_told ON channel_inbox USING btree (connection_id, id) WHERE (trust = 'data'::text);
CREATE INDEX channel_op_dead ON channel_op USING btree (connection_id, number) WHERE (state = 'dead'::text);
CREATE INDEX channel_op_done ON channel_op USING btree (done_at) WHERE (state = ANY (ARRAY['done'::text, 'superseded'::text, 'dropped'::text]));
CREATE INDEX channel_op_first ON channel_op USING btree (entity, connection_id, number) WHERE (state = 'waiting'::text);
CREATE INDEX channel_op_newest ON channel_op USING btree (entity, connection_id, kind, version) WHERE ((state = ANY (ARRAY['waiting'::text, 'done'::text])) AND (kind = ANY (ARRAY['set_price'::text, 'put_listing'::text])));
CREATE INDEX channel_op_next ON channel_op USING btree (connection_id, kind, not_before, number) WHERE (state = 'waiting'::text);
CREATE INDEX channel_op_refunds ON channel_op USING btree (entity, connection_id) WHERE (kind = 'refund'::text);
CREATE INDEX channel_op_taken ON channel_op USING btree (connection_id, kind) WHERE ((state = 'waiting'::text) AND (taken_until IS NOT NULL));
CREATE INDEX channel_variant_batch ON channel_variant USING btree (make_batch) WHERE (make_batch IS NOT NULL);
CREATE INDEX channel_variant_open ON channel_variant USING btree (connection_id, code) WHERE (sku_id IS NULL);
CREATE INDEX channel_variant_parent ON channel_variant USING btree (connection_id, parent) WHERE (parent <> ''::text);
CREATE INDEX channel_variant_sku ON channel_variant USING btree (sku_id) WHERE (sku_id IS NOT NULL);
CREATE INDEX channel_variant_to_make ON channel_variant USING btree (connection_id, parent, code) WHERE (to_make AND (sku_id IS NULL));
CREATE INDEX channel_variant_to_take ON channel_variant USING btree (connection_id, code) WHERE (to_take AND (sku_id IS NOT NULL));
CREATE INDEX connection_channel ON connection USING btree (channel_id);
CREATE INDEX count_line_sku ON count_line USING btree (sku_id);
CREATE INDEX count_line_state ON count_line USING btree (task_id, state);
CREATE UNIQUE INDEX count_task_frozen ON count_task USING btree (location_id) WHERE frozen;
CREATE UNIQUE INDEX count_task_gathered ON count_task USING btree (location_id, source) WHERE ((state = 'open'::text) AND (source = ANY (ARRAY['short_pick'::text, 'suspicion'::text, 'drift'::text])));
CREATE INDEX count_task_open ON count_task USING btree (location_id) WHERE (state = ANY (ARRAY['open'::text, 'applying'::text]));
CREATE INDEX count_task_zone_frozen ON count_task USING btree (location_id) WHERE zone_frozen;
CREATE UNIQUE INDEX customer_document ON customer USING btree (document) WHERE (document IS NOT NULL);
CREATE INDEX customer_email ON customer USING btree (email) WHERE (email IS NOT NULL);
CREATE UNIQUE INDEX customer_email_alone ON customer USING btree (email) WHERE ((document IS NULL) AND (email IS NOT NULL));
CREATE INDEX customer_folded ON customer USING gin (folded gin_trgm_ops);
CREATE INDEX customer_phone ON customer USING btree (phone) WHERE (phone IS NOT NULL);
CREATE INDEX customer_alias_customer ON customer_alias USING btree (customer_id);
CREATE INDEX customer_alias_merge ON customer_alias USING btree (merge_id);
CREATE UNIQUE INDEX customer_merge_gone ON customer_merge USING btree (gone_id) WHERE (undone_at IS NULL);
CREATE INDEX customer_merge_kept ON customer_merge USING btree (kept_id, at DESC);
CREATE INDEX customer_merge_number ON customer_merge USING btree (gone_number) WHERE (undone_at IS NULL);
CREATE INDEX default_view_view ON default_view USING btree (view_id);
CREATE INDEX drop_ship_open ON drop_ship USING btree (number) WHERE (state = ANY (ARRAY['asked'::text, 'accepted'::text]));
CREATE INDEX drop_ship_order ON drop_ship USING btree (order_id);
CREATE INDEX event_at ON ONLY event USING brin (at) WITH (pages_per_range='32');
CREATE INDEX feed_channel ON feed USING btree (channel_id);
CREATE INDEX feed_build_feed ON feed_build USING btree (feed_id, number DESC);
CREATE UNIQUE INDEX feed_build_open ON feed_build USING btree (feed_id) WHERE (state = ANY (ARRAY['waiting'::text, 'building'::text]));
CREATE INDEX feed_row_checked ON feed_row USING btree (feed_id, checked) WHERE (checked IS NOT NULL);
CREATE INDEX fence_movement_fence ON fence_movement USING btree (allotment_id, sku_id, location_id, id);
CREATE INDEX fence_stock_allotment ON fence_stock USING btree (allotment_id, sku_id, location_id);
CREATE UNIQUE INDEX fiscal_document_living ON fiscal_document USING btree (source_kind, source_id, operation) WHERE (state <> ALL (ARRAY['cancelled'::text, 'rejected'::text, 'abandoned'::text, 'voided'::text]));
CREATE INDEX fiscal_line_order ON fiscal_line USING btree (order_id, line);
CREATE INDEX fulfillment_order_due ON fulfillment_order USING btree (due_at, number) WHERE (state <> ALL (ARRAY['closed'::text, 'rejected'::text, 'cancelled'::text]));
CREATE INDEX fulfillment_order_order ON fulfillment_order USING btree (order_id);
CREATE INDEX fulfillment_order_pickup_pending ON fulfillment_order USING btree (order_id) WHERE ((pickup_expired_at IS NOT NULL) AND (state <> ALL (ARRAY['closed'::text, 'rejected'::text, 'cancelled'::text])));
CREATE INDEX fulfillment_order_pickup_remind ON fulfillment_order USING btree (pickup_remind_at) WHERE ((state = 'ready'::text) AND (pickup_remind_at IS NOT NULL));
CREATE INDEX fulfillment_order_pickup_until ON fulfillment_order USING btree (pickup_until) WHERE ((state = 'ready'::text) AND (pickup_expired_at IS NULL));
CREATE INDEX fulfillment_order_queue ON fulfillment_order USING btree (location_id, state, due_at) WHERE (state <> ALL (ARRAY['closed'::text, 'rejected'::text, 'cancelled'::text]));
CREATE INDEX fulfillment_order_slot ON fulfillment_order USING btree (slot_location_id, capacity_day, slot_starts, number) WHERE ((slot_starts IS NOT NULL) AND (state = 'open'::text));
CREATE INDEX fulfillment_order_to ON fulfillment_order USING btree (to_location_id, due_at) WHERE (to_location_id IS NOT NULL);
CREATE UNIQUE INDEX fulfillment_order_transfer ON fulfillment_order USING btree (transfer_id) WHERE (transfer_id IS NOT NULL);
CREATE INDEX idempotency_expires ON idempotency USING btree (expires_at);
CREATE INDEX import_run_applying ON import_run USING btree (alive_at) WHERE (state = 'applying'::text);
CREATE INDEX import_run_by_actor ON import_run USING btree (actor, number DESC);
CREATE INDEX import_trace_left ON import_trace USING btree (run_id, seq) WHERE (outcome = 'left'::text);
CREATE INDEX import_trace_open ON import_trace USING btree (run_id, seq DESC) WHERE (outcome IS NULL);
CREATE INDEX inbound_eta_line ON inbound_eta USING btree (order_id, line);
CREATE INDEX inbound_line_eta ON inbound_line USING btree (eta, order_id);
CREATE INDEX inbound_line_expected ON inbound_line USING btree (sku_id, location_id, eta) WHERE (expected > 0);
CREATE INDEX inbound_line_sku ON inbound_line USING btree (sku_id, order_id);
CREATE INDEX inbound_order_location ON inbound_order USING btree (location_id, number);
CREATE INDEX inbound_order_open ON inbound_order USING btree (location_id, number) WHERE (state = ANY (ARRAY['open'::text, 'partial'::text]));
CREATE UNIQUE INDEX inbound_order_reference ON inbound_order USING btree (kind, supplier, reference) WHERE (reference IS NOT NULL);
CREATE INDEX inbound_order_reference_text ON inbound_order USING gin (reference gin_trgm_ops) WHERE (reference IS NOT NULL);
CREATE INDEX inbound_order_supplier_folded ON inbound_order USING gin (regexp_replace(replace(lower(regexp_replace(NORMALIZE(supplier, NFKD), '[\u0300-\u036f]'::text, ''::text, 'g'::text)), 'ß'::text, 'ss'::text), '\s+'::text, ' '::text, 'g'::text) gin_trgm_ops);
CREATE INDEX kit_component_component ON kit_component USING btree (component_id);
CREATE INDEX listing_again ON listing USING btree (channel_id, again_at) WHERE (again_at IS NOT NULL);
CREATE INDEX listing_error ON listing USING btree (channel_id, sku_id) WHERE (error IS NOT NULL);
CREATE INDEX listing_sku ON listing USING btree (sku_id);
CREATE INDEX listing_override_product ON listing_override USING btree (product_id);
CREATE INDEX listing_override_sku ON listing_override USING btree (sku_id);
CREATE INDEX listing_post_sku ON listing_post USING btree (sku_id);
CREATE INDEX listing_price_sku ON listing_price USING btree (sku_id);
CREATE INDEX location_establishment ON location USING btree (establishment_id);
CREATE INDEX location_owner ON location USING btree (owner_id) WHERE (owner_id IS NOT NULL);
CREATE UNIQUE INDEX location_site ON location USING btree (COALESCE(site_id, id), COALESCE(owner_id, establishment_id));
CREATE INDEX location_group_member_location ON location_group_member USING btree (location_id);
CREATE INDEX login_answer_until ON login_answer USING btree (until);
CREATE INDEX login_attempt_last ON login_attempt USING btree (last_at);
CREATE INDEX login_provider_location_location ON login_provider_location USING btree (location_id);
CREATE INDEX login_rule_location_location ON login_rule_location USING btree (location_id);
CREATE INDEX markdown_credit_location ON markdown_credit USING btree (location_id);
CREATE INDEX media_product ON media USING btree (product_id);
CREATE INDEX media_variant ON media USING btree (variant_id);
CREATE INDEX message_address ON message USING btree (address) WHERE (address IS NOT NULL);
CREATE INDEX message_due ON message USING btree (due_at) WHERE (state = 'queued'::text);
CREATE INDEX message_kept ON message USING btree (created_at) WHERE (address IS NOT NULL);
CREATE INDEX message_newest ON message USING btree (created_at DESC, id DESC);
CREATE UNIQUE INDEX message_once ON message USING btree (order_id, event_seq, kind, rank);
CREATE INDEX message_reference ON message USING btree (channel, reference) WHERE (reference IS NOT NULL);
CREATE INDEX message_sending ON message USING btree (claimed_at) WHERE (state = 'sending'::text);
CREATE INDEX message_state ON message USING btree (state, created_at DESC, id DESC);
CREATE INDEX message_consent_newest ON message_consent USING btree (customer_id, purpose, channel, at DESC, id DESC);
CREATE INDEX movement_aside ON ONLY movement USING btree (sku_id, location_id, bucket, recorded_at) WHERE (bucket <> 'sellable'::text);
CREATE INDEX movement_balance ON ONLY movement USING btree (sku_id, location_id, recorded_at);
CREATE INDEX movement_recorded ON ONLY movement USING brin (recorded_at) WITH (pages_per_range='16');
CREATE INDEX order_customer_orders ON order_customer USING btree (customer_id, order_id DESC);
CREATE INDEX order_document_order ON order_document USING btree (order_id);
CREATE UNIQUE INDEX order_hold_open ON order_hold USING btree (order_id, kind) WHERE (resolved_at IS NULL);
CREATE INDEX order_hold_order ON order_hold USING btree (order_id);
CREATE INDEX order_hold_routing_rule ON order_hold USING btree (((detail ->> 'cancel_on'::text))) WHERE ((kind = 'routing_rule'::text) AND (resolved_at IS NULL));
CREATE INDEX order_note_order ON order_note USING btree (order_id, written_at);
CREATE INDEX order_payment_refund_due ON order_payment USING btree (order_id) WHERE (refund_due > 0);
CREATE INDEX order_promise_made ON order_promise USING btree (made_at);
CREATE INDEX order_promise_order ON order_promise USING btree (order_id, made_at);
CREATE INDEX order_search_document ON order_search USING gin (document gin_trgm_ops);
CREATE INDEX order_search_words ON order_search USING gin (((string_to_array(document, ' '::text))[3:]));
CREATE INDEX order_tag_order ON order_tag USING btree (order_id);
CREATE INDEX order_unit_claimed ON order_unit USING btree (location_id, sku_id) WHERE (state = ANY (ARRAY['allocated'::text, 'released'::text, 'picking'::text, 'picked'::text, 'awaiting_document'::text, 'packed'::text, 'invoiced'::text, 'ready'::text]));
CREATE INDEX order_unit_fulfillment ON order_unit USING btree (fulfillment_id) WHERE (fulfillment_id IS NOT NULL);
CREATE INDEX order_unit_waiting ON order_unit USING btree (sku_id) WHERE (state = ANY (ARRAY['unplaced'::text, 'backordered'::text]));
CREATE INDEX parked_key_due ON parked_key USING btree (retry_at) WHERE (state = 'retrying'::text);
CREATE INDEX partner_file_ended ON partner_file USING btree (ended_at) WHERE (ended_at IS NOT NULL);
CREATE INDEX partner_file_held ON partner_file USING btree (connection_id, number DESC) WHERE (state = 'held'::text);
CREATE INDEX partner_file_newest ON partner_file USING btree (connection_id, number DESC);
CREATE INDEX partner_file_open ON partner_file USING btree (connection_id, number) WHERE (state = ANY (ARRAY['taken'::text, 'applied'::text]));
CREATE INDEX partner_request_left ON partner_request USING btree (location_id, ended_at) WHERE (left_at IS NOT NULL);
CREATE INDEX partner_request_name ON partner_request USING btree (connection_id, name);
CREATE INDEX partner_request_open ON partner_request USING btree (connection_id, due_at) WHERE (state <> 'ended'::text);
CREATE INDEX partner_request_order ON partner_request USING btree (order_id);
CREATE INDEX partner_request_root ON partner_request USING btree (root);
CREATE INDEX password_link_expires ON password_link USING btree (expires_at);
CREATE INDEX password_link_person ON password_link USING btree (person_id);
CREATE INDEX payment_claim_order ON payment_claim USING btree (order_id);
CREATE INDEX payment_deadline_cancel ON payment_deadline USING btree (cancel_at) WHERE ((settled_at IS NULL) AND (lapsed_at IS NOT NULL));
CREATE INDEX payment_deadline_due ON payment_deadline USING btree (due_at) WHERE ((settled_at IS NULL) AND (lapsed_at IS NULL));
CREATE INDEX person_identity_person ON person_identity USING btree (person_id);
CREATE INDEX person_identity_provider ON person_identity USING btree (provider_id);
CREATE INDEX person_location_location ON person_location USING btree (location_id);
CREATE INDEX picture_told ON picture USING btree (told_at);
CREATE INDEX product_category ON product USING btree (category_id);
CREATE INDEX product_at_once_going ON product_at_once USING btree (undo_at, connection_id) WHERE (state = 'going'::text);
CREATE INDEX product_at_once_newest ON product_at_once USING btree (connection_id, made_at, code);
CREATE INDEX product_batch_of ON product_batch USING btree (connection_id, id);
CREATE INDEX promise_doubt_service ON promise_doubt USING btree (service_id);
CREATE INDEX promise_outcome_order ON promise_outcome USING btree (order_id);
CREATE INDEX promise_outcome_promised ON promise_outcome USING btree (promised_at DESC, work_id DESC);
CREATE INDEX promise_queue_location ON promise_queue USING btree (location_id);
CREATE INDEX promise_ready_location ON promise_ready USING btree (location_id);
CREATE INDEX promise_slip_promised ON promise_slip USING btree (promised_at, order_id);
CREATE INDEX receipt_alone ON receipt USING btree (number) WHERE ((order_id IS NULL) AND (transfer_id IS NULL));
CREATE INDEX receipt_document ON receipt USING gin (document gin_trgm_ops) WHERE (document IS NOT NULL);
CREATE INDEX receipt_location ON receipt USING btree (location_id, number);
CREATE INDEX receipt_order ON receipt USING btree (order_id) WHERE (order_id IS NOT NULL);
CREATE INDEX receipt_received ON receipt USING btree (received_at);
CREATE INDEX receipt_transfer ON receipt USING btree (transfer_id) WHERE (transfer_id IS NOT NULL);
CREATE INDEX receipt_undone ON receipt USING btree (number) WHERE (undone_at IS NOT NULL);
CREATE INDEX receipt_line_sku ON receipt_line USING btree (sku_id, receipt_id);
CREATE UNIQUE INDEX refund_batch_order_open ON refund_batch_order USING btree (order_id) WHERE (outcome IS NULL);
CREATE INDEX refund_batch_order_refused ON refund_batch_order USING btree (batch_id, order_id) WHERE (outcome = 'refused'::text);
CREATE INDEX routing_decision_rule_set ON routing_decision USING btree (rule_set, decided_at) WHERE (rule_set IS NOT NULL);
CREATE INDEX routing_risk_location ON routing_risk USING btree (location_id);
CREATE INDEX routing_rule_set_force ON routing_rule_set USING btree (effective_from DESC, id DESC) WHERE (status = 'published'::text);
CREATE INDEX safety_rule_group ON safety_rule USING btree (group_id);
CREATE INDEX safety_rule_product ON safety_rule USING btree (product_id);
CREATE INDEX sales_order_customer_group ON sales_order USING btree (customer_group, placed_at) WHERE (customer_group IS NOT NULL);
CREATE INDEX sales_order_due ON sales_order USING btree (release_after) WHERE (status = ANY (ARRAY['allocated'::text, 'unplaced'::text, 'backordered'::text]));
CREATE INDEX sales_order_open ON sales_order USING btree (status, placed_at DESC, id DESC) WHERE (status <> ALL (ARRAY['delivered'::text, 'cancelled'::text]));
CREATE INDEX sales_order_placed ON sales_order USING btree (placed_at DESC, id DESC);
CREATE INDEX sales_order_promised ON sales_order USING btree (promised_at) WHERE ((promised_at IS NOT NULL) AND (status <> ALL (ARRAY['ready'::text, 'shipped'::text, 'delivered'::text, 'cancelled'::text])));
CREATE INDEX sales_order_promised_for ON sales_order USING btree (promised_at, id) WHERE (promised_at IS NOT NULL);
CREATE UNIQUE INDEX sales_order_request ON sales_order USING btree (request_key) WHERE (request_key IS NOT NULL);
CREATE INDEX saved_view_role ON saved_view USING btree (role, list) WHERE (role IS NOT NULL);
CREATE INDEX session_expires ON session USING btree (expires_at);
CREATE INDEX session_person ON session USING btree (person_id);
CREATE INDEX session_provider ON session USING btree (provider_id) WHERE (provider_id IS NOT NULL);
CREATE INDEX shadow_order_day ON shadow_order USING btree (shadow_id, day);
CREATE INDEX shadow_order_differs ON shadow_order USING btree (shadow_id, "position" DESC) WHERE differs;
CREATE INDEX shipment_fulfillment ON shipment USING btree (fulfillment_id);
CREATE INDEX shipment_order ON shipment USING btree (order_id);
CREATE INDEX shipment_tracking ON shipment USING btree (tracking_code) WHERE (tracking_code IS NOT NULL);
CREATE INDEX short_step_order ON short_step USING btree (order_id, id);
CREATE INDEX short_step_transfer ON short_step USING btree (((facts ->> 'transfer'::text))) WHERE (way = 'transfer'::text);
CREATE INDEX stock_age_days ON stock_age USING btree (days DESC, sku_id, location_id);
CREATE INDEX stock_age_location ON stock_age USING btree (location_id);
CREATE INDEX stock_age_worked_out ON stock_age USING btree (worked_out_at);
CREATE INDEX stock_change_version ON stock_change USING btree (version);
CREATE UNIQUE INDEX stock_deficit_open ON stock_deficit USING btree (sku_id, location_id) WHERE (resolved_at IS NULL);
CREATE INDEX stock_delta_recorded ON stock_delta USING brin (recorded_at);
CREATE INDEX stock_difference_cause ON stock_difference USING btree (look_id, cause);
CREATE INDEX stock_draw_fence ON stock_draw USING btree (allotment_id, sku_id, location_id) WHERE (allotment_id IS NOT NULL);
CREATE INDEX stock_drift_count ON stock_drift USING btree (count_id) WHERE (count_id IS NOT NULL);
CREATE INDEX stock_drift_found ON stock_drift USING btree (found_at DESC, source_id DESC, sku_id DESC);
CREATE INDEX stock_drift_open ON stock_drift USING btree (found_at DESC, id) WHERE (state = ANY (ARRAY['open'::text, 'counting'::text]));
CREATE INDEX stock_hold_expiry ON stock_hold USING btree (expires_at) WHERE (state = 'active'::text);
CREATE UNIQUE INDEX stock_hold_reference ON stock_hold USING btree (reference) WHERE (state = 'active'::text);
CREATE INDEX stock_hold_line_balance ON stock_hold_line USING btree (sku_id, location_id);
CREATE INDEX stock_look_newest ON stock_look USING btree (connection_id, id DESC);
CREATE UNIQUE INDEX stock_snapshot_key ON stock_snapshot USING btree (client, key) WHERE (key IS NOT NULL);
CREATE UNIQUE INDEX stock_snapshot_seq ON stock_snapshot USING btree (source_id, seq) WHERE (accepted_at IS NOT NULL);
CREATE INDEX stock_snapshot_unfinished ON stock_snapshot USING btree (source_id) WHERE (state = ANY (ARRAY['waiting'::text, 'applying'::text]));
CREATE INDEX stock_source_at ON stock_source_location USING btree (location_id);
CREATE UNIQUE INDEX stock_source_truth ON stock_source_location USING btree (location_id) WHERE (role = 'truth'::text);
CREATE UNIQUE INDEX stock_suspicion_open ON stock_suspicion USING btree (sku_id, location_id) WHERE (lifted_at IS NULL);
CREATE INDEX supply_open ON supply USING btree (sku_id, location_id, id) WHERE (expected > 0);
CREATE INDEX supply_claim_order ON supply_claim USING btree (order_id);
CREATE INDEX supply_claim_policy ON supply_claim USING btree (policy_id) WHERE (policy_id IS NOT NULL);
CREATE INDEX supply_claim_queue ON supply_claim USING btree (sku_id, location_id, since, order_id) WHERE (state <> 'arrived'::text);
CREATE INDEX supply_claim_supply ON supply_claim USING btree (supply_id) WHERE (supply_id IS NOT NULL);
CREATE INDEX transfer_crosses ON transfer USING btree (crosses, number);
CREATE INDEX transfer_destination ON transfer USING btree (destination_id, number);
CREATE INDEX transfer_document ON transfer USING gin (document gin_trgm_ops) WHERE (document IS NOT NULL);
CREATE INDEX transfer_open ON transfer USING btree (number) WHERE (state <> ALL (ARRAY['closed'::text, 'cancelled'::text]));
CREATE INDEX transfer_origin ON transfer USING btree (origin_id, number);
CREATE INDEX transfer_requested ON transfer USING btree (requested_at);
CREATE INDEX transfer_way ON transfer USING btree (origin_id, destination_id, number) WHERE (shipped_at IS NOT NULL);
CREATE INDEX transfer_discrepancy_line ON transfer_discrepancy USING btree (transfer_id, line);
CREATE INDEX transfer_discrepancy_open ON transfer_discrepancy USING btree (found_at) WHERE (decision IS NULL);
CREATE INDEX transfer_discrepancy_shipment ON transfer_discrepancy USING btree (shipment_id);
CREATE INDEX transfer_eta_transfer ON transfer_eta USING btree (transfer_id);
CREATE INDEX transfer_line_sku ON transfer_line USING btree (sku_id, transfer_id);
CREATE INDEX transfer_line_transit ON transfer_line USING btree (sku_id) WHERE (transit > 0);
CREATE INDEX transfer_shipment_document ON transfer_shipment USING gin (document gin_trgm_ops) WHERE (document IS NOT NULL);
CREATE INDEX transfer_shipment_line_coming ON transfer_shipment_line USING btree (sku_id) WHERE (coming > 0);
CREATE INDEX variant_folded ON variant USING gin (folded gin_trgm_ops);
CREATE UNIQUE INDEX variant_gtin ON variant USING btree (gtin) WHERE (gtin IS NOT NULL);
CREATE INDEX variant_product ON variant USING btree (product_id);
CREATE INDEX variant_squeezed ON variant USING btree (upper(regexp_replace(sku, '[^A-Za-z0-9]'::text, ''::text, 'g'::text)));
CREATE INDEX variant_substitute_back ON variant_substitute USING btree (substitute_id);
CREATE INDEX vendor_offer_sku ON vendor_offer USING btree (sku_id);
CREATE INDEX webhook_attempt_at ON webhook_attempt USING btree (at);
CREATE INDEX webhook_attempt_delivery ON webhook_attempt USING btree (endpoint_id, "position", id);
CREATE INDEX webhook_delivery_done ON webhook_delivery USING btree (done_at) WHERE (state <> 'waiting'::text);
CREATE INDEX webhook_delivery_failed ON webhook_delivery USING btree (endpoint_id, "position") WHERE (state = 'failed'::text);
CREATE INDEX webhook_delivery_key ON webhook_delivery USING btree (endpoint_id, key, "position") WHERE (state = 'waiting'::text);
CREATE INDEX webhook_delivery_waiting ON webhook_delivery USING btree (endpoint_id, "position") WHERE (state = 'waiting'::text);
CREATE INDEX webhook_minute_minute ON webhook_minute USING btree (minute);

ALTER TABLE ahead_policy ADD CONSTRAINT ahead_policy_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE ahead_policy ADD CONSTRAINT ahead_policy_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id);
ALTER TABLE ahead_policy ADD CONSTRAINT ahead_policy_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE allotment_borrower ADD CONSTRAINT allotment_borrower_allotment_id_fkey FOREIGN KEY (allotment_id) REFERENCES allotment(id);
ALTER TABLE allotment_borrower ADD CONSTRAINT allotment_borrower_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE allotment_channel ADD CONSTRAINT allotment_channel_allotment_id_fkey FOREIGN KEY (allotment_id) REFERENCES allotment(id);
ALTER TABLE allotment_channel ADD CONSTRAINT allotment_channel_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE api_key_location ADD CONSTRAINT api_key_location_key_id_fkey FOREIGN KEY (key_id) REFERENCES api_key(id);
ALTER TABLE api_key_location ADD CONSTRAINT api_key_location_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE api_log ADD CONSTRAINT api_log_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE balance ADD CONSTRAINT balance_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE balance ADD CONSTRAINT balance_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE binding ADD CONSTRAINT binding_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE bucket_balance ADD CONSTRAINT bucket_balance_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE bucket_balance ADD CONSTRAINT bucket_balance_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE bulk_action_order ADD CONSTRAINT bulk_action_order_action_id_fkey FOREIGN KEY (action_id) REFERENCES bulk_action(id) ON DELETE CASCADE;
ALTER TABLE cap_category ADD CONSTRAINT cap_category_allotment_id_fkey FOREIGN KEY (allotment_id) REFERENCES allotment(id);
ALTER TABLE cap_category ADD CONSTRAINT cap_category_category_id_fkey FOREIGN KEY (category_id) REFERENCES category(id);
ALTER TABLE cap_counter ADD CONSTRAINT cap_counter_allotment_id_fkey FOREIGN KEY (allotment_id) REFERENCES allotment(id);
ALTER TABLE cap_location ADD CONSTRAINT cap_location_allotment_id_fkey FOREIGN KEY (allotment_id) REFERENCES allotment(id);
ALTER TABLE cap_location ADD CONSTRAINT cap_location_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE cap_sku ADD CONSTRAINT cap_sku_allotment_id_fkey FOREIGN KEY (allotment_id) REFERENCES allotment(id);
ALTER TABLE cap_sku ADD CONSTRAINT cap_sku_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE cap_use ADD CONSTRAINT cap_use_allotment_id_fkey FOREIGN KEY (allotment_id) REFERENCES allotment(id);
ALTER TABLE capacity_override ADD CONSTRAINT capacity_override_location_id_fkey FOREIGN KEY (location_id) REFERENCES capacity_plan(location_id);
ALTER TABLE capacity_plan ADD CONSTRAINT capacity_plan_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE capacity_template ADD CONSTRAINT capacity_template_location_id_fkey FOREIGN KEY (location_id) REFERENCES capacity_plan(location_id);
ALTER TABLE care ADD CONSTRAINT care_assignee_fkey FOREIGN KEY (assignee) REFERENCES person(id);
ALTER TABLE care_note ADD CONSTRAINT care_note_person_id_fkey FOREIGN KEY (person_id) REFERENCES person(id);
ALTER TABLE category ADD CONSTRAINT category_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES category(id);
ALTER TABLE category_mapping ADD CONSTRAINT category_mapping_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE category_mapping ADD CONSTRAINT category_mapping_ours_fkey FOREIGN KEY (ours) REFERENCES category(id) ON DELETE SET NULL;
ALTER TABLE channel ADD CONSTRAINT channel_establishment_id_fkey FOREIGN KEY (establishment_id) REFERENCES establishment(id);
ALTER TABLE channel_inbox ADD CONSTRAINT channel_inbox_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE channel_location ADD CONSTRAINT channel_location_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE channel_location ADD CONSTRAINT channel_location_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE channel_op ADD CONSTRAINT channel_op_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE channel_owner ADD CONSTRAINT channel_owner_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE channel_owner ADD CONSTRAINT channel_owner_legal_entity_id_fkey FOREIGN KEY (legal_entity_id) REFERENCES legal_entity(id);
ALTER TABLE channel_variant ADD CONSTRAINT channel_variant_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE channel_variant ADD CONSTRAINT channel_variant_make_batch_fkey FOREIGN KEY (make_batch) REFERENCES product_batch(id) ON DELETE SET NULL;
ALTER TABLE channel_variant ADD CONSTRAINT channel_variant_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE connection ADD CONSTRAINT connection_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE connection_cursor ADD CONSTRAINT connection_cursor_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE connection_master ADD CONSTRAINT connection_master_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE connection_pace ADD CONSTRAINT connection_pace_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE connection_sample ADD CONSTRAINT connection_sample_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE connection_stock_role ADD CONSTRAINT connection_stock_role_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE connection_stock_role ADD CONSTRAINT connection_stock_role_source_id_fkey FOREIGN KEY (source_id) REFERENCES stock_source(id);
ALTER TABLE connection_token ADD CONSTRAINT connection_token_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE count_entry ADD CONSTRAINT count_entry_task_id_sku_id_fkey FOREIGN KEY (task_id, sku_id) REFERENCES count_line(task_id, sku_id);
ALTER TABLE count_hand ADD CONSTRAINT count_hand_task_id_sku_id_fkey FOREIGN KEY (task_id, sku_id) REFERENCES count_line(task_id, sku_id);
ALTER TABLE count_line ADD CONSTRAINT count_line_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE count_line ADD CONSTRAINT count_line_task_id_fkey FOREIGN KEY (task_id) REFERENCES count_task(id);
ALTER TABLE count_task ADD CONSTRAINT count_task_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE customer_alias ADD CONSTRAINT customer_alias_merge_id_fkey FOREIGN KEY (merge_id) REFERENCES customer_merge(id) ON DELETE CASCADE;
ALTER TABLE customer_erasure ADD CONSTRAINT customer_erasure_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer(id);
ALTER TABLE default_view ADD CONSTRAINT default_view_person_id_fkey FOREIGN KEY (person_id) REFERENCES person(id);
ALTER TABLE default_view ADD CONSTRAINT default_view_view_id_fkey FOREIGN KEY (view_id) REFERENCES saved_view(id) ON DELETE CASCADE;
ALTER TABLE drop_ship_line ADD CONSTRAINT drop_ship_line_drop_ship_id_fkey FOREIGN KEY (drop_ship_id) REFERENCES drop_ship(id);
ALTER TABLE erasure_search ADD CONSTRAINT erasure_search_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES customer(id) ON DELETE CASCADE;
ALTER TABLE erasure_search_place ADD CONSTRAINT erasure_search_place_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES erasure_search(customer_id) ON DELETE CASCADE;
ALTER TABLE establishment ADD CONSTRAINT establishment_legal_entity_id_fkey FOREIGN KEY (legal_entity_id) REFERENCES legal_entity(id);
ALTER TABLE feed ADD CONSTRAINT feed_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE feed_build ADD CONSTRAINT feed_build_feed_id_fkey FOREIGN KEY (feed_id) REFERENCES feed(id) ON DELETE CASCADE;
ALTER TABLE feed_count ADD CONSTRAINT feed_count_build_id_fkey FOREIGN KEY (build_id) REFERENCES feed_build(id) ON DELETE CASCADE;
ALTER TABLE feed_flaw ADD CONSTRAINT feed_flaw_build_id_fkey FOREIGN KEY (build_id) REFERENCES feed_build(id) ON DELETE CASCADE;
ALTER TABLE feed_part ADD CONSTRAINT feed_part_build_id_fkey FOREIGN KEY (build_id) REFERENCES feed_build(id) ON DELETE CASCADE;
ALTER TABLE feed_row ADD CONSTRAINT feed_row_feed_id_fkey FOREIGN KEY (feed_id) REFERENCES feed(id) ON DELETE CASCADE;
ALTER TABLE feed_todo ADD CONSTRAINT feed_todo_build_id_fkey FOREIGN KEY (build_id) REFERENCES feed_build(id) ON DELETE CASCADE;
ALTER TABLE fence_stock ADD CONSTRAINT fence_stock_allotment_id_fkey FOREIGN KEY (allotment_id) REFERENCES allotment(id);
ALTER TABLE fence_stock ADD CONSTRAINT fence_stock_sku_id_location_id_fkey FOREIGN KEY (sku_id, location_id) REFERENCES balance(sku_id, location_id);
ALTER TABLE fiscal_document ADD CONSTRAINT fiscal_document_establishment_id_fkey FOREIGN KEY (establishment_id) REFERENCES establishment(id);
ALTER TABLE fiscal_line ADD CONSTRAINT fiscal_line_document_id_fkey FOREIGN KEY (document_id) REFERENCES fiscal_document(id);
ALTER TABLE fiscal_line ADD CONSTRAINT fiscal_line_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE fulfillment_order ADD CONSTRAINT fulfillment_order_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE fulfillment_order ADD CONSTRAINT fulfillment_order_order_id_fkey FOREIGN KEY (order_id) REFERENCES sales_order(id);
ALTER TABLE fulfillment_order ADD CONSTRAINT fulfillment_order_service_id_fkey FOREIGN KEY (service_id) REFERENCES service(id);
ALTER TABLE fulfillment_order ADD CONSTRAINT fulfillment_order_to_location_id_fkey FOREIGN KEY (to_location_id) REFERENCES location(id);
ALTER TABLE fulfillment_order ADD CONSTRAINT fulfillment_order_transfer_id_fkey FOREIGN KEY (transfer_id) REFERENCES transfer(id);
ALTER TABLE import_flaw ADD CONSTRAINT import_flaw_run_id_fkey FOREIGN KEY (run_id) REFERENCES import_run(id) ON DELETE CASCADE;
ALTER TABLE import_part ADD CONSTRAINT import_part_run_id_fkey FOREIGN KEY (run_id) REFERENCES import_run(id) ON DELETE CASCADE;
ALTER TABLE import_trace ADD CONSTRAINT import_trace_run_id_fkey FOREIGN KEY (run_id) REFERENCES import_run(id) ON DELETE CASCADE;
ALTER TABLE inbound_eta ADD CONSTRAINT inbound_eta_order_id_line_fkey FOREIGN KEY (order_id, line) REFERENCES inbound_line(order_id, line);
ALTER TABLE inbound_line ADD CONSTRAINT inbound_line_order_id_fkey FOREIGN KEY (order_id) REFERENCES inbound_order(id);
ALTER TABLE inbound_line ADD CONSTRAINT inbound_line_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE inbound_order ADD CONSTRAINT inbound_order_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE kit_component ADD CONSTRAINT kit_component_component_id_fkey FOREIGN KEY (component_id) REFERENCES variant(id);
ALTER TABLE kit_component ADD CONSTRAINT kit_component_kit_id_fkey FOREIGN KEY (kit_id) REFERENCES variant(id);
ALTER TABLE listing ADD CONSTRAINT listing_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE listing ADD CONSTRAINT listing_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE listing_override ADD CONSTRAINT listing_override_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE listing_override ADD CONSTRAINT listing_override_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id) ON DELETE CASCADE;
ALTER TABLE listing_override ADD CONSTRAINT listing_override_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id) ON DELETE CASCADE;
ALTER TABLE listing_plan ADD CONSTRAINT listing_plan_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE listing_post ADD CONSTRAINT listing_post_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE listing_post ADD CONSTRAINT listing_post_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id) ON DELETE CASCADE;
ALTER TABLE listing_price ADD CONSTRAINT listing_price_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE listing_price ADD CONSTRAINT listing_price_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id) ON DELETE CASCADE;
ALTER TABLE location ADD CONSTRAINT location_establishment_id_fkey FOREIGN KEY (establishment_id) REFERENCES establishment(id);
ALTER TABLE location ADD CONSTRAINT location_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES establishment(id);
ALTER TABLE location ADD CONSTRAINT location_site_id_fkey FOREIGN KEY (site_id) REFERENCES location(id);
ALTER TABLE location_closure ADD CONSTRAINT location_closure_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE location_day ADD CONSTRAINT location_day_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE location_group_member ADD CONSTRAINT location_group_member_group_id_fkey FOREIGN KEY (group_id) REFERENCES location_group(id);
ALTER TABLE location_group_member ADD CONSTRAINT location_group_member_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE login_provider_location ADD CONSTRAINT login_provider_location_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE login_provider_location ADD CONSTRAINT login_provider_location_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES login_provider(id) ON DELETE CASCADE;
ALTER TABLE login_rule ADD CONSTRAINT login_rule_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES login_provider(id) ON DELETE CASCADE;
ALTER TABLE login_rule_location ADD CONSTRAINT login_rule_location_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE login_rule_location ADD CONSTRAINT login_rule_location_rule_id_fkey FOREIGN KEY (rule_id) REFERENCES login_rule(id) ON DELETE CASCADE;
ALTER TABLE markdown_credit ADD CONSTRAINT markdown_credit_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id) ON DELETE CASCADE;
ALTER TABLE markdown_credit ADD CONSTRAINT markdown_credit_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id) ON DELETE CASCADE;
ALTER TABLE media ADD CONSTRAINT media_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id);
ALTER TABLE media ADD CONSTRAINT media_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES variant(id);
ALTER TABLE message_teller ADD CONSTRAINT message_teller_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE method_mapping ADD CONSTRAINT method_mapping_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE op_attempt ADD CONSTRAINT op_attempt_op_key_fkey FOREIGN KEY (op_key) REFERENCES channel_op(key) ON DELETE CASCADE;
ALTER TABLE order_document ADD CONSTRAINT order_document_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE order_document ADD CONSTRAINT order_document_order_id_fkey FOREIGN KEY (order_id) REFERENCES sales_order(id) ON DELETE CASCADE;
ALTER TABLE order_field_rules ADD CONSTRAINT order_field_rules_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE order_hold ADD CONSTRAINT order_hold_order_id_fkey FOREIGN KEY (order_id) REFERENCES sales_order(id);
ALTER TABLE order_note ADD CONSTRAINT order_note_order_id_fkey FOREIGN KEY (order_id) REFERENCES sales_order(id);
ALTER TABLE parked_event ADD CONSTRAINT parked_event_subscriber_key_fkey FOREIGN KEY (subscriber, key) REFERENCES parked_key(subscriber, key) ON DELETE CASCADE;
ALTER TABLE parked_key ADD CONSTRAINT parked_key_subscriber_fkey FOREIGN KEY (subscriber) REFERENCES subscriber(name) ON DELETE CASCADE;
ALTER TABLE partner_answer ADD CONSTRAINT partner_answer_file_id_fkey FOREIGN KEY (file_id) REFERENCES partner_file(id) ON DELETE CASCADE;
ALTER TABLE partner_file ADD CONSTRAINT partner_file_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE partner_flaw ADD CONSTRAINT partner_flaw_file_id_fkey FOREIGN KEY (file_id) REFERENCES partner_file(id) ON DELETE CASCADE;
ALTER TABLE partner_host_key ADD CONSTRAINT partner_host_key_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE partner_location ADD CONSTRAINT partner_location_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE partner_location ADD CONSTRAINT partner_location_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE partner_notice ADD CONSTRAINT partner_notice_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE partner_request ADD CONSTRAINT partner_request_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE partner_request ADD CONSTRAINT partner_request_fulfillment_id_fkey FOREIGN KEY (fulfillment_id) REFERENCES fulfillment_order(id);
ALTER TABLE partner_request_line ADD CONSTRAINT partner_request_line_fulfillment_id_fkey FOREIGN KEY (fulfillment_id) REFERENCES partner_request(fulfillment_id) ON DELETE CASCADE;
ALTER TABLE password_link ADD CONSTRAINT password_link_person_id_fkey FOREIGN KEY (person_id) REFERENCES person(id);
ALTER TABLE payment_deadline ADD CONSTRAINT payment_deadline_order_id_fkey FOREIGN KEY (order_id) REFERENCES sales_order(id);
ALTER TABLE payment_term ADD CONSTRAINT payment_term_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE person_identity ADD CONSTRAINT person_identity_person_id_fkey FOREIGN KEY (person_id) REFERENCES person(id);
ALTER TABLE person_identity ADD CONSTRAINT person_identity_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES login_provider(id) ON DELETE SET NULL;
ALTER TABLE person_location ADD CONSTRAINT person_location_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE person_location ADD CONSTRAINT person_location_person_id_fkey FOREIGN KEY (person_id) REFERENCES person(id);
ALTER TABLE product ADD CONSTRAINT product_category_id_fkey FOREIGN KEY (category_id) REFERENCES category(id);
ALTER TABLE product_at_once ADD CONSTRAINT product_at_once_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE product_batch ADD CONSTRAINT product_batch_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE product_held ADD CONSTRAINT product_held_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE product_made ADD CONSTRAINT product_made_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES product_batch(id) ON DELETE CASCADE;
ALTER TABLE promise_days ADD CONSTRAINT promise_days_service_id_fkey FOREIGN KEY (service_id) REFERENCES service(id) ON DELETE CASCADE;
ALTER TABLE promise_days ADD CONSTRAINT promise_days_version_id_fkey FOREIGN KEY (version_id) REFERENCES promise_days_version(id) ON DELETE CASCADE;
ALTER TABLE promise_doubt ADD CONSTRAINT promise_doubt_service_id_fkey FOREIGN KEY (service_id) REFERENCES service(id) ON DELETE CASCADE;
ALTER TABLE promise_doubt ADD CONSTRAINT promise_doubt_version_id_fkey FOREIGN KEY (version_id) REFERENCES promise_days_version(id) ON DELETE CASCADE;
ALTER TABLE promise_queue ADD CONSTRAINT promise_queue_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id) ON DELETE CASCADE;
ALTER TABLE promise_queue ADD CONSTRAINT promise_queue_version_id_fkey FOREIGN KEY (version_id) REFERENCES promise_days_version(id) ON DELETE CASCADE;
ALTER TABLE promise_ready ADD CONSTRAINT promise_ready_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id) ON DELETE CASCADE;
ALTER TABLE promise_ready ADD CONSTRAINT promise_ready_version_id_fkey FOREIGN KEY (version_id) REFERENCES promise_days_version(id) ON DELETE CASCADE;
ALTER TABLE receipt ADD CONSTRAINT receipt_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE receipt ADD CONSTRAINT receipt_order_id_fkey FOREIGN KEY (order_id) REFERENCES inbound_order(id);
ALTER TABLE receipt ADD CONSTRAINT receipt_transfer_id_fkey FOREIGN KEY (transfer_id) REFERENCES transfer(id);
ALTER TABLE receipt_line ADD CONSTRAINT receipt_line_receipt_id_fkey FOREIGN KEY (receipt_id) REFERENCES receipt(id);
ALTER TABLE receipt_line ADD CONSTRAINT receipt_line_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE recent_choice ADD CONSTRAINT recent_choice_person_id_fkey FOREIGN KEY (person_id) REFERENCES person(id);
ALTER TABLE reconciliation ADD CONSTRAINT reconciliation_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE recovery_code ADD CONSTRAINT recovery_code_person_id_fkey FOREIGN KEY (person_id) REFERENCES person(id);
ALTER TABLE refund_batch_order ADD CONSTRAINT refund_batch_order_batch_id_fkey FOREIGN KEY (batch_id) REFERENCES refund_batch(id);
ALTER TABLE refund_batch_order ADD CONSTRAINT refund_batch_order_order_id_fkey FOREIGN KEY (order_id) REFERENCES sales_order(id);
ALTER TABLE routing_exclusion ADD CONSTRAINT routing_exclusion_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE routing_risk ADD CONSTRAINT routing_risk_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id) ON DELETE CASCADE;
ALTER TABLE routing_risk ADD CONSTRAINT routing_risk_version_id_fkey FOREIGN KEY (version_id) REFERENCES routing_risk_version(id) ON DELETE CASCADE;
ALTER TABLE safety_override ADD CONSTRAINT safety_override_sku_id_location_id_fkey FOREIGN KEY (sku_id, location_id) REFERENCES balance(sku_id, location_id);
ALTER TABLE safety_rule ADD CONSTRAINT safety_rule_category_id_fkey FOREIGN KEY (category_id) REFERENCES category(id);
ALTER TABLE safety_rule ADD CONSTRAINT safety_rule_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE safety_rule ADD CONSTRAINT safety_rule_group_id_fkey FOREIGN KEY (group_id) REFERENCES location_group(id);
ALTER TABLE safety_rule ADD CONSTRAINT safety_rule_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE safety_rule ADD CONSTRAINT safety_rule_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id);
ALTER TABLE safety_rule ADD CONSTRAINT safety_rule_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE sales_order ADD CONSTRAINT sales_order_merge_location_id_fkey FOREIGN KEY (merge_location_id) REFERENCES location(id);
ALTER TABLE saved_view ADD CONSTRAINT saved_view_person_id_fkey FOREIGN KEY (person_id) REFERENCES person(id);
ALTER TABLE second_factor ADD CONSTRAINT second_factor_person_id_fkey FOREIGN KEY (person_id) REFERENCES person(id);
ALTER TABLE service_rate ADD CONSTRAINT service_rate_service_id_fkey FOREIGN KEY (service_id) REFERENCES service(id);
ALTER TABLE session ADD CONSTRAINT session_person_id_fkey FOREIGN KEY (person_id) REFERENCES person(id);
ALTER TABLE session ADD CONSTRAINT session_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES login_provider(id) ON DELETE CASCADE;
ALTER TABLE shadow_order ADD CONSTRAINT shadow_order_shadow_id_fkey FOREIGN KEY (shadow_id) REFERENCES shadow(id) ON DELETE CASCADE;
ALTER TABLE shipment ADD CONSTRAINT shipment_fulfillment_id_fkey FOREIGN KEY (fulfillment_id) REFERENCES fulfillment_order(id);
ALTER TABLE shipment ADD CONSTRAINT shipment_order_id_fkey FOREIGN KEY (order_id) REFERENCES sales_order(id);
ALTER TABLE simulation_order ADD CONSTRAINT simulation_order_simulation_id_fkey FOREIGN KEY (simulation_id) REFERENCES simulation(id) ON DELETE CASCADE;
ALTER TABLE stock_age ADD CONSTRAINT stock_age_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id) ON DELETE CASCADE;
ALTER TABLE stock_age ADD CONSTRAINT stock_age_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id) ON DELETE CASCADE;
ALTER TABLE stock_deficit ADD CONSTRAINT stock_deficit_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE stock_deficit ADD CONSTRAINT stock_deficit_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE stock_difference ADD CONSTRAINT stock_difference_look_id_fkey FOREIGN KEY (look_id) REFERENCES stock_look(id) ON DELETE CASCADE;
ALTER TABLE stock_difference ADD CONSTRAINT stock_difference_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE stock_draw ADD CONSTRAINT stock_draw_allotment_id_fkey FOREIGN KEY (allotment_id) REFERENCES allotment(id);
ALTER TABLE stock_drift ADD CONSTRAINT stock_drift_count_id_fkey FOREIGN KEY (count_id) REFERENCES count_task(id);
ALTER TABLE stock_drift ADD CONSTRAINT stock_drift_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE stock_drift ADD CONSTRAINT stock_drift_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE stock_drift ADD CONSTRAINT stock_drift_source_id_fkey FOREIGN KEY (source_id) REFERENCES stock_source(id);
ALTER TABLE stock_hold ADD CONSTRAINT stock_hold_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE stock_hold_line ADD CONSTRAINT stock_hold_line_hold_id_fkey FOREIGN KEY (hold_id) REFERENCES stock_hold(id);
ALTER TABLE stock_hold_line ADD CONSTRAINT stock_hold_line_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE stock_hold_line ADD CONSTRAINT stock_hold_line_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE stock_look ADD CONSTRAINT stock_look_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES connection(id) ON DELETE CASCADE;
ALTER TABLE stock_price ADD CONSTRAINT stock_price_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id) ON DELETE CASCADE;
ALTER TABLE stock_price ADD CONSTRAINT stock_price_version_id_fkey FOREIGN KEY (version_id) REFERENCES stock_price_version(id) ON DELETE CASCADE;
ALTER TABLE stock_push ADD CONSTRAINT stock_push_channel_id_fkey FOREIGN KEY (channel_id) REFERENCES channel(id);
ALTER TABLE stock_snapshot ADD CONSTRAINT stock_snapshot_source_id_fkey FOREIGN KEY (source_id) REFERENCES stock_source(id);
ALTER TABLE stock_snapshot_held ADD CONSTRAINT stock_snapshot_held_snapshot_id_fkey FOREIGN KEY (snapshot_id) REFERENCES stock_snapshot(id) ON DELETE CASCADE;
ALTER TABLE stock_snapshot_location ADD CONSTRAINT stock_snapshot_location_snapshot_id_fkey FOREIGN KEY (snapshot_id) REFERENCES stock_snapshot(id) ON DELETE CASCADE;
ALTER TABLE stock_source_location ADD CONSTRAINT stock_source_location_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE stock_source_location ADD CONSTRAINT stock_source_location_source_id_fkey FOREIGN KEY (source_id) REFERENCES stock_source(id);
ALTER TABLE stock_suspicion ADD CONSTRAINT stock_suspicion_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE stock_suspicion ADD CONSTRAINT stock_suspicion_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE store_lane ADD CONSTRAINT store_lane_from_id_fkey FOREIGN KEY (from_id) REFERENCES location(id);
ALTER TABLE store_lane ADD CONSTRAINT store_lane_to_id_fkey FOREIGN KEY (to_id) REFERENCES location(id);
ALTER TABLE supply ADD CONSTRAINT supply_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE supply ADD CONSTRAINT supply_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE supply_claim ADD CONSTRAINT supply_claim_policy_id_fkey FOREIGN KEY (policy_id) REFERENCES ahead_policy(id);
ALTER TABLE supply_claim ADD CONSTRAINT supply_claim_supply_id_fkey FOREIGN KEY (supply_id) REFERENCES supply(id);
ALTER TABLE supply_queue ADD CONSTRAINT supply_queue_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE supply_queue ADD CONSTRAINT supply_queue_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE transfer ADD CONSTRAINT transfer_destination_id_fkey FOREIGN KEY (destination_id) REFERENCES location(id);
ALTER TABLE transfer ADD CONSTRAINT transfer_origin_id_fkey FOREIGN KEY (origin_id) REFERENCES location(id);
ALTER TABLE transfer_discrepancy ADD CONSTRAINT transfer_discrepancy_shipment_id_fkey FOREIGN KEY (shipment_id) REFERENCES transfer_shipment(id);
ALTER TABLE transfer_discrepancy ADD CONSTRAINT transfer_discrepancy_transfer_id_line_fkey FOREIGN KEY (transfer_id, line) REFERENCES transfer_line(transfer_id, line);
ALTER TABLE transfer_eta ADD CONSTRAINT transfer_eta_transfer_id_fkey FOREIGN KEY (transfer_id) REFERENCES transfer(id);
ALTER TABLE transfer_line ADD CONSTRAINT transfer_line_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE transfer_line ADD CONSTRAINT transfer_line_transfer_id_fkey FOREIGN KEY (transfer_id) REFERENCES transfer(id);
ALTER TABLE transfer_shipment ADD CONSTRAINT transfer_shipment_transfer_id_fkey FOREIGN KEY (transfer_id) REFERENCES transfer(id);
ALTER TABLE transfer_shipment_line ADD CONSTRAINT transfer_shipment_line_shipment_id_fkey FOREIGN KEY (shipment_id) REFERENCES transfer_shipment(id);
ALTER TABLE transfer_shipment_line ADD CONSTRAINT transfer_shipment_line_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id);
ALTER TABLE variant ADD CONSTRAINT variant_product_id_fkey FOREIGN KEY (product_id) REFERENCES product(id);
ALTER TABLE variant_owner ADD CONSTRAINT variant_owner_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES variant(id) ON DELETE CASCADE;
ALTER TABLE variant_substitute ADD CONSTRAINT variant_substitute_substitute_id_fkey FOREIGN KEY (substitute_id) REFERENCES variant(id);
ALTER TABLE variant_substitute ADD CONSTRAINT variant_substitute_variant_id_fkey FOREIGN KEY (variant_id) REFERENCES variant(id);
ALTER TABLE vendor_offer ADD CONSTRAINT vendor_offer_location_id_fkey FOREIGN KEY (location_id) REFERENCES location(id);
ALTER TABLE vendor_offer ADD CONSTRAINT vendor_offer_sku_id_fkey FOREIGN KEY (sku_id) REFERENCES variant(id) ON DELETE CASCADE;
ALTER TABLE webhook_attempt ADD CONSTRAINT webhook_attempt_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoint(id) ON DELETE CASCADE;
ALTER TABLE webhook_delivery ADD CONSTRAINT webhook_delivery_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoint(id) ON DELETE CASCADE;
ALTER TABLE webhook_keeper ADD CONSTRAINT webhook_keeper_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoint(id) ON DELETE CASCADE;
ALTER TABLE webhook_minute ADD CONSTRAINT webhook_minute_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoint(id) ON DELETE CASCADE;
