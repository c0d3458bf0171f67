"""How far each route that writes may reach: over all locations, those of the caller, or what is the caller's own.

The table is written by hand, as that of permissions is: a route that is not in it is a defect, so nobody forgets to
ask whether someone who is limited to one store may call it.
"""

from collections import Counter
from pathlib import Path

import pytest
from psycopg import sql
from test_access import ENDING, LEADING, declared
from test_foreign_locations import FIRST
from test_foreign_locations import shop as franchises  # noqa: F401 -- a fixture
from test_scope_matrix import Walker, furnish
from tests_http import Shop

from malha.api import reference
from malha.identity.model import Role

REACH = Path(__file__).with_name("reach.txt")
# everywhere: what it changes is the whole retailer's, so whoever is limited to locations is refused.
# located: it changes what is at locations, or belongs to somebody who is; each service looks whether they are the caller's.
# own: it changes what is of the caller alone.
# anyone: nobody is signed in, or a token says what it is about.
KINDS = {"everywhere", "located", "own", "anyone"}
REFUSALS = {"shared_by_all", "needs_everywhere"}


def table() -> dict[tuple[str, str], str]:
    lines = [line.split() for line in REACH.read_text().splitlines()]
    return {(method, path): kind for method, path, kind in lines}


def test_the_reach_of_every_route_that_writes_was_decided(shop: Shop, tmp_path: Path) -> None:
    known = table()
    assert set(known.values()) == KINDS
    found = ((m, p, "anyone" if said == "public" else "?") for m, p, said in declared(shop.app) if m != "GET")
    fresh = sorted(f"{m:6} {p}  {known.get((m, p), kind)}\n" for m, p, kind in found)
    if "".join(fresh) != REACH.read_text():
        mine = tmp_path / "reach.txt"
        mine.write_text("".join(fresh))
        pytest.fail(
            f"Routes changed. Read the difference of {mine} to {REACH}, and say in it how far each new one reaches."
        )


async def test_what_is_the_whole_retailers_is_changed_by_nobody_who_is_limited(franchises: Shop) -> None:  # noqa: F811
    shop, known = franchises, table()
    names = (await furnish(shop))[FIRST].names
    walker = Walker(shop, reference.document())
    limited = await shop.session(Role.OWNER, email="limited@walk.test", locations=[FIRST.code])
    before = await shared(shop)
    wrong = []
    asked: Counter[str] = Counter()
    for (method, path), kind in sorted(known.items(), key=lambda row: (row[0] in ENDING, row)):
        if kind == "anyone" or (method, path) in LEADING | ENDING:
            continue
        answer = await walker.ask(method, path, limited, names)
        asked[kind] += 1
        api = path.startswith("/v1/")
        refused = answer.status_code == 403 and (not api or answer.json()["code"] in REFUSALS)
        if kind == "everywhere" and not refused:
            wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:160] if api else ''}")
        if (after := await shared(shop)) != before:
            wrong.append(f"{method} {path} changed {sorted(name for name in after if after[name] != before[name])}")
            before = after
    assert asked["everywhere"] > 200
    assert not wrong, "\n".join(wrong)


# Tables of which no row is of one location, and none of the caller.
SHARED = (
    "ahead_policy", "allotment", "category", "category_mapping", "channel", "channel_owner", "channel_variant", "connection", "customer_group", "establishment",
    "kit_component", "legal_entity", "listing", "listing_override", "location_group", "login_policy", "login_provider", "markdown_credit", "media", "message_gateway",
    "message_route", "message_rules", "message_switch", "message_teller", "message_template", "method_mapping", "payment_term", "product", "promise_learning",
    "reroute_policy", "retailer", "role_policy", "routing_cost_draft", "routing_costs", "routing_rule_set", "safety_rule", "service", "service_rate", "shadow",
    "simulation", "stock_pricing", "stock_push", "stock_source", "tax_cost", "variant", "variant_owner", "variant_substitute",
)  # fmt: skip
# One number for all that is in them.
DIGEST = sql.SQL(" UNION ALL ").join(
    sql.SQL("SELECT {name}, md5(string_agg(t::text, ',' ORDER BY t::text)) FROM {table} t").format(
        name=sql.Literal(name), table=sql.Identifier(name)
    )
    for name in SHARED
)


async def shared(shop: Shop) -> dict[str, str | None]:
    async with shop.database.transaction() as tx:
        return dict(await tx.tuples(DIGEST))
