"""How Aroeira routes: groups of locations, a plain set of rules, what is compared besides freight, drafts to try."""

from contextlib import AbstractAsyncContextManager

import msgspec

from malha.catalog import reads as catalog
from malha.demo.retailer import CONSIGNED
from malha.demo.words import SITES, VENDOR, VENDOR_KINDS
from malha.inventory.vendors import service as vendors
from malha.inventory.vendors.model import OfferDraft
from malha.network import ownership
from malha.network import reads as network
from malha.network.model import LocationGroupDraft, LocationKind, Method
from malha.platform.db import Actor, Database, Tx
from malha.platform.ids import new_id
from malha.routing import cost_drafts, costs
from malha.routing.cost_draft_model import Carriage, Drafted, Labour
from malha.routing.cost_model import Aging, Carton, ChannelCosts, Costs, Step
from malha.routing.ruling import service as ruling
from malha.routing.ruling.model import Content, Row, Rule, Run, Table, Then, When, Where

PLANNER = "Tainá Moura"
OFFERED = 120  # SKUs of the vendor
NORTHEAST = ("AL", "BA", "CE", "MA", "PB", "PE", "PI", "RN", "SE")
_CENTRES = [site[0] for site in SITES if site[2] == "distribution_centre"]
GROUPS = {
    "CDS": LocationGroupDraft(name="Centros de distribuição", locations=[*_CENTRES, CONSIGNED]),
    "NORDESTE": LocationGroupDraft(
        name="Nordeste", locations=[site[0] for site in SITES if site[4] in NORTHEAST and site[2] != "pickup_point"]
    ),
    "VITRINES": LocationGroupDraft(
        name="Lojas de vitrine", locations=["SP-PAULISTA", "SP-MOEMA", "RJ-IPANEMA", "MG-SAVASSI", "PR-BATEL"]
    ),
}
# No rule lets an order wait: what none of them can fill goes where it is cheapest.
RULES = Content(
    runs=[
        Run(
            name="Mercado Livre",
            when=When(channels=["mercado-livre"]),
            rules=[
                Rule(
                    name="De um CD, num volume só",
                    where=Where(kinds=[LocationKind.DISTRIBUTION_CENTRE, LocationKind.FACTORY]),
                    max_packages=1,
                )
            ],
        ),
        Run(
            name="Nordeste",
            when=When(methods=[Method.SHIP], states=list(NORTHEAST)),
            rules=[
                Rule(
                    name="Lojas do estado, menos a última peça",
                    where=Where(kinds=[LocationKind.STORE], same_state=True),
                    keep=1,
                    max_packages=1,
                ),
                Rule(name="Primeiro da região", prefer=[Where(groups=["NORDESTE"])]),
            ],
        ),
        Run(
            name="Valor alto",
            when=When(methods=[Method.SHIP], min_value=150_000),
            rules=[Rule(name="Completo", complete=True)],
        ),
    ],
    table=Table(
        rows=[
            Row(
                name="Louça e vasos",
                when=When(methods=[Method.SHIP], categories=["mesa-pr", "mesa-xc", "sala-va"]),
                then=Then(prefer=["CDS"]),
            ),
            Row(name="Tapetes", when=When(methods=[Method.SHIP], categories=["sala-ta"]), then=Then(max_packages=1)),
        ]
    ),
)
# What leaves one site saves nothing yet: orders that may save it are compared with no hindsight. The draft tries it.
COSTS = Costs(
    split_penalty=300,
    cartons=[Carton(max_grams=500, price=90), Carton(max_grams=5_000, price=260), Carton(max_grams=30_000, price=590)],
    reroute_cost=1_500,
    late_penalty=800,
    channels=[ChannelCosts(channel="mercado-livre", split_penalty=900)],
    aging=Aging(after_days=90, per_day=5, most=600),
)
# A month is placed in a minute, which makes every location look full: from when what a full day costs counts.
FULL = [Step(percent=80, price=150), Step(percent=95, price=600)]


async def rule(db: Database) -> None:
    """State how orders are routed, before there are any."""
    async with as_planner(db) as tx:
        for code, group in GROUPS.items():
            await ownership.put_group(tx, code, group, None)
        await costs.set_costs(tx, COSTS, None)
        made = await ruling.start_draft(tx, RULES, note="Regras de todo dia")
        await ruling.publish(tx, made.id, made.version)


async def draft(db: Database) -> None:
    """Let a full day cost, and leave a draft of rules and one of costs to be tried on the orders there are."""
    async with as_planner(db) as tx:
        await costs.set_costs(tx, msgspec.structs.replace(COSTS, capacity=FULL), None)
        await ruling.start_draft(tx, _black_friday(), note="Black Friday: o site sai dos CDs", based_on=1)
        drafted = Drafted(
            costs=msgspec.structs.replace(COSTS, capacity=FULL, split_penalty=700, same_site=200),
            labour=[Labour(location="SP-MOEMA", handling=420), Labour(location=VENDOR, handling=500)],
            carriage=[Carriage(percent=108, from_state="SP")],
        )
        await cost_drafts.start_draft(tx, drafted, note="Menos volumes por pedido")


def _black_friday() -> Content:
    first = Run(
        name="Site na Black Friday",
        when=When(channels=["site", "app"], methods=[Method.SHIP]),
        rules=[Rule(name="Primeiro dos CDs", prefer=[Where(groups=["CDS"])], max_packages=2)],
    )
    return msgspec.structs.replace(RULES, runs=[first, *RULES.runs])


async def supply(db: Database, skus: list[str]) -> None:
    """State what the vendor supplies and sends to customers: what it makes, whether it waits at its mill or not."""
    made = [sku for sku in skus if sku[3:5] in VENDOR_KINDS][:OFFERED]
    async with as_planner(db) as tx:
        mill = await network.location_by_code(tx, VENDOR)
        assert mill is not None  # noqa: S101 -- it was written before
        prices = dict(await catalog.prices(tx, limit=100_000))
        cards = {card.sku: card.id for card in await catalog.by_skus(tx, made)}
        await vendors.state_offers(
            tx,
            [
                OfferDraft(
                    location_id=mill.id,
                    sku_id=cards[sku],
                    vendor_sku=f"MTS-{n:04}",
                    unit_cost=prices.get(sku, 0) * 55 // 100,
                    lead_days=2 + n % 4,
                )
                for n, sku in enumerate(made, 1)
                if sku in cards
            ],
        )


def as_planner(db: Database) -> AbstractAsyncContextManager[Tx]:
    """Return a transaction of the planner."""
    return db.transaction(Actor("person", str(new_id()), PLANNER))
