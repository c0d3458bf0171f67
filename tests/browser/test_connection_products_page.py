"""Fields of products that a connection keeps, in a real browser: tried, saved, and locked on the page of a product."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.catalog import ownership
from malha.channels.connecting import service
from malha.channels.connecting.model import ConnectionDraft
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, WIDE, apart, shot, violations

Visit = Callable[..., Page]
TOLD = """
INSERT INTO channel_variant (connection_id, code, name, price, source, sku_id, how, told)
SELECT c.id, v.sku, v.name, v.price + 100, 'catalog', v.id, 'exact', jsonb_build_object('brand', 'Marca do ERP', 'ncm', '12')
FROM connection c, (SELECT * FROM variant WHERE NOT is_kit ORDER BY id LIMIT 6) v WHERE c.code = 'mestre'
"""
HELD = """
INSERT INTO product_held (connection_id, product, flaws)
SELECT c.id, p.code, '[{"at": "ncm", "says": "This field is empty.", "mend": "Fill it in.", "facts": {}}]'
FROM connection c, (SELECT code FROM product ORDER BY id LIMIT 1) p WHERE c.code = 'mestre'
"""


@pytest.fixture(scope="module")
def master(seeded: str) -> Iterator[str]:
    """A connection that told six variants; its first product's code."""

    async def run() -> str:
        async with Database(seeded) as db, db.transaction() as tx:
            channel = await tx.value("SELECT code FROM channel WHERE active ORDER BY id LIMIT 1")
            draft = ConnectionDraft(
                code="mestre", name="ERP da matriz", connector="generic", channel=channel,
                config={"base_url": "https://erp.example/oms"},
            )  # fmt: skip
            await service.add_connection(tx, draft, Keys(b"k" * 32))
            await tx.execute(TOLD)
            code: str = await tx.value("SELECT code FROM product ORDER BY id LIMIT 1")
            skus = await tx.values("SELECT sku FROM variant WHERE NOT is_kit ORDER BY id LIMIT 6")
            await ownership.tell(tx, "mestre", skus)
            return code

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await ownership.claim(tx, "mestre", "", [])
            await tx.execute("DELETE FROM connection WHERE code = 'mestre'")

    code = apart(run)
    yield code
    apart(away)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_fields_are_tried_and_saved_and_then_locked_on_a_product(
    visit: Visit, master: str, seeded: str, size: dict[str, int]
) -> None:
    page = visit("/connections/mestre/products", size=size)
    for word in ("Marca", "NCM", "Preço"):
        page.get_by_role("checkbox", name=word, exact=True).check()
    page.get_by_role("button", name="O que mudaria?").click()
    expect(page.get_by_role("heading", name="O que mudaria")).to_be_visible()
    expect(page.get_by_text("Marca do ERP").first).to_be_visible()
    assert violations(page) == []
    shot(page, f"connection-products-tried-{size['width']}")
    page.get_by_role("button", name="Salvar").click()
    expect(page.get_by_text("3 campos")).to_be_visible()

    async def hold() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute(HELD)

    if size is WIDE:
        apart(hold)
    page = visit("/connections/mestre/products", size=size)
    expect(page.get_by_role("heading", name="O que não pôde ser gravado")).to_be_visible()
    assert violations(page) == []
    shot(page, f"connection-products-{size['width']}")
    page = visit(f"/products/{master}/edit", size=size)
    expect(page.get_by_label("Marca")).to_have_attribute("readonly", "")
    expect(page.get_by_text("Mantido por ERP da matriz").first).to_be_visible()
    assert page.get_by_label("Descrição").get_attribute("readonly") is None
    assert violations(page) == []
    shot(page, f"product-kept-{size['width']}")
    written = f"Escrita por uma pessoa, {size['width']}"
    page.get_by_label("Descrição").fill(written)
    page.get_by_role("button", name="Salvar produto").click()
    page.wait_for_url(f"**/products/{master}")
    expect(page.get_by_text(written)).to_be_visible()
