"""The console in a real browser: signing in, finding an order, acting on it, hearing of changes; both languages, wide and narrow."""

import itertools
import re
import urllib.request
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from malha.identity import service as identity
from malha.identity.model import Role
from malha.identity.service import PersonDraft
from malha.platform.db import Database

from .conftest import NARROW, WIDE, apart, patient, seeding, sideways, violations, walk

Visit = Callable[..., Page]


def number_of(seeded: str, condition: str) -> int:
    """Return the newest order that fulfils an SQL condition on `o`."""
    with psycopg.connect(seeded) as connection:
        connection.execute("SET search_path TO malha")
        row = connection.execute(
            f"SELECT number FROM sales_order o WHERE {condition} ORDER BY placed_at DESC LIMIT 1"  # type: ignore[arg-type]
        ).fetchone()
    assert row is not None, condition
    return int(row[0])


def status_of(seeded: str, number: int) -> str:
    with psycopg.connect(seeded) as connection:
        row = connection.execute("SELECT status FROM malha.sales_order WHERE number = %s", (number,)).fetchone()
    assert row is not None
    return str(row[0])


# --- signing in ---


def test_a_stranger_is_led_to_the_log_in_and_back_to_where_they_wanted_to_go(visit: Visit) -> None:
    page = visit("/orders?view=late", signed_in=False)
    expect(page).to_have_url(re.compile(r"/login\?next="))
    expect(page.get_by_text("Aroeira Casa").first).to_be_visible()
    page.get_by_label("E-mail").fill(seeding.OWNER[1])
    page.get_by_label("Senha").fill("errada de propósito")
    page.get_by_role("button", name="Entrar").click()
    expect(page.get_by_role("alert")).to_contain_text("não conferem")
    page.get_by_label("Senha").fill(seeding.OWNER[2])
    page.get_by_role("button", name="Entrar").click()
    expect(page).to_have_url(re.compile(r"/orders\?view=late"))
    expect(page.get_by_text("Helena Prates", exact=True)).to_be_visible()


def test_signing_out_ends_the_session(visit: Visit) -> None:
    page = visit("/login", signed_in=False)
    page.get_by_label("E-mail").fill(seeding.OWNER[1])
    page.get_by_label("Senha").fill(seeding.OWNER[2])
    page.get_by_role("button", name="Entrar").click()
    page.get_by_role("button", name="Sair").click()
    expect(page).to_have_url(re.compile(r"/login$"))
    page.goto(page.url.replace("/login", "/orders"))
    expect(page).to_have_url(re.compile(r"/login"))


def test_the_language_can_be_switched_before_and_after_signing_in(visit: Visit) -> None:
    page = visit("/login", signed_in=False)
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page = visit("/orders")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Orders")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_theme_is_kept(visit: Visit) -> None:
    page = visit("/orders")
    page.get_by_role("button", name="Mudar para o tema escuro").click()
    expect(page.get_by_role("button", name="Mudar para o tema claro")).to_be_visible()
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


# --- the list ---


def test_views_filters_and_search_narrow_the_list_and_are_kept_in_the_address(visit: Visit) -> None:
    page = visit("/orders")
    page.get_by_role("link", name=re.compile("^A separar")).click()
    expect(page).to_have_url(re.compile("view=to_pick"))
    page.get_by_label("Buscar nesta visão").fill("iara")
    expect(page).to_have_url(re.compile("q=iara"))
    for row in page.locator("[data-rows] > tr").all():
        expect(row).to_contain_text("Iara Nogueira")
    page.get_by_label("Buscar nesta visão").fill("ninguém com este nome")
    expect(page.get_by_text("Nenhum pedido encontrado")).to_be_visible()
    page.get_by_role("link", name="Limpar filtros").first.click()
    expect(page.locator("[data-rows] > tr").first).to_be_visible()
    page.get_by_label("Canal").select_option("app")
    expect(page).to_have_url(re.compile("channel=app"))
    expect(page.locator("[data-rows] > tr .m-col-id small", has_not_text="App")).to_have_count(0)
    page.go_back()
    expect(page).not_to_have_url(re.compile("channel=app"))


