"""Two years of a retailer, written by COPY: orders with all that belongs to them, customers, the ledger.

Everything follows from a row's number, so a size gives the same rows every time; only the instants are counted back
from now. Statuses are as of a Tuesday afternoon: one order in a hundred is open,
a week's worth, and one in twenty of them is late. What the pages read is all there;
claims of open orders are not in the balances, so this is not for the doctor.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg

from malha.inventory import closing
from malha.platform.brazil import cpf_check_digits
from malha.platform.db import Database
from malha.platform.text import fold

YEARS = 2
MOVEMENTS_PER_ORDER = 10
LOCATIONS = 30
CHUNK = 5_000
FIRSTS = tuple(
    "Ana Bruno Carla Davi Elisa Fábio Gabriela Hugo Iara Joana Kleber Larissa Marina Nilton Otávio Paula Quitéria "  # noqa: SIM905
    "Rafael Sílvia Tadeu Úrsula Vitor Wagner Yara Zilda Antônia Benedito Cecília Domingos Eunice".split()
)
LASTS = tuple(
    "Albuquerque Barreto Cavalcanti Dantas Espíndola Falcão Gonçalves Holanda Ibiapina Jardim Klein Lacerda "  # noqa: SIM905
    "Medeiros Nogueira Oliveira Pacheco Queiroz Rabelo Siqueira Tavares Uchoa Vasconcelos Wanderley Ximenes Zanatta "
    "Araújo Brandão".split()
)
CITIES = (
    "São Paulo",
    "Rio de Janeiro",
    "Belo Horizonte",
    "Salvador",
    "Recife",
    "Fortaleza",
    "Curitiba",
    "Porto Alegre",
)
STATES = ("SP", "RJ", "MG", "BA", "PE", "CE", "PR", "RS")
# Of a hundred open orders; the rest is delivered, four in a hundred cancelled.
OPEN = (
    ["allocated"] * 24 + ["picking"] * 20 + ["packed"] * 10 + ["invoiced"] * 10 + ["ready"] * 10 + ["shipped"] * 20
    + ["on_hold"] * 3 + ["awaiting_payment"] * 2 + ["unplaced"]
)  # fmt: skip
UNIT_OF = {"on_hold": "allocated", "awaiting_payment": "allocated", "picking": "picking"}
WORK_OF = {
    "picking": "picking", "packed": "packed", "invoiced": "packed", "ready": "ready", "shipped": "closed",
    "delivered": "closed",
}  # fmt: skip

# Set-based and few: what the rest refers to.
NETWORK = """
WITH entity AS (
    INSERT INTO legal_entity (name, cnpj_root) VALUES ('Bench', '12345678') RETURNING id
), seat AS (
    INSERT INTO establishment (legal_entity_id, code, name, cnpj, state)
    SELECT id, 'BENCH', 'Bench', '12345678000195', 'SP' FROM entity RETURNING id
), place AS (
    INSERT INTO location (code, name, kind, establishment_id, state, can_pickup)
    SELECT 'L' || n, 'Location ' || n, CASE WHEN n <= 3 THEN 'distribution_centre' ELSE 'store' END, seat.id, 'SP',
           n > 3
    FROM seat, generate_series(1, %(locations)s::int) n
), carrier AS (
    INSERT INTO service (code, name, carrier) VALUES ('standard', 'Standard', 'Carrier')
), goods AS (
    INSERT INTO product (code, name) SELECT 'P' || n, 'Product ' || n FROM generate_series(1, %(skus)s::int) n
    RETURNING id
)
INSERT INTO channel (code, name, kind) SELECT 'C' || n, 'Channel ' || n, 'web' FROM generate_series(1, 4) n
"""
VARIANTS = """
INSERT INTO variant (product_id, sku, name, gtin, weight_grams, price, folded)
SELECT p.id, 'SKU' || p.id, p.name, g.gtin, 500, 1990, lower(p.name) || ' sku' || p.id || ' p' || p.id || ' ' || g.gtin
FROM product p
CROSS JOIN LATERAL (SELECT '789' || lpad(p.id::text, 9, '0') AS base) b
CROSS JOIN LATERAL (
    SELECT b.base || mod(10 - mod(sum(substr(b.base, i, 1)::int * (1 + 2 * mod(i + 1, 2))), 10), 10) AS gtin
    FROM generate_series(1, 12) i
) g
ORDER BY p.id
"""
# Indexes of the filled tables that no constraint needs: building one is far quicker than keeping it while copying.
DROPPABLE = """
SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
WHERE t.relname = ANY(%(tables)s::text[]) AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
ORDER BY 1
"""
LAST_NUMBERS = """
SELECT setval(pg_get_serial_sequence('sales_order', 'number'), (SELECT max(number) FROM sales_order)),
       setval(pg_get_serial_sequence('customer', 'number'), (SELECT max(number) FROM customer)),
       setval(pg_get_serial_sequence('fulfillment_order', 'number'), (SELECT max(number) FROM fulfillment_order)),
       setval(pg_get_serial_sequence('movement', 'id'), (SELECT max(id) FROM movement))
