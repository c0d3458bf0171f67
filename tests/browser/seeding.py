"""A small retailer for the pages, made by the product's own use cases: every state of an order, invented people and goods.

Orders come in through the gate and are led on step by step; then their times are spread over the last days, so that a
page shows what a Tuesday afternoon looks like.
"""

import asyncio
import random
from datetime import datetime, timedelta
from typing import Any

import msgspec

from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as work
from malha.fulfillment.model import RejectReason, Short, Tracking
from malha.identity import service as identity
from malha.intake.gate import Gate
from malha.intake.model import Buyer, NewLine, NewOrder, NewPayment
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.ordering import cancelling, edits, holds
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish, HoldKind
from malha.platform.address import Address
from malha.platform.brazil import build_access_key, cnpj_check_digits, cpf_check_digits
from malha.platform.db import Actor, Database, Tx
from malha.platform.ids import UUID
from malha.platform.subscribers import drain
from malha.platform.text import fold

OWNER = ("Helena Prates", "helena@aroeira.example", "rede de descanso 7")
# code, name, kind, state, city, latitude, longitude, cost per parcel
PLACES = [
    ("CD-CAJ", "CD Cajamar", "distribution_centre", "SP", "Cajamar", -23.35, -46.88, 240),
    ("CD-JAB", "CD Jaboatão", "distribution_centre", "PE", "Jaboatão dos Guararapes", -8.11, -35.01, 260),
    ("REC-01", "Recife Boa Viagem", "store", "PE", "Recife", -8.12, -34.90, 520),
    ("JPA-01", "João Pessoa Manaíra", "store", "PB", "João Pessoa", -7.10, -34.84, 500),
    ("NAT-01", "Natal Tirol", "store", "RN", "Natal", -5.80, -35.20, 540),
    ("SSA-01", "Salvador Barra", "store", "BA", "Salvador", -13.01, -38.53, 560),
    ("SAO-01", "São Paulo Pinheiros", "store", "SP", "São Paulo", -23.56, -46.69, 610),
    ("BHZ-01", "Belo Horizonte Savassi", "store", "MG", "Belo Horizonte", -19.94, -43.93, 580),
]  # fmt: skip
CHANNELS = [
    ("site", "Site", "web"),
    ("app", "App", "app"),
    ("mktp", "Mercado Azul", "marketplace"),
    ("loja", "Loja", "store"),
]
GOODS = [
    ("AR-1180-CR", "Rede de descanso Jaguaribe, casal, cru", 34990, 1400),
    ("AR-2041-QA", "Jogo de cama Percal 300 fios, queen, areia", 42990, 1800),
    ("AR-3307-TE", "Toalha de banho Felpa 500 g, terracota", 5990, 520),
    ("AR-1412-AZ", "Manta de algodão Sertão, anil", 18990, 900),
    ("AR-5520-NA", "Tapete de sisal Cariri 2 × 3 m", 89900, 6200),
    ("AR-2210-BR", "Almofada Renascença 45 cm, branca", 9690, 400),
    ("AR-4410-VE", "Cortina de linho Mandacaru, verde", 37970, 1500),
    ("AR-6107-OC", "Cesto de palha Buriti, grande", 12600, 1100),
    ("AR-7001-CR", "Colcha Filé Alagoano, king", 71880, 2300),
    ("AR-3308-MA", "Toalha de rosto Felpa 500 g, mate", 2990, 180),
]
RARE = ("AR-9000-SU", "Banco de sucupira maciça", 124900, 9000)  # fmt: skip
PEOPLE = [
    ("Iara Nogueira", "João Pessoa", "PB", "58038310"), ("Caio Menezes", "Recife", "PE", "51020010"),
    ("Tainá Moura", "Jaboatão dos Guararapes", "PE", "54400010"), ("Sérgio Pimentel", "Belo Horizonte", "MG", "30130010"),
    ("Dalva Siqueira", "Olinda", "PE", "53020010"), ("Bruno Azevedo", "Salvador", "BA", "40140010"),
    ("Otávio Brandão", "Campinas", "SP", "13010010"), ("Luíza Tavares", "São Paulo", "SP", "01310100"),
    ("Aline Barreto", "Natal", "RN", "59020010"), ("Renato Queiroz", "Caruaru", "PE", "55002010"),
    ("Vitor Sarmento", "Maceió", "AL", "57030010"), ("Jonas Teles", "Recife", "PE", "51020020"),
    ("Elisa Couto", "Porto Alegre", "RS", "90010010"), ("Marina Falcão", "São Paulo", "SP", "05422010"),
    ("Maria das Graças Cavalcanti de Albuquerque", "Fortaleza", "CE", "60115010"),
]  # fmt: skip
# how far an order goes, how many do, hours since it was placed
STORIES = [
    ("unpaid", 5, 2), ("fraud", 3, 3), ("held", 2, 20), ("unknown_sku", 2, 5), ("shortage", 3, 6), ("allocated", 9, 1),
    ("released", 7, 4), ("accepted", 6, 6), ("part_picked", 4, 7), ("rerouted", 3, 8), ("packed", 6, 9), ("invoiced", 6, 12),
    ("ready", 7, 26), ("shipped", 12, 60), ("delivered", 16, 150), ("collected", 4, 100), ("cancelled", 5, 70),
    ("part_cancelled", 2, 5),
]  # fmt: skip
STEPS = ["released", "accepted", "picked", "packed", "invoiced", "gone", "delivered"]
REACHES = {
    "released": "released", "accepted": "accepted", "part_picked": "accepted", "rerouted": "released", "packed": "packed",
    "invoiced": "invoiced", "ready": "gone", "shipped": "gone", "delivered": "delivered", "collected": "delivered",
}  # fmt: skip
PICKUPS = frozenset({"ready", "collected"})

