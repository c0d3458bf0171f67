"""What the audit trail's actions, kinds of record and fields are called, and values as people read them.

A name that has no word here is shown as it is: nothing that was written down is ever hidden.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from malha.capacity.model import MEASURE_WORDS
from malha.console import network_words as say
from malha.console.audit_fields import FIELDS
from malha.console.words import ACT, HOLD
from malha.fulfillment.short_model import WAY_WORDS
from malha.identity.model import ROLE_NAMES
from malha.ordering.model import PROMISE_REASON_WORDS
from malha.platform import i18n
from malha.platform.audit import CHANGED, Entry
from malha.platform.i18n import N_, _

ACTIONS = {
    "create": N_("created"),
    "delete": N_("deleted"),
    "change": N_("changed"),
    "update": N_("changed"),
    "set": N_("stated"),
    "adjust": N_("corrected"),
    "count": N_("counted"),
    "set_status": N_("state changed"),
    "close_days": N_("closed on days"),
    "state_origins": N_("stated where goods are brought from"),
    "send_for_order": N_("sent for an order"),
    "open_days": N_("opened on days"),
    "export": N_("exported"),
    "erase": N_("erased for good"),
    "begin_erasing": N_("asked to be erased"),
    "import": N_("imported"),
    "undone": N_("undone"),
    "take_care": N_("assigned or noted"),
    "publish": N_("published"),
    "withdraw": N_("withdrawn"),
    "promote": N_("promoted"),
    "take_back": N_("taken back"),
    "record_refunds": N_("refunds recorded together"),
    "start": N_("started"),
    "gather": N_("gathered orders"),
    "end_shortage": N_("acted on missing goods"),
    "stop": N_("stopped"),
    "merge": N_("put together"),
    "unmerge": N_("told apart again"),
    "call_distinct": N_("called two people"),
    "bind": N_("account of a provider bound"),
    "unbind": N_("account of a provider taken away"),
    "turn_away": N_("not let in"),
    "restore_owner": N_("made an owner by who runs the server"),
    "keep_role": N_("role kept, against a provider's rule"),
    "reseal": N_("sealed anew"),
    "log_in": N_("logged in"),
    "log_out": N_("logged out"),
    "move": N_("moved"),
    "trust": N_("key of the server trusted"),
    "replay": N_("tried again"),
    "pause": N_("paused"),
    "resume": N_("started again"),
    "rotate": N_("given a new secret"),
    "reveal": N_("personal data shown"),
    "revoke": N_("revoked"),
    "revoke_session": N_("session ended"),
    "set_password": N_("password set"),
    "set_safety": N_("safety stock set"),
    "release": N_("released"),
    "receive": N_("received"),
    "confirm": N_("confirmed"),
    "cancel": N_("cancelled"),
    "accept": N_("accepted by the vendor"),
    "refuse": N_("refused by the vendor"),
    "send": N_("sent to the customer"),
    "take": N_("taken by hand"),
    "hand_over": N_("handed over"),
    "report": N_("changes reported"),
    "repair_theirs": N_("their number taken"),
    "repair_ours": N_("our number kept"),
    "repair_count": N_("count asked for"),
    "place": N_("placed"),
    "reschedule": N_("dates moved"),
    "close_rest": N_("rest given back"),
    "drop": N_("no longer expected"),
    "undo": N_("taken back"),
    "request": N_("asked for"),
    "approve": N_("approved"),
    "ship": N_("shipped"),
    "decide": N_("decided"),
    "raise": N_("raised"),
    "recount": N_("to be counted again"),
    "close": N_("closed"),
    "lift_suspicion": N_("suspicion lifted"),
    "end": N_("ended"),
    "remove": N_("removed"),
    "save": N_("saved"),
    "choose_default": N_("chosen as the first view"),
    "list": N_("listed"),
    "switch": N_("switched on or off"),
    "try": N_("tried out"),
    "check": N_("checked"),
    "imported": N_("imported"),
    "resend": N_("sent again"),
    "readdress": N_("given another address"),
    "build": N_("built"),
    "map": N_("meaning said"),
    "read_again": N_("read again"),
    "refund": N_("refund asked for"),
    "mark_done": N_("marked as arrived"),
    "map_variants": N_("variants mapped"),
    "accept_total": N_("total of a fiscal document accepted"),
    "accept_suggestions": N_("suggestions accepted"),
    "unmap_variants": N_("mapping taken back"),
    "put_field_rules": N_("field rules saved"),
    "ignore_variants": N_("set aside"),
    "ask_variants": N_("to be mapped again"),
    "compare": N_("comparison asked for"),
    "tell_again": N_("told again"),
    "state_stock": N_("declared to state stock"),
    "map_categories": N_("categories mapped"),
    "accept_products": N_("new products accepted"),
    "take_products_back": N_("acceptance taken back"),
    "keep_products": N_("keeps fields of products"),
    "state_no_stock": N_("states no stock any more"),
    "read_stock": N_("stock read"),
    "send_again": N_("sent again"),
    "mark_bounced": N_("marked as undeliverable"),
    "lift_suppression": N_("address allowed again"),
    "make_link": N_("link made"),
    "mail_link": N_("link sent by e-mail"),
    "set_second_factor": N_("second factor set"),
    "remove_second_factor": N_("second factor removed"),
    "renew_recovery_codes": N_("recovery codes made anew"),
    "use_recovery_code": N_("recovery code used"),
    "revoke_sessions": N_("sessions ended"),
    "order.cancelled": N_("cancelled"),
    "order.hold_placed": N_("put on hold"),
    "order.hold_resolved": N_("hold lifted"),
    "order.address_changed": N_("address changed"),
    "order.buyer_changed": N_("customer changed"),
    "order.details_changed": N_("details changed by the channel"),
    "order.tagged": N_("tags changed"),
    "order.note_added": N_("note written"),
    "order.line_mapped": N_("SKU identified"),
    "order.line_replaced": N_("item replaced"),
    "order.routed": N_("location chosen"),
    "order.supplied": N_("goods arrived for it"),
    "order.awaits_supply": N_("waits for goods on order"),
    "order.late": N_("late"),
    "order.repromised": N_("promised for another day"),
    "order.slot_changed": N_("slot changed"),
    "order.placed": N_("placed"),
    "fulfillment.released": N_("released to a location"),
    "fulfillment.moved": N_("given another picking slot"),
    "fulfillment.accepted": N_("accepted by the location"),
    "fulfillment.rejected": N_("rejected by the location"),
    "fulfillment.picked": N_("picked"),
    "fulfillment.short": N_("fewer found than asked"),
    "fulfillment.packed": N_("packed"),
    "fulfillment.shipped": N_("shipped"),
    "fulfillment.sent": N_("sent to the store"),
    "fulfillment.arrived": N_("arrived at the store"),
    "shipment.out_for_delivery": N_("out for delivery"),
    "shipment.delivered": N_("delivered"),
    "fulfillment.ready": N_("ready for pickup"),
    "fulfillment.pickup_expiring": N_("pickup ends soon"),
    "fulfillment.pickup_expired": N_("pickup time over"),
    "fulfillment.pickup_returned": N_("given back to stock"),
    "fulfillment.pickup_extended": N_("more time to collect"),
    "fulfillment.pickup_refused": N_("refused at the counter"),
    "fulfillment.collected": N_("collected"),
    "fulfillment.cancelled": N_("work cancelled"),
    "payment.authorised": N_("payment authorised"),
    "payment.captured": N_("payment captured"),
    "payment.refunded": N_("payment refunded"),
    "payment.charged_back": N_("payment charged back"),
    "payment.voided": N_("payment voided"),
    "payment.declined": N_("payment declined"),
    "payment.tender_added": N_("payment added"),
    "payment.time_over": N_("time to pay over"),
    "payment.time_extended": N_("more time to pay given"),
    "fiscal.document_recorded": N_("fiscal document recorded"),
    "fiscal.document_cancelled": N_("fiscal document cancelled"),
}
ENTITIES = {
    "care_event": N_("Record that needs attention"),
    "care_job": N_("Failed job"),
    "care_audit": N_("Entry of the trail"),
    "order": N_("Order"),
    "fulfillment": N_("Work"),
    "shadow": N_("Draft beside live"),
    "reroute_policy": N_("Decisions by itself"),
    "location": N_("Location"),
    "capacity": N_("Capacity of a location"),
    "establishment": N_("Establishment"),
    "legal_entity": N_("Company"),
    "channel": N_("Sales channel"),
    "service": N_("Shipping service"),
    "retailer": N_("Retailer"),
    "person": N_("Person"),
    "secret": N_("Stored secrets"),
    "api_key": N_("API key"),
    "role": N_("Role"),
    "login_provider": N_("Log-in provider"),
    "login_policy": N_("Way to log in"),
    "customer": N_("Customer"),
    "product": N_("Product"),
    "category": N_("Category"),
    "stock": N_("Stock"),
    "stock_source": N_("Stock source"),
    "stock_snapshot": N_("Stock snapshot"),
    "stock_delta": N_("Stock changes"),
    "stock_drift": N_("Stock disagreement"),
    "location_group": N_("Group of locations"),
    "customer_group": N_("Customer group"),
    "allotment": N_("Allotment"),
    "safety_rule": N_("Safety rule"),
    "hold": N_("Stock hold"),
    "inbound_order": N_("Purchase order"),
    "ahead_policy": N_("Selling ahead"),
    "receipt": N_("Receipt"),
    "transfer": N_("Transfer"),
    "count": N_("Count"),
    "simulation": N_("Simulation"),
    "routing_costs": N_("Costs of routing"),
    "tax_costs": N_("Tax costs"),
    "markdowns": N_("Credits for aged stock"),
    "promise_learning": N_("Learned dates"),
    "stock_pricing": N_("Prices of stock"),
    "routing_cost_draft": N_("Draft of costs"),
    "routing_rules": N_("Routing rules"),
    "vendor_offers": N_("What a vendor supplies"),
    "drop_ship": N_("Drop-ship order"),
    "listing": N_("Listings"),
    "stock_push": N_("Stock told to a channel"),
    "feed": N_("Feed"),
    "connection": N_("Connections"),
    "partner_locations": N_("Locations of a logistics partner"),
    "payment_term": N_("Time to pay"),
    "bulk_action": N_("Bulk action"),
    "refund_batch": N_("Refunds recorded together"),
    "saved_view": N_("Saved view"),
    "message": N_("Message"),
    "message_kind": N_("Kind of message"),
    "message_template": N_("Text of a message"),
    "message_rules": N_("Rules of messages"),
    "message_route": N_("Order of contacts"),
    "message_gateway": N_("Message gateway"),
    "message_preference": N_("Wishes for messages"),
    "import_products": N_("Import of products"),
    "import_prices": N_("Import of prices"),
    "import_stock": N_("Import of stock"),
    "import_locations": N_("Import of locations"),
    "import_customers": N_("Import of customers"),
    "webhook": N_("Webhook"),
    "event": N_("Event"),
    "audit": N_("Audit trail"),
}
# Where a kind of record is shown; `{}` is its id. An order is found by its number.
ADDRESSES = {
    "location": "/locations/{}",
    "establishment": "/establishments/{}",
    "legal_entity": "/companies/{}",
    "channel": "/channels/{}",
    "service": "/services/{}",
    "inbound_order": "/purchase-orders/{}",
    "receipt": "/receipts/{}",
    "transfer": "/transfers/{}",
    "count": "/counts/{}",
    "simulation": "/simulations/{}",
    "routing_rules": "/routing-rules/{}",
    "drop_ship": "/drop-ships/{}",
    "allotment": "/allotments/{}",
    "message": "/messages/{}",
    "location_group": "/location-groups/{}",
    "customer_group": "/customer-groups/{}/edit",
    "bulk_action": "/bulk-actions/{}",
    "retailer": "/settings",
    "login_provider": "/providers/{}",
    "login_policy": "/providers",
    "webhook": "/webhooks/{}",
}
# Fields that say nothing to people: keys and counters.
SILENT = frozenset({"id", "version", "seq"})
MONEY = frozenset(
    {
        "handling_cost",
        "line_cost",
        "unit_cost",
        "price",
        "per_extra_kg",
        "total",
        "worth_least",
        "worth_most",
        "split_penalty",
        "late_penalty",
        "day_cost",
    }
)
# Fields whose values are words of ours, by kind of record where it matters.
_VALUES: dict[str, Mapping[Any, Any]] = {
    "way": WAY_WORDS,
    "measure": MEASURE_WORDS,
    "status": {status.value: sign.word for status, sign in say.LOCATION_STATUS.items()},
    "tax_regime": say.TAX_REGIME,
    "document_policy": say.DOCUMENT_POLICY,
    "shortage_policy": say.SHORTAGE_POLICY,
    "payment_policy": say.PAYMENT_POLICY,
    "role": ROLE_NAMES,
    "theme": {"light": N_("Light"), "dark": N_("Dark")},
    "language": {"pt-BR": N_("Portuguese (Brazil)"), "en": N_("English")},
    "act": ACT,
    "because": PROMISE_REASON_WORDS,
    "shown": {"buyer": N_("the buyer's data")},
}
_KINDS: dict[str, Mapping[Any, Any]] = {
    "order": HOLD,
    "location": say.LOCATION_KIND,
    "channel": say.CHANNEL_KIND,
    "legal_entity": say.ENTITY_KIND,
    "establishment": say.ENTITY_KIND,
    "count": {"cycle": N_("Cycle count"), "physical": N_("Physical inventory")},
    "inbound_order": {"purchase": N_("Purchase"), "production": N_("Production")},
    "allotment": {"fence": N_("Fence"), "cap": N_("Cap")},
}


class Difference(NamedTuple):
    """One field that differs; a side that does not exist is empty."""

    label: str
    before: str
    after: str
    only: str  # "before", "after" or "both"


def act(action: str) -> str:
    """Return an action in the reader's language."""
    return _(ACTIONS[action]) if action in ACTIONS else action


