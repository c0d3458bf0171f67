"""Use cases of pictures: name one on a page, ask for those that are not here, fetch them, forget old ones.

The server asks addresses that people write into the catalogue. They are judged like all others (`platform.outward`),
and nobody can have one asked that no page names: a page carries a mark that only this server makes.
"""

import asyncio
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from malha.catalog.pictures import reads, writes
from malha.catalog.pictures.model import Size, Told, Wanted, Why, key_of
from malha.catalog.pictures.shrinking import NotShown, Small, shrunk
from malha.platform import jobs, signing
from malha.platform.clock import now
from malha.platform.db import Database, Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.outward import Kept, Outward, OutwardRefused, OutwardUnanswered, OutwardUnreachable
from malha.platform.settings import Settings
from malha.platform.signing import Keys

PURPOSE = "picture"
MARK_LASTS = timedelta(days=2)  # as long as a page may stay open
MOST = 200  # pictures of one call
KEPT = timedelta(days=30)  # then fetched anew by the next who looks
OTHERS = timedelta(minutes=30)  # a refused one is asked for again then
LIMIT = 8 << 20  # bytes of an original
TIMEOUT_S = 15.0
AT_ONCE = 4  # servers asked at the same time
TOGETHER = 20  # pictures that are written in one go
ACCEPT = "image/webp, image/png, image/jpeg, image/gif"


def address_of(url: str, size: Size) -> str:
    """Return where a page finds the picture that an address names."""
    return f"/pictures/{key_of(url)}/{size.value}"


def mark_of(keys: Keys, url: str) -> str:
    """Return what lets a page ask for a picture."""
    return signing.sign(keys, PURPOSE, key_of(url).encode(), until=_until(now()))


def _until(at: datetime) -> datetime:
    """Return the end of a mark: the same for a whole day, so that a page drawn again is the same page."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + MARK_LASTS


async def want(tx: Tx, keys: Keys, wanted: Sequence[Wanted]) -> list[Told]:
    """Have pictures fetched that are not here yet, and return where each of them stands, in the order asked.

    Raises:
        Invalid: too many at once.
        TokenWrong, TokenExpired: a mark was not made here for its address, or is old.
    """
    if len(wanted) > MOST:
        refuse([Flaw("pictures", N_("At most {most} pictures at once."), facts={"most": MOST})])
    urls = {}
    for one in wanted:
        marked = signing.read(keys, PURPOSE, one.mark, at=now())
        key = key_of(one.url)
        if not hmac.compare_digest(marked, key.encode()):
            raise signing.TokenWrong
        urls[key] = one.url
    fresh = [key for (key,) in await tx.tuples(writes.WANT, {"keys": list(urls), "urls": list(urls.values())})]
    for n in range(0, len(fresh), TOGETHER):
        await jobs.defer(tx, fetch, keys=fresh[n : n + TOGETHER])
    told = await reads.told(tx, list(urls))
    return [told[key] for key in urls]


@jobs.task("catalog.fetch_pictures", attempts=3)
async def fetch(db: Database, settings: Settings, *, keys: list[str]) -> None:
    """Fetch pictures and make them small. What became of each is kept; run again, it fetches what is still wanted."""
    async with db.transaction() as tx:
        wanted = await reads.wanted(tx, keys)
    outward = Outward(settings.outward_allow, timeout_s=TIMEOUT_S, limit=LIMIT)
    async with Kept(outward, connections=AT_ONCE) as kept:
        found = await asyncio.gather(*(_brought(kept, url) for _, url in wanted))
    async with db.transaction() as tx:
        await tx.execute(
            writes.KEEP,
            {
                "keys": [key for key, _ in wanted],
                "states": ["kept" if isinstance(one, Small) else "refused" for one in found],
                "smalls": [one.small if isinstance(one, Small) else None for one in found],
                "larges": [one.large if isinstance(one, Small) else None for one in found],
                "whys": [None if isinstance(one, Small) else one.value for one in found],
            },
        )


async def _brought(kept: Kept, url: str) -> Small | Why:
    try:
        answer = await kept.send("GET", url, headers={"Accept": ACCEPT}, again=True)
    except OutwardRefused:
        return Why.REFUSED
    except OutwardUnreachable:
        return Why.UNREACHABLE
    except OutwardUnanswered:
        return Why.ANSWER
    if answer.status != 200:
        return Why.ANSWER
    try:
        return await asyncio.to_thread(shrunk, answer.body)
    except NotShown as error:
        return error.why


async def forget(tx: Tx) -> None:
    """Forget pictures that were fetched long ago, and what was refused: who looks next has them fetched again."""
    await tx.execute(writes.FORGET, {"kept": KEPT, "others": OTHERS})
