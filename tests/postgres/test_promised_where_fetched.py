"""A promised day of goods that are fetched ends by the clock of the counter, whoever promises it and whoever reads it.

A store in Rio Branco is two hours behind the retailer in São Paulo: its last second of a day is there the next one.
"""

from datetime import UTC, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

from malha.console import order as page
from malha.console import order_facts
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.flows.telling import facts_of
from malha.fulfillment.bulk_acts import carry_out
from malha.fulfillment.bulk_model import Act, Wish
from malha.ordering import promises
from malha.ordering import service as ordering
from malha.ordering.model import PromiseReason
from malha.platform import i18n
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, an_order, in_days

RIO_BRANCO = "America/Rio_Branco"
# Their buyer lives elsewhere: where they live says nothing of when goods are at the counter.
AT_HOME = """UPDATE sales_order SET ship_to = '{"state": "SP", "postal_code": "01310100"}', ship_state = 'SP'"""


async def fetched(database: Database) -> UUID:
    async with database.transaction() as tx:
        world = await a_network(tx)
        await tx.execute("UPDATE location SET timezone = %s WHERE code = 'S1'", (RIO_BRANCO,))
        order_id = await an_order(tx, world, method="pickup", pickup_at="S1")
        await tx.execute(AT_HOME)
    return order_id


async def test_a_day_that_is_promised_ends_at_the_counter(database: Database) -> None:
    order_id, day = await fetched(database), in_days(5)
    wish = Wish(act=Act.PROMISE, day=day, because=PromiseReason.OTHER, note="strike", zone="America/Sao_Paulo")
    async with database.transaction() as tx:
        order = await ordering.lock_order(tx, order_id)
        assert (await promises.zone_promised(tx, order, "America/Sao_Paulo")).key == RIO_BRANCO
        await carry_out(tx, order_id, wish, None)
        promised = await tx.value("SELECT promised_at FROM sales_order")
    assert promised == datetime.combine(day, time(23, 59, 59), ZoneInfo(RIO_BRANCO))


async def test_a_message_and_the_orders_page_say_the_counters_day(database: Database, tmp_path: Path) -> None:
    order_id, day = await fetched(database), in_days(5)
    at = datetime.combine(day, time(23, 59, 59), ZoneInfo(RIO_BRANCO)).astimezone(UTC)
    settings = Settings(data_dir=tmp_path, database_url=database.url, public_url="https://oms.example.com")
    async with database.transaction() as tx:
        await promises.repromise(tx, order_id, at, reason=PromiseReason.OTHER, note="strike")
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        event = {"promised_at": at.isoformat(), "why": "other", "lines": []}
        told = await facts_of(tx, order_id, event, settings)
        assert told is not None
        assert told.promised_day == day
        with i18n.speaking("en", "America/Sao_Paulo"):
            facts = await order_facts.read(tx, told.order_number, None)
            shown = page.view_of(facts, await page.names_of(tx, facts), may=lambda _: True)
            written = i18n.day(day, in_days(0))
    late = next(answer for answer in shown.answers if answer.icon == "clock")
    assert f"Promised for {written}" in late.more
    assert f"Promised for {written}" in str(shown.happenings)
