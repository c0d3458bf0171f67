"""Pictures of goods on pages: where they are, asking for those that are not here yet, sending them.

A page names a picture before it is known whether it is here. What is not here answers with nothing, and a script asks
for all of those together; once a worker has fetched them they are shown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.catalog import reads as catalog
from malha.catalog.pictures import reads, service
from malha.catalog.pictures.model import MEDIA_TYPE, WHY, Size, Wanted, Why, key_of
from malha.console import web
from malha.platform.db import Tx
from malha.platform.errors import NotFound
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _

CACHED = "private, max-age=86400"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A picture on a page: where it is, what it is a picture of, and what lets the page ask for it."""

    src: str
    url: str
    mark: str


class Asking(msgspec.Struct, frozen=True):
    """What a page asks for."""

    pictures: list[Wanted]


def shown(request: Request[Any, Any, Any], url: str, size: Size = Size.SMALL) -> Shown:
    """Return the picture that an address names, for a page."""
    mark = service.mark_of(request.app.state.services.signing, url)
    return Shown(src=service.address_of(url, size), url=url, mark=mark)


async def of_skus(tx: Tx, request: Request[Any, Any, Any], skus: Sequence[str]) -> Mapping[str, Shown]:
    """Return the first picture of each SKU that has one; none for who may not see the catalogue."""
    if not web.caller_of(request).may("catalog:read"):
        return {}
    return {sku: shown(request, url) for sku, url in (await catalog.images_of_skus(tx, skus)).items()}


async def of_products(tx: Tx, request: Request[Any, Any, Any], codes: Sequence[str]) -> Mapping[str, Shown]:
    """Return the first picture of each product that has one."""
    return {code: shown(request, url) for code, url in (await catalog.images_of_products(tx, codes)).items()}


async def refused(tx: Tx, urls: Sequence[str]) -> Mapping[str, str]:
    """Return in words, by address, why pictures that were asked for are not there."""
    keys = {url: key_of(url) for url in urls}
    told = await reads.told(tx, list(keys.values()))
    return {url: why_of(told[key].why) for url, key in keys.items() if key in told and told[key].why}


@get("/pictures/{key:str}/{size:str}", opt={"permission": "catalog:read"})
async def picture_show(request: Request[Any, Any, Any], key: FromPath[str], size: FromPath[str]) -> Response[bytes]:
    """Send a picture, or nothing (204) where it is not here.

    Raises:
        NotFound: there is no such size.
    """
    if size not in {known.value for known in Size}:
        raise NotFound(what="picture", key=size)
    async with web.reading(request) as tx:
        found = await reads.picture(tx, key, Size(size))
    if found is None:
        return Response(b"", status_code=204, headers={"Cache-Control": "no-store"})
    return Response(found, media_type=MEDIA_TYPE, headers={"Cache-Control": CACHED})


@post("/pictures:want", opt={"permission": "catalog:read"}, status_code=200)
async def pictures_want(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have pictures fetched that are not here yet; say of each where it stands, as JSON."""
    try:
        asked = msgspec.json.decode(await request.body(), type=Asking)
    except (msgspec.DecodeError, UnicodeDecodeError):
        refuse([Flaw("pictures", N_("The pictures that are asked for cannot be read."))])
    async with web.writing(request) as tx:
        told = await service.want(tx, request.app.state.services.signing, asked.pictures)
    said = [{"key": one.key, "state": one.state, "why": why_of(one.why)} for one in told]
    return Response(msgspec.json.encode(said), media_type="application/json", headers={"Cache-Control": "no-store"})


def why_of(why: str) -> str:
    """Return in words why there is no picture; empty where nothing is wrong."""
    return _(WHY[Why(why)]) if why else ""


HANDLERS = [picture_show, pictures_want]
