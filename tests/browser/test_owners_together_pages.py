"""Several owners at one site in a real browser: what a source mixes up is repaired together, one walk picks for all."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect

from malha.flows import stock_sync
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.sync import applying, sources
from malha.inventory.sync.model import Scope, SourceDraft
from malha.inventory.sync.receiving import Statement
from malha.network import service
from malha.network.model import EstablishmentDraft, LocationDraft, LocationKind
from malha.platform.db import Actor, Database

from .conftest import NARROW, WIDE, apart, shot, sideways, violations, walk

Visit = Callable[..., Page]
SITE, OWNED = "NAT-01", "NAT-01-BARRO"
ACTOR = Actor("person", "wms", "WMS")
SKUS = """
SELECT v.id, v.sku, b.on_hand FROM balance b JOIN variant v ON v.id = b.sku_id JOIN location l ON l.id = b.location_id
WHERE l.code = %(site)s AND b.on_hand > 3 ORDER BY v.sku LIMIT 2
"""
# One piece of open work becomes the site's, and another one the owner's: nothing else of them matters to a list.
MOVE = """
UPDATE fulfillment_order f SET location_id = l.id, state = 'open', assignee = NULL
FROM location l WHERE l.code = %(code)s AND f.id = %(id)s
"""
OPEN = """
SELECT f.id, f.state, f.assignee, l.code FROM fulfillment_order f JOIN location l ON l.id = f.location_id
WHERE f.state = 'open' AND EXISTS (
    SELECT FROM order_unit u WHERE u.fulfillment_id = f.id AND u.state = 'released')