@pytest.mark.parametrize("how", ["number", "external_id", "document", "phone", "email", "sku"])
def test_an_order_is_found_by_whatever_a_person_has_at_hand(visit: Visit, seeded: str, how: str) -> None:
    with psycopg.connect(seeded) as connection:
        found = connection.execute(
            "SELECT o.number, o.external_id, o.buyer_document, o.buyer_phone, o.buyer_email, "
            "(SELECT sku_text FROM malha.order_line l WHERE l.order_id = o.id AND line = 1) "
            "FROM malha.sales_order o WHERE method = 'ship' ORDER BY number LIMIT 1"
        ).fetchone()
    assert found is not None
    number, external_id, document, phone, email, sku = found
    cpf = f"{document[:3]}.{document[3:6]}.{document[6:9]}-{document[9:]}"
    asked = {
        "number": f"#{number}",
        "external_id": external_id,
        "document": cpf,
        "phone": phone[3:],
        "email": email,
        "sku": sku,
    }
    page = visit(f"/orders?view=all&q={str(asked[how]).replace('#', '%23')}")
    if how in {"email", "sku"}:  # of several orders
        assert page.locator("[data-rows] > tr").count() > 0
    else:
        expect(page.locator(f"#o{number}")).to_be_visible()


def test_pages_follow_one_another_without_a_gap(visit: Visit, seeded: str) -> None:
    with patient(seeded) as connection:
        ((every,),) = connection.execute("SELECT count(*) FROM sales_order").fetchall()  # other files place some, too
    assert every > 100
    page = visit("/orders?view=all")
    seen = page.locator("[data-rows] > tr").evaluate_all("rows => rows.map(r => r.dataset.number)")
    for first in range(51, every + 1, 50):
        page.get_by_role("link", name="Próxima página").click()
        expect(page.get_by_text(f"{first}–{min(first + 49, every)} de {every}")).to_be_visible()
        seen += page.locator("[data-rows] > tr").evaluate_all("rows => rows.map(r => r.dataset.number)")
    assert len(seen) == len(set(seen)) == every
    page.get_by_role("link", name="Página anterior").click()
    before = (every - 1) // 50 * 50 - 49
    expect(page.get_by_text(f"{before}–{before + 49} de {every}")).to_be_visible()


def test_the_keyboard_moves_selects_and_opens(visit: Visit) -> None:
    page = visit("/orders")
    rows = page.locator("[data-rows] > tr")
    second = rows.nth(1).get_attribute("data-number")
    page.keyboard.press("j")
    expect(rows.nth(1)).to_have_attribute("aria-current", "true")
    expect(page.locator("#detail h2")).to_have_text(f"#{second}")
    page.keyboard.press("x")
    expect(page.get_by_role("toolbar")).to_contain_text("1 na seleção")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.type("jonas")
    expect(page.locator("#cmd-list [role=option]").first).to_contain_text("Jonas Teles")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("#1")
    expect(page.get_by_text("Jonas Teles").first).to_be_visible()


