"""The Tryton connector keeps the contract against a real Tryton, with everything breaking in between."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest
from tests.apart import Apart
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.tryton_erp import TrytonErp, need_tryton, tryton_erp, tryton_template

from malha.channels.connectors.tryton import Tryton
from malha.channels.contract import (
    Document,
    DocumentKind,
    DocumentLine,
    ExtBuyer,
    ExtProduct,
    Ok,
    RawRequest,
    Rejected,
    ShipmentPush,
    ShippedLine,
)
from malha.testing.connectors import ConnectorContract, Fault, Offered, Operation, a_product, context

PAGE = 2
KEPT = ["FRETE", "DESCONTO"]  # and all whose code is one letter
WHERE = {
    Operation.LEVELS: "f=quantity",
    Operation.PRODUCTS: "f=list_price_used",
    Operation.SHIPMENT: '"warehouse_output":',
    Operation.DOCUMENT: '"invoice_method":',
}
NUMBERS = count(1)
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def a_sale(quantity: int = 3, **more: Any) -> Document:
    n = next(NUMBERS)
    asked: dict[str, Any] = {
        "kind": DocumentKind.SALE,
        "number": f"{n}",
        "order": f"{n}",
        "reference": f"W-{n}",
        "channel": "web",
        "order_day": "2026-11-20",
        "day": "2026-11-20",
        "currency": "BRL",
        "total": quantity * 1_000,
        "lines": [DocumentLine(sku="A", code="A", quantity=quantity, unit_price=1_000)],
        "party": ExtBuyer(name="Maria", document="52998224725"),
    }
    return Document(**{**asked, **more})


def a_key() -> str:
    return f"0b3f0a52-33b5-5f3e-8d53-{next(NUMBERS):012d}"


class TrytonRig:
    """A Tryton behind a proxy as the kit needs it."""

    page = PAGE
    webhook_secret = ""
    timeout_s = 10.0

    def __init__(self, apart: Apart, erp: TrytonErp, proxy: FaultProxy) -> None:
        self.apart = apart
        self.erp = erp
        self.proxy = proxy
        path = erp.base_url.rpartition("/")[2]
        self.config = {"base_url": f"http://{proxy.allowed}/{path}", "page": PAGE, "anonymous_party": "CONSUMIDOR"}
        self.secrets = {"key": erp.key}
        self.allowed = [proxy.allowed]
        # What earlier tests told, by the kit's own keys, is somebody else's.
        erp.rows("UPDATE sale_sale SET reference = 'former', description = 'former'")
        erp.rows("UPDATE stock_shipment_out SET reference = 'former'")
        erp.forget_offers()
        erp.rows("UPDATE product_product SET code = NULL WHERE code ~ '^(KIT-|[A-Z]{2,}-?)' AND code <> ALL (%s)", KEPT)
        self._before: dict[Operation, set[int]] = {
            each: set(self._ids(each)) for each in (Operation.DOCUMENT, Operation.SHIPMENT)
        }

    def fail(self, operation: Operation, fault: Fault) -> None:
        self.proxy.fail(WHERE[operation], fault)

    async def add_order(self, *, at: int | None = None, odd: bool = False) -> str:
        """Make the sale that a parcel is of."""
        del at, odd
        made = await Tryton().post_document(context(Tryton(), self), a_sale(), a_key())
        assert isinstance(made, Ok), made
        return made.ref

    async def change_order(self, id_: str) -> None:
        raise NotImplementedError

    async def add_product(self, sku: str) -> None:
        await self.apart.later(self.erp.add_product(sku, f"Ware {sku}", "10.00"))

    async def change_product(self, sku: str) -> None:
        await self.apart.later(
            self.erp.ask("PUT", f"product.product/{self.erp.products[sku]}", {"description": "De outro jeito"})
        )

    async def offer(self, product: Offered) -> Offered:
        await self.apart.later(self.erp.offer(product))
        return product

    async def told(self, operation: Operation) -> list[str]:
        return [str(id_) for id_ in self._ids(operation) if id_ not in self._before[operation]]

    async def values(self, operation: Operation) -> dict[str, int]:
        raise NotImplementedError

    def refuse(self, code: str) -> None:
        raise NotImplementedError

    def webhook(self, id_: str, *, secret: str, at: datetime) -> RawRequest:
        raise NotImplementedError

    def ping(self) -> None:
        return None

    def _ids(self, operation: Operation) -> list[int]:
        statement = {
            Operation.DOCUMENT: "SELECT id FROM sale_sale ORDER BY id",
            Operation.SHIPMENT: "SELECT id FROM stock_shipment_out ORDER BY id",
        }[operation]
        return [id_ for (id_,) in self.erp.rows(statement)]


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    made = Apart()
    yield made
    made.close()


@pytest.fixture(scope="module")
def erp(apart: Apart, template_url: str) -> Iterator[TrytonErp]:
    need_tryton()

    async def opened(stack: AsyncExitStack, template: str) -> TrytonErp:
        made: TrytonErp = await stack.enter_async_context(tryton_erp(template_url, template))
        return made

    with tryton_template(template_url) as template:
        stack = AsyncExitStack()
        try:
            yield apart.run(opened(stack, template))
        finally:
            apart.run(stack.aclose())


@pytest.fixture
async def rig(apart: Apart, erp: TrytonErp) -> AsyncIterator[TrytonRig]:
    async with fault_proxy(f"http://{erp.allowed}") as proxy:
        yield TrytonRig(apart, erp, proxy)


class TestTryton(ConnectorContract):
    """What the kit asks of the Tryton connector."""

    connector = Tryton()

    @pytest.fixture
    async def rig(self, apart: Apart, erp: TrytonErp) -> AsyncIterator[TrytonRig]:
        async with fault_proxy(f"http://{erp.allowed}") as proxy:
            yield TrytonRig(apart, erp, proxy)


async def read(rig: TrytonRig, cursor: str | None = None) -> tuple[list[ExtProduct], str]:
    found: list[ExtProduct] = []
    while True:
        page = await Tryton().pull_products(context(Tryton(), rig), cursor)
        found += page.items
        assert not page.more or page.cursor != cursor
        cursor = page.cursor
        if not page.more:
            return found, cursor


async def test_products_are_read_once_with_code_gtin_and_price_and_later_only_what_changed(rig: TrytonRig):
    found, cursor = await read(rig)
    by_sku = {item.sku: item for item in found}
    assert len(by_sku) == len(found), "each once"
    assert (by_sku["A"].gtin, by_sku["A"].price, by_sku["A"].name) == ("7891000100103", 9_900, "Camiseta")
    assert (by_sku["B"].gtin, by_sku["B"].price, by_sku["B"].active) == ("", 4_550, True)
    _, cursor = await read(rig, cursor)  # what changed within the last minutes may come once more
    assert (await read(rig, cursor))[0] == []

    await rig.apart.later(rig.erp.add_product("C", "Boné", "19.90"))
    late, cursor = await read(rig, cursor)
    assert [(item.sku, item.price) for item in late] == [("C", 1_990)]
    template = rig.erp.rows("SELECT template FROM product_product WHERE code = 'C'")[0][0]
    dearer = {"list_price": {"__class__": "Decimal", "decimal": "21.00"}}
    await rig.apart.later(rig.erp.ask("PUT", f"product.template/{template}", dearer))
    late, cursor = await read(rig, cursor)
    assert [(item.sku, item.price) for item in late] == [("C", 2_100)]
    await rig.apart.later(rig.erp.ask("PUT", f"product.template/{template}", {"active": False}))
    late, cursor = await read(rig, cursor)
    assert [(item.sku, item.active) for item in late] == [("C", False)]
    assert (await read(rig, cursor))[0] == []


async def test_stock_is_read_by_warehouse_and_what_is_set_apart_there_is_not_for_sale(rig: TrytonRig):
    async def ask(path: str, body: dict[str, Any]) -> Any:
        return await rig.apart.later(rig.erp.ask("POST", path, body))

    await rig.apart.later(rig.erp.put_stock("B", 25))
    parts = {
        f"{part}_location": (await ask("stock.location?f=id", {"name": f"SP {part}", "type": "storage"}))["id"]
        for part in ("input", "output", "storage")
    }
    await ask("stock.location?f=id", {"name": "SP", "code": "SP", "type": "warehouse", **parts})
    way = {"from_location": rig.erp.storage, "to_location": parts["storage_location"], "company": 1}
    move = {"product": rig.erp.products["B"], "quantity": 4, "unit": 1, **way}
    between = "stock.shipment.{}".format("internal")
    id_ = (await ask(f"{between}?f=id", {**way, "moves": [["create", [move]]]}))["id"]
    for act in ("wait", "assign_force"):
        await ask(f"{between}/{id_}/{act}", {})
    levels = await all_levels(rig)
    assert levels["B", "DC"] == (21, 25), "four are set apart for the other warehouse"
    for act in ("pack", "ship", "do"):
        await ask(f"{between}/{id_}/{act}", {})
    levels = await all_levels(rig)
    assert (levels["B", "DC"], levels["B", "SP"]) == ((21, 21), (4, 4))


async def all_levels(rig: TrytonRig) -> dict[tuple[str, str], tuple[int, int | None]]:
    found: dict[tuple[str, str], tuple[int, int | None]] = {}
    cursor: str | None = None
    while True:
        page = await Tryton().pull_stock(context(Tryton(), rig), cursor)
        for item in page.items:
            assert (item.sku, item.location) not in found
            found[item.sku, item.location] = (item.quantity, item.on_hand)
        if not page.more:
            return found
        cursor = page.cursor


@pytest.mark.parametrize(("step", "fault"), [("/quote", Fault.CUT), ("/quote", Fault.LOST), ("/confirm", Fault.LOST)])
async def test_a_sale_that_was_left_half_way_is_confirmed_once(rig: TrytonRig, step: str, fault: Fault):
    """Tryton made the draft, and the connection broke at a later step."""
    ctx, key, sale = context(Tryton(), rig), a_key(), a_sale()
    rig.proxy.fail(step, fault)
    with pytest.raises(Exception, match=r".+"):
        await Tryton().post_document(ctx, sale, key)
    assert await Tryton().find_document(ctx, sale, key) is not None
    (id_,) = await rig.told(Operation.DOCUMENT)
    assert rig.erp.rows("SELECT state FROM sale_sale WHERE id = %s", int(id_)) == [("processing",)]


async def test_a_second_draft_that_came_late_is_removed_instead_of_confirmed(rig: TrytonRig):
    """The first one was thought lost and arrived after all, behind the second."""
    ctx, key, sale = context(Tryton(), rig), a_key(), a_sale()
    rig.proxy.fail("/quote", Fault.CUT)
    with pytest.raises(Exception, match=r".+"):
        await Tryton().post_document(ctx, sale, key)
    assert isinstance(await Tryton().post_document(ctx, sale, key), Ok)
    (id_,) = await rig.told(Operation.DOCUMENT)
    assert rig.erp.rows("SELECT state FROM sale_sale WHERE id = %s", int(id_)) == [("processing",)]


@pytest.mark.parametrize("step", ["/assign_force", "/do"])
async def test_a_shipment_that_was_left_half_way_is_done_once(rig: TrytonRig, step: str):
    sale = await rig.add_order()
    ctx = context(Tryton(), rig)
    name = f"parcel-{a_key()}"
    push = ShipmentPush(order=sale, shipment=name, lines=[ShippedLine("A", 2)], shipped_at=AT, location="DC")
    rig.proxy.fail(step, Fault.LOST)
    with pytest.raises(Exception, match=r".+"):
        await Tryton().push_shipment(ctx, push, "k")
    assert await Tryton().find_shipment(ctx, push, "k") is not None
    (id_,) = await rig.told(Operation.SHIPMENT)
    assert rig.erp.rows("SELECT state FROM stock_shipment_out WHERE id = %s", int(id_)) == [("done",)]
    assert rig.erp.rows("SELECT shipment_state FROM sale_sale WHERE id = %s", int(sale)) == [("partially shipped",)]


async def test_units_of_one_product_are_shared_among_its_lines_and_never_warned_of(rig: TrytonRig):
    ctx = context(Tryton(), rig)
    lines = [
        DocumentLine(sku="A", code="A", quantity=units, unit_price=price) for units, price in ((2, 1_000), (1, 500))
    ]
    sale = await Tryton().post_document(ctx, a_sale(lines=lines, total=2_500), a_key())
    assert isinstance(sale, Ok)
    for units in (1, 2, 1):  # one more than was sold: what left has left
        push = ShipmentPush(order=sale.ref, shipment=a_key(), lines=[ShippedLine("A", units)], shipped_at=AT)
        assert isinstance(await Tryton().push_shipment(ctx, push, "k"), Ok)
    moved = """SELECT l.unit_price::int, sum(m.quantity)::int FROM stock_move m JOIN sale_line l
               ON m.origin = 'sale.line,' || l.id WHERE l.sale = %s AND m.state = 'done' GROUP BY 1 ORDER BY 1"""
    assert rig.erp.rows(moved, int(sale.ref)) == [(5, 2), (10, 2)]


def a_credit(sale: str, *lines: DocumentLine, **more: Any) -> Document:
    total = sum(line.quantity * line.unit_price for line in lines)
    return a_sale(kind=DocumentKind.CREDIT, sale=sale, total=total, lines=lines, **more)


def states_of(rig: TrytonRig, *sales: str) -> list[tuple[str, int]]:
    """What is told of each sale's parcels, and how many moves of it are closed."""
    closed = """SELECT s.shipment_state, count(i.id)::int FROM sale_sale s JOIN sale_line l ON l.sale = s.id
                LEFT JOIN "sale_line-ignored-stock_move" i ON i.sale_line = l.id WHERE s.id = %s GROUP BY s.id"""
    return [row for sale in sales for row in rig.erp.rows(closed, int(sale))]


