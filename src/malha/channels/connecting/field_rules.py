"""Which of a channel's texts becomes which field of an order here: rules as data, and what an order gets by them. Pure.

A rule reads one text of an order (or of each line), and may pick a part of it, replace it by another, bring it into a
form, and have a default. Of several rules for one field the first that gives anything counts; tags are collected. What
cannot be read, or is missing where it is required, fails: the order waits until the rule or the order is mended.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import msgspec
import regex
from msgspec import Meta
from msgspec.structs import replace

from malha.channels.contract import ExtAddress, ExtLine, ExtOrder
from malha.network.places import zone_of
from malha.platform.brazil import mask_document, mask_email, mask_phone, normalise_document, normalise_phone
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

MOST = 100  # of a connection
MOST_VALUES = 200
PATTERN_S = 0.02  # so long a pattern may look at one text
LONGEST_TEXT = 5_000  # of what a pattern looks at
ANYTHING = "*"
ATTRIBUTE, LINE, LINE_ATTRIBUTE = "attributes.", "line.", "line.attributes."
_SAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

# What a field of ours takes at most, in characters. Those of details are in `ordering.model.OrderDetails`.
FIELDS: Mapping[str, int] = {
    "gift_message": 1_000,
    "note": 2_000,
    "tags": 60,
    "desired_on": 10,
    "promised_on": 10,
    "seller": 80,
    "company": 200,
    "state_registration": 40,
    "customer_group": 80,
    "pickup_location": 80,
    "shipping_method": 200,
    "buyer.name": 200,
    "buyer.document": 20,
    "buyer.email": 254,
    "buyer.phone": 40,
    "ship_to.postal_code": 20,
    "ship_to.street": 200,
    "ship_to.number": 200,
    "ship_to.complement": 200,
    "ship_to.district": 200,
    "ship_to.city": 200,
    "ship_to.state": 40,
}
PERSONAL = frozenset({"buyer.document", "buyer.email", "buyer.phone"})
DAYS = frozenset({"desired_on", "promised_on"})
LONGEST_NAME, LONGEST_ATTRIBUTE, MOST_ATTRIBUTES, MOST_TAGS = 60, 500, 50, 30
# What of a channel's order a rule may read, besides what the channel itself names (`attributes.…`).
SOURCES = (
    "note",
    "status",
    "id",
    "shipping_method",
    "pickup_location",
    *(name for name in FIELDS if name.startswith(("buyer.", "ship_to."))),
)
LINE_SOURCES = ("line.sku", "line.name", "line.item", "line.gtin")


class Form(StrEnum):
    """Into which form a text is brought. Days become days of the calendar, a document one that can be."""

    AS_IS = "as_is"
    DIGITS = "digits"
    UPPER = "upper"
    LOWER = "lower"
    DAY_FIRST = "day_first"  # 31/12/2026
    MONTH_FIRST = "month_first"  # 12/31/2026
    YEAR_FIRST = "year_first"  # 2026-12-31, with or without a time
    SECONDS = "seconds"  # since 1970
    DOCUMENT = "document"  # CPF or CNPJ


class FieldRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One rule: `to` a field of ours from `source`, a text of the channel; without one always the default.

    `capture` is a pattern: its first group counts, or all that it finds. `values` replaces whole texts by others; one
    that is not among them fails unless there is a default. It counts where the text `if_field` is `if_value`, whatever
    its case; `*` is any text.
    """

    to: Annotated[str, Meta(min_length=1, max_length=120)]
    source: Annotated[str, Meta(max_length=220)] = ""
    capture: Annotated[str, Meta(max_length=200)] = ""
    values: Annotated[dict[str, str], Meta(max_length=MOST_VALUES)] = {}
    form: Form = Form.AS_IS
    default: Annotated[str, Meta(max_length=500)] = ""
    required: bool = False
    if_field: Annotated[str, Meta(max_length=220)] = ""
    if_value: Annotated[str, Meta(max_length=200)] = ""


class Given(NamedTuple):
    """What a field gets; `rule` counts from 1, `line` too and is None for the whole order; `was` is the connector's."""

    rule: int
    to: str
    line: int | None
    value: str
    was: str