SPREAD = """
UPDATE sales_order o SET placed_at = %(at)s::timestamptz, received_at = %(at)s::timestamptz,
       promised_at = %(promised)s::timestamptz WHERE id = %(id)s::uuid
"""
SPREAD_TIMELINE = """
UPDATE order_timeline t SET at = %(at)s::timestamptz + (t.seq - 1) * (%(step)s::int * interval '1 second')
WHERE order_id = %(id)s::uuid
"""
SPREAD_SEARCH = "UPDATE order_search SET placed_at = %(at)s::timestamptz WHERE order_id = %(id)s::uuid"
SPREAD_WORK = """
UPDATE fulfillment_order SET released_at = %(at)s::timestamptz + interval '16 minutes', due_at = %(due)s::timestamptz
WHERE order_id = %(id)s::uuid
"""
SPREAD_PARCELS = """
UPDATE shipment SET shipped_at = %(at)s::timestamptz + interval '6 hours',
       delivered_at = CASE WHEN delivered_at IS NOT NULL THEN %(at)s::timestamptz + interval '50 hours' END
WHERE order_id = %(id)s::uuid AND shipped_at IS NOT NULL
"""
SPREAD_MONEY = """
UPDATE payment_entry SET occurred_at = %(at)s::timestamptz + interval '1 minute'
WHERE tender_id IN (SELECT id FROM tender WHERE order_id = %(id)s::uuid)
"""


async def seed(database: Database) -> None:
    """Fill an empty, migrated schema; afterwards every subscriber has seen everything."""
    rng = random.Random(7)
    async with database.transaction() as tx:
        owner = await identity.create_first_owner(tx, name=OWNER[0], email=OWNER[1], password=OWNER[2])
        await reference(tx)
    plan = [story for story in STORIES for _ in range(story[1])]
    rng.shuffle(plan)
    plan.sort(key=lambda story: -story[2])
    gate = Gate(database)
    await gate.open()
    try:
        placed = [await gate.submit(an_order(i, kind)) for i, (kind, _share, _hours) in enumerate(plan)]
    finally:
        await gate.close()
    actor = Actor("person", str(owner), OWNER[0])
    numbers = iter(range(5001, 9000))
    for order, (kind, _share, _hours) in zip(placed, plan, strict=True):
        await lead(database, actor, order.id, kind, numbers)
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        at = await tx.now()
        for i, (order, (kind, _share, hours)) in enumerate(zip(placed, plan, strict=True)):
            await spread(tx, i, order.id, kind, at - timedelta(minutes=hours * 60 * (0.7 + 0.6 * rng.random())), at)