async def test_what_is_cancelled_of_a_sale_that_left_in_part_is_closed_and_the_sale_is_sent(rig: TrytonRig):
    ctx = context(Tryton(), rig)
    lines = [DocumentLine(sku=sku, code=sku, quantity=n, unit_price=1_000) for sku, n in (("A", 3), ("B", 2))]
    sale = await Tryton().post_document(ctx, a_sale(lines=lines, total=5_000), a_key())
    assert isinstance(sale, Ok)
    first = ShipmentPush(order=sale.ref, shipment=a_key(), lines=[ShippedLine("A", 1)], shipped_at=AT)
    assert isinstance(await Tryton().push_shipment(ctx, first, "k"), Ok)
    back = [DocumentLine(sku=sku, code=sku, quantity=-n, unit_price=1_000) for sku, n in (("A", 1), ("B", 2))]
    credit = await Tryton().post_document(ctx, a_credit(sale.ref, *back), a_key())
    assert isinstance(credit, Ok)
    assert states_of(rig, sale.ref) == [("partially shipped", 2)], "one of A is still to leave"
    rest = msgspec.structs.replace(first, shipment=a_key())
    assert isinstance(await Tryton().push_shipment(ctx, rest, "k"), Ok)
    assert states_of(rig, sale.ref, credit.ref) == [("sent", 2), ("none", 2)]
    assert rig.erp.rows("SELECT count(*) FROM stock_shipment_out_return") == [(0,)], "nothing is expected back"