def test_a_bulk_act_holds_the_chosen_orders_and_says_which_it_left_alone(visit: Visit, seeded: str) -> None:
    page = visit("/orders?view=to_pick")
    boxes = page.locator("[data-select-row]")
    numbers = [int(boxes.nth(i).get_attribute("value") or 0) for i in (0, 1)]
    for i in (0, 1):
        boxes.nth(i).check()
    page.get_by_role("toolbar").get_by_role("button", name="Reter").click()
    page.get_by_role("dialog").get_by_label("Motivo").fill("conferir antes")
    page.get_by_role("button", name="Reter pedidos").click()
    expect(page.locator("#toasts")).to_contain_text("2 pedidos retidos")
    assert [status_of(seeded, n) for n in numbers] == ["on_hold", "on_hold"]
    page.goto(page.url.split("/orders")[0] + "/orders?view=on_hold")
    for n in numbers:
        page.locator(f"#o{n} [data-select-row]").check()
    shortage = number_of(
        seeded,
        "EXISTS (SELECT FROM order_hold h WHERE h.order_id = o.id AND kind = 'shortage' AND resolved_at IS NULL)",
    )
    page.locator(f"#o{shortage} [data-select-row]").check()
    page.get_by_role("toolbar").get_by_role("button", name="Liberar retenções").click()
    expect(page.get_by_role("alert")).to_contain_text(f"#{shortage}")
    assert status_of(seeded, numbers[0]) != "on_hold"


def test_the_export_holds_the_filtered_rows_and_defuses_formulas(visit: Visit, seeded: str) -> None:
    number = number_of(seeded, "status = 'shipped'")
    with psycopg.connect(seeded) as connection:
        connection.execute("UPDATE malha.sales_order SET buyer_name = '=1+1' WHERE number = %s", (number,))
    page = visit("/orders?view=in_transit")
    with page.expect_download() as download:
        page.get_by_text("Exportar", exact=True).click()
        page.get_by_role("link", name="CSV").click()
    text = download.value.path().read_text("utf-8-sig")
    lines = text.splitlines()
    assert lines[0].startswith("Pedido;Pedido do canal;Canal")
    assert len(lines) == 1 + page.locator("[data-rows] > tr").count()
    assert "'=1+1" in text


# --- an order ---


def test_an_order_answers_four_questions_and_explains_its_location(visit: Visit, seeded: str) -> None:
    number = number_of(
        seeded, "EXISTS (SELECT FROM order_timeline t WHERE t.order_id = o.id AND t.type = 'fulfillment.rejected')"
    )
    page = visit(f"/orders/{number}")
    for question in ("Onde está?", "Está atrasado?", "O que bloqueia?", "O que posso fazer?"):
        expect(page.get_by_text(question)).to_be_visible()
    expect(page.locator("#why-h")).to_have_text(re.compile("^Por que "))
    expect(page.get_by_role("heading", name="Locais recusados")).to_be_visible()
    expect(page.get_by_text("Recusado por").first).to_be_visible()
    expect(page.get_by_text("Helena Prates").first).to_be_visible()


def test_an_order_is_led_from_release_to_the_truck_by_its_primary_action(visit: Visit, seeded: str) -> None:
    number = number_of(seeded, "status = 'allocated' AND method = 'ship'")
    page = visit(f"/orders/{number}")
    actions = page.locator(".m-head-actions")
    actions.get_by_role("button", name="Liberar agora").click()
    actions.get_by_role("button", name=re.compile("^Aceitar em")).click()
    actions.get_by_role("button", name="Confirmar separação").click()
    page.get_by_role("dialog").get_by_role("button", name="Confirmar separação").click()
    actions.get_by_role("button", name="Embalar").click()
    if (parcels := page.locator("dialog[open]")).count():  # of several units a person may say which go in which parcel
        parcels.get_by_role("button", name="Embalar").click()
    actions.get_by_role("button", name="Registrar documento").click()
    dialog = page.get_by_role("dialog")
    key = valid_key(seeded, number)
    dialog.get_by_label("Chave de acesso").fill(key[:43] + str((int(key[43]) + 1) % 10))
    expect(dialog.get_by_text("O dígito verificador não confere")).to_be_visible()
    dialog.get_by_role("button", name="Registrar documento").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    assert status_of(seeded, number) == "packed"
    dialog.get_by_label("Chave de acesso").fill(key)
    expect(dialog.get_by_text("Válida.")).to_be_visible()
    dialog.get_by_role("button", name="Registrar documento").click()
    actions.get_by_role("button", name="Expedir").click()
    dialog.get_by_label("Código de rastreio").fill("JD777BR")
    dialog.get_by_role("button", name="Expedir").click()
    expect(page.get_by_text("A caminho com Jadlog")).to_be_visible()
    expect(page.get_by_text("JD777BR").first).to_be_visible()
    assert status_of(seeded, number) == "shipped"


