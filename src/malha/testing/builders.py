"""Small worlds for tests: a network, products with stock, orders at some point of their life.

Builders write rows straight, so that a test of one capability does not run through all others; stock is claimed through
`inventory.service`, so the ledger and the balances agree from the first row on.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import msgspec

from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.ordering import rules as ordering_rules
from malha.ordering.events import OrderPlaced
from malha.ordering.model import HoldKind, UnitState
from malha.payments import service as payments
from malha.payments.model import NewTender
from malha.platform import outbox
from malha.platform.brazil import build_access_key, cnpj_check_digits
from malha.platform.db import Actor, Tx
from malha.platform.i18n import DEFAULT_ZONE
from malha.platform.ids import UUID, new_id

ADD_ENTITY = "INSERT INTO legal_entity (name, cnpj_root) VALUES (%(name)s::text, %(root)s::text) RETURNING id"
ADD_ESTABLISHMENT = """
INSERT INTO establishment (legal_entity_id, code, name, cnpj, state, document_policy)
VALUES (%(entity)s::int, %(code)s::text, %(code)s::text, %(cnpj)s::text, %(state)s::text, %(policy)s::text) RETURNING id
"""
ADD_LOCATION = """
INSERT INTO location (code, name, kind, establishment_id, state, opening_hours, can_pickup, cut_off, daily_capacity,
                      handling_cost, line_cost, holiday_calendar, latitude, longitude)
VALUES (%(code)s::text, %(code)s::text, %(kind)s::text, %(establishment)s::int, %(state)s::text, %(hours)s::jsonb, true,
        '23:59', %(capacity)s::int, %(cost)s::int, 10, '-', -23.5, -46.6)
RETURNING id
"""
ADD_CHANNEL = """
INSERT INTO channel (code, name, kind, payment_policy, shortage_policy, release_delay_minutes)
VALUES (%(code)s::text, %(code)s::text, %(kind)s::text, %(payment)s::text, %(shortage)s::text, 0) RETURNING id
"""
ADD_SERVICE = """
INSERT INTO service (code, name, carrier, method)
VALUES (%(code)s::text, %(code)s::text, 'Correios', %(method)s::text) RETURNING id
"""
ADD_RATE = """
INSERT INTO service_rate (service_id, from_state, to_state, max_grams, price, lead_days)
VALUES (%(service)s::int, '*', '*', 30000, 1500, 3)
"""
ADD_PRODUCT = """
INSERT INTO product (code, name, ncm) VALUES (%(sku)s::text, %(sku)s::text, '61091000')
ON CONFLICT (code) DO UPDATE SET name = excluded.name RETURNING id
"""
ADD_VARIANT = """
INSERT INTO variant (product_id, sku, name, weight_grams, price, is_kit)
VALUES (%(product)s::int, %(sku)s::text, %(sku)s::text, 300, %(price)s::int, %(kit)s::bool) RETURNING id
"""
ADD_COMPONENT = """
INSERT INTO kit_component (kit_id, component_id, quantity) VALUES (%(kit)s::int, %(component)s::int, %(quantity)s::int)
"""
ADD_ORDER = """
INSERT INTO sales_order (id, channel_id, external_id, body_hash, placed_at, status, items_total, discount_total,
    shipping_total, total, method, service_id, pickup_location_id, buyer_name, buyer_document, ship_to, ship_state,
    release_after)
VALUES (%(id)s::uuid, %(channel)s::int, %(external_id)s::text, %(id)s::uuid, now(), %(status)s::text,
    %(items)s::bigint, %(discount)s::bigint, %(shipping)s::bigint, %(total)s::bigint, %(method)s::text,
    %(service)s::int, %(pickup)s::int, 'Maria da Silva', '52998224725', %(ship_to)s::jsonb, %(state)s::text, now())
"""
ADD_LINE = """
INSERT INTO order_line (order_id, line, sku_id, sku_text, name, quantity, unit_price, discount, total)
SELECT %(order)s::uuid, %(line)s::smallint, %(sku)s::int, coalesce(v.sku, %(text)s::text), coalesce(v.name, ''),
       %(quantity)s::int, %(price)s::bigint, %(discount)s::bigint, %(quantity)s::int * %(price)s::bigint -
       %(discount)s::bigint