async def test_goods_that_others_stand_in_for_are_closed_and_both_sales_are_sent(rig: TrytonRig):
    ctx = context(Tryton(), rig)
    sale = await Tryton().post_document(ctx, a_sale(2), a_key())
    assert isinstance(sale, Ok)
    lines = [DocumentLine(sku=sku, code=sku, quantity=n, unit_price=1_000) for sku, n in (("A", -2), ("B", 2))]
    change = await Tryton().post_document(
        ctx, a_sale(kind=DocumentKind.CHANGE, sale=sale.ref, total=0, lines=lines), a_key()
    )
    assert isinstance(change, Ok)
    push = ShipmentPush(order=sale.ref, shipment=a_key(), lines=[ShippedLine("B", 2)], shipped_at=AT)
    assert isinstance(await Tryton().push_shipment(ctx, push, "k"), Ok)
    assert states_of(rig, sale.ref, change.ref) == [("none", 1), ("sent", 1)]


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.LOST])
@pytest.mark.parametrize("step", ['"from_location"', "/cancel", '"moves_ignored"', "/process"])
async def test_closing_that_broke_off_is_gone_on_with_and_closes_nothing_twice(rig: TrytonRig, step: str, fault: Fault):
    ctx, key = context(Tryton(), rig), a_key()
    lines = [
        DocumentLine(sku="A", code="A", quantity=units, unit_price=price) for units, price in ((2, 1_000), (2, 500))
    ]
    sale = await Tryton().post_document(ctx, a_sale(lines=lines, total=3_000), a_key())
    assert isinstance(sale, Ok)
    credit = a_credit(sale.ref, DocumentLine(sku="A", code="A", quantity=-1, unit_price=500))
    rig.proxy.fail(step, fault)
    with pytest.raises(Exception, match=r".+"):
        await Tryton().post_document(ctx, credit, key)
    for _ in range(2):
        assert await Tryton().find_document(ctx, credit, key) is not None
    closed = """SELECT l.quantity::int, l.unit_price::int, sum(m.quantity)::int, count(*)::int FROM stock_move m
                JOIN "sale_line-ignored-stock_move" i ON i.move = m.id JOIN sale_line l ON l.id = i.sale_line
                JOIN sale_sale s ON s.id = l.sale WHERE s.id = %s OR s.origin = %s GROUP BY l.id ORDER BY 1"""
    assert rig.erp.rows(closed, int(sale.ref), f"sale.sale,{sale.ref}") == [(-1, 5, 1, 1), (2, 5, 1, 1)]
    moves = "SELECT count(*) FROM stock_move m JOIN sale_line l ON m.origin = 'sale.line,' || l.id WHERE l.sale = %s"
    assert rig.erp.rows(moves, int(sale.ref)) == [(1,)]
    assert states_of(rig, sale.ref) == [("none", 1)], "nobody has to look at it"


