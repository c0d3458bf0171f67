"""Stock looked after in a real browser: a person's file as a snapshot, disagreements that are counted."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from malha.flows import stock_sync
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, Kind
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import SafetyRuleDraft
from malha.inventory.sync import applying, sources
from malha.inventory.sync.model import Scope, SourceDraft
from malha.inventory.sync.receiving import Statement
from malha.network import ownership
from malha.network.model import LocationGroupDraft
from malha.platform.db import Actor, Database

from .conftest import NARROW, WIDE, apart, sideways, violations

Visit = Callable[..., Page]
ACTOR = Actor("person", "erp", "ERP")
BOTH = pytest.mark.parametrize(
    ("size", "language", "theme"),
    [(WIDE, "pt-BR", "dark"), (NARROW, "en", "light")],
    ids=["wide, dark, pt-BR", "narrow, light, en"],
)


@pytest.fixture(scope="module")
def till(seeded: str) -> list[tuple[str, str, int]]:
    """A source that speaks for two locations, and what stands there."""

    async def run() -> list[tuple[str, str, int]]:
        async with Database(seeded) as db, db.transaction(ACTOR) as tx:
            draft = SourceDraft(code="WMS-C", name="WMS do centro", secondary=["CD-CAJ", "REC-01"])
            await sources.add_source(tx, draft)
            return await tx.tuples(
                "SELECT v.sku, l.code, b.on_hand FROM balance b JOIN variant v ON v.id = b.sku_id "
                "JOIN location l ON l.id = b.location_id WHERE l.code IN ('CD-CAJ', 'REC-01') ORDER BY 1, 2"
            )

    found: list[tuple[str, str, int]] = apart(run)
    state(seeded, 1, found[:6], minutes_ago=10)
    return found


def state(seeded: str, seq: int, rows: list[tuple[str, str, int]], *, minutes_ago: int) -> None:
    """Let the source say of some balances that they are seven units higher."""

    async def run() -> None:
        as_of = datetime.now(ZoneInfo("America/Sao_Paulo")) - timedelta(minutes=minutes_ago)
        said = Statement(source="WMS-C", seq=seq, as_of=as_of, scope=Scope.PARTIAL)
        async with Database(seeded) as db:
            taken = await stock_sync.receive(db, ACTOR, said, _body(rows), limit_mb=10)
            await applying.apply(db, taken.id)

    apart(run)


async def _body(rows: list[tuple[str, str, int]]) -> AsyncIterator[bytes]:
    yield ("sku;local;saldo\n" + "".join(f"{sku};{place};{n + 7}\n" for sku, place, n in rows)).encode()


def fits(page: Page) -> None:
    assert sideways(page) == 0
    assert violations(page) == []


@BOTH
def test_a_persons_file_is_checked_and_then_applied(
    visit: Visit, till: list[tuple[str, str, int]], size: dict[str, Any], language: str, theme: str
) -> None:
    seq = "11" if size is WIDE else "12"
    rows = "".join(f"{sku};{place};{n + i % 3}\n" for i, (sku, place, n) in enumerate(till))
    page = visit("/stock-sync/sources/WMS-C", size=size, language=language, theme=theme)
    page.locator(".m-head-actions a[href$=upload]").click()
    expect(page).to_have_url(re.compile("/upload$"))
    fits(page)
    at = datetime.now(ZoneInfo("America/Sao_Paulo")) - timedelta(minutes=5)
    page.locator("#f-as_of").fill(at.strftime("%Y-%m-%dT%H:%M"))
    page.locator("#f-seq").fill("x")
    file = {
        "name": "saldos.csv",
        "mimeType": "text/csv",
        "buffer": f"sku;local;saldo\n{rows}NAO-EXISTE;CD-CAJ;4\n".encode(),
    }
    page.locator("#f-file").set_input_files(file)
    page.locator("#content form [type=submit]").click()
    expect(page.locator("#refusal [role=alert]")).to_be_visible()
    expect(page.locator("#f-seq")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#f-as_of")).not_to_have_value("")  # what was filled in stays
    page.locator("#f-seq").fill(seq)
    page.locator("#f-file").set_input_files(file)
    page.locator("#content form [type=submit]").click()
    expect(page).to_have_url(re.compile(r"/stock-sync/snapshots/\d+$"))
    expect(page.locator("#h-expected")).to_be_visible()
    expect(page.get_by_role("cell", name="NAO-EXISTE")).to_be_visible()
    fits(page)
    page.locator("form[action$=confirm] button").click()
    expect(page.locator("form[action$=confirm]")).to_have_count(0)


@BOTH
def test_chosen_disagreements_are_counted_and_linked_both_ways(
    visit: Visit, seeded: str, till: list[tuple[str, str, int]], size: dict[str, Any], language: str, theme: str
) -> None:
    # How much of earlier disagreements is left hangs on what moved since, by whichever test.
    state(seeded, *((21, till[6:12]) if size is WIDE else (22, till[12:18])), minutes_ago=0)
    page = visit("/stock-sync?source=WMS-C", size=size, language=language, theme=theme)
    for box in page.locator("[data-select-row]").all()[:2]:
        box.check()
    page.locator(".m-bulk button[value=count]").click()
    expect(page.get_by_text(re.compile(r"C\d+"))).to_be_visible()
    page.goto(page.url.split("?")[0] + "?view=counting&source=WMS-C")
    fits(page)
    page.locator("a.m-drift-count").first.click()
    expect(page).to_have_url(re.compile(r"/counts/\d+$"))
    fits(page)
    page.locator("a[href^='/stock-sync/drift/']").first.click()
    expect(page.locator("a[href^='/counts/']").first).to_be_visible()
    fits(page)


@pytest.fixture(scope="module")
def grouped(seeded: str) -> None:
    """A group of locations that a safety rule names, and a customer group that a cap names."""

    async def run() -> None:
        async with Database(seeded) as db, db.transaction(ACTOR) as tx:
            await ownership.put_group(
                tx, "SUDESTE", LocationGroupDraft(name="Lojas do Sudeste", locations=["CD-CAJ", "REC-01"]), None
            )
            rule = SafetyRuleDraft(code="S-SE", name="Vitrine do Sudeste", amount=1, location_group="SUDESTE")
            await safety.put(tx, rule, None)
            cap = AllotmentDraft(
                code="CLUBE-BF", name="Clube na Black Friday", kind=Kind.CAP, quota=40, customer_groups=("clube",)
            )
            await allotments.put(tx, cap, None)

    apart(run)


@BOTH
@pytest.mark.parametrize(
    "path",
    ["/location-groups", "/location-groups/SUDESTE", "/location-groups/SUDESTE/edit", "/customer-groups", "/customer-groups/clube/edit"],
)  # fmt: skip
def test_pages_of_groups_fit(
    visit: Visit, grouped: None, size: dict[str, Any], language: str, theme: str, path: str
) -> None:
    fits(visit(path, size=size, language=language, theme=theme))


def test_a_group_of_locations_is_made_changed_and_not_deleted_while_a_rule_names_it(
    visit: Visit, grouped: None
) -> None:
    page = visit("/location-groups")
    page.get_by_role("link", name="Novo grupo de locais").first.click()
    page.get_by_label("Nome").fill("Recife")
    page.get_by_label("Código", exact=True).fill("REC")
    page.get_by_label("Recife Boa Viagem").check()
    page.get_by_role("button", name="Criar grupo").click()
    expect(page).to_have_url(re.compile("/location-groups/REC$"))
    page.get_by_role("button", name="Excluir").click()
    page.get_by_role("button", name="Excluir grupo").click()
    expect(page).to_have_url(re.compile("/location-groups$"))
    page.get_by_role("link", name="Lojas do Sudeste").click()
    page.get_by_role("button", name="Excluir").click()
    page.get_by_role("button", name="Excluir grupo").click()
    expect(page.locator("#slot-delete [role=alert]")).to_contain_text("regras de segurança o citam")


@BOTH
def test_the_page_of_a_sku_tells_what_each_channel_can_sell(
    visit: Visit, till: list[tuple[str, str, int]], grouped: None, size: dict[str, Any], language: str, theme: str
) -> None:
    page = visit(f"/stock/{till[0][0]}", size=size, language=language, theme=theme)
    page.locator("#selling > summary").click()
    expect(page.locator("#selling-body .m-selling tbody tr").first).to_be_visible()
    page.locator("#selling").scroll_into_view_if_needed()
    fits(page)
    page.locator("#selling-body select[name=buyer]").select_option("clube")
    expect(page.locator("#selling-body a[href='/allotments/CLUBE-BF']").first).to_be_visible()
    page.goto(page.url + "/channels")
    fits(page)


@BOTH
def test_pages_of_owners_fit_and_take_changes(visit: Visit, size: dict[str, Any], language: str, theme: str) -> None:
    page = visit("/stock-owners", size=size, language=language, theme=theme)
    expect(page.locator(".m-owners tbody tr").first).to_be_visible()
    fits(page)
    page.locator("a[href^='/stock-owners/channels/']").first.click()
    expect(page).to_have_url(re.compile("/stock-owners/channels/"))
    fits(page)
    page.locator("input[name=companies]").first.check()
    page.locator("#content form [type=submit]").click()
    expect(page).to_have_url(re.compile("/stock-owners$"))
    page.locator("a[href^='/stock-owners/channels/']").first.click()
    page.locator("input[name=companies]:checked").uncheck()
    page.locator("#content form [type=submit]").click()
    expect(page).to_have_url(re.compile("/stock-owners$"))
    page.locator("a[href^='/stock-owners/locations/']").first.click()
    fits(page)
