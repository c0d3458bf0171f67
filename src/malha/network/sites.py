"""Sites: several locations on one shelf, each with the goods of another owner.

What a site shares (address, hours, capacity, costs, what it does, whether it takes work) is stated of its first
location and written to the others with it, so that nobody who reads a location has to ask where it is. What stays each
one's own is whose goods it keeps, and what follows from that: its balances, its documents, who may sell it.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from malha.network import reads, rules, writes
from malha.network.errors import OwnerTwiceAtSite, SiteIsClosed, SiteShared, UnknownLocation
from malha.network.model import Location, LocationDraft, LocationStatus
from malha.platform.db import Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_


class Placed(msgspec.Struct, frozen=True):
    """Drafts with what their sites share, and what is wrong with each, by code."""

    drafts: list[LocationDraft]
    flaws: dict[str, list[Flaw]]
    sites: list[str]  # codes of the sites that locations are at, besides their own
    came: list[str]  # codes of those that come to a site with this


class Shared(msgspec.Struct, frozen=True):
    """A site of several owners as somebody sees it, called as the first location there that they see."""

    code: str
    name: str
    places: list[int]  # ids of its locations, the first of the site first


def shared(places: Iterable[Location]) -> list[Shared]:
    """Return the sites at which several of some locations are, by name."""
    at: dict[int, list[Location]] = {}
    for one in sorted(places, key=lambda one: (one.site_id is not None, one.code)):
        at.setdefault(one.home, []).append(one)
    found = [Shared(there[0].code, there[0].name, [x.id for x in there]) for there in at.values() if len(there) > 1]
    return sorted(found, key=lambda site: (site.name, site.code))


async def in_sight(tx: Tx, code: str) -> list[int]:
    """Return the ids of the locations that the actor sees at the site of one, which is any of those.

    Raises:
        UnknownLocation: there is none, or the actor does not see it.
    """
    around = [x for x in await reads.locations_at_sites(tx, [code]) if tx.actor.sees(x.id)]
    if all(x.code != code for x in around):
        raise UnknownLocation(key=code)
    return [x.id for x in around]


async def place(tx: Tx, drafts: Sequence[LocationDraft], promised: Mapping[str, LocationDraft] | None = None) -> Placed:
    """Lay what sites share over the drafts of the locations at them; drafts of sites are complete already.

    Args:
        tx: the transaction.
        drafts: what is to be saved, each code once.
        promised: by code, what earlier rows of a file would have saved.
    """
    mine = {d.code: d for d in drafts}
    promised = {code: d for code, d in (promised or {}).items() if code not in mine}
    around = {
        x.code: x for x in await reads.locations_at_sites(tx, sorted({*mine, *(d.site for d in drafts if d.site)}))
    }
    if not promised and not any(d.site for d in drafts) and not any(x.site for x in around.values()):
        return Placed(list(drafts), {}, [], [])
    stated = {**promised, **mine}
    by_id = await reads.establishments_by_id(tx, sorted({x.keeps for x in around.values()}))
    owners = {x.code: by_id[x.keeps].code for x in around.values()}
    owners |= {
        code: d.establishment for code, d in stated.items() if code not in around or around[code].owner_id is None
    }
    site_of = {x.code: x.site for x in around.values()} | {code: d.site for code, d in stated.items()}
    for draft in drafts:  # what is out of sight is not there, for whoever would come to it
        named = around.get(draft.site or "")
        stays = draft.code in around and around[draft.code].site == draft.site
        if named is not None and not stays and not tx.actor.sees(named.id):
            site_of.pop(named.code, None)
    firsts = {site for site in site_of.values() if site}
    flaws: dict[str, list[Flaw]] = {}
    done = []
    for draft in drafts:
        found = list(_check_site(draft, site_of, firsts))
        if draft.site and not found:
            site = stated.get(draft.site) or reads.location_draft(around[draft.site], "")
            found += rules.check_at_site(draft, site)
            draft = rules.at_site(draft, site)  # noqa: PLW2901
        flaws[draft.code] = found
        done.append(draft)
    for code, flaw in _owners_twice(mine, site_of, owners):
        flaws[code].append(flaw)
    sites = sorted(firsts)
    came = [d.code for d in drafts if d.site and (d.code not in around or around[d.code].site != d.site)]
    return Placed(done, {code: found for code, found in flaws.items() if found}, sites, came)


def _check_site(draft: LocationDraft, site_of: Mapping[str, str | None], firsts: set[str]) -> list[Flaw]:
    if not draft.site:
        return []
    facts = {"value": draft.site}
    if draft.site == draft.code:
        says = N_("A location is at its own site anyway.")
        return [Flaw("site", says, N_("Leave the field empty, or name another location."))]
    if draft.site not in site_of:
        return [Flaw("site", N_("There is no location {value}."), N_("Check the code, or create it first."), facts)]
    if site_of[draft.site]:
        says, mend = N_("{value} is itself at the site of {site}."), N_("Name {site}.")
        return [Flaw("site", says, mend, {**facts, "site": site_of[draft.site]})]
    if draft.code in firsts:
        says = N_("Other locations are at the site of {code}: it cannot be at another one's.")
        return [Flaw("site", says, N_("Give those another site first."), {"code": draft.code})]
    return []


def _owners_twice(
    mine: Mapping[str, LocationDraft], site_of: Mapping[str, str | None], owners: Mapping[str, str]
) -> list[tuple[str, Flaw]]:
    """Return the flaws of drafts whose owner another location of their site has, by code."""
    kept: dict[tuple[str, str], str] = {}
    for code in sorted(site_of, key=lambda code: (code in mine, code)):
        kept.setdefault((site_of[code] or code, owners[code]), code)
    found = []
    for code in mine:
        if code not in site_of:
            continue
        site = site_of[code] or code
        first = kept[site, owners[code]]
        if first != code:
            says = N_("The goods of {owner} at this site are kept at {location} already.")
            mend = N_("Choose another establishment: each owner has one location at a site.")
            found.append((code, Flaw("establishment", says, mend, {"owner": owners[code], "location": first})))
    return found


async def follow(tx: Tx, sites: Sequence[str], came: Sequence[str] = ()) -> None:
    """Write what sites share to all of their locations; those that `came` are closed on the days the site is."""
    if sites:
        await tx.execute(writes.FOLLOW_SITES, {"codes": list(sites)})
    if came:
        await tx.execute(writes.DROP_OTHER_CLOSURES, {"codes": list(came)})
        await tx.execute(writes.COPY_CLOSURES, {"codes": list(came)})


async def lock(tx: Tx, codes: Sequence[str]) -> None:
    """Lock the sites of locations, in the order of codes: whoever changes a site waits for whoever does."""
    await tx.execute(writes.LOCK_SITES, {"codes": list(codes)})


async def together(tx: Tx, codes: Sequence[str]) -> list[str]:
    """Return the codes of all that take work, or do not, together with some: locked, in the actor's scope.

    Raises:
        SiteShared: the actor sees a location, and not the first one of its site.
    """
    await lock(tx, codes)
    around = await reads.locations_at_sites(tx, codes)
    by_id = {x.id: x for x in around}
    for x in around:
        if x.code in codes and not tx.actor.sees(x.home):
            raise SiteShared(key=x.code, site=by_id[x.home].code)
    alone = {x.code for x in around if x.site and x.status is LocationStatus.CLOSED}
    return [x.code for x in around if x.code not in alone]


async def reopened(tx: Tx, place: Location) -> dict[str, object]:
    """Return how a closed location at another's site stands when it is opened: as the site does.

    Raises:
        SiteIsClosed: the site is closed.
    """
    site = (await reads.locations_by_id(tx, [place.home]))[place.home]
    if site.status is LocationStatus.CLOSED:
        raise SiteIsClosed(key=place.code, site=site.code)
    return {"status": site.status, "reason": site.paused_reason, "until": site.paused_until}


async def refuse_owner_twice(tx: Tx, place: Location, establishment_id: int) -> None:
    """Refuse an owner whose goods another location of the site keeps.

    Raises:
        OwnerTwiceAtSite: one does.
    """
    for other in await reads.locations_at_sites(tx, [place.code]):
        if other.id != place.id and other.keeps == establishment_id:
            raise OwnerTwiceAtSite(key=place.code, other=other.code)
