"""Where the schema keeps texts, and what erasing a person does to each: every such column is in one of these tables.

A test walks the schema and refuses a column that is in none. `LINKED` is found by the person's profile and orders and
emptied, whatever it says. `SWEPT` is filed under something else; only what names the person is taken out of it. What is
`KEPT` says why.
"""

from enum import StrEnum
from typing import Final, LiteralString, NamedTuple


class Shape(StrEnum):
    """How a column keeps its text."""

    TEXT = "text"
    JSON = "json"
    JSONB = "jsonb"
    BYTES = "bytea"


class Place(NamedTuple):
    """A column that is looked through; `only` bounds its rows."""

    table: LiteralString
    column: LiteralString
    shape: Shape = Shape.TEXT
    only: LiteralString = "true"
    strong: bool = False  # only by what is one person's alone: a namesake's must stay as it is

    @property
    def is_bytes(self) -> bool:
        """Return whether its text is bytes, read as Latin-1."""
        return self.shape is Shape.BYTES


# What waits at a connection is an order to be: it is never changed, and keeps the person from being erased.
ENDED: Final = "state IN ('done', 'stale', 'dropped')"
FILES: Final = Place("partner_file", "content", Shape.BYTES)  # emptied as a whole where it has ended
# Orders of others hold no free words of this person; those of theirs are emptied as linked.
SWEPT: Final[tuple[Place, ...]] = (
    Place("api_log", "path"),
    Place("api_log", "says"),
    Place("audit", "entity_id"),
    Place("audit", "before", Shape.JSON),
    Place("audit", "after", Shape.JSON),
    Place("capacity_reservation", "reason"),
    Place("care_note", "text"),
    Place("channel_inbox", "payload", Shape.BYTES, ENDED, strong=True),
    Place("channel_inbox", "error", only=ENDED),
    Place("channel_op", "payload", Shape.JSONB, "state <> 'waiting'"),
    Place("channel_op", "error"),
    Place("connection_cursor", "error"),
    Place("count_task", "note"),
    Place("drop_ship", "reason"),
    Place("drop_ship", "reference"),
    Place("idempotency", "headers", Shape.JSON),
    Place("idempotency", "reply", Shape.BYTES),
    Place("import_flaw", "cells", Shape.JSONB),
    Place("import_flaw", "problems", Shape.JSONB),
    Place("import_run", "error", Shape.JSONB),
    Place("import_run", "name"),
    Place("import_run", "other_sheets", Shape.JSONB),
    Place("import_trace", "label"),
    Place("import_trace", "before", Shape.JSONB),
    Place("import_trace", "after", Shape.JSONB),
    Place("import_trace", "why", Shape.JSONB),
    Place("inbound_order", "note"),
    Place("op_attempt", "says"),
    Place("parked_key", "error"),
    FILES,
    Place("partner_file", "says"),
    Place("partner_file", "stated", Shape.JSONB),
    Place("partner_flaw", "value"),
    Place("partner_request", "note"),
    Place("partner_request", "told"),
    Place("receipt", "note"),
    Place("bulk_action", "sought"),
    Place("bulk_action", "wish", Shape.JSONB),
    Place("bulk_action_order", "why", Shape.JSONB),
    Place("refund_batch", "reference"),
    Place("refund_batch", "sought"),
    Place("refund_batch_order", "why", Shape.JSONB),
    Place("saved_view", "query"),
    Place("short_step", "facts", Shape.JSONB),
    Place("subscriber", "error"),
    Place("transfer", "note"),
    Place("webhook_attempt", "answer"),
    Place("webhook_attempt", "error"),
    Place("webhook_delivery", "error"),
)

# By the person's profiles, orders, messages, parcels and events: emptied, shortened or removed (`writes`).
LINKED: Final[dict[str, tuple[str, ...]]] = {
    "customer": ("name", "document", "email", "phone", "address", "folded"),
    "customer_alias": ("value",),
    "customer_erasure": ("reason",),
    "customer_merge": ("kept_before", "gone_before"),
    "erasure_search": ("reason", "refused"),
    "event": ("payload",),
    "fulfillment_order": ("pickup_code",),
    "import_part": ("data",),
    "import_run": ("sample",),
    "message": ("address", "facts", "reason", "answer", "subject", "body", "reference"),
    "message_consent": ("proof", "key"),
    "message_preference": ("language", "declined", "source"),
    "message_receipt": ("words", "reference", "channel", "status"),
    "message_suppression": ("address", "channel", "reason", "by"),
    "order_details": ("details",),
    "order_hold": ("detail", "resolution"),
    "order_note": ("text",),
    "order_promise": ("note",),
    "order_search": ("document",),
    "order_tag": ("key", "tag"),
    "order_timeline": ("facts",),
    "outbox": ("payload",),
    "parked_event": ("payload",),
    "payment_claim": ("reference",),
    "payment_entry": ("reference",),
    "routing_decision": ("promise", "asked", "record"),
    "sales_order": ("buyer_name", "buyer_document", "buyer_email", "buyer_phone", "ship_to", "request_key"),
    "shipment": ("tracking_code", "tracking_url", "received_by"),
    "tender": ("reference",),
}

