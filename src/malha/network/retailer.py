"""How the retailer appears to shoppers: name, logo, colour, languages, time zone, and how to reach a person.

There is always one: before the first change it is the first own legal entity's name in Malha's colours.
"""

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec

from malha.network import reads, rules, writes
from malha.network.colour import DARK_SURFACE, readable, text_on
from malha.network.model import Logo, Retailer, RetailerDraft
from malha.network.service import refuse_limited
from malha.platform import audit, revisions
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import refuse
from malha.platform.i18n import N_, Word, usual_zone


async def current(tx: Tx) -> Retailer:
    """Return the retailer as it is now, without the picture of its logo."""
    return msgspec.convert(await tx.one(dict, reads.RETAILER), Retailer)


async def zone(tx: Tx) -> ZoneInfo:
    """Return the time zone of the retailer, the installation's where it states none: never that of who asks."""
    return ZoneInfo((await current(tx)).timezone or usual_zone())


async def day_of(tx: Tx, at: datetime) -> date:
    """Return which day of the retailer's calendar an instant is on."""
    return at.astimezone(await zone(tx)).date()


async def logo(tx: Tx) -> Logo | None:
    """Return the logo's picture, or None when there is none."""
    return await tx.maybe(Logo, reads.RETAILER_LOGO)


async def change(tx: Tx, draft: RetailerDraft, version: int) -> Retailer:
    """Change how the retailer appears, if it still has `version` (0: never changed). The logo stays as it is.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: a value is not valid.
        Conflict: somebody else changed it meanwhile.
    """
    refuse_limited(tx)
    draft = rules.tidy_retailer(draft)
    refuse(list(rules.check_retailer(draft)))
    before = await current(tx)
    facts = {**msgspec.structs.asdict(draft), "languages": list(draft.languages), "version": version}
    if not await tx.execute(writes.PUT_RETAILER, facts):
        raise Conflict(what=Word(N_("Retailer")), key=before.name)
    after = await current(tx)
    await audit.record(tx, action="change", entity="retailer", entity_id="retailer", before=before, after=after)
    if after.timezone != before.timezone:  # whoever takes orders keeps the network, and the zone with it
        await revisions.bump(tx, reads.REVISION)
    return after


async def change_logo(tx: Tx, picture: bytes | None) -> Retailer:
    """Give the retailer a logo, or take it away with None.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: it is no PNG, JPEG or WebP, or larger than `rules.LOGO_BYTES`.
    """
    refuse_limited(tx)
    media_type = None
    if picture is not None:
        refuse(list(rules.check_logo(picture)))
        media_type = rules.picture_type(picture)
    before = await current(tx)
    facts = {"logo": picture, "type": media_type, "colour": before.colour, "languages": list(before.languages)}
    await tx.execute(writes.PUT_RETAILER_LOGO, facts)
    after = await current(tx)
    await audit.record(tx, action="change", entity="retailer", entity_id="retailer", before=before, after=after)
    return after


def shades(colour: str) -> Mapping[str, str]:
    """Return the colours of shopper pages by name, each readable where it is meant for.

    `brand` is a ground and `on-brand` the text on it; `brand-ink` is text, or a button's ground under white text;
    `brand-ink-dark` is text on a dark page. A brand that neither white nor ink is read on becomes a shade darker.
    """
    ground = colour if _carries_text(colour) else readable(colour)
    return {
        "brand": ground,
        "on-brand": text_on(ground),
        "brand-ink": readable(colour),
        "brand-ink-dark": readable(colour, DARK_SURFACE),
    }


def _carries_text(colour: str) -> bool:
    text = text_on(colour)
    return readable(text, colour) == text
