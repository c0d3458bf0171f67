"""A text and the facts of an order become a message: plain words, and for mail a page that mail clients show well.

All values are escaped where they meet HTML; addresses become links only if they are web addresses. A paragraph whose
every placeholder is empty is left out, so one text serves orders with and without a promise.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, StrictUndefined, Template

from malha.notifications.model import (
    KINDS,
    TEMPLATE_LANGUAGES,
    Channel,
    Facts,
    Item,
    Kind,
    Look,
    Parcel,
    Rendered,
    Text,
)
from malha.notifications.rules import Paragraph, numbered, parse
from malha.platform import i18n
from malha.platform.clock import now
from malha.platform.i18n import N_, _
from malha.platform.money import Money

HOLD_REASONS = {
    "address": N_("The address is incomplete or could not be found. Please send us the complete delivery address."),
    "address_check": N_("The CEP of the address is of another state. Please send us the correct delivery address."),
    "customer": N_("The CPF or CNPJ of the order is not valid. Please send us the correct one."),
    "shortage": N_("An item is missing at the moment. We are looking for it and will keep you informed."),
}
PROMISE_REASONS = {
    "stock_late": N_("The goods reach us later than expected."),
    "stock_sooner": N_("The goods reach us sooner than expected."),
    "carrier_late": N_("The carrier needs more time than expected."),
    "capacity": N_("We have more orders than usual and need a little longer."),
    "paid_late": N_("We count from the day on which your payment reached us."),
    "placed": N_("Everything you ordered has been found."),
    "customer_asked": N_("You asked for it."),
}


class Part(msgspec.Struct, frozen=True):
    """A paragraph as the page draws it."""

    kind: str
    value: Any
    text: str


def render(text: Text, kind: Kind, facts: Facts, look: Look, language: str) -> Rendered:
    """Return the message in a language."""
    with i18n.speaking(language):
        words = _words(facts, look)
        placeholders = KINDS[kind].placeholders
        subject = " ".join("".join(_filled(p, words)) for p in parse(text.subject, placeholders))
        parts = [part for p in parse(text.body, placeholders) if (part := _part(p, words, facts))]
        plain = "\n\n".join(part.text for part in parts)
        contact = [x for x in (look.support_email, look.support_phone, look.website) if x]
        shop = look.retailer.removesuffix(".")  # the sentence ends with one
        footer = _("You receive this message because you bought at {retailer}.", retailer=shop)
        html = _layout().render(
            language=language,
            subject=subject,
            preview=next((p.text for p in parts[1:] if p.kind == "words"), subject),
            parts=parts,
            look=look,
            footer=footer,
            contact=contact,
            wishes=look.wishes_address if _is_web(look.wishes_address) else "",
            wishes_word=_("Choose what you want to get"),
            code_word=_("Tracking code"),
        )
        below = [footer, *contact]
        if look.wishes_address:
            below.append(_("Choose what you want to get") + ": " + look.wishes_address)
        return Rendered(subject, "\n\n".join([plain, "-- \n" + "\n".join(below)]) + "\n", html)


def render_short(text: Text, kind: Kind, facts: Facts, look: Look, language: str, channel: Channel) -> Rendered:
    """Return a message in plain words only. Of an approved text the name and what fills it come along.

    An approved text is fixed: a fact that is missing becomes a dash, and no paragraph is left out.
    """
    with i18n.speaking(language):
        words = _words(facts, look)
        placeholders = KINDS[kind].placeholders
        if channel is Channel.WHATSAPP:
            fixed = {name: value or "\N{EN DASH}" for name, value in words.items()}
            body = "\n\n".join("".join(_filled(p, fixed)) for p in parse(text.body, placeholders))
            _numbered, names = numbered(text.body, placeholders)
            name, _colon, tongue = text.subject.partition(":")
            spoken = tongue or TEMPLATE_LANGUAGES.get(language, language)
            # Gateways refuse line breaks and runs of blanks in what fills a text.
            filling = tuple(" ".join(fixed.get(each, "").split()) for each in names)
            return Rendered("", body, "", name, spoken, filling)
        parts = [
            "".join(_filled(p, words))
            for p in parse(text.body, placeholders)
            if not p.names or any(words.get(name) for name in p.names)
        ]
        return Rendered("", " ".join(" ".join(parts).split()), "")


def example(language: str, address: str) -> Facts:
    """Return invented facts, to show a text while there is no order."""
    today = i18n.local(now()).date()
    with i18n.speaking(language):
        items = (Item(_("Linen shirt, white, M"), 2, Money(35_980)), Item(_("Leather belt, brown"), 1, Money(12_990)))
        return Facts(
            order_number=1042,
            customer_name="Marina",
            order_total=Money(48_970),
            order_date=today,
            promised_day=today + timedelta(days=4),
            tracking_address=address,
            items=items,
            sent_items=items[:1],
            waiting_items=items[1:],
            more_follows=True,
            cancelled_items=items[1:],
            replaced_items=items[1:],
            replacing_items=(Item(_("Leather belt, black"), 1, Money(9_990)),),
            parcels=(Parcel("Correios", "AA123456785BR", ""),),
            amount=Money(12_990),
            awaits_payment=True,
            hold_kind="shortage",
            former_day=today + timedelta(days=2),
            promise_reason="carrier_late",
            pickup_code="482913",
            pickup_day=today + timedelta(days=7),
            pickup_place=(_("Downtown store"), "Rua XV de Novembro, 120, Centro", "Curitiba \N{EN DASH} PR"),
        )


def filled_up(real: Facts, made_up: Facts, kind: Kind) -> Facts:
    """Return a real order's facts with invented ones where it has none that a kind of message tells of."""
    told = {
        Kind.SHIPPED: ("parcels", "sent_items"),
        Kind.OUT_FOR_DELIVERY: ("parcels", "sent_items"),
        Kind.DELIVERED: ("parcels", "sent_items"),
        Kind.ON_HOLD: ("hold_kind",),
        Kind.LATE: ("promised_day", "waiting_items"),
        Kind.REPROMISED: ("promised_day", "former_day", "promise_reason"),
        Kind.READY: ("pickup_code", "pickup_day", "pickup_place"),
        Kind.PICKUP_REMINDER: ("pickup_code", "pickup_day", "pickup_place"),
        Kind.CANCELLED: ("cancelled_items", "amount"),
        Kind.CANCELLED_IN_PART: ("cancelled_items", "amount"),
        Kind.REPLACED: ("replaced_items", "replacing_items", "amount"),
        Kind.REFUNDED: ("amount",),
    }
    missing = {name: getattr(made_up, name) for name in told.get(kind, ()) if not getattr(real, name)}
    return msgspec.structs.replace(real, **missing)