# Why the other columns stay as they are: by tables as a whole, and by columns of tables that are looked through.
KEPT_TABLES: Final[dict[str, tuple[str, ...]]] = {
    "The law keeps fiscal documents (LGPD, art. 16, I); the buyer's part is with the issuer, not here.": (
        "fiscal_document",
    ),
    "Who works here, how they log in, and what they set for themselves: colleagues and programs, not customers.": (
        "api_key", "care", "customer_distinct", "default_view", "import_mapping", "login_answer",
        "login_attempt", "login_provider", "login_rule", "password_link", "person", "person_identity",
        "recent_choice", "recovery_code", "role_policy", "second_factor", "session",
    ),
    "Settings of the retailer, its network, channels and partners, with their secrets sealed.": (
        "ahead_policy", "allotment", "capacity_override", "capacity_plan", "capacity_slot", "capacity_template",
        "channel", "connection", "connection_master", "connection_pace", "connection_sample",
        "connection_stock_role", "connection_token", "customer_group", "establishment", "feed", "feed_build",
        "feed_count", "feed_flaw", "feed_part", "feed_row", "legal_entity", "location", "location_closure",
        "location_group", "message_gateway", "message_route", "message_switch", "migration", "message_teller",
        "message_template", "method_mapping", "order_field_rules", "partner_host_key", "partner_location",
        "payment_term", "promise_queue", "reroute_policy", "retailer", "revision", "routing_cost_draft",
        "routing_costs", "routing_exclusion", "routing_rule_set", "safety_override", "safety_rule",
        "safety_sweep", "service", "service_rate", "stock_push", "stock_source", "stock_source_location",
        "tax_cost", "webhook_endpoint", "webhook_keeper",
    ),
    "Goods, and what channels and systems say of them.": (
        "category", "category_mapping", "channel_variant", "listing", "listing_override", "listing_plan",
        "listing_post", "media", "picture", "product", "product_at_once", "product_batch", "product_held",
        "product_made", "product_owner", "stock_delta", "stock_difference", "stock_drift",
        "stock_price_version", "stock_snapshot", "stock_snapshot_held", "variant", "variant_owner",
        "vendor_offer",
    ),
    "Stock, its ledger and its work: goods at locations, by codes and numbers.": (
        "bucket_balance", "count_entry", "count_hand", "count_line", "fence_movement", "inbound_eta", "inbound_line",
        "movement", "movement_closing", "movement_partition", "receipt_line", "shelf_count", "stock_deficit",
        "stock_hold", "stock_suspicion", "supply", "supply_claim", "transfer_discrepancy", "transfer_eta",
        "transfer_shipment",
    ),
    "Of whom is being looked for, which tables name them, and in which rows.": ("erasure_search_place",),
    "Facts without a name: codes, states, days and regions, for statistics.": (
        "binding", "drop_ship_line", "order_document", "order_line", "order_payment", "order_unit",
        "partner_answer", "partner_notice", "payment_deadline", "promise_days", "promise_doubt",
        "promise_outcome", "promise_ready", "promise_slip", "reconciliation", "routing_wave", "shadow",
        "shadow_order", "simulation", "simulation_order",
    ),
}  # fmt: skip
# Of tables that are in `SWEPT` or `LINKED`: codes, keys and who did it, a colleague or a program.
KEPT_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "api_log": ("operation", "method"),
    "audit": ("actor_kind", "actor_id", "actor_name", "source", "request_id", "action", "entity"),
    "capacity_reservation": ("kind", "state", "reference", "actor"),
    "care_note": ("kind", "subject"),
    "channel_inbox": ("dedup", "entity", "source", "trust", "state", "cause", "wants"),
    "channel_op": ("kind", "entity", "state", "reference", "cause"),
    "connection_cursor": ("stream", "value", "handles"),
    "count_task": ("kind", "source", "zone", "state", "created_by", "closed_by"),
    "customer": ("kind",),
    "customer_erasure": ("actor", "person"),
    "customer_merge": ("actor", "person", "undone_person"),
    "erasure_search": ("actor", "person", "known", "since"),  # it is gone with the erasure
    "drop_ship": ("state",),
    "event": ("key", "type", "actor"),
    "fulfillment_order": ("method", "state", "reason", "assignee", "pickup_returned"),
    "idempotency": ("client", "key", "operation", "body_hash"),
    "import_run": (
        "kind", "state", "encoding", "delimiter", "header", "mapping", "oddities", "actor", "person", "permissions",
        "locations",
        "undone_actor", "undone_person",
    ),
    "import_trace": ("key", "outcome"),
    "inbound_order": ("kind", "supplier", "reference", "state", "created_by"),
    "message": ("kind", "channel", "language", "state"),
    "message_consent": ("purpose", "channel", "source", "recorded_by"),
    "op_attempt": ("outcome",),
    "order_hold": ("kind", "placed_by", "resolved_by"),
    "order_note": ("written_by", "author"),
    "order_promise": ("reason", "made_by", "author"),
    "order_timeline": ("type", "actor"),
    "outbox": ("key", "type", "actor"),
    "parked_event": ("subscriber", "key", "type", "actor"),
    "parked_key": ("subscriber", "key", "state", "cause"),
    "partner_file": ("way", "kind", "name", "fingerprint", "state"),
    "partner_flaw": ("problem", "field"),
    "partner_request": ("name", "state", "outcome"),
    "payment_entry": ("kind", "actor"),
    "receipt": ("document", "received_by", "undone_by", "undo_reason"),
    "bulk_action": ("act", "state", "actor", "person"),
    "bulk_action_order": ("outcome",),
    "refund_batch": ("state", "actor", "person"),
    "refund_batch_order": ("outcome",),
    "sales_order": ("external_id", "currency", "status", "method", "ship_state", "customer_group"),
    "saved_view": ("list", "name", "role"),
    "shipment": ("carrier",),
    "short_step": ("way", "by"),
    "subscriber": ("name",),
    "tender": ("kind", "currency"),
    "transfer": (
        "state", "document", "carrier", "tracking_code", "requested_by", "approved_by", "shipped_by", "crosses",
        "closed_short_by", "closed_short_reason",
    ),
    "webhook_delivery": ("key", "type", "state"),
}  # fmt: skip