def valid_key(seeded: str, number: int) -> str:
    """Return an access key that the issuer of the order's work could have."""
    from datetime import UTC, datetime

    with psycopg.connect(seeded) as connection:
        row = connection.execute(
            "SELECT e.cnpj, e.state FROM malha.fulfillment_order f JOIN malha.location l ON l.id = f.location_id "
            "JOIN malha.establishment e ON e.id = l.establishment_id JOIN malha.sales_order o ON o.id = f.order_id "
            "WHERE o.number = %s",
            (number,),
        ).fetchone()
    assert row is not None
    at = datetime.now(UTC)
    return seeding.build_access_key(
        state=row[1], year=at.year, month=at.month, issuer=row[0], model="55", series=7, number=number, code="87654321"
    )


def test_cancelling_says_first_what_it_does_and_then_does_it(visit: Visit, seeded: str) -> None:
    number = number_of(seeded, "status = 'picking' AND (SELECT count(*) FROM order_line l WHERE l.order_id = o.id) > 1")
    page = visit(f"/orders/{number}")
    page.get_by_text("Mais", exact=True).click()
    page.get_by_role("button", name="Cancelar pedido").click()
    dialog = page.get_by_role("dialog")
    whole = dialog.locator("#cancel-effect")
    expect(whole).to_contain_text("Unidades canceladas")
    quantities = dialog.locator("input[type=number]")
    for i in range(1, quantities.count()):
        quantities.nth(i).fill("0")
    quantities.nth(0).fill("1")
    expect(whole.locator("b").first).to_have_text("1")
    dialog.get_by_label("Motivo").fill("Cliente desistiu")
    dialog.get_by_role("button", name="Cancelar estas unidades").click()
    expect(page.locator("#toasts")).to_contain_text("1 unidade cancelada")
    expect(page.get_by_text("1 cancelada").first).to_be_visible()


def test_a_refusal_is_said_in_the_dialog_and_nothing_is_lost(visit: Visit, seeded: str) -> None:
    number = number_of(seeded, "status = 'allocated' AND method = 'ship'")
    page = visit(f"/orders/{number}")
    page.get_by_role("button", name="Mudar endereço").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("CEP").fill("123")
    dialog.get_by_role("button", name="Salvar endereço").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    expect(dialog.get_by_label("CEP")).to_have_value("123")


def test_personal_data_is_masked_until_it_is_asked_for_and_that_is_recorded(visit: Visit, seeded: str) -> None:
    number = number_of(seeded, "status = 'delivered'")
    page = visit(f"/orders/{number}")
    with psycopg.connect(seeded) as connection:
        row = connection.execute(
            "SELECT id, buyer_document FROM malha.sales_order WHERE number = %s", (number,)
        ).fetchone()
    assert row is not None
    cpf = f"{row[1][:3]}.{row[1][3:6]}.{row[1][6:9]}-{row[1][9:]}"
    assert cpf not in page.content()
    assert row[1] not in page.content()
    assert "/track/" not in page.content()
    page.get_by_role("button", name="Mostrar tudo").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Motivo").fill("A transportadora pediu")
    dialog.get_by_role("button", name="Mostrar tudo").click()
    expect(page.get_by_text(cpf)).to_be_visible()
    link = page.get_by_role("link", name="Ver a página").get_attribute("href")
    assert page.get_by_role("button", name="Copiar link").get_attribute("data-copy") == link
    with psycopg.connect(seeded) as connection:
        audited = connection.execute(
            "SELECT count(*) FROM malha.audit WHERE action = 'reveal' AND entity_id = %s AND after ->> 'why' = %s",
            (str(row[0]), "A transportadora pediu"),  # other tests may have asked for other reasons
        ).fetchone()
    assert audited == (1,)
    page.goto(str(link))
    expect(page.get_by_text(f"Pedido {number}").first).to_be_visible()