async def test_where_tryton_ships_itself_it_makes_the_shipment_and_hears_of_none(rig: TrytonRig):
    ctx = context(Tryton(), rig)
    itself = msgspec.structs.replace(ctx, config=msgspec.structs.replace(ctx.config, shipments="tryton"))
    sale = await Tryton().post_document(itself, a_sale(), a_key())
    assert isinstance(sale, Ok)
    (made,) = await rig.told(Operation.SHIPMENT)
    push = ShipmentPush(order=sale.ref, shipment=a_key(), lines=[ShippedLine("A", 1)], shipped_at=AT)
    assert await Tryton().push_shipment(itself, push, "k") == Ok()
    assert await rig.told(Operation.SHIPMENT) == [made]
    back = a_credit(sale.ref, DocumentLine(sku="A", code="A", quantity=-1, unit_price=1_000))
    assert isinstance(await Tryton().post_document(itself, back, a_key()), Ok)
    assert rig.erp.rows("SELECT count(*) FROM stock_shipment_out_return") == [(0,)], "it never left"


async def test_a_buyer_without_a_document_is_the_one_that_is_set_or_is_not_posted(rig: TrytonRig):
    ctx = context(Tryton(), rig)
    sale = a_sale(party=ExtBuyer(name="Ana"))
    made = await Tryton().post_document(ctx, sale, a_key())
    assert isinstance(made, Ok)
    party = "SELECT p.code FROM sale_sale s JOIN party_party p ON p.id = s.party WHERE s.id = %s"
    assert rig.erp.rows(party, int(made.ref)) == [("CONSUMIDOR",)]
    without = msgspec.structs.replace(ctx, config=msgspec.structs.replace(ctx.config, anonymous_party=""))
    refused = await Tryton().post_document(without, sale, a_key())
    assert isinstance(refused, Rejected)
    assert refused.code == "no_document"


