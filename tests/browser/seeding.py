"""A small retailer for the pages: every state of an order, invented people and goods, the same on every run but for the clock."""

import random
from datetime import timedelta
from typing import Any

import msgspec

from malha.ordering.model import UnitState
from malha.ordering.rules import derive_status
from malha.platform.brazil import cnpj_check_digits, cpf_check_digits
from malha.platform.db import Tx
from malha.platform.ids import new_id
from malha.platform.text import fold

PLACES = [
    ("CD-CAJ", "CD Cajamar", "distribution_centre", "SP", "Cajamar", -23.35, -46.88),
    ("CD-JAB", "CD Jaboatão", "distribution_centre", "PE", "Jaboatão dos Guararapes", -8.11, -35.01),
    ("REC-01", "Recife Boa Viagem", "store", "PE", "Recife", -8.12, -34.90),
    ("JPA-01", "João Pessoa Manaíra", "store", "PB", "João Pessoa", -7.10, -34.84),
    ("NAT-01", "Natal Tirol", "store", "RN", "Natal", -5.80, -35.20),
    ("SSA-01", "Salvador Barra", "store", "BA", "Salvador", -13.01, -38.53),
    ("SAO-01", "São Paulo Pinheiros", "store", "SP", "São Paulo", -23.56, -46.69),
    ("BHZ-01", "Belo Horizonte Savassi", "store", "MG", "Belo Horizonte", -19.94, -43.93),
]
CHANNELS = [
    ("site", "Site", "web"),
    ("app", "App", "app"),
    ("mktp", "Mercado Azul", "marketplace"),
    ("loja", "Loja", "store"),
]
GOODS = [
    ("AR-1180-CR", "Rede de descanso Jaguaribe, casal, cru", 34990), ("AR-2041-QA", "Jogo de cama Percal 300 fios, queen, areia", 42990),
    ("AR-3307-TE", "Toalha de banho Felpa 500 g, terracota", 5990), ("AR-1412-AZ", "Manta de algodão Sertão, anil", 18990),
    ("AR-5520-NA", "Tapete de sisal Cariri 2 × 3 m", 89900), ("AR-2210-BR", "Almofada Renascença 45 cm, branca", 9690),
    ("AR-4410-VE", "Cortina de linho Mandacaru, verde", 37970), ("AR-6107-OC", "Cesto de palha Buriti, grande", 12600),
    ("AR-7001-CR", "Colcha Filé Alagoano, king", 71880), ("AR-3308-MA", "Toalha de rosto Felpa 500 g, mate", 2990),
]  # fmt: skip
PEOPLE = [
    ("Iara Nogueira", "João Pessoa", "PB"), ("Caio Menezes", "Recife", "PE"), ("Tainá Moura", "Jaboatão dos Guararapes", "PE"),
    ("Sérgio Pimentel", "Belo Horizonte", "MG"), ("Dalva Siqueira", "Olinda", "PE"), ("Bruno Azevedo", "Salvador", "BA"),
    ("Otávio Brandão", "Campinas", "SP"), ("Luíza Tavares", "São Paulo", "SP"), ("Aline Barreto", "Natal", "RN"),
    ("Renato Queiroz", "Caruaru", "PE"), ("Vitor Sarmento", "Maceió", "AL"), ("Jonas Teles", "Recife", "PE"),
    ("Elisa Couto", "Porto Alegre", "RS"), ("Marina Falcão", "São Paulo", "SP"), ("Maria das Graças Cavalcanti de Albuquerque", "Fortaleza", "CE"),
]  # fmt: skip
# state of units, share, hours since placed
STORIES = [
    ("awaiting_payment", 5, 2), ("hold_fraud", 3, 3), ("hold_totals", 2, 20), ("hold_address", 2, 8), ("unknown_sku", 2, 5),
    ("unplaced", 3, 6), ("backordered", 2, 30), ("allocated", 10, 1), ("released", 8, 4), ("picking", 8, 6), ("part_picked", 5, 7),
    ("awaiting_document", 6, 9), ("packed", 4, 10), ("invoiced", 6, 12), ("ready", 8, 26), ("shipped", 14, 60),
    ("delivered", 24, 150), ("collected", 5, 100), ("cancelled", 5, 70),
]  # fmt: skip