def test_a_pickup_is_handed_over_with_its_code_only(visit: Visit, seeded: str) -> None:
    number = number_of(seeded, "status = 'ready'")
    with psycopg.connect(seeded) as connection:
        row = connection.execute(
            "SELECT f.pickup_code FROM malha.fulfillment_order f JOIN malha.sales_order o ON o.id = f.order_id WHERE o.number = %s",
            (number,),
        ).fetchone()
    assert row is not None
    page = visit(f"/orders/{number}")
    assert row[0] not in page.content()
    page.locator(".m-head-actions").get_by_role("button", name="Entregar ao cliente").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Código de retirada").fill("000000" if row[0] != "000000" else "111111")
    dialog.get_by_role("button", name="Entregar ao cliente").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    expect(dialog.get_by_label("Código de retirada")).to_be_focused()
    page.keyboard.type(row[0])  # over the wrong one
    page.keyboard.press("Enter")
    expect(page.get_by_text("Com o cliente")).to_be_visible()


# --- live ---


def test_an_open_list_and_an_open_order_hear_of_a_change_elsewhere(
    visit: Visit, seeded: str, settle: Callable[[], None]
) -> None:
    number = number_of(seeded, "status = 'allocated' AND method = 'ship'")
    watching, order, acting = visit("/orders?view=open"), visit(f"/orders/{number}"), visit(f"/orders/{number}")
    expect(watching.locator(f"#o{number}")).to_contain_text("Alocado")
    for page in (watching, order):
        expect(page.locator("[data-sync-text]")).to_contain_text("Em dia")
    acting.get_by_role("button", name="Reter").click()
    acting.get_by_role("dialog").get_by_label("Motivo").fill("ligar antes")
    acting.get_by_role("button", name="Reter pedido").click()
    expect(acting.locator("#toasts")).to_contain_text("Pedido retido")
    settle()
    expect(watching.locator(f"#o{number}")).to_contain_text("Retido")
    expect(order.locator("h1 + .m-st")).to_contain_text("Retido")
    expect(order.get_by_text("ligar antes").first).to_be_visible()


# --- who may see and do what ---


def test_a_store_associate_sees_and_touches_the_orders_of_their_store_only(
    browser: Browser, address: str, seeded: str
) -> None:
    email, password = "josue@aroeira.example", "manta de algodão 9"

    async def hire() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            draft = PersonDraft(name="Josué Lins", email=email, role=Role.STORE_ASSOCIATE, locations=["REC-01"])
            await identity.create_person(tx, draft, password=password)

    apart(hire)
    at = "EXISTS (SELECT FROM order_unit u JOIN location l ON l.id = u.location_id WHERE u.order_id = o.id AND l.code = 'REC-01')"
    theirs = number_of(seeded, f"{at} AND status = 'picking'")
    others = number_of(seeded, f"NOT {at} AND status = 'picking'")
    asking = browser.new_context().request
    assert asking.post(f"{address}/login", form={"email": email, "password": password}, max_redirects=0).status == 303
    listed = asking.get(f"{address}/orders?view=all").text()
    assert f"/orders/{theirs}" in listed
    assert f"/orders/{others}" not in listed
    assert f"/orders/{others}" not in asking.get(f"{address}/find?q={others}").text()
    assert str(others) not in asking.get(f"{address}/orders/rows?numbers={others}").text()
    assert str(others) not in asking.get(f"{address}/orders/export.csv?view=all").text()
    page = asking.get(f"{address}/orders/{theirs}").text()
    assert "dlg-cancel" not in page
    assert "/reveal" not in page
    # As a browser sends its own forms: otherwise the guard against other sites would refuse first.
    html = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
    assert asking.get(f"{address}/orders/{others}", headers=html).status == 404
    assert asking.get(f"{address}/orders/{others}/peek", headers=html).status == 404
    for act in ("cancel", "hold", "note", "payment", "document", "reveal"):
        assert asking.post(f"{address}/orders/{theirs}/{act}", form={"text": "x"}, headers=html).status == 403, act
    assert asking.post(f"{address}/orders/{others}/accept", form={"work": "x"}, headers=html).status == 404
    answer = asking.post(f"{address}/orders/bulk", form={"act": "cancel", "order": str(theirs)}, headers=html)
    assert answer.status == 403