async def reference(tx: Tx) -> None:
    """Make the retailer: its company, places, channels, one delivery service, goods and stock."""
    await tx.execute("ALTER TABLE sales_order ALTER COLUMN number RESTART WITH 104590")
    entity = await tx.value(
        "INSERT INTO legal_entity (name, cnpj_root) VALUES ('Aroeira Casa', '11222333') RETURNING id"
    )
    locations: dict[str, int] = {}
    for i, (code, name, kind, state, city, lat, lon, cost) in enumerate(PLACES, 1):
        base = f"11222333{i:04d}"
        establishment = await tx.value(
            "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state) VALUES (%(e)s::int, %(code)s::text, "
            "%(name)s::text, %(cnpj)s::text, %(state)s::text) RETURNING id",
            {
                "e": entity,
                "code": code,
                "name": f"Aroeira {name}",
                "cnpj": base + cnpj_check_digits(base),
                "state": state,
            },
        )
        locations[code] = await tx.value(
            "INSERT INTO location (code, name, kind, establishment_id, state, address, can_pickup, latitude, longitude, "
            "handling_cost, line_cost, cut_off, opening_hours, holiday_calendar) VALUES (%(code)s::text, %(name)s::text, "
            "%(kind)s::text, %(e)s::int, %(state)s::text, %(a)s::jsonb, %(p)s::boolean, %(lat)s::float8, %(lon)s::float8, "
            "%(cost)s::int, 60, '23:59', %(hours)s::jsonb, '-') RETURNING id",
            {
                "code": code, "name": name, "kind": kind, "e": establishment, "state": state,
                "a": dumps({"city": city, "state": state}), "p": kind == "store", "lat": lat, "lon": lon, "cost": cost,
                "hours": dumps({d: [["00:00", "24:00"]] for d in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}),
            },
        )  # fmt: skip
    for code, name, kind in CHANNELS:
        await tx.execute(
            "INSERT INTO channel (code, name, kind) VALUES (%(c)s::text, %(n)s::text, %(k)s::text)",
            {"c": code, "n": name, "k": kind},
        )
    service = await tx.value(
        "INSERT INTO service (code, name, carrier) VALUES ('expressa', 'Entrega expressa', 'Jadlog') RETURNING id"
    )
    for origin in sorted({place[3] for place in PLACES}):
        for target in sorted({person[2] for person in PEOPLE}):
            far = 1200 + (0 if origin == target else 900 + 130 * (sum(map(ord, origin + target)) % 17))
            await tx.execute(
                "INSERT INTO service_rate (service_id, from_state, to_state, max_grams, price, lead_days) "
                "VALUES (%(s)s::int, %(o)s::text, %(t)s::text, 30000, %(p)s::int, %(d)s::int)",
                {"s": service, "o": origin, "t": target, "p": far, "d": 1 if origin == target else 3},
            )
    stock = []
    for n, (sku, name, price, grams) in enumerate([*GOODS, RARE]):
        product = await tx.value(
            "INSERT INTO product (code, name) VALUES (%(c)s::text, %(n)s::text) RETURNING id", {"c": sku, "n": name}
        )
        variant = await tx.value(
            "INSERT INTO variant (product_id, sku, name, price, weight_grams) VALUES (%(p)s::int, %(s)s::text, "
            "%(n)s::text, %(price)s::int, %(g)s::int) RETURNING id",
            {"p": product, "s": sku, "n": name, "price": price, "g": grams},
        )
        if sku == RARE[0]:
            stock.append(Claim(variant, locations["SSA-01"], 2))
            continue
        # The two distribution centres do not have everything; stores have little of each.
        stock += [
            Claim(variant, id_, 400 if i < 2 else 90)
            for i, id_ in enumerate(locations.values())
            if i > 1 or (i + n) % 3
        ]
    await inventory.receive(tx, stock, Reference("receipt", text="abertura"))