class Failed(NamedTuple):
    """What a rule could not give, in words."""

    rule: int
    to: str
    line: int | None
    says: str
    mend: str
    facts: dict[str, Any]

    def text(self) -> str:
        """Return it in English, for a log."""
        where = f"rule {self.rule}, {self.to}" + (f", line {self.line}" if self.line else "")
        return f"{where}: {self.says.format_map(self.facts)}"


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What an order gets by rules: itself with other texts, what else is to be known of it, and what failed."""

    order: ExtOrder
    details: dict[str, Any] | None = None
    customer_group: str | None = None
    given: list[Given] = []
    failed: list[Failed] = []


class _Bad(Exception):
    def __init__(self, says: str, mend: str, **facts: Any) -> None:
        self.says, self.mend, self.facts = says, mend, facts
        super().__init__(says)


# --- whether rules can be ---


def check(rules: Sequence[FieldRule]) -> list[Flaw]:
    """Return what is wrong with rules, each at its row and column."""
    if len(rules) > MOST:
        return [Flaw("rules", N_("More than {most} rows."), N_("Leave some out."), {"most": MOST})]
    named = {rule.to for rule in rules if rule.to.startswith((ATTRIBUTE, LINE_ATTRIBUTE))}
    if len(named) > MOST_ATTRIBUTES:
        mend = N_("Leave some out.")
        return [Flaw("rules", N_("More than {most} fields of your own."), mend, {"most": MOST_ATTRIBUTES})]
    return [
        Flaw(f"rules/{n}/{column}", says, mend, facts)
        for n, rule in enumerate(rules)
        for column, says, mend, facts in _flaws(rule)
    ]


_Flaws = Iterator[tuple[str, str, str, dict[str, Any]]]  # column, what is wrong, how to mend it, facts


def _flaws(rule: FieldRule) -> _Flaws:
    yield from _unknown(rule)
    if not rule.source and not rule.default:
        yield "source", N_("This row gives nothing."), N_("Say where the text comes from, or give a default."), {}
    if rule.if_value and not rule.if_field:
        yield "if_field", N_("The condition asks of no field."), N_("Say which text it is about."), {}
    if rule.capture:
        try:
            regex.compile(rule.capture)
        except regex.error as error:
            yield "capture", N_("This is no pattern: {why}"), N_("Write it like order-([0-9]+)."), {"why": str(error)}
    if rule.to in DAYS and rule.source and rule.form not in _DAY_FORMS:
        mend = N_("Choose in which order day, month and year stand.")
        yield "form", N_("The form of a day is missing."), mend, {}
    if rule.default:
        try:
            _fit(rule.to, _formed(Form.YEAR_FIRST if rule.to in DAYS else Form.AS_IS, rule.default))
        except _Bad as bad:
            yield "default", bad.says, bad.mend, bad.facts


def _unknown(rule: FieldRule) -> _Flaws:
    if not _is_target(rule.to):
        mend = N_("Choose a field of the list, or attributes. or line.attributes. with a name of up to {most} letters.")
        yield "to", N_("There is no field {name}."), mend, {"name": rule.to, "most": LONGEST_NAME}
    for column in ("source", "if_field"):
        said = getattr(rule, column)
        if said and not _is_source(said):
            mend = N_("Choose one of the list, or attributes. or line.attributes. with the channel's own name.")
            yield column, N_("A channel's order has no {name}."), mend, {"name": said}


def _is_target(name: str) -> bool:
    if name in FIELDS:
        return True
    bare = name.removeprefix(LINE_ATTRIBUTE if name.startswith(LINE_ATTRIBUTE) else ATTRIBUTE)
    return bare != name and 0 < len(bare) <= LONGEST_NAME and bare.strip() == bare


def _is_source(name: str) -> bool:
    if name in SOURCES or name in LINE_SOURCES:
        return True
    return any(name.startswith(each) and len(name) > len(each) for each in (ATTRIBUTE, LINE_ATTRIBUTE))


def names_of(orders: Sequence[ExtOrder]) -> list[str]:
    """Return what rules may read of orders: what every one has, and what these name themselves."""
    own = {ATTRIBUTE + name for order in orders for name in order.attributes}
    own |= {LINE_ATTRIBUTE + name for order in orders for line in order.lines for name in line.attributes}
    return [*SOURCES, *LINE_SOURCES, *sorted(name for name in own if len(name) <= 220)]


# --- what an order gets ---


def apply(rules: Sequence[FieldRule], order: ExtOrder, zone: str) -> Applied:
    """Return what an order gets by rules; `zone` is where a promised day ends of what goes to no state."""
    if not rules:
        return Applied(order=order)
    got: dict[tuple[str, int | None], list[Given]] = {}
    missing: dict[tuple[str, int | None], Failed] = {}
    failed: list[Failed] = []
    for number, rule in enumerate(rules, 1):
        places = range(1, len(order.lines) + 1) if rule.to.startswith(LINE) else (None,)
        for place in places:
            key = rule.to, place
            if (key in got and rule.to != "tags") or not _counts(rule, order, place):
                continue
            was = _read(order, rule.to, None) if place is None and rule.to in SOURCES and rule.to != "note" else ""
            try:
                values = _values(rule, order, place)
            except _Bad as bad:
                failed.append(Failed(number, rule.to, place, bad.says, bad.mend, _kept(rule, bad.facts)))
                continue
            if values:
                got.setdefault(key, []).extend(Given(number, rule.to, place, value, was) for value in values)
            elif rule.required and not was:
                says, mend = N_("{name} is missing."), N_("Add it at the channel, or give the rule a default.")
                missing[key] = Failed(number, rule.to, place, says, mend, {"name": rule.source or rule.to})
    failed += [flaw for key, flaw in missing.items() if key not in got]
    given = [each for found in got.values() for each in found]
    failed += _too_many(given)
    if failed:
        return Applied(order=order, given=given, failed=sorted(failed, key=lambda f: (f.rule, f.line or 0)))
    return _changed(order, given, zone)


def _counts(rule: FieldRule, order: ExtOrder, place: int | None) -> bool:
    if not rule.if_field:
        return True
    said = _texts(order, rule.if_field, place)
    wanted = rule.if_value.strip().casefold()
    if wanted == ANYTHING:
        return any(said)
    return any(text.casefold() == wanted for text in said or [""])


def _values(rule: FieldRule, order: ExtOrder, place: int | None) -> list[str]:
    texts = [t for t in _texts(order, rule.source, place) if t] if rule.source else []
    if rule.to != "tags":
        texts = texts[:1]
    found: list[str] = []
    for text in texts:
        parts = [p.strip() for p in text.split(",")] if rule.to == "tags" and not rule.capture else [text]
        found += [value for part in parts if (value := _worked(rule, part))]
    if not found and rule.default:
        form = Form.YEAR_FIRST if rule.to in DAYS else Form.AS_IS
        parts = [p.strip() for p in rule.default.split(",")] if rule.to == "tags" else [rule.default]
        found = [_formed(form, part) for part in parts if part]
    for value in found:
        _fit(rule.to, value)
    return list(dict.fromkeys(found))


def _worked(rule: FieldRule, text: str) -> str:
    if rule.capture:
        text = _picked(rule.capture, text)
    if text and rule.values:
        replaced = next((v for k, v in rule.values.items() if k.strip().casefold() == text.casefold()), None)
        if replaced is None and not rule.default:
            mend = N_("Add it to the values of the rule.")
            raise _Bad(N_("{value} is not among the values of the rule."), mend, value=_short(text))
        text = (replaced or "").strip()
    return _formed(rule.form, text) if text else ""


def _picked(pattern: str, text: str) -> str:
    try:
        found = regex.search(pattern, text[:LONGEST_TEXT], timeout=PATTERN_S)
    except TimeoutError:
        raise _Bad(N_("The pattern takes too long."), N_("Write it simpler."), value=_short(text)) from None
    if found is None:
        return ""
    return str((found.group(1) if found.re.groups else found.group(0)) or "").strip()


def _formed(form: Form, text: str) -> str:
    match form:
        case Form.DIGITS:
            return "".join(c for c in text if c.isascii() and c.isdigit())
        case Form.UPPER:
            return text.upper()
        case Form.LOWER:
            return text.lower()
        case Form.DOCUMENT:
            found = normalise_document(text)
            if found is None:
                raise _Bad(N_("{value} is no CPF or CNPJ."), N_("Correct it at the channel."), value=_short(text))
            return found
        case Form.AS_IS:
            return text
        case _:
            return _day(form, text).isoformat()


_DATE = re.compile(r"(\d{1,4})\D(\d{1,2})\D(\d{1,4})(?!\d)")
_ORDERS = {Form.DAY_FIRST: (2, 1, 0), Form.MONTH_FIRST: (2, 0, 1), Form.YEAR_FIRST: (0, 1, 2)}
_DAY_FORMS = frozenset({*_ORDERS, Form.SECONDS})


def _day(form: Form, text: str) -> date:
    try:
        if form is Form.SECONDS:
            found = datetime.fromtimestamp(int(text), UTC).date()
        else:
            parts = _DATE.match(text)
            year, month, day = (parts[at + 1] for at in _ORDERS[form]) if parts else ("", "", "")
            found = date(int(f"20{year}" if len(year) == 2 else year), int(month), int(day))
    except (ValueError, OverflowError, OSError):
        found = date(1, 1, 1)
    if not 2000 <= found.year <= 2199:
        mend = N_("Correct it at the channel, or choose another form for the rule.")
        raise _Bad(N_("{value} is no day in the form of the rule."), mend, value=_short(text))
    return found


def _fit(to: str, value: str) -> None:
    most = FIELDS.get(to, LONGEST_ATTRIBUTE)
    if len(value) > most:
        mend = N_("Have the rule pick a part of it.")
        raise _Bad(N_("The text has {length} characters, more than {most}."), mend, length=len(value), most=most)


def _too_many(given: Sequence[Given]) -> list[Failed]:
    tags = [g for g in given if g.to == "tags"]
    count = len({g.value for g in tags})
    if count <= MOST_TAGS:
        return []
    says, mend = N_("There are {count} tags, more than {most}."), N_("Have the rule pick some of them.")
    return [Failed(tags[-1].rule, "tags", None, says, mend, {"count": count, "most": MOST_TAGS})]


def _texts(order: ExtOrder, name: str, place: int | None) -> list[str]:
    """Return a text of an order; of its lines, one each, unless it is asked for one line."""
    if not name.startswith(LINE):
        return [_read(order, name, None)]
    lines = order.lines if place is None else [order.lines[place - 1]]
    return [_read(order, name, line) for line in lines]


def _read(order: ExtOrder, name: str, line: ExtLine | None) -> str:
    if line is not None:
        bare = name.removeprefix(LINE)
        own = bare.startswith(ATTRIBUTE)
        said: Any = line.attributes.get(bare.removeprefix(ATTRIBUTE)) if own else getattr(line, bare)
    elif name.startswith(ATTRIBUTE):
        said = order.attributes.get(name.removeprefix(ATTRIBUTE))
    else:
        whole, _, part = name.partition(".")
        found = getattr(order, whole)
        said = getattr(found, part, None) if part else found
    return _SAFE.sub(" ", str(said)).strip() if said is not None else ""


def _kept(rule: FieldRule, facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts that may be written down: of what says who somebody is only the beginning."""
    if (rule.to in PERSONAL or rule.form is Form.DOCUMENT) and "value" in facts:
        value = facts["value"]
        return {**facts, "value": f"{value[: min(3, len(value) // 3)]}…"}
    return facts


