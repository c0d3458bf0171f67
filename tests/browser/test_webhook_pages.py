"""Webhooks in a real browser: made, their secret copied, tried, failing, sent again, started again, removed."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from tests.webhook_sink import Sink, webhook_sink

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.platform.clock import now
from malha.platform.db import Database
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.webhooks import reads, rules, sending, service
from malha.webhooks.model import Replay

from .conftest import NARROW, SHOTS, WIDE, apart, shot, unsound

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    served = webhook_sink()
    yield asyncio.run_coroutine_threadsafe(served.__aenter__(), loop).result()
    asyncio.run_coroutine_threadsafe(served.__aexit__(None, None, None), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def worker(web_settings: Settings) -> Callable[[], None]:
    """What the worker would do: events in line, and on their way."""
    settings = Settings(
        database_url=web_settings.database_url, data_dir=web_settings.data_dir, outward_allow=("127.0.0.1",)
    )

    def run() -> None:
        async def work() -> None:
            async with Database(web_settings.database_url or "") as database:
                await drain(database, SUBSCRIPTIONS, strict=False)
                out = sending.sending_of(settings)
                async with out.kept:
                    await sending.send_due(database, out)

        apart(work)

    return run


def replayed(url: str, name: str) -> None:
    """Put the past of the retailer in line for a webhook."""

    async def work() -> None:
        async with Database(url) as database:
            async with database.transaction() as tx:
                (one,) = [e for e in await reads.endpoints(tx) if e.name == name]
                await service.replay(tx, one.id, Replay(since=now() - timedelta(days=3_000)))
            async with database.transaction() as tx:
                # A day with some hours in it, so that there is something to see.
                for hour in range(1, 20):
                    await tx.execute(
                        "INSERT INTO webhook_minute VALUES (%s, date_trunc('minute', now() - %s::interval), %s, %s, %s, %s)",
                        [
                            one.id,
                            f"{hour} hours",
                            40 + hour * 7 % 60,
                            hour % 3,
                            [0] * 4 + [40 + hour * 7 % 60] + [0] * 13,
                            300 * hour,
                        ],
                    )

    apart(work)


def test_a_webhook_is_made_tried_fails_and_is_sent_again(
    visit: Visit, sink: Sink, seeded: str, worker: Callable[[], None]
) -> None:
    page = visit("/webhooks", language="en")
    expect(page.get_by_text("Nobody is told yet")).to_be_visible()
    shot(page, "empty-en-wide")
    page.get_by_role("link", name="New webhook").first.click()
    page.get_by_label("Who listens?").fill("ERP")
    page.get_by_label("Address", exact=False).first.fill("http://user:word@127.0.0.1/x")
    page.get_by_role("button", name="Create webhook").click()
    expect(page.locator("#refusal")).to_contain_text("it holds a user or a password")
    page.get_by_label("Address", exact=False).first.fill(sink.url)
    page.get_by_role("button", name="Create webhook").click()
    expect(page.get_by_role("heading", name="ERP is ready")).to_be_visible()
    assert page.locator("#secret").input_value().startswith(rules.SECRET_PREFIX)
    shot(page, "secret-en-wide")
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Send a test event").click()
    expect(page.locator("#toasts")).to_contain_text("The test event arrived: HTTP 200")
    assert sink.sent[-1].json["type"] == "webhook.test"
    sink.answer = lambda sent: (500 if sent.json["type"] == "order.placed" else 200, {}, b'{"error": "no room"}')
    replayed(seeded, "ERP")
    worker()
    page = visit("/webhooks", language="en")
    page.get_by_role("link", name="ERP", exact=True).click()
    expect(page.get_by_role("heading", name="Deliveries")).to_be_visible()
    page.locator("td a.m-id", has_text="order.placed").first.click()
    expect(page.get_by_text("no room").first).to_be_visible()
    shot(page, "delivery-en-wide")
    sink.answer = lambda _sent: (200, {}, b"")
    page.get_by_role("button", name="Send again").click()
    expect(page.locator("#toasts")).to_contain_text("It is in line again")


def test_it_is_paused_and_started_again_and_its_secret_changed(visit: Visit, seeded: str) -> None:
    page = visit("/webhooks", language="en")
    page.get_by_role("link", name="ERP", exact=True).click()
    page.get_by_role("button", name="Pause").first.click()
    page.locator("#dlg-pause").get_by_role("button", name="Pause").click()
    expect(page.locator("#toasts")).to_contain_text("told nothing for now")
    page.get_by_role("button", name="Start again").first.click()
    page.locator("#dlg-start").get_by_role("button", name="Start again").click()
    expect(page.locator("#toasts")).to_contain_text("told again")
    page.get_by_role("button", name="New secret").first.click()
    page.locator("#dlg-rotate").get_by_role("button", name="Make a new secret").click()
    expect(page.locator("#slot-rotate")).to_contain_text("The former one signs too until")


def test_the_pages_are_sound_at_both_widths_in_both_themes(visit: Visit, seeded: str) -> None:
    async def found() -> tuple[int, int]:
        async with Database(seeded) as database, database.transaction() as tx:
            (one,) = await reads.endpoints(tx)
            return one.id, (await reads.deliveries(tx, one.id, limit=1))[0].position

    id_, position = apart(found)
    paths = {
        "list": "/webhooks",
        "new": "/webhooks/new",
        "one": f"/webhooks/{id_}",
        "edit": f"/webhooks/{id_}/edit",
        "delivery": f"/webhooks/{id_}/deliveries/{position}",
    }
    if SHOTS:
        for name, path in paths.items():
            for size, width in ((WIDE, "wide"), (NARROW, "narrow")):
                for language in ("pt-BR", "en"):
                    shot(visit(path, size=size, language=language), f"{name}-{language}-{width}")
            shot(visit(path, theme="dark"), f"{name}-dark")
    assert unsound(visit, paths) == {}
    assert unsound(visit, paths, size=NARROW, theme="dark", language="en") == {}


def test_one_that_was_given_up_on_needs_attention_and_can_be_removed(visit: Visit, seeded: str) -> None:
    async def give_up() -> None:
        async with Database(seeded) as database, database.transaction() as tx:
            await tx.execute(
                "UPDATE webhook_endpoint SET state = 'disabled', why = 'failing', stopped_position = 0, stopped_at = now()"
            )

    apart(give_up)
    page = visit("/attention", language="en")
    page.get_by_role("link", name="ERP is told nothing since").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing has arrived there for 5 days.")
    shot(page, "disabled-en-wide")
    page.get_by_role("button", name="Remove").first.click()
    page.locator("#dlg-remove").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Nobody is told yet")).to_be_visible()
