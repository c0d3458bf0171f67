"""SKUs that a connection tells and nobody here knows, in a real browser: held, accepted, refused, taken back."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from malha.channels.connecting import service
from malha.channels.connecting.model import ConnectionDraft
from malha.platform.db import Database
from malha.platform.signing import Keys

from .conftest import NARROW, WIDE, apart, shot, violations

Visit = Callable[..., Page]
TOLD = """
INSERT INTO channel_variant (connection_id, code, name, price, gtin, source, parent, told, make_flaws)
SELECT c.id, w.code, w.name, w.price, w.gtin, 'catalog', w.parent, w.told::jsonb, w.flaws::jsonb
FROM connection c, (VALUES
    ('MANTA-P', 'Manta de lã P', 12990, '7891000315507', 'manta-de-la', '{"name": "Manta de lã", "brand": "Tear"}', NULL),
    ('MANTA-G', 'Manta de lã G', 15990, '', 'manta-de-la', '{"name": "Manta de lã", "brand": "Tear"}', NULL),
    ('CANECA-AZUL', 'Caneca azul de cerâmica', 3990, '', '', '{"ncm": "12"}', NULL),
    ('TAPETE', 'Tapete de sisal', 24990, '', '', '{}',
     '[{"at": "ncm", "says": "{value} is no NCM code.", "mend": "An NCM code has eight digits.", "facts": {"value": "12"}}]')
) AS w(code, name, price, gtin, parent, told, flaws) WHERE c.code = 'novos'
"""
BATCH = """
INSERT INTO product_batch (connection_id, asked, person, at, undo_at, undo_person, ended_at)
SELECT id, 12, 'Helena Prates', now() - interval '1 day', now(), 'Helena Prates', now()
FROM connection WHERE code = 'novos'
"""
AT_ONCE = """
INSERT INTO product_at_once (connection_id, code, sku, product, made_at, state, reasons, undo_at, undo_person)
SELECT c.id, w.code, w.code, w.product, now() - w.ago::interval, w.state, w.reasons::text[],
       CASE WHEN w.state = 'made' THEN NULL ELSE now() END, CASE WHEN w.state = 'made' THEN NULL ELSE 'Helena Prates' END
FROM connection c, (VALUES
    ('REDE-2', 'rede', '1 hour', 'made', '{}'), ('REDE-3', 'rede', '1 hour', 'made', '{}'),
    ('VASO', 'VASO', '2 hours', 'kept', '{ordered,stock}'), ('CESTO', 'CESTO', '1 day', 'undone', '{}')
) AS w(code, product, ago, state, reasons) WHERE c.code = 'novos'
"""
ROLE = """
INSERT INTO connection_master (connection_id, fields, creates, version)
SELECT id, '{}', 'held', 1 FROM connection WHERE code = 'novos'
"""


@pytest.fixture(scope="module")
def told(seeded: str) -> Iterator[None]:
    """A connection that told four SKUs which are not here."""

    async def run() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            channel = await tx.value("SELECT code FROM channel WHERE active ORDER BY id LIMIT 1")
            draft = ConnectionDraft(
                code="novos", name="Loja própria", connector="generic", channel=channel,
                config={"base_url": "https://loja.example/oms"},
            )  # fmt: skip
            await service.add_connection(tx, draft, Keys(b"k" * 32))
            for statement in (TOLD, BATCH, AT_ONCE, ROLE):
                await tx.execute(statement)

    async def away() -> None:
        async with Database(seeded) as db, db.transaction() as tx:
            await tx.execute("DELETE FROM connection WHERE code = 'novos'")

    apart(run)
    yield
    apart(away)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_what_is_new_is_looked_at_accepted_and_its_acceptance_taken_back(
    visit: Visit, told: None, size: dict[str, int]
) -> None:
    page = visit("/connections/novos/new-products", size=size)
    expect(page.get_by_role("heading", name="O que Loja própria vende e ainda não existe aqui")).to_be_visible()
    expect(page.get_by_text("12 não é um código NCM").first).to_be_visible()
    assert violations(page) == []
    shot(page, f"new-products-{size['width']}")
    page.get_by_role("button", name="Aceitar todos").click()
    expect(page.get_by_role("heading", name="Criar produtos de")).to_be_visible()
    assert violations(page) == []
    shot(page, f"new-products-accept-{size['width']}")
    page.get_by_role("dialog").get_by_role("button", name="Voltar").click()
    page.get_by_role("checkbox", name="Escolher MANTA-P" if size is WIDE else "Escolher MANTA-G").check()
    page.get_by_role("button", name="Criar produtos").click()
    expect(page.get_by_text("1 em criação").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    page = visit("/connections/novos/new-products?view=refused", size=size)
    expect(page.get_by_text("Tapete de sisal")).to_be_visible()
    assert violations(page) == []
    shot(page, f"new-products-refused-{size['width']}")
    page = visit("/connections/novos/new-products?view=accepted", size=size)
    page.get_by_role("button", name="Desfazer o aceite").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Desfazer o aceite").click()
    page.wait_for_url("**/new-products?view=accepted")
    expect(page.get_by_text("sendo desfeito").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert violations(page) == []
    shot(page, f"new-products-accepted-{size['width']}")
    page = visit("/connections/novos/products", size=size)
    expect(page.get_by_role("radio", name="Reter até alguém aceitar")).to_be_checked()
    assert violations(page) == []
    shot(page, f"connection-new-setting-{size['width']}")


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_what_was_made_at_once_is_looked_at_and_taken_back(visit: Visit, told: None, size: dict[str, int]) -> None:
    page = visit("/connections/novos/new-products?view=at_once", size=size)
    expect(page.get_by_text("Ficou. Há pedidos com ele. Ele tem estoque, ou já teve.")).to_be_visible()
    assert violations(page) == []
    shot(page, f"made-at-once-{size['width']}")
    page.get_by_role("button", name="Desfazer todos").click()
    expect(page.get_by_role("heading", name="criados na hora?" if size is WIDE else "criado na hora?")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("dialog").get_by_role("button", name="Voltar").click()
    code = "REDE-2" if size is WIDE else "REDE-3"
    page.get_by_role("checkbox", name=f"Escolher {code}").check()
    page.get_by_role("button", name="Desfazer estes").click()
    expect(page.get_by_role("heading", name="Desfazer a criação destes produtos?")).to_be_visible()
    assert violations(page) == []
    shot(page, f"made-at-once-dialog-{size['width']}")
    page.get_by_role("dialog").get_by_role("button", name="Desfazer estes").click()
    expect(page.get_by_text("1 sendo desfeito").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    page = visit("/connections/novos/new-products?view=at_once&q=nada", size=size, language="en")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    page = visit("/connections/novos/new-products?view=at_once", size=size, language="en")
    expect(page.get_by_text("It stayed. Orders have it. It has stock, or had some.")).to_be_visible()
    shot(page, f"made-at-once-en-{size['width']}")


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_page_speaks_english(visit: Visit, told: None, size: dict[str, int]) -> None:
    page = visit("/connections/novos/new-products?view=refused", size=size, language="en")
    expect(page.get_by_role("heading", name="What Loja própria sells and nobody here knows")).to_be_visible()
    shot(page, f"new-products-en-{size['width']}")
    page = visit("/connections/novos/new-products?q=nada", size=size, language="en")
    expect(page.get_by_text("Nothing found")).to_be_visible()