def an_order(i: int, kind: str) -> NewOrder:
    name, city, state, cep = PEOPLE[i % len(PEOPLE)]
    pickup = kind in PICKUPS or (kind == "accepted" and i % 3 == 0)
    base = f"{100000000 + i * 7919}"[-9:]
    lines = []
    for n in range(1 + i % 3):
        sku, _title, price, _grams = GOODS[(i * 3 + n * 4) % len(GOODS)]
        quantity = 1 + (i + n) % 4
        if kind == "unknown_sku" and n == 0:
            lines.append(NewLine(sku="MLA-99812", quantity=quantity, unit_price=price, name="Rede azul 2 lugares"))
        elif kind == "shortage" and n == 0:
            lines.append(NewLine(sku=RARE[0], quantity=3, unit_price=RARE[2]))
        else:
            lines.append(NewLine(sku=sku, quantity=quantity, unit_price=price))
    items = sum(line.quantity * line.unit_price for line in lines)
    discount = items // 10 if i % 5 == 0 else 0
    shipping = 0 if pickup else 2490
    total = items - discount + shipping
    store = [place[0] for place in PLACES if place[2] == "store"][i % 6]
    return NewOrder(
        channel=CHANNELS[i % 4][0],
        external_id=f"AR{2026000 + i}",
        lines=lines,
        customer=Buyer(
            name=name,
            document=base + cpf_check_digits(base),
            email=fold(name).replace(" ", ".") + "@exemplo.com.br",
            phone=f"(83) 9{80000000 + i * 31337}"[:14],
        ),
        ship_to=None
        if pickup
        else Address(
            postal_code="" if kind == "held" else cep,  # as channels send it, now and then
            street="Rua das Acácias",
            number=str(200 + i),
            complement="ap. 502",
            district="Centro",
            city=city,
            state=state,
        ),
        method="pickup" if pickup else "ship",
        service=None if pickup else "expressa",
        pickup_location=store if pickup else None,
        shipping=shipping,
        discount=discount,
        total=total,
        payments=tenders(i, kind, total),
    )


def tenders(i: int, kind: str, total: int) -> list[NewPayment]:
    if kind == "unpaid":
        return [NewPayment(kind="pix" if i % 3 else "boleto", amount=total, reference=f"PG-{i:05d}")]
    main = "pix" if i % 2 else "credit_card"
    many = 3 if main == "credit_card" else 1
    if i % 4 or total < 10000:
        return [NewPayment(kind=main, amount=total, state="captured", reference=f"PG-{i:05d}", installments=many)]
    return [
        NewPayment(kind=main, amount=total - 5000, state="captured", reference=f"PG-{i:05d}-1", installments=many),
        NewPayment(kind="voucher", amount=5000, state="captured", reference=f"VT-{i:05d}"),
    ]