def shown_to(applied: Applied, may: Callable[[str], bool]) -> Applied:
    """Return what an order gets as somebody sees it; `may` tells whether they hold a permission.

    Values are hidden from those who may not read orders, and of who somebody is from those who may not see it in full.
    """
    reads, reveals = may("orders:read"), may("customers:reveal")

    def shown(to: str, text: str) -> str:
        if not reads:
            return "…" if text else ""
        return text if reveals else _masked(to, text)

    given = [g._replace(value=shown(g.to, g.value), was=shown(g.to, g.was)) for g in applied.given]
    failed = [
        f if reads or "value" not in f.facts else f._replace(facts={**f.facts, "value": "…"}) for f in applied.failed
    ]
    return replace(applied, given=given, failed=failed)


def _masked(to: str, value: str) -> str:
    match to:
        case "buyer.document":
            return mask_document(value)
        case "buyer.email":
            return mask_email(value) if value else ""
        case "buyer.phone":
            return mask_phone(normalise_phone(value) or value)
        case _:
            return value


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


def _changed(order: ExtOrder, given: Sequence[Given], zone: str) -> Applied:
    """Return an order with what it was given."""
    one = {g.to: g.value for g in given if g.line is None and g.to != "tags"}
    buyer = {name.partition(".")[2]: value for name, value in one.items() if name.startswith("buyer.")}
    ship_to = {name.partition(".")[2]: value for name, value in one.items() if name.startswith("ship_to.")}
    changes: dict[str, Any] = {name: one[name] for name in ("pickup_location", "shipping_method") if name in one}
    if buyer:
        changes["buyer"] = replace(order.buyer, **buyer)
    if ship_to and order.ship_to is not None:
        changes["ship_to"] = replace(order.ship_to, **ship_to)
    elif ship_to:
        changes["ship_to"] = ExtAddress(**ship_to)
    if "promised_on" in one:
        day = date.fromisoformat(one["promised_on"])
        to = changes.get("ship_to", order.ship_to)
        is_fetched = changes.get("pickup_location", order.pickup_location)
        ends_in = zone_of(None if to is None or is_fetched else to.state.strip().upper(), zone)
        changes["promised_at"] = datetime.combine(day, time(23, 59, 59), ends_in).astimezone(UTC)
    return Applied(
        order=replace(order, **changes) if changes else order,
        details=_details(given, one) or None,
        customer_group=one.get("customer_group"),
        given=list(given),
    )


def _details(given: Sequence[Given], one: Mapping[str, str]) -> dict[str, Any]:
    names = ("gift_message", "note", "desired_on", "seller", "company", "state_registration")
    details: dict[str, Any] = {name: one[name] for name in names if name in one}
    tags = list(dict.fromkeys(g.value for g in given if g.to == "tags"))
    attributes = {name.removeprefix(ATTRIBUTE): value for name, value in one.items() if name.startswith(ATTRIBUTE)}
    lines: dict[int, dict[str, str]] = {}
    for each in given:
        if each.line is not None:
            lines.setdefault(each.line, {})[each.to.removeprefix(LINE_ATTRIBUTE)] = each.value
    if tags:
        details["tags"] = tags
    if attributes:
        details["attributes"] = attributes
    if lines:
        details["lines"] = [{"line": line, "attributes": found} for line, found in sorted(lines.items())]
    return details
