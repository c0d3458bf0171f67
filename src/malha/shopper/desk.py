"""What the handlers of these pages share: who asks, in which language, and how an answer is sent.

Answers are personal and not for search engines. Style sheet and logo of the retailer have addresses that name their
content, so that browsers keep them.
"""

import time
from functools import cached_property
from typing import Any, cast

from litestar import MediaType, Request
from litestar.datastructures import Cookie
from litestar.response import Response

from malha.network import retailer
from malha.network.colour import readable
from malha.network.model import DEFAULT_COLOUR, Retailer
from malha.platform import i18n, signing
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import MalhaError
from malha.platform.i18n import _
from malha.platform.ids import UUID
from malha.platform.settings import Settings
from malha.platform.sources import neighbourhood
from malha.shopper import render, view
from malha.shopper.errors import TooManyVisits
from malha.shopper.meter import Meter
from malha.shopper.render import Face

Asking = Request[Any, Any, Any]

LANGUAGE_COOKIE = "malha_language"
YEAR = 365 * 24 * 3600
UNKNOWN = Retailer(
    name="",
    stated_name="",
    colour=DEFAULT_COLOUR,
    logo=None,
    languages=i18n.LANGUAGES,
    timezone=None,
    support_email=None,
    support_phone=None,
    website=None,
    version=0,
)
HERO = "#101727"  # the dark head of the page, --m-side-bg
# The token is in the address: no cache may keep what it shows, no search engine may list it. That no other site hears
# it is in the referrer policy of every page (`api.edge`).
PRIVATE = {
    "Cache-Control": "private, no-store",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}


class Desk:
    """One per web process."""

    def __init__(self, face: Face, settings: Settings, database: Database) -> None:
        self.face = face
        self.settings = settings
        self.database = database
        self.meter = Meter()
        self.shop: Retailer | None = None  # as it was read last: refusals are shown without asking the database

    @cached_property
    def keys(self) -> signing.Keys:
        """Return what signs links."""
        return signing.keys_of(self.settings)


def desk_of(request: Asking) -> Desk:
    """Return the desk of the application."""
    desk: Desk = request.app.state.shopper
    return desk


async def arrive(request: Asking) -> None:
    """Speak the visitor's language, and refuse who asks for more pages than people do; runs before every page.

    Raises:
        TooManyVisits: try later.
    """
    speak(request)
    seconds = desk_of(request).meter.take(neighbourhood(source_of(request)), time.monotonic())
    if seconds:
        raise TooManyVisits(seconds=seconds)
    if desk_of(request).shop is None:
        async with desk_of(request).database.snapshot(actor_of(request)) as tx:
            await shop_of(tx, request)


def speak(request: Asking) -> None:
    """Speak the language that was chosen here, else the one kept by this browser, else the one it wishes."""
    for chosen in (request.query_params.get("language"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen in i18n.LANGUAGES:
            i18n.use(chosen)
            return


def settle(request: Asking, shop: Retailer) -> None:
    """Keep to the retailer's languages and time zone."""
    said = i18n.current_language()
    wished = request.headers.get("accept-language") or request.query_params.get("language")
    kept = request.cookies.get(LANGUAGE_COOKIE) in shop.languages
    if said not in shop.languages or not (wished or kept):
        said = shop.languages[0]
    i18n.use(said, shop.timezone)


def source_of(request: Asking) -> str:
    """Return the network address of the visitor."""
    source = cast("dict[str, Any]", request.scope).get("source")
    return str(source or "unknown")


def actor_of(request: Asking, order_id: UUID | None = None) -> Actor:
    """Return the visitor as an actor: somebody, or whoever has the link of an order."""
    scope = cast("dict[str, Any]", request.scope)
    kind = view.SHOPPER if order_id else "anonymous"
    name = str(order_id) if order_id else None
    return Actor(kind, name, kind, scope.get("source"), scope.get("request_id"), frozenset(), frozenset())


def stylesheet(colour: str) -> str:
    """Return the style sheet that gives the pages a colour, `#2a52b0`; by night where the browser asks for that."""
    tone = retailer.shades(colour)
    day = f"--m-brand:{tone['brand']};--m-on-brand:{tone['on-brand']};--m-brand-hero:{readable(colour, HERO)}"
    return f":root{{{day}}}\n"


async def shop_of(tx: Tx, request: Asking) -> Retailer:
    """Return the retailer, and keep to its languages from here on."""
    shop = desk_of(request).shop = await retailer.current(tx)
    settle(request, shop)
    return shop


def page(
    request: Asking,
    template: str,
    shop: Retailer,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **shown: Any,
) -> Response[str]:
    """Return a page; a language that was chosen on it is kept."""
    asked = request.query_params.get("language", "")
    cookies = (
        [Cookie(key=LANGUAGE_COOKIE, value=asked, max_age=YEAR, samesite="lax", httponly=True)]
        if asked in shop.languages
        else []
    )
    others = [
        (tongue, {"pt-BR": "Português", "en": "English"}[tongue])
        for tongue in shop.languages
        if tongue != i18n.current_language()
    ]
    return Response(
        render.text_of(desk_of(request).face, template, shop=shop, others=others, **shown),
        media_type=MediaType.HTML,
        status_code=status,
        headers={**PRIVATE, **(headers or {})},
        cookies=cookies,
    )


def see_other(address: str) -> Response[bytes]:
    """Send the browser on with GET."""
    return Response(b"", status_code=303, headers={**PRIVATE, "Location": address})


def words_of(error: MalhaError) -> tuple[str, str]:
    """Return a refusal in the visitor's language: what is so, and how to mend it."""
    return _(error.says, **error.facts), _(error.mend, **error.facts) if error.mend else ""


def refused(request: Asking, error: MalhaError) -> Response[str]:
    """Show a refusal as a page of its own."""
    speak(request)
    shop = desk_of(request).shop or UNKNOWN
    settle(request, shop)
    says, mend = words_of(error)
    wait = error.facts.get("seconds", error.retry_after)
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return page(request, "refused.html", shop, status=error.status, headers=headers, says=says, mend=mend)