async def lead(database: Database, actor: Actor, order_id: UUID, kind: str, numbers: Any) -> None:
    """Lead one order as far as its story goes, each step in a transaction of its own."""
    async with database.transaction(actor) as tx:
        if kind in {"fraud", "held"}:
            what = HoldKind.FRAUD if kind == "fraud" else HoldKind.MANUAL
            await holds.place_hold(
                tx,
                order_id,
                what,
                note="Endereço não confere com o CPF" if kind == "fraud" else "Cliente pediu para esperar",
            )
            if kind == "fraud":
                await edits.add_note(tx, order_id, "Cliente confirmou o endereço por telefone. Falta o comprovante.")
        elif kind == "cancelled":
            await cancelling.cancel(tx, order_id, reason="Cliente desistiu")
        elif kind == "part_cancelled":
            line = (await ordering.lines_of(tx, [order_id]))[order_id][0]
            await cancelling.cancel(tx, order_id, reason="Produto indisponível", wishes=[CancelWish(line.line, 1)])
    reach = REACHES.get(kind)
    if reach is None:
        return
    async with database.transaction(actor) as tx:
        jobs = await work.release_order(tx, order_id)
        if kind == "rerouted":
            await work.reject(tx, jobs[0].id, RejectReason.DISPLAY_ITEM)
    for job in jobs if kind != "rerouted" else []:
        for step in STEPS[1 : STEPS.index(reach) + 1]:
            async with database.transaction(actor) as tx:
                await one_step(tx, job.id, order_id, step, numbers)
    if kind == "part_picked":
        async with database.transaction(actor) as tx:
            unit = next(u for u in (await ordering.units_of(tx, [order_id]))[order_id] if u.state == "picking")
            short = [Short(unit.line, 1, RejectReason.NOT_IN_STOCK)] if unit.quantity == 1 else []
            picked = None if short else [work.Picked(unit.line, unit.quantity - 1)]
            await work.confirm_pick(tx, jobs[0].id, picked, short)


async def one_step(tx: Tx, job: UUID, order_id: UUID, step: str, numbers: Any) -> None:
    order = await ordering.lock_order(tx, order_id)
    match step:
        case "accepted":
            await work.accept(tx, job, assignee="Josué Lins")
        case "picked":
            await work.confirm_pick(tx, job)
        case "packed":
            await work.pack(tx, job)
        case "invoiced":
            await fiscal.record_document(tx, job, DocumentFacts(access_key=await key_for(tx, job, next(numbers))))
        case "gone" if order.method == "ship":
            await work.ship(tx, job, [Tracking(tracking_code=f"JD{order.number}BR")])
        case "gone":
            await work.make_ready(tx, job)
        case _ if order.method == "ship":
            for parcel in await tx.values("SELECT id FROM shipment WHERE order_id = %(o)s::uuid", {"o": order_id}):
                await work.deliver(tx, parcel, received_by=order.buyer_name)
        case _:
            await work.hand_over(tx, job, code=await work.pickup_code(tx, job), received_by=order.buyer_name)


async def key_for(tx: Tx, job: UUID, number: int) -> str:
    """Return an access key that the issuer of a piece of work could have."""
    place = await tx.value("SELECT location_id FROM fulfillment_order WHERE id = %(id)s::uuid", {"id": job})
    issuer = await fiscal.issuer_of(tx, place)
    at = await tx.now()
    return build_access_key(
        state=issuer.state,
        year=at.year,
        month=at.month,
        issuer=issuer.cnpj,
        model="55",
        series=1,
        number=number,
        code="12345678",
    )


async def spread(tx: Tx, i: int, order_id: UUID, kind: str, placed: datetime, at: datetime) -> None:
    days = 1 if i % 9 == 0 else 4
    promised = (placed + timedelta(days=days + 1)).replace(hour=2, minute=59, second=0, microsecond=0)
    due = at + timedelta(minutes=-42 if i % 6 == 0 else 40 if i % 6 == 1 else 200 + (i % 5) * 45)
    facts = {"id": order_id, "at": placed, "promised": promised, "due": due, "step": 660}
    for statement in (SPREAD, SPREAD_TIMELINE, SPREAD_SEARCH, SPREAD_WORK, SPREAD_PARCELS, SPREAD_MONEY):
        await tx.execute(statement, facts)
    if kind == "unpaid":
        await tx.execute(
            "UPDATE tender SET expires_at = %(at)s::timestamptz + interval '30 minutes' WHERE order_id = %(id)s::uuid",
            {"id": order_id, "at": at},
        )


def dumps(value: Any) -> str:
    return msgspec.json.encode(value).decode()


if __name__ == "__main__":
    import sys

    async def main(url: str) -> None:
        async with Database(url) as database:
            await seed(database)

    asyncio.run(main(sys.argv[1]))