FROM (SELECT 1) one LEFT JOIN variant v ON v.id = %(sku)s::int
"""
ADD_ORDER_COMPONENT = """
INSERT INTO order_component (order_id, line, sku_id, quantity)
VALUES (%(order)s::uuid, %(line)s::smallint, %(sku)s::int, %(quantity)s::int)
"""
ADD_UNIT = """
INSERT INTO order_unit (order_id, line, part, sku_id, quantity, state, location_id)
VALUES (%(order)s::uuid, %(line)s::smallint, %(part)s::smallint, %(sku)s::int, %(quantity)s::int, %(state)s::text,
        %(location)s::int)
"""
ADD_HOLD = """
INSERT INTO order_hold (id, order_id, kind) VALUES (%(id)s::uuid, %(order)s::uuid, %(kind)s::text)
"""
KIT_OF = "SELECT component_id, quantity FROM kit_component WHERE kit_id = %(sku)s::int ORDER BY component_id"

# Every day, all day: no test may depend on the hour it runs at.
ALWAYS_OPEN = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
ADDRESS = {
    "postal_code": "01310100",
    "street": "Avenida Paulista",
    "number": "1000",
    "district": "Bela Vista",
    "city": "São Paulo",
    "state": "SP",
}
_encode = msgspec.json.Encoder().encode
_numbers = count(1)


class World(msgspec.Struct, frozen=True):
    """Ids by code of what `a_network` made, and the CNPJ of each establishment."""

    establishments: dict[str, int]
    locations: dict[str, int]
    channels: dict[str, int]
    services: dict[str, int]
    cnpjs: dict[str, str]


class Sold(msgspec.Struct, frozen=True):
    """One line of an order to build. `at` None leaves its units without a location; `sku_id` None is an unknown SKU."""

    sku_id: int | None
    quantity: int = 1
    price: int = 1000
    discount: int = 0
    at: str | None = "DC"
    waiting: UnitState = UnitState.UNPLACED


async def a_person(tx: Tx, actor: Actor, *, role: str = "manager") -> None:
    """Insert the person that an actor is, by its id: with a role, and at the actor's locations."""
    await tx.execute(
        "INSERT INTO person (id, name, email, role, everywhere)"
        " VALUES (%s::uuid, %s::text, %s::text, %s::text, %s::boolean)",
        (actor.id, actor.name, f"{actor.name.lower()}@loja.test", role, actor.locations is None),
    )
    await tx.execute(
        "INSERT INTO person_location (person_id, location_id) SELECT %s::uuid, unnest(%s::int[])",
        (actor.id, actor.scope or []),
    )


def in_days(days: int) -> date:
    """Return a day from today as the retailer's calendar has it: at 22:00 in São Paulo, UTC says tomorrow already."""
    return datetime.now(ZoneInfo(DEFAULT_ZONE)).date() + timedelta(days=days)


async def a_network(tx: Tx, *, capacity: int | None = None, policy: str = "required") -> World:
    """Write two establishments (SP, RJ), a distribution centre and two stores, three channels, two services.

    `web` wants its money before release, `till` on delivery, `mall` settles with us. Locations are open at all hours.
    """
    establishments, cnpjs = {}, {}
    for root, code, state in (("11222333", "SP1", "SP"), ("AB345678", "RJ1", "RJ")):
        entity = await tx.value(ADD_ENTITY, {"name": code, "root": root})
        cnpjs[code] = f"{root}0001{cnpj_check_digits(f'{root}0001')}"
        row = {"entity": entity, "code": code, "cnpj": cnpjs[code], "state": state, "policy": policy}
        establishments[code] = await tx.value(ADD_ESTABLISHMENT, row)
    locations = {}
    for code, kind, owner, state, cost in (
        ("DC", "distribution_centre", "SP1", "SP", 100),
        ("S1", "store", "SP1", "SP", 300),
        ("S2", "store", "RJ1", "RJ", 500),
    ):
        row = {
            "code": code,
            "kind": kind,
            "establishment": establishments[owner],
            "state": state,
            "hours": _encode(ALWAYS_OPEN).decode(),
            "capacity": capacity,
            "cost": cost,
        }
        locations[code] = await tx.value(ADD_LOCATION, row)
    channels = {}
    for code, kind, payment, shortage in (
        ("web", "web", "before_release", "hold"),
        ("till", "store", "on_delivery", "backorder"),
        ("mall", "marketplace", "settled_by_channel", "reject"),
    ):
        row = {"code": code, "kind": kind, "payment": payment, "shortage": shortage}
        channels[code] = await tx.value(ADD_CHANNEL, row)
    services = {
        code: await tx.value(ADD_SERVICE, {"code": code, "method": method})
        for code, method in (("standard", "ship"), ("pickup", "pickup"))
    }
    await tx.execute(ADD_RATE, {"service": services["standard"]})
    return World(establishments, locations, channels, services, cnpjs)