def entity(name: str) -> str:
    """Return a kind of record in the reader's language."""
    return _(ENTITIES[name]) if name in ENTITIES else name


def label(field: str) -> str:
    """Return a field's name in the reader's language."""
    return _(FIELDS[field]) if field in FIELDS else field.replace("_", " ")


def value(field: str, found: Any, of: str = "") -> str:
    """Return a value as people read it; what the trail does not keep says so."""
    if isinstance(found, Mapping):
        return "; ".join(f"{label(str(name))} {value(str(name), part)}" for name, part in found.items()) or NOTHING
    if isinstance(found, list):
        separator = "–" if len(found) == 2 and all(_is_clock(part) for part in found) else ", "  # noqa: RUF001
        return separator.join(value(field, part) for part in found) or NOTHING
    if isinstance(found, str):
        words = _KINDS.get(of, {}) if field == "kind" else _VALUES.get(field, {})
        return _("(not kept)") if found == CHANGED else _(words[found]) if found in words else _instant(found)
    return _plain(field, found)


def _plain(field: str, found: Any) -> str:
    if isinstance(found, bool):
        return _("yes") if found else _("no")
    if isinstance(found, int) and field in MONEY:
        return i18n.money(found)
    return i18n.number(found) if isinstance(found, int | float) else NOTHING


