"""A file of orders names people: who may not see personal data in full does not get it, and who may is written down."""

import pytest
from tests_http import Shop

from malha.channels.connecting import service
from malha.channels.connecting.model import ConnectionDraft
from malha.identity.model import Role
from malha.platform.signing import Keys
from malha.testing.builders import a_network

FILES = """
INSERT INTO partner_file (id, connection_id, way, kind, name, fingerprint, bytes, content, rows, held, state, says, ended_at)
SELECT gen_random_uuid(), c.id, w.way, w.kind, w.kind || '.csv', int4send(w.n::int), 20,
       '\\x1f8b08000000000002032b484dc94cc9e702003205cf4e07000000', 1, 0, 'done', '', now()
FROM connection c,
     unnest(ARRAY['in', 'in', 'in', 'out', 'out'], ARRAY['orders', 'unknown', 'prices', 'errors', 'pick'])
         WITH ORDINALITY AS w(way, kind, n)
"""
REVEALED = "SELECT after ->> 'name' FROM audit WHERE action = 'reveal' AND entity = 'connection' ORDER BY 1"


@pytest.fixture
async def numbers(shop: Shop) -> dict[str, int]:
    """The numbers of a connection's files, by kind."""
    async with shop.database.transaction() as tx:
        await a_network(tx)
        config = {"host": "127.0.0.1", "user": "loja"}
        draft = ConnectionDraft(code="erp", name="ERP", connector="erp_files", channel="web", config=config)
        await service.add_connection(tx, draft, Keys(b"k" * 32))
        await tx.execute(FILES)
        return dict(await tx.tuples("SELECT kind, number FROM partner_file"))


async def test_a_file_that_names_people_is_shown_to_who_may_see_them_and_that_is_kept(
    shop: Shop, numbers: dict[str, int]
) -> None:
    some = await shop.key(["network:read", "orders:read"])
    full = await shop.key(["network:read", "orders:read", "customers:reveal"])
    for kind, number in numbers.items():
        address = f"/v1/connections/erp/partner/files/{number}/content"
        refused = await shop.http.get(address, headers=some)
        assert refused.status_code == (200 if kind == "prices" else 403), kind
        assert (await shop.http.get(address, headers=full)).status_code == 200
    async with shop.database.transaction() as tx:
        assert await tx.values(REVEALED) == ["errors.csv", "orders.csv", "pick.csv", "unknown.csv"]


async def test_pages_offer_such_a_file_to_who_may_have_it(shop: Shop, numbers: dict[str, int]) -> None:
    owner, clerk = await shop.session(), await shop.session(Role.PLANNER)
    for kind, number in numbers.items():
        here = f"/connections/erp/partner/files/{number}"
        for who, may in ((owner, True), (clerk, kind == "prices")):
            for page in ("/connections/erp/partner", here):
                assert (f"{here}/content" in (await shop.http.get(page, headers=who)).text) is may, (kind, page)
            assert (await shop.http.get(f"{here}/content", headers=who)).status_code == (200 if may else 403)
    async with shop.database.transaction() as tx:
        assert len(await tx.values(REVEALED)) == 4
