"""Values as Tryton writes them, and the marks by which what is told once is found again."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from malha.channels.connectors.tryton.config import ID_MAX
from malha.channels.contract import Ctx, Missing, ShipmentPush

MINOR = {"JPY": 0, "CLP": 0, "PYG": 0, "KRW": 0, "VND": 0, "KWD": 3, "BHD": 3, "OMR": 3, "TND": 3, "JOD": 3}


def mark_of(number: str, key: str) -> str:
    """Return the reference of a document."""
    return f"{number} #{key}"


def parcel_of(shipment: ShipmentPush) -> str:
    """Return the reference of a parcel."""
    return " ".join(part for part in (shipment.carrier, shipment.tracking, f"#{shipment.shipment}") if part)


def whose(ctx: Ctx) -> str:
    """Return the beginning of what a connection writes beside its documents."""
    return f"Malha {ctx.connection.code}:"


def like(text: str) -> str:
    """Return a text as part of a pattern."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def id_of(text: str) -> int:
    """Return the id of a sale.

    Raises:
        Missing: it can be none.
    """
    if not (text.isascii() and text.isdigit() and int(text) <= ID_MAX):
        raise Missing(f"there is no sale {text}")
    return int(text)


def major(amount: int, currency: str) -> dict[str, str]:
    """Return an amount as Tryton writes it."""
    value = Decimal(amount).scaleb(-MINOR.get(currency, 2))
    return {"__class__": "Decimal", "decimal": format(value, "f")}


def minor_of(said: Any, currency: str) -> int:
    """Return minor units; what Tryton keeps more exactly is rounded half up."""
    value = Decimal(said["decimal"]) if isinstance(said, Mapping) else Decimal(said)
    return int(value.scaleb(MINOR.get(currency, 2)).quantize(Decimal(1), ROUND_HALF_UP))


def whole(said: Any) -> int:
    """Return whole units; parts of a unit are left out."""
    value = Decimal(said or 0)
    return int(value // 1)


def date_of(day: date) -> dict[str, Any]:
    """Return a day as Tryton writes it."""
    return {"__class__": "date", "year": day.year, "month": day.month, "day": day.day}


def instant(said: Mapping[str, Any]) -> datetime:
    """Return an instant as Tryton writes it."""
    return datetime(**{k: int(v) for k, v in said.items() if k != "__class__"}, tzinfo=UTC)


def micros_of(at: datetime) -> int:
    """Return microseconds since 1970."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