ORDER = """
INSERT INTO sales_order (id, channel_id, external_id, body_hash, placed_at, received_at, status, items_total, discount_total,
    shipping_total, total, cancelled_total, method, service_id, pickup_location_id, buyer_name, buyer_document, buyer_email,
    buyer_phone, ship_to, ship_state, promised_at, release_after)
VALUES (%(id)s::uuid, %(channel)s::int, %(external_id)s::text, %(id)s::uuid, %(placed_at)s::timestamptz, %(placed_at)s::timestamptz,
    %(status)s::text, %(items)s::bigint, %(discount)s::bigint, %(shipping)s::bigint, %(total)s::bigint, %(cancelled)s::bigint,
    %(method)s::text, %(service)s::int, %(pickup)s::int, %(name)s::text, %(cpf)s::text, %(email)s::text, %(phone)s::text,
    %(ship_to)s::jsonb, %(state)s::text, %(promised)s::timestamptz, %(release)s::timestamptz)
RETURNING number
"""


async def seed(tx: Tx) -> None:
    """Fill an empty, migrated schema."""
    rng = random.Random(7)
    at = await tx.now()
    await tx.execute("ALTER TABLE sales_order ALTER COLUMN number RESTART WITH 104590")
    entity = await tx.value(
        "INSERT INTO legal_entity (name, cnpj_root) VALUES ('Aroeira Casa Ltda', '11222333') RETURNING id"
    )
    locations: dict[str, int] = {}
    for i, (code, name, kind, state, city, lat, lon) in enumerate(PLACES, 1):
        base = f"11222333{i:04d}"
        establishment = await tx.value(
            "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state) "
            "VALUES (%(e)s::int, %(code)s::text, %(name)s::text, %(cnpj)s::text, %(state)s::text) RETURNING id",
            {
                "e": entity,
                "code": code,
                "name": f"Aroeira {name}",
                "cnpj": base + cnpj_check_digits(base),
                "state": state,
            },
        )
        locations[code] = await tx.value(
            "INSERT INTO location (code, name, kind, establishment_id, state, address, can_pickup, latitude, longitude) VALUES "
            "(%(code)s::text, %(name)s::text, %(kind)s::text, %(e)s::int, %(state)s::text, %(a)s::jsonb, %(p)s::boolean, %(lat)s::float8, %(lon)s::float8) RETURNING id",
            {
                "code": code,
                "name": name,
                "kind": kind,
                "e": establishment,
                "state": state,
                "a": dumps({"city": city, "state": state}),
                "p": kind == "store",
                "lat": lat,
                "lon": lon,
            },
        )
    channels = [
        await tx.value(
            "INSERT INTO channel (code, name, kind) VALUES (%(c)s::text, %(n)s::text, %(k)s::text) RETURNING id",
            {"c": code, "n": name, "k": kind},
        )
        for code, name, kind in CHANNELS
    ]
    service = await tx.value(
        "INSERT INTO service (code, name, carrier) VALUES ('expressa', 'Entrega expressa', 'Jadlog') RETURNING id"
    )
    skus = []
    for sku, name, price in GOODS:
        product = await tx.value(
            "INSERT INTO product (code, name) VALUES (%(c)s::text, %(n)s::text) RETURNING id", {"c": sku, "n": name}
        )
        skus.append(
            (
                await tx.value(
                    "INSERT INTO variant (product_id, sku, name, price) VALUES (%(p)s::int, %(s)s::text, %(n)s::text, %(price)s::int) RETURNING id",
                    {"p": product, "s": sku, "n": name, "price": price},
                ),
                sku, name, price,
            )
        )  # fmt: skip
    for variant, *_rest in skus:
        for location in locations.values():
            await tx.execute(
                "INSERT INTO balance (sku_id, location_id, on_hand) VALUES (%(s)s::int, %(l)s::int, 400)",
                {"s": variant, "l": location},
            )
    plan = [story for story in STORIES for _ in range(story[1])]
    rng.shuffle(plan)
    plan.sort(key=lambda story: -story[2])
    for i, (kind, _share, hours) in enumerate(plan):
        placed = at - timedelta(minutes=hours * 60 * (0.7 + 0.6 * rng.random()) + i % 7)
        await one_order(tx, rng, i, kind, placed, at, locations, channels, service, skus)


