"""Quitéria, of whom much is kept: her whole life by what the product does, and where anything of her is left."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from linked_world import Linked

from mail_server import mail_server
from malha.console.views import query_of
from malha.customers import reads as customers
from malha.customers import service as profiles
from malha.customers.model import CustomerDraft
from malha.exchange import service as exchange
from malha.exchange.model import Kind
from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.flows import order_to_cash, telling
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Parcel, Tracking
from malha.notifications import service as messages
from malha.notifications import wishes
from malha.notifications.merging import merge_customers
from malha.notifications.model import Channel, Consent, ConsentSource, Purpose
from malha.ordering import details, edits, holds
from malha.ordering.model import HoldKind
from malha.platform.clock import now
from malha.platform.db import Actor
from malha.platform.ids import new_id
from malha.platform.subscribers import drain
from malha.platform.text import fold
from malha.privacy import searching
from malha.privacy.model import Erased
from malha.testing.builders import an_access_key

ANA = Actor("person", "ana", "Ana")
CPF, OTHER_CPF = "11144477735", "52998224725"
MAIL, PHONE = "quiteria.zambrana@exemplo.com.br", "+5581987654321"
OTHER_MAIL = "qz@trabalho.example"
TRACKED = "QZ123456785BR"
SHIP_TO = {
    "postal_code": "51020017", "street": "Rua das Jabuticabas Azuis", "number": "4711", "complement": "Bloco Mirtilo",
    "district": "Vila Graviola", "city": "Recife", "state": "PE",
}  # fmt: skip
TABLE = (
    "Nome;CPF;E-mail;Celular;CEP;Endereço;Número;Complemento;Bairro;Cidade;UF\n"
    f"Quitéria Zambrana;111.444.777-35;{MAIL};(81) 98765-4321;51020-017;Rua das Jabuticabas Azuis;4711;Bloco Mirtilo;"
    "Vila Graviola;Recife;PE\n"
    "Outra Pessoa;111.444.777-35;;;;;;Bloco Mirtilo;;;\n"
).encode()
# Whatever tells of her: who she is, where she lives, what was written by her and about her.
MARKS = {
    "her name": "Quitéria Zambrana", "the name of another profile": "Q. Zambrana", "her CPF": CPF, "her e-mail": MAIL,
    "another e-mail": OTHER_MAIL, "her telephone": "81987654321", "her street": "Jabuticabas Azuis",
    "her flat": "Bloco Mirtilo", "her district": "Vila Graviola", "her CEP": "51020017",
    "her parcel": TRACKED, "who took it": "Porteiro Anacleto", "what she wrote": "portão azulejado",
    "her gift": "Feliz aniversário, Petúnia", "a note": "chora quando atrasa", "why she waited": "está viajando",
    "how she agreed": "protocolo 8841-Z", "why she was looked up": "ligou furiosa",
}  # fmt: skip


class Life:
    """What there is of her."""

    def __init__(self, shop: Linked) -> None:
        self.shop = shop
        self.customer = None
        self.order = None


async def in_tx(shop: Linked, act, *args: Any, actor: Actor = ANA, **more: Any) -> Any:
    async with shop.database.transaction(actor) as tx:
        return await act(tx, *args, **more)


async def digest(shop: Linked) -> None:
    await drain(shop.database, SUBSCRIPTIONS)


async def import_her(shop: Linked, *, apply: bool = True) -> None:
    async def body():
        yield TABLE

    actor = Actor("person", "ana", "Ana", permissions=frozenset({"customers:write"}))
    run_id = await exchange.take_in(shop.database, actor, Kind.CUSTOMERS, "clientes.csv", body(), limit_mb=5)
    if apply:
        await in_tx(shop, exchange.begin, run_id, None, apply=True, actor=actor)
        await exchange.go_on.work(shop.database, run_id=str(run_id))


async def her_order(shop: Linked, id_: str = "1001", **more: Any) -> Any:
    """An order that the channel told, with all that it knows of her; paid."""
    told = shop.peer.sell(
        id_,
        buyer={"name": "Quitéria Zambrana", "document": "111.444.777-35", "email": MAIL, "phone": PHONE},
        ship_to=SHIP_TO,
        note="Portão azulejado, por favor",
        placed_at=shop.peer.orders.get(id_, {}).get("placed_at", now().isoformat()),  # old news are told to nobody
        payments=[{"id": f"pay-{id_}", "method": "pix", "amount": 1000, "state": "captured"}],
        **more,
    )
    await shop.receive(shop.peer.webhook(told))
    await shop.handle()
    await digest(shop)
    return (await shop.values("SELECT id FROM sales_order WHERE external_id = %s", (id_,)))[0]


async def fulfilled(shop: Linked, order_id: Any, number: int = 1) -> None:
    """Released, packed, documented, shipped and delivered."""
    await order_to_cash.release_due(shop.database)
    (work,) = await shop.values("SELECT id FROM fulfillment_order WHERE order_id = %s", (order_id,))
    async with shop.database.transaction(ANA) as tx:
        await fulfillment.accept(tx, work)
        await fulfillment.confirm_pick(tx, work)
        (parcel,) = await fulfillment.pack(tx, work, [Parcel(weight_grams=700)])
        await fiscal.record_document(tx, work, DocumentFacts(access_key=an_access_key(shop.world, number=number)))
        link = f"https://correios.example/{TRACKED}"
        await fulfillment.ship(tx, work, [Tracking(None, "Correios", TRACKED, link)])
    await digest(shop)
    async with shop.database.transaction(ANA) as tx:
        await fulfillment.deliver(tx, parcel, received_by="Porteiro Anacleto")
    await digest(shop)


async def her_life(shop: Linked, tmp_path: Path) -> Life:
    """All of her life, by what the product does; then what other places may have written down of it."""
    her = Life(shop)
    await import_her(shop)
    (ident,) = await shop.values("SELECT id FROM customer WHERE document = %s", (CPF,))
    other = await in_tx(
        shop, profiles.create_customer, CustomerDraft(name="Q. Zambrana", email=OTHER_MAIL, phone="+5581912345678")
    )
    async with shop.database.transaction(ANA) as tx:
        found = await customers.by_ids(tx, [ident])
        await merge_customers(tx, ident, other.id, (found[ident].version, 1))
        said = Consent(purpose=Purpose.MARKETING, channel=Channel.EMAIL, given=False, source=ConsentSource.CALL,
                       proof="protocolo 8841-Z", key="consent-8841")  # fmt: skip
        await wishes.record_consents(tx, ident, [said])
        await wishes.set_preference(tx, ident, language="pt-BR", declined=(), source="protocolo 8841-Z", version=0)
        await messages.suppress(tx, Channel.EMAIL, OTHER_MAIL, "bounced")
        await profiles.reveal(tx, ident, "Quitéria ligou furiosa")
    her.customer, her.order = ident, await her_order(shop)
    async with shop.database.transaction(ANA) as tx:
        await details.set_details(
            tx, her.order, msgspec.convert({"gift_message": "Feliz aniversário, Petúnia"}, details.OrderDetails)
        )
        await details.change_tags(tx, [her.order], add=["frágil", "Quitéria Zambrana"])
        await edits.add_note(tx, her.order, "A cliente chora quando atrasa")
        await holds.place_hold(tx, her.order, HoldKind.MANUAL, note="Ela está viajando")
        await holds.resolve_hold(tx, her.order, HoldKind.MANUAL, resolution="Não está viajando mais")
    await digest(shop)
    async with mail_server(tmp_path) as box:
        out = msgspec.structs.replace(
            shop.settings,
            smtp_url=box.url,
            mail_from="Loja <pedidos@loja.example>",
            public_url="https://oms.example.com",
        )
        assert await telling.send_due(shop.database, out) >= 1
        await fulfilled(shop, her.order)
        await telling.send_due(shop.database, out)
    await her_order(shop)  # the channel tells it again
    await shop.tell()
    await elsewhere(shop, her)
    return her


async def elsewhere(shop: Linked, her: Life) -> None:
    """What can only be written down when something fails, or by people in their own words."""
    said = f"Quiteria  ZAMBRANA, cpf 111.444.777-35, {MAIL.upper()}, (81) 98765-4321"
    link = shop.world
    async with shop.database.transaction() as tx:
        person = new_id()
        (connection,) = await tx.values("SELECT id FROM connection")
        key = f"order:{her.order}"
        for statement, params in (
            ("INSERT INTO person (id, name, email, role) VALUES (%s, 'Ana', 'ana@loja.example', 'owner')", (person,)),
            ("INSERT INTO care_note (kind, subject, person_id, text) VALUES ('event', 'x', %s, %s)", (person, said)),
            ("INSERT INTO saved_view (person_id, list, name, query) VALUES (%s, 'orders', 'dela', %s)",
             (person, f"q={MAIL.replace('@', '%40')}")),
            # As a page keeps what was looked for: every sign and accent in its coded form.
            *(("INSERT INTO saved_view (person_id, list, name, query) VALUES (%s, 'orders', %s, %s)",
               (person, f"dela {n}", query_of({"q": looked_for})))
              for n, looked_for in enumerate(("Quitéria Zambrana", PHONE, "(81) 98765-4321", CPF, "Rua das Jabuticabas Azuis, 4711"))),
            (("INSERT INTO idempotency (client, key, operation, body_hash, status, reply, expires_at)"
             " VALUES ('key:1', 'k', 'x', '', 200, %s, now() + '1 day'::interval)"),
             (json.dumps({"n": 11144477735, "s": said}).encode(),)),
            (("INSERT INTO api_log (connection_id, slot, at, operation, method, path, ms, says)"
             " VALUES (%s, 99, now(), 'x', 'GET', %s, 1, %s)"), (connection, f"/customers/{MAIL}", said)),
            (("INSERT INTO parked_key (subscriber, key, state, cause, error, position)"
             " VALUES ('order_search', %s, 'parked', 'x', %s, 1)"),
             (key, said)),
            (("INSERT INTO parked_event (subscriber, key, position, at, seq, version, type, actor, payload)"
             " SELECT 'order_search', key, position, at, seq, version, type, actor, payload FROM event WHERE key = %s"), (key,)),
            ("INSERT INTO refund_batch (id, reference, sought, actor, person) VALUES (%s, 'r', %s, 'a', 'a')",
             (new_id(), said)),
        ):  # fmt: skip
            await tx.execute(statement, params)
    assert link


async def texts(shop: Linked) -> dict[tuple[str, str], list[str]]:
    """Every text of every column of every table of the schema that can hold one."""
    columns = await shop.rows(
        "SELECT table_name, column_name, data_type FROM information_schema.columns c JOIN information_schema.tables t"
        " USING (table_schema, table_name) WHERE table_schema = 'malha' AND table_type = 'BASE TABLE'"
        " AND data_type IN ('text', 'character varying', 'character', 'json', 'jsonb', 'bytea', 'ARRAY', 'tsvector')"
        " ORDER BY 1, 2"
    )
    assert len(columns) > 500
    found = {}
    for table, column, kind in columns:
        said = f'"{column}"' if kind == "bytea" else f'"{column}"::text'
        rows = await shop.values(f'SELECT {said} FROM malha."{table}" WHERE "{column}" IS NOT NULL')
        found[table, column] = [bytes(x).decode("utf-8", "replace") if kind == "bytea" else x for x in rows]
    return found


def told(mark: str, text: str) -> bool:
    """Tell whether a text has a mark, however it is spelt, accented or punctuated."""
    text = unquote(text)
    bare = "".join(c for c in text if c.isalnum())
    said = fold(text.encode().decode("unicode_escape", "replace")) if "\\u" in text else fold(text)
    return fold(mark) in said or (mark.isdigit() and mark in bare)


async def left(shop: Linked) -> list[str]:
    found = await texts(shop)
    return sorted(
        f"{what} in {table}.{column}"
        for (table, column), rows in found.items()
        for what, mark in MARKS.items()
        if any(told(mark, text) for text in rows)
    )


async def unpark(shop: Linked) -> None:
    """Let no event wait for a person any more, who would be told each time events are handled."""
    async with shop.database.transaction() as tx:
        await tx.execute("DELETE FROM parked_event")
        await tx.execute("DELETE FROM parked_key")


async def erase(shop: Linked, customer: Any, reason: str = "asked by letter, protocol 77") -> Erased:
    return await in_tx(shop, searching.begin, customer, reason)
