"""Where else Aroeira's goods are seen: listed on the site and a marketplace, and in files that others fetch."""

from malha.channels import service as channels
from malha.channels.feeds import service as feeds
from malha.channels.feeds.model import FeedDraft
from malha.channels.model import ListingDraft
from malha.demo.planning import as_planner
from malha.network import retailer
from malha.network.model import RetailerDraft
from malha.platform import signing
from malha.platform.db import Database

SHOWN = RetailerDraft(
    website="https://www.aroeiracasa.example",
    support_email="atendimento@aroeiracasa.example",
    support_phone="0800 555 0100",
)
LISTED_ON = ("site", "mercado-livre")
FEEDS = (
    ("google-lojas", "Google: estoque das lojas", "google_local"),
    ("comparador", "Comparador de preços", "generic"),
)
_NO_SECRETS = signing.Keys(current=b"")  # nothing of these feeds is sealed: no secret goes with where they are put


async def open_(db: Database, skus: list[str]) -> None:
    """List SKUs, and state two feeds; the worker makes their first files."""
    async with as_planner(db) as tx:
        await retailer.change(tx, SHOWN, (await retailer.current(tx)).version)
        for channel in LISTED_ON:
            await channels.put_listings(tx, channel, [ListingDraft(sku) for sku in skus])
        for code, name, profile in FEEDS:
            plan = feeds.usual_plan(profile, "BRL")
            draft = FeedDraft(name=name, channel="site", plan=plan, full_minutes=24 * 60, changes_minutes=60)
            await feeds.put_feed(tx, code, draft, 0, _NO_SECRETS)
