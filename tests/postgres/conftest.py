"""Stories that go through the services end with a visit of the doctor: whatever they did, nothing may drift."""

from collections.abc import AsyncIterator

import pytest

from malha.doctor import examine
from malha.platform.db import Database

STORIES = {
    "test_supply",
    "test_transfers",
    "test_counts",
    "test_order_flows",
    "test_fulfillment",
    "test_pickups",
    "test_payments",
    "test_payment_deadlines",
    "test_fiscal",
    "test_intake",
    "test_ahead",
}


@pytest.fixture
async def examined(database: Database) -> AsyncIterator[None]:
    """At the end, the doctor finds no drift in the test's database."""
    yield
    report = await examine(database)
    drift = [line for finding in report.findings if finding.drifts for line in (finding.check, *finding.lines("en"))]
    assert not drift, "\n".join(drift)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in STORIES and "database" in getattr(item, "fixturenames", ()):
            item.fixturenames.append("examined")


@pytest.fixture
def mail_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say in the environment that mail can be sent; nothing listens there."""
    monkeypatch.setenv("MALHA_SMTP_URL", "smtp://127.0.0.1:9?tls=none")
    monkeypatch.setenv("MALHA_MAIL_FROM", "Loja <pedidos@loja.example>")