NOTHING = "–"  # noqa: RUF001 -- the dash of an empty cell
_CLOCK = re.compile(r"[0-2][0-9]:[0-5][0-9]")


def _is_clock(found: Any) -> bool:
    return isinstance(found, str) and bool(_CLOCK.fullmatch(found))


def _instant(text: str) -> str:
    """Return an instant or a day in the reader's way; any other text as it is."""
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        return text or NOTHING
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return i18n.datetime(found) if found.tzinfo else i18n.date(found.date()) if len(text) == 10 else text


# What is said of a change besides what it changed: which of a product's SKUs, by which file and its line.
TOLD = frozenset({"sku", "line", "import", "undone_import"})


def differences(entry: Entry) -> list[Difference]:
    """Return what a change changed, field by field; a nested value by its own parts."""
    sides = _flat(entry.before), _flat(entry.after)
    names = [name for name in {**sides[0], **sides[1]} if name not in SILENT and not name.endswith("_id")]
    names.sort(key=lambda name: name != "sku" or name in sides[0])  # which of them comes before what became of it
    rows = []
    for name in names:
        field = name.rpartition("/")[2]
        texts = [value(field, side.get(name), entry.entity) for side in sides]
        if texts[0] == texts[1] and entry.before is not None and entry.after is not None:
            continue
        told = name in TOLD and name not in sides[0]
        only = "after" if entry.before is None or told else "before" if entry.after is None else "both"
        words = [say.WEEKDAY.get(part) or FIELDS.get(part) or part.replace("_", " ") for part in name.split("/")]
        rows.append(Difference(", ".join(_(word) for word in words), texts[0], texts[1], only))
    return rows


def _flat(side: Mapping[str, Any] | None) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, found in (side or {}).items():
        if isinstance(found, Mapping) and found:
            flat |= {f"{name}/{part}": inner for part, inner in found.items()}
        else:
            flat[name] = found
    return flat


def sentence(entry: Entry) -> str:
    """Return a change in a few words: `Location: state changed`."""
    return f"{entity(entry.entity)}: {act(entry.action)}"


def summary(entry: Entry) -> str:
    """Return the first things a change changed, on one line."""
    rows = differences(entry)
    told = [
        f"{row.label}: {row.before} → {row.after}" if row.only == "both" else f"{row.label}: {row.after}"
        for row in rows
    ]
    return ", ".join(told[:2])