"""


class Size(msgspec.Struct, frozen=True):
    """How much there is of what, from the number of orders."""

    orders: int

    @property
    def movements(self) -> int:
        """Return the rows of the ledger."""
        return self.orders * MOVEMENTS_PER_ORDER

    @property
    def customers(self) -> int:
        """Return the profiles."""
        return max(self.orders // 3, 1)

    @property
    def skus(self) -> int:
        """Return the SKUs."""
        return max(self.orders // 50, 100)

    @property
    def pairs(self) -> int:
        """Return the balances."""
        return self.skus * LOCATIONS


class Line(msgspec.Struct, frozen=True):
    """One line of an order."""

    line: int
    sku: int
    quantity: int
    price: int


class Past:
    """Rows by their number. `now` is when the past ends."""

    def __init__(self, size: Size, now: datetime) -> None:
        self.size = size
        self.now = now
        self.start = now - timedelta(days=365 * YEARS)
        self.step = (now - self.start).total_seconds() / size.orders
        self.open = max(size.orders // 100, 1)

    def order_id(self, n: int) -> str:
        """Return an order's id; ids grow with time, as those of real orders do."""
        return f"01900000-0000-7000-8000-{n:012x}"

    def placed(self, n: int) -> datetime:
        """Return when an order was placed."""
        return self.start + timedelta(seconds=self.step * n)

    def status(self, n: int) -> str:
        """Return an order's status."""
        if n > self.size.orders - self.open:
            return OPEN[n * 7 % 100]
        return "cancelled" if n % 25 == 0 else "delivered"

    def due(self, n: int) -> datetime | None:
        """Return when an open order is due; None for those that are done."""
        if n <= self.size.orders - self.open:
            return None
        return self.now + timedelta(hours=1 + n % 72) if n % 20 else self.now - timedelta(hours=1 + n % 48)

    def customer(self, n: int) -> int:
        """Return who placed an order."""
        return 1 + n * 48_271 % self.size.customers

    def person(self, c: int) -> tuple[str, str, str, str]:
        """Return a customer's name, CPF, e-mail and telephone."""
        first, last, middle = FIRSTS[c % 30], LASTS[c // 30 % 27], LASTS[c // 810 % 27]
        base = f"{100_000_000 + c:09d}"[-9:]
        email = f"{fold(first)}.{fold(last)}.{c}@example.com"
        return (
            f"{first} {middle} {last}",
            base + cpf_check_digits(base),
            email,
            f"+55119{80_000_000 + c % 20_000_000:08d}",
        )

    def lines(self, n: int) -> tuple[Line, Line]:
        """Return an order's two lines."""
        one, other = 1 + n * 7_919 % self.size.skus, 1 + (n * 104_729 + 17) % self.size.skus
        return Line(1, one, 1 + n % 3, 1_990), Line(2, other, 1, 4_990)

    def total(self, n: int) -> int:
        """Return an order's total in centavos, with 15 reais of shipping."""
        return sum(line.quantity * line.price for line in self.lines(n)) + 1_500

    def location(self, n: int, line: int) -> int:
        """Return where a line comes from: now and then another place than its neighbour."""
        return 1 + (n * 31 + (line if n % 10 == 0 else 0)) % LOCATIONS

    def works(self, n: int) -> bool:
        """Return whether an order was ever released."""
        return self.status(n) in WORK_OF


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode().replace("\\", "\\\\")


class _Copy(msgspec.Struct, frozen=True):
    """A table, its columns, and its rows by number: texts with tabs between the values."""

    table: str
    columns: str
    rows: Callable[[int], str]
    count: int


def _copies(past: Past) -> list[_Copy]:  # noqa: C901, PLR0915 -- one small function a table, side by side
    size = past.size
    people = [past.person(c) for c in range(size.customers + 1)]
    folded = [fold(f"{name} {cpf} {email} {phone}") for name, cpf, email, phone in people]
    ships = [
        _json({"postal_code": "01310100", "street": "Rua A", "number": "1", "city": city, "state": state})
        for city, state in zip(CITIES, STATES, strict=True)
    ]
    channels = 4

    def customer(c: int) -> str:
        name, cpf, email, phone = people[c]
        return f"02900000-0000-7000-8000-{c:012x}\t{c}\t{name}\t{cpf}\t{email}\t{phone}\t{{}}\t{folded[c]}"

    def order(n: int) -> str:
        c, at = past.customer(n), past.placed(n)
        name, cpf, email, phone = people[c]
        total, id_ = past.total(n), past.order_id(n)
        pickup = n % 6 == 0
        promised = (past.due(n) or at + timedelta(days=5)).isoformat()
        # What is allocated waits for its window: the worker must not begin to release while the reads are measured.
        release = (past.now + timedelta(days=1) if past.status(n) == "allocated" else at).isoformat()
        return (
            f"{id_}\t{n}\t{1 + n % channels}\tEXT-{n}\t{id_}\t{at.isoformat()}\t{past.status(n)}\t{total - 1500}\t"
            f"1500\t{total}\t{'pickup' if pickup else 'ship'}\t1\t{4 + n % 27 if pickup else chr(92) + 'N'}\t"
            f"{name}\t{cpf}\t{email}\t{phone}\t{ships[n % 8]}\t{STATES[n % 8]}\t"
            f"{promised}\t{release}\t5"
        )

    def line(n: int) -> str:
        id_ = past.order_id(n)
        return "\n".join(
            f"{id_}\t{x.line}\t{x.sku}\tSKU{x.sku}\tProduct {x.sku}\t{x.quantity}\t{x.price}\t0\t{x.quantity * x.price}"
            for x in past.lines(n)
        )

    def unit(n: int) -> str:
        id_, status = past.order_id(n), past.status(n)
        state = UNIT_OF.get(status, status)
        work = f"03900000-0000-7000-8000-{n:012x}" if status in WORK_OF else "\\N"
        parcel = f"04900000-0000-7000-8000-{n:012x}" if status in WORK_OF and status != "picking" else "\\N"
        return "\n".join(
            f"{id_}\t{x.line}\t1\t{x.sku}\t{x.quantity}\t{state}\t"
            f"{chr(92) + 'N' if state == 'unplaced' else past.location(n, x.line)}\t{work}\t{parcel}"
            for x in past.lines(n)
        )

    def owner(n: int) -> str:
        return f"{past.order_id(n)}\t02900000-0000-7000-8000-{past.customer(n):012x}"

    def place(n: int) -> str:
        if past.status(n) == "unplaced":
            return ""
        places = sorted({past.location(n, x.line) for x in past.lines(n)})
        return "\n".join(f"{location}\t{past.placed(n).isoformat()}\t{past.order_id(n)}" for location in places)

    def hold(n: int) -> str:
        kind = {"on_hold": "manual", "awaiting_payment": "payment", "unplaced": "shortage"}.get(past.status(n))
        return f"05900000-0000-7000-8000-{n:012x}\t{past.order_id(n)}\t{kind}" if kind else ""

    def search(n: int) -> str:
        c = past.customer(n)
        skus = " ".join(f"sku{x.sku}" for x in past.lines(n))
        text = f"{n} ext-{n} {folded[c]} {people[c][3][1:]} {skus}"
        return f"{past.order_id(n)}\t{past.placed(n).isoformat()}\t{text}"

    def timeline(n: int) -> str:
        id_, at = past.order_id(n), past.placed(n)
        steps = [
            "order.placed",
            "fulfillment.released",
            "fulfillment.packed",
            "fulfillment.shipped",
            "shipment.delivered",
        ]
        kept = steps if past.status(n) == "delivered" else steps[: 4 if past.works(n) else 1]
        facts = _json({"location_id": past.location(n, 1), "total": past.total(n)})
        return "\n".join(
            f"{id_}\t{seq}\t{(at + timedelta(hours=seq)).isoformat()}\t{kind}\tsystem\t{facts}"
            for seq, kind in enumerate(kept, 1)
        )

    def work(n: int) -> str:
        if not past.works(n):
            return ""
        at = past.placed(n)
        state = WORK_OF[past.status(n)]
        due = past.due(n) or at + timedelta(hours=30)
        return (
            f"03900000-0000-7000-8000-{n:012x}\t{n}\t{past.order_id(n)}\t{past.location(n, 1)}\t"
            f"{'pickup' if n % 6 == 0 else 'ship'}\t1\t{state}\t{at.date()}\t{at.isoformat()}\t{due.isoformat()}"
        )

    def parcel(n: int) -> str:
        if not past.works(n) or past.status(n) == "picking":
            return ""
        shipped = past.placed(n) + timedelta(hours=4) if past.status(n) in {"shipped", "delivered"} else None
        return (
            f"04900000-0000-7000-8000-{n:012x}\t03900000-0000-7000-8000-{n:012x}\t{past.order_id(n)}\tCarrier\t"
            f"BR{n:09d}\t{shipped.isoformat() if shipped else chr(92) + 'N'}"
        )

    def invoiced(n: int) -> bool:
        return past.status(n) in {"invoiced", "ready", "shipped", "delivered"}

    def document(n: int) -> str:
        if not invoiced(n):
            return ""
        at = past.placed(n).isoformat()
        return (
            f"06900000-0000-7000-8000-{n:012x}\t1\t55\t{n // 900_000_000 + 1}\t{n}\t{n:044d}\terp\tfulfillment\t"
            f"03900000-0000-7000-8000-{n:012x}\t{past.total(n)}\t{at}\t{at}"
        )

    def document_line(n: int) -> str:
        if not invoiced(n):
            return ""
        return "\n".join(
            f"06900000-0000-7000-8000-{n:012x}\t{x.line}\t{past.order_id(n)}\t{x.line}\t{x.sku}\t{x.quantity}\t"
            f"{x.quantity * x.price}"
            for x in past.lines(n)
        )

    def tender(n: int) -> str:
        return f"07900000-0000-7000-8000-{n:012x}\t{past.order_id(n)}\t1\tpix\t{past.total(n)}"

    def paid(n: int) -> bool:
        return past.status(n) != "awaiting_payment"

    def entry(n: int) -> str:
        tender_id = f"07900000-0000-7000-8000-{n:012x}"
        at = past.placed(n).isoformat()
        return (
            f"08900000-0000-7000-8000-{n:012x}\t{tender_id}\tcaptured\t{past.total(n)}\tPG{n}\t{at}" if paid(n) else ""
        )

    def payment(n: int) -> str:
        return f"{past.order_id(n)}\t{'paid' if paid(n) else 'unpaid'}\t{past.total(n) if paid(n) else 0}"

    def balance(n: int) -> str:
        pair, sku, location = _pair(n, size)
        rounds = (size.movements - 1 - pair) // size.pairs + 1 if pair < size.movements else 0
        shipped, allocated = max(rounds - 1, 0) // 2, max(rounds - 1, 0) % 2
        return f"{sku}\t{location}\t{1_000 - shipped if rounds else 0}\t{allocated}"

    pace = (past.now - past.start).total_seconds() / size.movements

    def movement(n: int) -> str:
        at = (past.start + timedelta(seconds=pace * n)).isoformat()
        _, sku, location = _pair(n, size)
        what = (n - 1) // size.pairs
        if what == 0:
            return f"{n}\t{at}\t{at}\t{sku}\t{location}\t1000\t0\tinitial\t\\N"
        if what % 2:
            return f"{n}\t{at}\t{at}\t{sku}\t{location}\t0\t1\torder\t{past.order_id(n // MOVEMENTS_PER_ORDER)}"
        return f"{n}\t{at}\t{at}\t{sku}\t{location}\t-1\t-1\tship\t{past.order_id(n // MOVEMENTS_PER_ORDER)}"

    orders = size.orders
    return [
        _Copy("customer", "id, number, name, document, email, phone, address, folded", customer, size.customers),
        _Copy(
            "sales_order",
            "id, number, channel_id, external_id, body_hash, placed_at, status, items_total, shipping_total, total, "
            "method, service_id, pickup_location_id, buyer_name, buyer_document, buyer_email, buyer_phone, ship_to, "
            "ship_state, promised_at, release_after, seq",
            order,
            orders,
        ),
        _Copy(
            "order_line", "order_id, line, sku_id, sku_text, name, quantity, unit_price, discount, total", line, orders
        ),
        _Copy(
            "order_unit",
            "order_id, line, part, sku_id, quantity, state, location_id, fulfillment_id, shipment_id",
            unit,
            orders,
        ),
        _Copy("order_customer", "order_id, customer_id", owner, orders),
        _Copy("order_location", "location_id, placed_at, order_id", place, orders),
        _Copy("order_hold", "id, order_id, kind", hold, orders),
        _Copy("order_search", "order_id, placed_at, document", search, orders),
        _Copy("order_timeline", "order_id, seq, at, type, actor, facts", timeline, orders),
        _Copy(
            "fulfillment_order",
            "id, number, order_id, location_id, method, service_id, state, capacity_day, released_at, due_at",
            work,
            orders,
        ),
        _Copy("shipment", "id, fulfillment_id, order_id, carrier, tracking_code, shipped_at", parcel, orders),
        _Copy(
            "fiscal_document",
            "id, establishment_id, model, series, number, access_key, provider, source_kind, source_id, total, "
            "issued_at, authorised_at",
            document,
            orders,
        ),
        _Copy("fiscal_line", "document_id, item, order_id, line, sku_id, quantity, total", document_line, orders),
        _Copy("tender", "id, order_id, position, kind, amount", tender, orders),
        _Copy("payment_entry", "id, tender_id, kind, amount, reference, occurred_at", entry, orders),
        _Copy("order_payment", "order_id, state, captured", payment, orders),
        _Copy("balance", "sku_id, location_id, on_hand, allocated", balance, size.pairs),
        _Copy(
            "movement",
            "id, recorded_at, occurred_at, sku_id, location_id, d_on_hand, d_allocated, reason, ref_id",
            movement,
            size.movements,
        ),
    ]


def _pair(n: int, size: Size) -> tuple[int, int, int]:
    """Return the balance that row `n` belongs to (from 0), its SKU and its location."""
    pair = (n - 1) % size.pairs
    return pair, 1 + pair // LOCATIONS, 1 + pair % LOCATIONS


def _chunks(copy: _Copy) -> Iterator[str]:
    for first in range(1, copy.count + 1, CHUNK):
        rows = [row for n in range(first, min(first + CHUNK, copy.count + 1)) if (row := copy.rows(n))]
        if rows:
            yield "\n".join(rows) + "\n"


async def write(db: Database, size: Size, now: datetime, say: Callable[[str], None]) -> Past:
    """Fill an empty, migrated retailer; afterwards every table has its indexes and its statistics."""
    async with db.transaction() as tx:
        await tx.execute(NETWORK, {"locations": LOCATIONS, "skus": size.skus})
        await tx.execute(VARIANTS)
    past = Past(size, now)
    month = past.start
    while month < now:  # the months that are over, then those ahead
        async with db.transaction() as tx:
            await closing.make_months(tx, month.astimezone(UTC))
        month += timedelta(days=28)
    copies = _copies(past)
    with psycopg.connect(db.url, autocommit=True) as connection:
        for setting in (f"search_path = {db.retailer}, malha_ext, public", "synchronous_commit = off"):
            connection.execute(f"SET {setting}".encode())
        connection.execute("SET maintenance_work_mem = '512MB'")
        connection.execute("SET session_replication_role = replica")  # no look-up of every foreign key
        rows = connection.execute(DROPPABLE, {"tables": [copy.table for copy in copies]}).fetchall()
        for name, _definition in rows:
            connection.execute(f"DROP INDEX {name}".encode())
        for copy in copies:
            say(f"Writing {copy.count:,} of {copy.table}")
            with (
                connection.cursor() as cursor,
                cursor.copy(f"COPY {copy.table} ({copy.columns}) FROM STDIN".encode()) as to,
            ):
                for chunk in _chunks(copy):
                    to.write(chunk)
        for name, definition in rows:
            say(f"Building {name}")
            connection.execute(definition.replace(" ON ONLY ", " ON ").encode())
        connection.execute(LAST_NUMBERS)
        say("Closing the months of the ledger")
        async for _month in closing.care_for_ledger(db):
            pass
        say("Vacuuming")
        connection.execute("VACUUM (ANALYZE)")
    return past
