"""Orders that an old system drops as files: rows that bear one number are one order, wherever they stand in the file.

A file is read three times at the most, a row at a time. First the rows of each number are counted; so an order is known
to be whole when its last row comes, and only those that are begun are in memory. An order with a row that cannot be
used is held as a whole: half an order is another order.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import BinaryIO

import msgspec

from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.erp_tables import ATTRIBUTE, minor_of, table_of, under, unplaced
from malha.channels.connectors.filed import FilesConfig, style_of
from malha.channels.connectors.filed_rows import Bad, Reading, moment_of, whole_of, yes_of
from malha.channels.connectors.partner_tables import Row
from malha.channels.contract import (
    ExtAddress,
    ExtBuyer,
    ExtLine,
    ExtOrder,
    ExtPayment,
    ExtState,
    FileTold,
    Listed,
    PaidState,
    RowFlaw,
)

ROWS = 500_000
LONGEST = 120  # of a number
OPEN = frozenset({
    "", "aberto", "aberta", "open", "novo", "nova", "new", "pendente", "pending", "aprovado", "aprovada", "approved",
    "confirmado", "confirmada", "confirmed", "pago", "paga", "paid", "faturar", "liberado", "liberada", "processing",
})  # fmt: skip
CANCELLED = frozenset({"cancelado", "cancelada", "cancelled", "canceled"})
# Of the buyer, and where it goes: what stands there is shown to nobody who only mends files.
OF_PEOPLE = frozenset({
    "buyer_name", "buyer_document", "buyer_email", "buyer_phone", "postal_code", "street", "number", "complement",
    "district", "city", "state", "country", "note",
})  # fmt: skip
OF_LINES = frozenset({"line", "cancelled", "sku", "gtin", "name", "quantity", "unit_price", "line_discount"})


class Begun(msgspec.Struct):
    """An order of which not all rows were read yet: what each says of its line, and what they say of it together."""

    left: int
    rows: list[int] = []
    lines: list[ExtLine] = []
    said: dict[str, str] = {}
    attributes: list[dict[str, str]] = []
    flawed: bool = False


class Orders:
    """The orders of a file, read from it each time they are asked for."""

    def __init__(
        self,
        config: FilesConfig,
        body: BinaryIO,
        modified: datetime,
        headings: Mapping[str, str],
        currency: str,
        places: Mapping[str, str],
    ) -> None:
        self._config = config
        self._modified = modified
        self._body = body
        self._table = table_of("orders", headings)
        self._currency = currency
        self._places = places
        self._rows: Counter[str] = Counter()  # of each number
        self._beside: set[str] = set()  # numbers that a row which cannot be read may bear

    def __iter__(self) -> Iterator[Listed]:
        return self._listed(self._reading())

    def told(self) -> FileTold:
        """Return what the file tells.

        Raises:
            Invalid: it is no such table.
        """
        self._count()
        reading = self._reading()
        for _ in self._listed(reading):
            pass
        flaws = sorted(reading.flaws, key=lambda f: f.row)
        return FileTold(kind="orders", rows=reading.count, listed=self, flaws=flaws)

    def _found(self) -> Iterator[Row | RowFlaw]:
        return tables.rows("orders", self._body, style_of(self._config), most=ROWS, table=self._table)

    def _reading(self) -> Reading:
        return Reading(self._found())

    def _count(self) -> None:
        """Count the rows of each number; a row that cannot be read may be of the orders beside it."""
        before, lost = "", False
        for each in self._found():
            if isinstance(each, RowFlaw):
                if unplaced(each):
                    lost = True
                    self._beside |= {before} - {""}
                continue
            number = each["order"]
            self._rows[number] += 1
            if lost:
                self._beside.add(number)
            before, lost = number, False

    def _listed(self, reading: Reading) -> Iterator[Listed]:
        begun: dict[str, Begun] = {}
        for row in reading.rows():
            number = row["order"]
            if number not in begun:
                begun[number] = Begun(self._rows[number])
            order = begun[number]
            order.left -= 1
            try:
                self._take(order, row)
            except Bad as bad:
                order.flawed = True
                reading.bad(row, bad)
            else:
                order.rows.append(row.line)
            if order.left == 0:
                del begun[number]
                yield from self._ended(reading, number, order)

    def _ended(self, reading: Reading, number: str, order: Begun) -> Iterator[Listed]:
        """Yield an order whose rows were all read, or set them aside together."""
        if number in self._beside:
            reading.flaws += [RowFlaw(row, "beside_unreadable", "order", number) for row in order.rows]
            return
        rows = order.rows
        if not order.flawed:
            try:
                told = self._order(number, order)
            except Bad as bad:
                reading.flaws.append(RowFlaw(rows[0], bad.problem, bad.field, bad.value))
                rows = rows[1:]
            else:
                yield Listed(rows, told)
                return
        reading.flaws += [RowFlaw(row, "with_others") for row in rows]

    def _take(self, order: Begun, row: Row) -> None:
        """Take a row into its order."""
        for name, text in row.cells.items():
            if not text or name in OF_LINES or ":" in name:  # of its line, or an attribute
                continue
            if order.said.setdefault(name, text) != text:
                raise Bad("other_person", name, "") if name in OF_PEOPLE else Bad("other_value", name, text)
        if not row["quantity"] and tables.fold(row["status"] or order.said.get("status", "")) in CANCELLED:
            return  # that it is cancelled says all
        order.attributes.append(under(row, ATTRIBUTE))
        order.lines.append(self._line(row))

    def _line(self, row: Row) -> ExtLine:
        numbers, currency = self._config.numbers, row["currency"].upper() or self._currency
        if not row["sku"] and not row["gtin"]:
            raise Bad("empty_field", "sku", "")
        for name in ("quantity", "unit_price"):
            if not row[name]:
                raise Bad("empty_field", name, "")
        quantity = whole_of(self._config, row, "quantity", least=1)
        cancelled = whole_of(self._config, row, "cancelled")
        if cancelled > quantity:
            raise Bad("no_quantity", "cancelled", row["cancelled"])
        return ExtLine(
            quantity=quantity,
            cancelled=cancelled,
            unit_price=minor_of(row["unit_price"], numbers, currency, "unit_price"),
            discount=minor_of(row["line_discount"], numbers, currency, "line_discount") if row["line_discount"] else 0,
            id=row["line"][:100],
            sku=row["sku"][:200],
            gtin=row["gtin"][:20],
            name=row["name"][:200],
        )

    def _order(self, number: str, order: Begun) -> ExtOrder:
        if len(number) > LONGEST:
            raise Bad("too_long", "order", number)
        head = Row(order.rows[0], order.said)
        word = tables.fold(head["status"])
        state = ExtState.CANCELLED if word in CANCELLED else ExtState.OPEN if word in OPEN else ExtState.UNKNOWN
        currency = head["currency"].upper() or self._currency
        placed_at = moment_of(self._config, head, "placed_at")
        if placed_at is None:
            if order.lines:
                raise Bad("empty_field", "placed_at", "")
            placed_at = self._modified  # of an order that is cancelled and says no more
        shared, own = _attributes(order.attributes)
        lines = [msgspec.structs.replace(line, attributes=mine) for line, mine in zip(order.lines, own, strict=True)]
        shipping = self._amount(head, "shipping", currency) or 0
        discount = self._amount(head, "discount", currency) or 0
        total = self._amount(head, "total", currency)
        sold = sum(line.quantity * line.unit_price - line.discount for line in lines) + shipping - discount
        pickup = head["pickup_location"]
        return ExtOrder(
            id=number,
            version=0,
            placed_at=placed_at,
            currency=currency,
            lines=lines,
            state=state,
            status=head["status"][:80],
            total=total,
            shipping=shipping,
            discount=discount,
            buyer=_buyer(head),
            ship_to=_address(head),
            shipping_method=head["shipping_method"][:200],
            pickup_location=self._places.get(pickup, pickup),
            payments=self._payments(number, head, sold if total is None else total),
            promised_at=moment_of(self._config, head, "promised_at"),
            note=head["note"][:1_000],
            attributes=shared,
        )

    def _amount(self, head: Row, name: str, currency: str) -> int | None:
        return minor_of(head[name], self._config.numbers, currency, name) if head[name] else None

    def _payments(self, number: str, head: Row, amount: int) -> list[ExtPayment]:
        if not head["payment"]:
            return []
        paid_at = moment_of(self._config, head, "paid_at")
        paid = yes_of(head, "paid", empty=paid_at is not None)
        return [
            ExtPayment(
                id=head["payment_id"][:200] or f"{number}-1",
                method=head["payment"][:200],
                amount=amount,
                state=PaidState.CAPTURED if paid else PaidState.PENDING,
                installments=max(1, whole_of(self._config, head, "installments")),
                paid_at=paid_at,
            )
        ]


def _buyer(head: Row) -> ExtBuyer:
    return ExtBuyer(
        name=head["buyer_name"][:200],
        document=head["buyer_document"] or None,
        email=head["buyer_email"] or None,
        phone=head["buyer_phone"] or None,
    )


def _address(head: Row) -> ExtAddress | None:
    names = ("postal_code", "street", "number", "complement", "district", "city", "state")
    if not any(head[name] for name in names):
        return None
    return ExtAddress(country=_country(head), **{name: head[name] for name in names})


def _country(head: Row) -> str:
    """Return the two letters of a country; what else there is would be cut to those of another one."""
    said = head["country"].strip()
    if tables.fold(said) in {"", "brasil", "brazil"}:
        return "BR"
    if not re.fullmatch("[A-Za-z]{2}", said):
        raise Bad("unknown_word", "country", said)
    return said.upper()


def _attributes(found: Sequence[Mapping[str, str]]) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return what all rows of an order say alike, which is the order's, and what each says of its line besides."""
    first = found[0] if found else {}
    shared = {name: text for name, text in first.items() if all(each.get(name) == text for each in found)}
    return shared, [{name: text for name, text in each.items() if name not in shared} for each in found]
