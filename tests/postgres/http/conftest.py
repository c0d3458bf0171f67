"""`shop`: the application, served on the test's own database."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests_http import Shop, open_shop

from malha.platform.db import Database


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path)


@pytest.fixture
async def own_shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    """As `shop`, with routes of its own: a test may add some."""
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path, own=True)