def dumps(value: Any) -> str:
    return msgspec.json.encode(value).decode()


STATES = {
    "awaiting_payment": "allocated", "hold_fraud": "allocated", "hold_totals": "allocated", "hold_address": "allocated",
    "unknown_sku": "unplaced", "part_picked": "picking",
}  # fmt: skip
HOLDS = {
    "awaiting_payment": "payment",
    "hold_fraud": "fraud",
    "hold_totals": "totals",
    "hold_address": "address",
    "unknown_sku": "unknown_sku",
}
WORK = {
    "released": "open", "picking": "picking", "part_picked": "picking", "awaiting_document": "packed", "packed": "packed",
    "invoiced": "packed", "ready": "ready", "shipped": "closed", "delivered": "closed", "collected": "closed",
}  # fmt: skip


async def one_order(
    tx: Tx,
    rng: Any,
    i: int,
    kind: str,
    placed: Any,
    at: Any,
    locations: dict[str, int],
    channels: list[int],
    service: int,
    skus: list[Any],
) -> None:
    name, city, state = PEOPLE[i % len(PEOPLE)]
    pickup = kind in {"ready", "collected"} or (kind == "picking" and i % 3 == 0)
    codes = list(locations)
    place = locations[codes[2 + i % 6] if pickup else codes[i % 8]]
    base = f"{100000000 + i * 7919}"[-9:]
    count = 1 + i % 3
    lines = []
    for n in range(count):
        sku_id, sku, title, price = skus[(i * 3 + n * 4) % len(skus)]
        unknown = kind == "unknown_sku" and n == 0
        lines.append(
            (
                n + 1,
                None if unknown else sku_id,
                "MLA-99812" if unknown else sku,
                "" if unknown else title,
                1 + (i + n) % 4,
                price,
            )
        )
    items = sum(q * p for *_x, q, p in lines)
    discount = items // 10 if i % 5 == 0 else 0
    shipping = 0 if pickup else 2490
    unit_state = STATES.get(kind, kind)
    states = [UnitState(unit_state)]
    hold = HOLDS.get(kind)
    status = derive_status(states, [hold] if hold else [])
    order_id = new_id()
    total = items - discount + shipping
    late = i % 9 == 0
    promised = placed + timedelta(days=1 if late else 4)
    promised = promised.replace(hour=2, minute=59, second=0, microsecond=0) + timedelta(days=1)
    cpf = base + cpf_check_digits(base)
    address = {
        "postal_code": f"5803{i % 10}310",
        "street": "Rua das Acácias",
        "number": str(200 + i),
        "complement": "ap. 502",
        "district": "Manaíra",
        "city": city,
        "state": state,
    }
    number = await tx.value(
        ORDER,
        {
            "id": order_id, "channel": channels[i % 4], "external_id": f"AR{2026000 + i}", "placed_at": placed, "status": status.value,
            "items": items, "discount": discount, "shipping": shipping, "total": total,
            "cancelled": total if kind == "cancelled" else 0, "method": "pickup" if pickup else "ship",
            "service": None if pickup else service, "pickup": place if pickup else None, "name": name, "cpf": cpf,
            "email": fold(name).replace(" ", ".") + "@exemplo.com.br", "phone": f"+55839{80000000 + i * 31337}"[:14],
            "ship_to": None if pickup else dumps(address), "state": None if pickup else state, "promised": promised,
            "release": placed + timedelta(minutes=15),
        },
    )  # fmt: skip
    work_id = None
    if kind in WORK:
        work_id = new_id()
        due = at + timedelta(minutes=-42 if i % 6 == 0 else 40 if i % 6 == 1 else 200 + (i % 5) * 45)
        await tx.execute(
            "INSERT INTO fulfillment_order (id, order_id, location_id, method, service_id, state, capacity_day, released_at, due_at, accepted_at, picked_at, packed_at, closed_at, pickup_code, pickup_until) VALUES "
            "(%(id)s::uuid, %(o)s::uuid, %(l)s::int, %(m)s::text, %(s)s::int, %(state)s::text, current_date, %(r)s::timestamptz, %(due)s::timestamptz, %(a)s::timestamptz, %(p)s::timestamptz, %(k)s::timestamptz, %(c)s::timestamptz, %(code)s::text, %(until)s::timestamptz)",
            {
                "id": work_id, "o": order_id, "l": place, "m": "pickup" if pickup else "ship", "s": None if pickup else service,
                "state": WORK[kind], "r": placed + timedelta(minutes=16), "due": due,
                "a": None if kind == "released" else placed + timedelta(minutes=30),
                "p": placed + timedelta(minutes=50) if WORK[kind] in {"packed", "ready", "closed"} else None,
                "k": placed + timedelta(minutes=70) if WORK[kind] in {"packed", "ready", "closed"} else None,
                "c": placed + timedelta(hours=5) if WORK[kind] == "closed" else None,
                "code": "4821" if kind == "ready" else None, "until": at + timedelta(days=5) if kind == "ready" else None,
            },
        )  # fmt: skip
    shipment = None
    if kind in {"shipped", "delivered", "collected"}:
        shipment = new_id()
        await tx.execute(
            "INSERT INTO shipment (id, fulfillment_id, order_id, carrier, tracking_code, shipped_at, delivered_at, received_by) VALUES (%(id)s::uuid, %(f)s::uuid, %(o)s::uuid, %(c)s::text, %(t)s::text, %(s)s::timestamptz, %(d)s::timestamptz, %(by)s::text)",
            {
                "id": shipment,
                "f": work_id,
                "o": order_id,
                "c": None if pickup else "Jadlog",
                "t": None if pickup else f"JD{number}BR",
                "s": placed + timedelta(hours=6),
                "d": None if kind == "shipped" else placed + timedelta(hours=50),
                "by": name if kind != "shipped" else None,
            },
        )
    for line, sku_id, sku, title, quantity, price in lines:
        await tx.execute(
            "INSERT INTO order_line (order_id, line, sku_id, sku_text, name, quantity, unit_price, total) VALUES (%(o)s::uuid, %(l)s::smallint, %(s)s::int, %(t)s::text, %(n)s::text, %(q)s::int, %(p)s::bigint, %(tot)s::bigint)",
            {
                "o": order_id,
                "l": line,
                "s": sku_id,
                "t": sku,
                "n": title,
                "q": quantity,
                "p": price,
                "tot": quantity * price,
            },
        )
        parts = [(unit_state, quantity)]
        if kind == "part_picked":
            parts = (
                [("picked", quantity)]
                if line < len(lines) or quantity == 1
                else [("picked", quantity - 1), ("picking", 1)]
            )
        if sku_id is None:
            parts = [("unplaced", quantity)]
        for part, (one, quantity_) in enumerate(parts, 1):
            waiting = one in {"unplaced", "backordered", "cancelled"}
            await tx.execute(
                "INSERT INTO order_unit (order_id, line, part, sku_id, quantity, state, location_id, fulfillment_id, shipment_id) VALUES (%(o)s::uuid, %(l)s::smallint, %(p)s::smallint, %(s)s::int, %(q)s::int, %(st)s::text, %(loc)s::int, %(f)s::uuid, %(sh)s::uuid)",
                {
                    "o": order_id,
                    "l": line,
                    "p": part,
                    "s": sku_id,
                    "q": quantity_,
                    "st": one,
                    "loc": None if waiting else place,
                    "f": None if waiting else work_id,
                    "sh": shipment,
                },
            )
    if hold:
        await tx.execute(
            "INSERT INTO order_hold (id, order_id, kind, placed_at) VALUES (%(id)s::uuid, %(o)s::uuid, %(k)s::text, %(at)s::timestamptz)",
            {"id": new_id(), "o": order_id, "k": hold, "at": placed},
        )
    if kind == "hold_fraud":
        await tx.execute(
            "INSERT INTO order_note (id, order_id, text, written_by, author) VALUES (%(id)s::uuid, %(o)s::uuid, 'Cliente confirmou o endereço por telefone.', 'system', 'Helena Prates')",
            {"id": new_id(), "o": order_id},
        )
    await money(tx, i, order_id, total, kind, placed, at)
    await story(tx, order_id, kind, placed, place, total, hold)
    text = fold(" ".join([str(number), f"AR{2026000 + i}", name, cpf, *[sku for _l, _i, sku, *_r in lines]]))
    await tx.execute(
        "INSERT INTO order_search (order_id, placed_at, document) VALUES (%(o)s::uuid, %(at)s::timestamptz, %(d)s::text)",
        {"o": order_id, "at": placed, "d": text},
    )