async def test_a_check_names_all_that_is_not_there(rig: TrytonRig):
    ctx = context(Tryton(), rig)
    odd = msgspec.structs.replace(ctx.config, freight_product="X", warehouses="DC=Y", anonymous_party="Z")
    health = await Tryton().check(msgspec.structs.replace(ctx, config=odd))
    assert not health.ok
    assert [word in health.says for word in ("products (X)", "places of stock (Y)", "parties (Z)")] == [True] * 3
    other = msgspec.structs.replace(ctx.config, company=7)
    assert not (await Tryton().check(msgspec.structs.replace(ctx, config=other))).ok


async def test_the_clock_of_products_is_trytons(rig: TrytonRig):
    """A round begins when Tryton says so: ours may be hours off."""
    ctx = context(Tryton(), rig)
    late = msgspec.structs.replace(ctx, now=lambda: datetime.now(UTC) + timedelta(days=9))
    page = await Tryton().pull_products(late, None)
    assert "began" in page.cursor
    assert msgspec.json.decode(page.cursor)["began"][:10] <= (datetime.now(UTC) + timedelta(days=1)).isoformat()[:10]


async def test_a_category_that_is_called_otherwise_is_told_for_the_products_in_it(rig: TrytonRig):
    await rig.offer(a_product("RENAMED", category=("Sala", "Redes")))
    first, cursor = await read(rig)
    (before,) = [item for item in first if item.sku == "RENAMED-P"]
    assert before.category == "Sala > Redes"
    await rig.apart.later(rig.erp.rename_category(("Sala", "Redes"), "Redes e cadeiras"))
    late, _ = await read(rig, cursor)
    assert {(item.sku, item.category) for item in late} == {
        ("RENAMED-P", "Sala > Redes e cadeiras"), ("RENAMED-G", "Sala > Redes e cadeiras"),
    }  # fmt: skip