def test_a_form_of_another_site_changes_nothing(
    browser: Browser, address: str, session_cookies: list[Any], seeded: str
) -> None:
    number = number_of(seeded, "status = 'allocated'")
    context = browser.new_context()
    context.add_cookies(session_cookies)
    foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    answer = context.request.post(f"{address}/orders/{number}/hold", form={"kind": "manual"}, headers=foreign)
    assert answer.status == 403
    assert status_of(seeded, number) == "allocated"


# --- every page, both languages, both sizes ---

PAGES = {
    "login": "/login",
    "orders": "/orders",
    "empty": "/orders?q=zzzz",
    "fulfillment": "/fulfillment",
    "held": "status = 'on_hold'",
    "picking": "status = 'picking'",
    "delivered": "status = 'delivered'",
    "missing": "/orders/1",
}


@pytest.mark.parametrize(("size", "theme"), [(WIDE, "light"), (NARROW, "dark")], ids=["wide light", "narrow dark"])
def test_pages_are_accessible_and_fit(visit: Visit, seeded: str, size: Any, theme: str) -> None:
    found = {}
    how = {"size": size, "theme": theme, "language": "en" if theme == "dark" else "pt-BR"}
    paths = [path if path.startswith("/") else f"/orders/{number_of(seeded, path)}" for path in PAGES.values()]
    walked = itertools.chain(walk(visit, paths[:1], signed_in=False, **how), walk(visit, paths[1:], **how))
    for name, (_, page) in zip(PAGES, walked, strict=True):
        found[name] = violations(page)
        if wide := sideways(page):
            found[name].append(f"{wide} px too wide")
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_dialogs_are_accessible(visit: Visit, seeded: str) -> None:
    page = visit(f"/orders/{number_of(seeded, 'status = $$picking$$')}")
    found = {}
    for dialog in page.locator("dialog[id^=dlg-]").all():
        name = dialog.get_attribute("id")
        dialog.evaluate("dialog => dialog.showModal()")
        found[name] = violations(page)
        dialog.evaluate("dialog => dialog.close()")
    assert len(found) >= 4
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(("language", "heading"), [("pt-BR", "Pedidos"), ("en", "Orders")])
def test_a_page_speaks_one_language_only(visit: Visit, language: str, heading: str) -> None:
    page = visit("/orders", language=language)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    other = "Alocado" if language == "en" else "Allocated"
    assert other not in page.locator("main").inner_text()


def test_answers_say_where_scripts_may_come_from_and_files_are_kept_for_ever(address: str) -> None:
    with urllib.request.urlopen(f"{address}/login") as answer:  # noqa: S310
        policy, body = answer.headers["content-security-policy"], answer.read().decode()
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script>|style=|onclick=", body)
    path = re.search(r'href="(/static/[^"]+malha\.css)"', body)
    assert path is not None
    asked = urllib.request.Request(address + path.group(1), headers={"Accept-Encoding": "gzip"})  # noqa: S310
    with urllib.request.urlopen(asked) as answer:  # noqa: S310
        assert answer.headers["content-encoding"] == "gzip"
        assert "immutable" in answer.headers["cache-control"]