ORDER BY f.number LIMIT 2
"""
BACK = """
UPDATE fulfillment_order f SET location_id = l.id, state = %(state)s, assignee = %(assignee)s
FROM location l WHERE l.code = %(code)s AND f.id = %(id)s
"""


@pytest.fixture(scope="module")
def sited(seeded: str) -> Iterator[list[str]]:
    """A potter's goods at a site, two SKUs a source takes for the site's own, and open work of either."""

    async def run() -> tuple[list[str], list[tuple[object, ...]]]:
        async with Database(seeded) as db:
            async with db.transaction(ACTOR) as tx:
                state = await tx.value("SELECT state FROM location WHERE code = %(c)s", {"c": SITE})
                draft = EstablishmentDraft(
                    code="BARRO", name="Barro e Cia", cnpj="58216407000130", state=state, legal_name="Barro e Cia Ltda."
                )
                await service.put_establishments(tx, [draft])
                place = LocationDraft(
                    code=OWNED, name="Barro, em Natal", kind=LocationKind.STORE, establishment="BARRO", site=SITE
                )
                await service.put_locations(tx, [place])
                place_id = await tx.value("SELECT id FROM location WHERE code = %(c)s", {"c": OWNED})
                rows = await tx.tuples(SKUS, {"site": SITE})
                goods = [Claim(id_, place_id, 9) for id_, _sku, _n in rows]
                await inventory.set_on_hand(tx, goods, Reference("test"), Reason.INITIAL)
                await sources.add_source(tx, SourceDraft(code="WMS-NAT", name="WMS Natal", secondary=[SITE, OWNED]))
                work = await tx.tuples(OPEN)
                for code, (id_, *_rest) in zip((SITE, OWNED), work, strict=True):
                    await tx.execute(MOVE, {"code": code, "id": id_})
                as_of = await tx.now() + timedelta(seconds=5)
            file = [f"{sku};{SITE};{n + 2}\n{sku};{OWNED};7\n" for _id, sku, n in rows]

            async def body() -> AsyncIterator[bytes]:
                yield ("sku;local;saldo\n" + "".join(file)).encode()

            said = Statement(source="WMS-NAT", seq=1, as_of=as_of, scope=Scope.PARTIAL, name="saldos.csv")
            taken = await stock_sync.receive(db, ACTOR, said, body(), limit_mb=1)
            await applying.apply(db, taken.id)
            return [sku for _id, sku, _n in rows], work

    skus, work = apart(run)
    yield skus

    async def back() -> None:
        async with Database(seeded) as db, db.transaction(ACTOR) as tx:
            for id_, state, assignee, code in work:
                await tx.execute(BACK, {"id": id_, "state": state, "assignee": assignee, "code": code})
            await tx.execute("UPDATE location SET status = 'closed' WHERE code = %(c)s", {"c": OWNED})

    apart(back)


@pytest.mark.parametrize(
    ("size", "language", "theme"),
    [(WIDE, "pt-BR", "light"), (NARROW, "en", "light"), (NARROW, "pt-BR", "dark"), (WIDE, "en", "dark")],
    ids=["wide, pt-BR", "narrow, en", "narrow, dark, pt-BR", "wide, dark, en"],
)
def test_the_pages_have_no_barrier_and_nothing_sticks_out(
    visit: Visit, sited: list[str], size: dict[str, int], language: str, theme: str, request: pytest.FixtureRequest
) -> None:
    pages = {
        "drift-by-site": "/stock-sync?site=*",
        "drift-of-site": f"/stock-sync?site={SITE}",
        "site-board": f"/fulfillment?site={SITE}",
        "site-walk": f"/fulfillment/pick-list?site={SITE}",
    }
    walked = walk(visit, pages.values(), language=language, size=size, theme=theme)
    for name, (path, page) in zip(pages, walked, strict=True):
        shot(page, f"{name}-{request.node.callspec.id}")
        assert violations(page) == [], path
        assert sideways(page) == 0, path


def test_the_owners_of_a_site_are_chosen_and_repaired_together(visit: Visit, sited: list[str]) -> None:
    page = visit("/stock-sync")
    page.get_by_label("Endereço").select_option(SITE)
    sum_ = page.locator("tfoot tr")
    expect(sum_).to_contain_text("Soma de 4 linhas")
    first = sited[0]
    whole = page.get_by_label(f"Selecionar {first} de todos os donos")
    own = page.get_by_label(f"Selecionar {first} em {SITE}", exact=True)
    whole.check()
    expect(own).to_be_checked()
    expect(page.locator("[data-bulk-count]")).to_have_text("2")
    own.uncheck()
    expect(page.locator("[data-bulk-count]")).to_have_text("1")
    assert whole.evaluate("box => box.indeterminate")
    whole.check()
    page.get_by_role("button", name="Aceitar o da fonte").click()
    expect(page.get_by_text("Número da fonte aceito em 2 saldos")).to_be_visible()
    expect(sum_).to_contain_text("Soma de 2 linhas")  # still of the site that was chosen
    page.get_by_label("Selecionar todos nesta página").check()
    expect(page.locator("[data-bulk-count]")).to_have_text("2")
    page.get_by_role("button", name="Aceitar o da fonte").click()
    expect(page.get_by_text("Nada encontrado")).to_be_visible()


def test_one_walk_fetches_what_all_owners_of_a_site_have_to_send(visit: Visit, sited: list[str]) -> None:
    page = visit(f"/fulfillment?site={SITE}")
    expect(page.locator(".m-card", has_text="Barro e Cia")).to_have_count(1)
    page.get_by_role("link", name="Lista de separação").click()
    rows = page.locator("tbody tr")
    expect(rows.filter(has_text="Barro e Cia").first).to_be_visible()
    assert rows.count() > rows.filter(has_text="Barro e Cia").count()
    page.locator("select[name=location]").select_option(OWNED)
    expect(rows.filter(has_not_text="Barro e Cia")).to_have_count(0)
    page.locator("select[name=location]").select_option("")
    take = page.get_by_role("button", name=re.compile(r"Assumir \d+ atendimentos"))
    take.click()
    asked = page.get_by_role("dialog", name=re.compile(r"Assumir \d+ atendimentos\?"))
    asked.get_by_role("button", name="Voltar").click()
    page.reload()
    take.click()  # nothing was taken before somebody said yes
    assert violations(page) == []
    asked.get_by_role("button", name="Assumir").click()
    expect(page.get_by_text(re.compile(r"^\d+ atendimentos são seus"))).to_be_visible()
    expect(page.get_by_role("button", name="Assumir")).to_have_count(0)
    assert violations(page) == []