async def money(tx: Tx, i: int, order_id: Any, total: int, kind: str, placed: Any, at: Any) -> None:
    split = i % 4 == 0 and kind != "awaiting_payment"
    amounts = [total - 5000, 5000] if split and total > 10000 else [total]
    for n, amount in enumerate(amounts):
        tender = new_id()
        what = "pix" if n == 0 and i % 2 else "credit_card" if n == 0 else "voucher"
        if kind == "awaiting_payment":
            what = "pix" if i % 3 else "boleto"
        await tx.execute(
            "INSERT INTO tender (id, order_id, position, kind, amount, reference, installments, expires_at) VALUES (%(id)s::uuid, %(o)s::uuid, %(p)s::smallint, %(k)s::text, %(a)s::bigint, %(r)s::text, %(n)s::smallint, %(e)s::timestamptz)",
            {
                "id": tender,
                "o": order_id,
                "p": n + 1,
                "k": what,
                "a": amount,
                "r": f"PG-{i:05d}-{n}",
                "n": 3 if what == "credit_card" else 1,
                "e": at + timedelta(minutes=30) if kind == "awaiting_payment" else None,
            },
        )
        if kind != "awaiting_payment":
            for entry in ("captured", *(("refunded",) if kind == "cancelled" else ())):
                await tx.execute(
                    "INSERT INTO payment_entry (id, tender_id, kind, amount, reference, occurred_at) VALUES (%(id)s::uuid, %(t)s::uuid, %(k)s::text, %(a)s::bigint, %(r)s::text, %(at)s::timestamptz)",
                    {
                        "id": new_id(),
                        "t": tender,
                        "k": entry,
                        "a": amount,
                        "r": f"{entry}-{i}-{n}",
                        "at": placed + timedelta(minutes=1),
                    },
                )
    paid = 0 if kind == "awaiting_payment" else total
    state = "pending" if not paid else "refunded" if kind == "cancelled" else "paid"
    await tx.execute(
        "INSERT INTO order_payment (order_id, state, captured, refunded) VALUES (%(o)s::uuid, %(s)s::text, %(c)s::bigint, %(r)s::bigint)",
        {"o": order_id, "s": state, "c": paid, "r": paid if kind == "cancelled" else 0},
    )


async def story(tx: Tx, order_id: Any, kind: str, placed: Any, place: int, total: int, hold: str | None) -> None:
    happened: list[tuple[str, int, dict[str, Any]]] = [
        ("order.placed", 0, {"total": total, "locations": [] if kind in {"unplaced", "backordered"} else [place]})
    ]
    if hold:
        happened.append(("order.hold_placed", 0, {"kind": hold}))
    if kind == "cancelled":
        happened.append(
            ("order.cancelled", 90, {"whole": True, "amount": total, "reason": "Cliente desistiu", "lines": {"1": 1}})
        )
    if kind in WORK:
        happened.append(("fulfillment.released", 16, {"location_id": place}))
    for n, (type_, minutes, facts) in enumerate(happened, 1):
        await tx.execute(
            "INSERT INTO order_timeline (order_id, seq, at, type, facts) VALUES (%(o)s::uuid, %(s)s::int, %(at)s::timestamptz, %(t)s::text, %(f)s::jsonb)",
            {"o": order_id, "s": n, "at": placed + timedelta(minutes=minutes), "t": type_, "f": dumps(facts)},
        )