def _words(facts: Facts, look: Look) -> dict[str, str]:
    def day(value: date | None) -> str:
        said = i18n.date(value) if value else ""
        return f"{said}, {value:%H:%M}" if isinstance(value, datetime) else said

    return {
        "customer_name": facts.customer_name,
        "retailer": look.retailer,
        "order_number": str(facts.order_number),
        "order_total": i18n.money(facts.order_total),
        "order_date": day(facts.order_date),
        "promised_day": day(facts.promised_day),
        "first_day": day(facts.first_day),
        "tracking_code": facts.parcels[0].tracking_code if facts.parcels else "",
        "pickup_counter": facts.pickup_place[0] if facts.pickup_place else "",
        "former_day": day(facts.former_day),
        "promise_reason": _(PROMISE_REASONS[facts.promise_reason]) if facts.promise_reason in PROMISE_REASONS else "",
        "tracking_address": facts.tracking_address,
        "amount": i18n.money(facts.amount) if facts.amount else "",
        "payment_note": _("We are waiting for your payment; after that we prepare it.") if facts.awaits_payment else "",
        "rest_note": _("The rest of your order comes separately.") if facts.more_follows else "",
        "hold_reason": _(HOLD_REASONS[facts.hold_kind]) if facts.hold_kind in HOLD_REASONS else "",
        "pickup_code": facts.pickup_code,
        "pickup_day": day(facts.pickup_day),
    }