ADD_AT_SITE = """
INSERT INTO location (code, name, kind, establishment_id, site_id, state, opening_hours, can_pickup, cut_off,
                      daily_capacity, handling_cost, line_cost, holiday_calendar, latitude, longitude)
SELECT %(code)s::text, %(code)s::text, kind, %(establishment)s::int, id, state, opening_hours, can_pickup, cut_off,
       daily_capacity, handling_cost, line_cost, holiday_calendar, latitude, longitude
FROM location WHERE id = %(site)s::int
RETURNING id
"""


async def an_owner_at(tx: Tx, world: World, site: str, owner: str, *, root: str | None = None) -> str:
    """Write a location for the goods of an owner at another location's site; return its code, like `DC-SP1`.

    An owner that is not there yet is made, a franchise in the site's state, when the `root` of its CNPJ is given.
    """
    if owner not in world.establishments and root is not None:
        entity = await tx.value(ADD_ENTITY, {"name": owner, "root": root})
        await tx.execute("UPDATE legal_entity SET kind = 'franchise' WHERE id = %(id)s::int", {"id": entity})
        world.cnpjs[owner] = f"{root}0001{cnpj_check_digits(f'{root}0001')}"
        row = {"entity": entity, "code": owner, "cnpj": world.cnpjs[owner], "state": "SP", "policy": "required"}
        world.establishments[owner] = await tx.value(ADD_ESTABLISHMENT, row)
    code = f"{site}-{owner}"
    facts = {"code": code, "establishment": world.establishments[owner], "site": world.locations[site]}
    world.locations[code] = await tx.value(ADD_AT_SITE, facts)
    return code


async def a_product(
    tx: Tx,
    world: World,
    sku: str,
    *,
    stock: Mapping[str, int] | None = None,
    components: Mapping[int, int] | None = None,
    price: int = 1000,
) -> int:
    """Write a product with one SKU and its stock per location code; with `components`, a kit. Returns the SKU's id."""
    product = await tx.value(ADD_PRODUCT, {"sku": sku})
    row = {"product": product, "sku": sku, "price": price, "kit": bool(components)}
    sku_id: int = await tx.value(ADD_VARIANT, row)
    for component, quantity in (components or {}).items():
        await tx.execute(ADD_COMPONENT, {"kit": sku_id, "component": component, "quantity": quantity})
    goods = [Claim(sku_id, world.locations[code], quantity) for code, quantity in (stock or {}).items()]
    if goods:
        await inventory.set_on_hand(tx, goods, Reference("test"), Reason.INITIAL)
    return sku_id


