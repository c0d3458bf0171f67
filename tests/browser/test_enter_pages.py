"""Enter in forms with several acts, and the bar of what can be done with the chosen: by the keyboard alone."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from .conftest import WIDE, stand_in

Visit = Callable[..., Page]


def sent(page: Page, path: str, field: Locator | None = None) -> dict[str, list[str]]:
    """Press Enter, in a field if one is named, and return what was sent to a path; nothing of it reaches the server."""
    stand_in(page, f"**{path}", lambda route: route.fulfill(status=204))
    with page.expect_request(lambda request: request.method == "POST" and request.url.endswith(path)) as asked:
        if field is None:
            page.keyboard.press("Enter")
        else:
            field.press("Enter")
    request: Request = asked.value
    return parse_qs(request.post_data or "", keep_blank_values=True)


@pytest.mark.parametrize(
    ("button", "field", "act"),
    [
        ("Hold", "Reason", "hold"),
        ("Tags", "Add", "tags"),
        ("Cancel", "Reason", "cancel"),
        ("Promise another day", "Note", "promise"),
    ],
)
def test_enter_in_a_dialog_does_what_the_dialog_is_for(visit: Visit, button: str, field: str, act: str) -> None:
    page = visit("/orders?view=all", language="en")
    page.locator("[data-select-row]").first.check()
    page.get_by_role("toolbar").get_by_role("button", name=button, exact=True).click()
    shown = page.get_by_role("dialog").get_by_label(field).first
    shown.fill("A customer called")
    assert sent(page, "/orders/bulk", shown)["act"] == [act]


@pytest.mark.parametrize(
    ("path", "button", "field", "text", "act"),
    [("/locations", "Pause", "Reason", "Rain", "pause"), ("/products", "Edit", "Brand", "Aroeira Casa", "change")],
    ids=["pauses locations", "changes products"],
)
def test_enter_in_the_dialog_of_a_list_does_it_to_what_is_chosen(
    visit: Visit, path: str, button: str, field: str, text: str, act: str
) -> None:
    page = visit(path, language="en")
    page.locator("[data-select-row]").first.check()
    page.get_by_role("toolbar").get_by_role("button", name=button).click()
    shown = page.get_by_role("dialog").get_by_label(field)
    shown.fill(text)
    assert sent(page, f"{path}:bulk", shown)["act"] == [act]


def test_enter_beside_a_date_saves_the_date_and_not_an_empty_week(visit: Visit) -> None:
    page = visit("/capacity:several?kind=pickup", language="en")
    page.locator("input[name=code]").first.check()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.keyboard.press("Enter")  # in the box of a location
    page.get_by_label("Date", exact=True).fill("2027-01-04")
    page.get_by_label("Reason").fill("Stock-taking")
    answer = sent(page, "/capacity:several")
    assert answer["act"] == ["day"]
    assert len(asked) == 1


def test_enter_in_a_long_form_sends_it_and_asks_for_no_more_rows(visit: Visit) -> None:
    page = visit("/simulations:new", language="en")
    page.get_by_label("Name", exact=True).fill("Without the store of the mall")
    answer = sent(page, "/simulations:new", page.get_by_label("Name", exact=True))
    assert answer["name"] == ["Without the store of the mall"]


def test_the_keyboard_gets_from_a_chosen_row_to_what_can_be_done_with_it_and_back(visit: Visit) -> None:
    page = visit("/orders?view=all", size=WIDE, language="en")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    bar = page.get_by_role("toolbar")
    box = page.locator("[data-select-row]").nth(2)
    box.focus()
    page.keyboard.press("Enter")  # nothing is chosen: nothing is done
    expect(box).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(bar.get_by_role("button", name="Release now")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(bar.get_by_role("button", name="Hold", exact=True)).to_be_focused()
    page.keyboard.press("End")
    expect(bar.get_by_role("button", name="Clear selection")).to_be_focused()
    page.keyboard.press("Escape")
    expect(box).to_be_focused()
    expect(box).to_be_checked()
    page.keyboard.press("a")
    page.keyboard.press("End")
    page.keyboard.press("Enter")  # the bar goes, and the keyboard is not lost with it
    expect(bar).to_be_hidden()
    expect(box).to_be_focused()
    expect(box).not_to_be_checked()
    assert asked == []


def test_the_bar_is_one_key_away_from_wherever_the_list_is_read(visit: Visit) -> None:
    page = visit("/orders?view=all", language="en")
    page.keyboard.press("j")
    page.keyboard.press("a")  # nothing is chosen yet
    expect(page.locator("body")).to_be_focused()
    page.keyboard.press("x")
    expect(page.get_by_role("toolbar").get_by_text("A", exact=True)).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_role("toolbar").get_by_role("button").first).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("#q").fill("")
    page.locator("#q").press_sequentially("a")
    expect(page.locator("#q")).to_have_value("a")
    expect(page).to_have_url(re.compile("q=a"))