def _filled(paragraph: Paragraph, words: Mapping[str, str]) -> list[str]:
    return [words.get(span.text, "") if span.placeholder else span.text for span in paragraph.spans]


def _part(paragraph: Paragraph, words: Mapping[str, str], facts: Facts) -> Part | None:
    if paragraph.block:
        return _BLOCKS[paragraph.block](facts)
    if paragraph.names and not any(words.get(name) for name in paragraph.names):
        return None
    filled = _filled(paragraph, words)
    spans = [(text, span.bold) for text, span in zip(filled, paragraph.spans, strict=True)]
    return Part("words", spans, "".join(filled))


def _items(items: tuple[Item, ...], *sums: tuple[str, Money | None], priced: bool = True) -> Part | None:
    if not items:
        return None
    rows = [
        {
            "name": x.name,
            "quantity": i18n.n_("{n} unit", "{n} units", x.quantity),
            "total": i18n.money(x.total) if priced else "",
        }
        for x in items
    ]
    told = [(_(word), i18n.money(amount)) for word, amount in sums if amount is not None]
    lines = [f"{x.quantity} x {x.name}" + (f": {i18n.money(x.total)}" if priced else "") for x in items]
    lines += [f"{word}: {amount}" for word, amount in told]
    return Part("items", _Table(rows, told), "\n".join(lines))


def _all_items(facts: Facts) -> Part | None:
    return _items(
        facts.items,
        (N_("Delivery"), facts.shipping),
        (N_("Discount"), facts.discount),
        (N_("Total"), facts.order_total),
    )


class _Table(msgspec.Struct, frozen=True):
    rows: list[dict[str, str]]
    sums: list[tuple[str, str]]  # the last one is the total


def _button(facts: Facts) -> Part | None:
    if not _is_web(facts.tracking_address):
        return None
    label = _("Follow the order")
    return Part("button", {"href": facts.tracking_address, "label": label}, f"{label}: {facts.tracking_address}")


def _parcels(facts: Facts) -> Part | None:
    if not facts.parcels:
        return None
    rows = [
        {
            "carrier": p.carrier or _("Delivery"),
            "code": p.tracking_code,
            "href": p.tracking_url if _is_web(p.tracking_url) else "",
        }
        for p in facts.parcels
    ]
    lines = [" ".join(x for x in (r["carrier"], r["code"], r["href"]) if x) for r in rows]
    return Part("parcels", rows, "\n".join(lines))


def _code(facts: Facts) -> Part | None:
    return Part("code", facts.pickup_code, facts.pickup_code) if facts.pickup_code else None


def _place(facts: Facts) -> Part | None:
    return Part("lines", facts.pickup_place, "\n".join(facts.pickup_place)) if facts.pickup_place else None


_BLOCKS = {
    "items": _all_items,
    "sent_items": lambda facts: _items(facts.sent_items, priced=False),
    "waiting_items": lambda facts: _items(facts.waiting_items, priced=False),
    "cancelled_items": lambda facts: _items(facts.cancelled_items),
    "repromised_items": lambda facts: _items(facts.repromised_items),
    "replaced_items": lambda facts: _items(facts.replaced_items),
    "replacing_items": lambda facts: _items(facts.replacing_items),
    "track_button": _button,
    "parcels": _parcels,
    "code_box": _code,
    "pickup_place": _place,
}


def _is_web(address: str) -> bool:
    return address.startswith(("https://", "http://"))


@cache
def _layout() -> Template:
    source = (files("malha.notifications") / "layout.html").read_text("utf-8")
    env = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return env.from_string(source)