async def an_order(
    tx: Tx,
    world: World,
    lines: int | Sequence[Sold] = 2,
    *,
    channel: str = "web",
    method: str = "ship",
    pickup_at: str = "S1",
    discount: int = 0,
    shipping: int = 0,
    paid: str | None = "captured",
    holds: Sequence[HoldKind] = (),
) -> UUID:
    """Write an order whose units are claimed where its lines say, and its `OrderPlaced`.

    `lines=2` makes two new SKUs with ten units of stock at DC each and sells one of each. `paid` is the state of one
    tender over the total; None: no tender.

    Raises:
        AssertionError: the stock does not cover the lines.
    """
    order_id = new_id()
    if isinstance(lines, int):
        skus = [await a_product(tx, world, f"T{order_id.hex[-8:]}-{n}", stock={"DC": 10}) for n in range(lines)]
        lines = [Sold(sku) for sku in skus]
    items = sum(x.quantity * x.price - x.discount for x in lines)
    rows, claims, components = await _units(tx, world, lines)
    status = ordering_rules.derive_status([UnitState(str(r["state"])) for r in rows], list(holds))
    await tx.execute(
        ADD_ORDER,
        {
            "id": order_id,
            "channel": world.channels[channel],
            "external_id": f"T-{next(_numbers)}-{order_id.hex[-6:]}",
            "status": status.value,
            "items": items,
            "discount": discount,
            "shipping": shipping,
            "total": items - discount + shipping,
            "method": method,
            "service": world.services["standard" if method == "ship" else "pickup"],
            "pickup": world.locations[pickup_at] if method == "pickup" else None,
            "ship_to": _encode(ADDRESS).decode() if method == "ship" else None,
            "state": "SP" if method == "ship" else None,
        },
    )
    for n, sold in enumerate(lines, 1):
        await tx.execute(
            ADD_LINE,
            {
                "order": order_id,
                "line": n,
                "sku": sold.sku_id,
                "text": f"UNKNOWN-{n}",
                "quantity": sold.quantity,
                "price": sold.price,
                "discount": sold.discount,
            },
        )
    for n, sku, each in components:
        await tx.execute(ADD_ORDER_COMPONENT, {"order": order_id, "line": n, "sku": sku, "quantity": each})
    for row in rows:
        await tx.execute(ADD_UNIT, {"order": order_id, **row})
    for kind in holds:
        await tx.execute(ADD_HOLD, {"id": new_id(), "order": order_id, "kind": kind.value})
    short = await inventory.reserve(tx, claims, Reference("order", order_id))
    if short:
        raise AssertionError(f"the stock does not cover the lines: {short}")
    total = items - discount + shipping
    if paid is not None and total:
        tender = NewTender(order_id=order_id, position=1, kind="pix", amount=total, state=paid)
        await payments.record_tenders(tx, [tender], {order_id: total})
    event = OrderPlaced(
        id=order_id,
        seq=1,
        channel_id=world.channels[channel],
        total=total,
        status=status.value,
        holds=[kind.value for kind in holds],
        locations=sorted({c.location_id for c in claims}),
    )
    await outbox.add(tx, event)
    return order_id


async def _units(
    tx: Tx, world: World, lines: Sequence[Sold]
) -> tuple[list[dict[str, object]], list[Claim], list[tuple[int, int, int]]]:
    rows: list[dict[str, object]] = []
    claims: list[Claim] = []
    components: list[tuple[int, int, int]] = []
    for n, sold in enumerate(lines, 1):
        location = world.locations[sold.at] if sold.at and sold.sku_id is not None else None
        kit = await tx.tuples(KIT_OF, {"sku": sold.sku_id})
        components += [(n, sku, each) for sku, each in kit]
        for part, (sku, each) in enumerate(kit or [(sold.sku_id, 1)], 1):
            state = sold.waiting if location is None else UnitState.ALLOCATED
            quantity = sold.quantity * each
            rows.append(
                {"line": n, "part": part, "sku": sku, "quantity": quantity, "state": state.value, "location": location}
            )
            if location is not None:
                claims.append(Claim(sku, location, quantity))
    return rows, claims, components


def an_access_key(
    world: World, establishment: str = "SP1", *, number: int = 1, series: int = 1, model: str = "55"
) -> str:
    """Return the access key of a document issued now by one of the establishments of `a_network`."""
    today = datetime.now(UTC)
    return build_access_key(
        state=establishment[:2],
        year=today.year,
        month=today.month,
        issuer=world.cnpjs[establishment],
        model=model,
        series=series,
        number=number,
        code=f"{number % 10**8:08d}",
    )
