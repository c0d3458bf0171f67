"""The pages: look an order up, follow it, ask to cancel it; and the retailer's colour and logo on them."""

import hashlib
import hmac
import re
from functools import partial
from typing import Any

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.fulfillment import asking
from malha.fulfillment.asking import Outcome
from malha.identity import guessing
from malha.identity.model import PUBLIC
from malha.network import retailer
from malha.network.model import Retailer
from malha.ordering.model import CancelWish
from malha.ordering.tracking import read_link, tracking_path
from malha.platform import brazil
from malha.platform.clock import now
from malha.platform.errors import MalhaError
from malha.platform.i18n import N_, _, n_, translate
from malha.platform.ids import UUID
from malha.platform.text import whole_in
from malha.shopper import desk, reads, view, wishes
from malha.shopper.desk import Asking
from malha.shopper.errors import AskTheChannel, ChooseUnits, NoSuchPage, OutOfOrder
from malha.shopper.reads import Candidate, Tracked

HEX = re.compile(r"^[0-9a-f]{6}$")
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
MOST_UNITS = 100_000

REASONS: dict[str, str] = {
    "": N_("I would rather not say"),
    "changed_mind": N_("I changed my mind"),
    "by_mistake": N_("I ordered by mistake"),
    "too_slow": N_("It takes too long"),
    "cheaper": N_("I found it cheaper"),
}
DONE: dict[str, str] = {
    Outcome.CANCELLED: N_("Your order is cancelled. What you paid is given back the way you paid it."),
    Outcome.PARTLY: N_("Those items are cancelled. What you paid for them is given back the way you paid it."),
    Outcome.ASKED: N_("We have stopped your order and will answer you soon."),
    Outcome.ASKED_BEFORE: N_("You asked for that already. Your order is stopped, and we will answer you soon."),
}
_BY_SHOPPER = N_("Cancelled by the customer on the tracking page: {reason}")
_ASKED_BY_SHOPPER = N_("The customer asks to cancel {what}: {reason}")


@get("/track", opt={"permission": PUBLIC})
async def look_up_page(request: Asking) -> Response[str]:
    """Ask for the order's number and e-mail."""
    async with desk.desk_of(request).database.snapshot(desk.actor_of(request)) as tx:
        shop = await desk.shop_of(tx, request)
    return desk.page(request, "look_up.html", shop, number="", email="", says="", mend="")


@post("/track", opt={"permission": PUBLIC}, status_code=200)
async def look_up(request: Asking) -> Response[Any]:
    """Lead to an order whose number and e-mail belong together; whatever is wrong, the answer is the same."""
    form = await request.form()
    number, email = str(form.get("number", "")).strip()[:100], str(form.get("email", "")).strip()[:254]
    asked = number.removeprefix("#").strip().replace("\x00", "")
    whole = whole_in(asked, 18)  # however many zeros are put in front, it is one order that is guessed at
    meant = asked.casefold() if whole is None else str(whole)
    account = "order:" + hashlib.sha256(meant.encode()).hexdigest()[:32]
    here = desk.desk_of(request)
    found: Candidate | None = None
    async with here.database.transaction(desk.actor_of(request)) as tx:
        shop = await desk.shop_of(tx, request)
        tries = await guessing.begin(tx, account, guessing.source_subject(desk.source_of(request), "shopper"))
        if not tries.wait:
            found = _confirmed(await reads.candidates(tx, asked), email)
            if found is None:
                await guessing.failed(tx, tries)
            else:
                await guessing.succeeded(tx, tries, account)
    if found is not None:
        return desk.see_other(tracking_path(here.keys, found.id, at=now(), to=found.email))
    again: dict[str, Any] = {"number": number, "email": email}
    if tries.wait:
        says = _("That was tried too often.")
        mend = n_("Try again in {n} second.", "Try again in {n} seconds.", tries.wait)
        headers = {"Retry-After": str(tries.wait)}
        return desk.page(request, "look_up.html", shop, status=429, headers=headers, says=says, mend=mend, **again)
    says = _("We find no order with this number and e-mail.")
    mend = _("Compare both with the message you got when you ordered.")
    return desk.page(request, "look_up.html", shop, status=404, says=says, mend=mend, **again)


def _confirmed(candidates: list[Candidate], email: str) -> Candidate | None:
    """Return the order that was placed with an e-mail. As much is compared when there is none."""
    given = _digest(brazil.normalise_email(email) or email.lower())
    found = None
    for candidate in candidates or [Candidate(UUID(int=0), None)]:
        kept = (candidate.email or "").strip().lower()
        same = hmac.compare_digest(given, _digest(kept))
        if same and kept:
            found = candidate
    return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@get("/track/{token:str}", opt={"permission": PUBLIC})
async def follow(request: Asking, token: FromPath[str]) -> Response[str]:
    """Show an order to whoever has its link."""
    shop, order = await _read(request, token)
    said = request.query_params.get("done", "")
    return desk.page(
        request, "track.html", shop, track=view.view_of(order, now()), token=token, done=_(DONE.get(said, ""))
    )


@get("/track/{token:str}/cancel", opt={"permission": PUBLIC})
async def cancel_page(request: Asking, token: FromPath[str]) -> Response[Any]:
    """Let the shopper choose what to cancel; when nothing can be, the order's page says why."""
    shop, order = await _read(request, token)
    return _cancel_page(request, token, shop, order)


def _cancel_page(
    request: Asking, token: str, shop: Retailer, order: Tracked, error: MalhaError | None = None
) -> Response[Any]:
    change = view.change_of(order, now())
    if not change.choices or not change.label:
        return desk.see_other(f"/track/{token}")
    says, mend = desk.words_of(error) if error else ("", "")
    return desk.page(
        request,
        "cancel.html",
        shop,
        status=error.status if error else 200,
        number=order.number,
        change=change,
        token=token,
        reasons=[(name, _(text)) for name, text in REASONS.items()],
        says=says,
        mend=mend,
    )


@post("/track/{token:str}/cancel", opt={"permission": PUBLIC}, status_code=200)
async def cancel(request: Asking, token: FromPath[str]) -> Response[Any]:
    """Cancel what nobody works on yet, or ask a person to."""
    shop, order = await _read(request, token)
    form = await request.form()
    reason = str(form.get("reason", ""))
    try:
        if order.channel_kind == "marketplace":
            raise AskTheChannel(channel=order.channel)
        fields = {str(name): str(value) for name, value in form.items()}
        wishes = _wishes(order, fields)
        of = {wish.line: whole_in(fields.get(f"of-{wish.line}", ""), 6) for wish in wishes}
        tongue = desk.desk_of(request).settings.language
        said = translate(tongue, REASONS.get(reason, REASONS[""]))
        names = {line.line: line.name for line in order.lines}
        what = ", ".join(f"{wish.quantity} × {names[wish.line]}" for wish in wishes)  # noqa: RUF001 -- times
        async with desk.desk_of(request).database.transaction(desk.actor_of(request, order.id)) as tx:
            outcome = await asking.ask_to_cancel(
                tx,
                order.id,
                wishes,
                seen={line: count for line, count in of.items() if count is not None},
                reason=translate(tongue, _BY_SHOPPER, reason=said),
                note=translate(tongue, _ASKED_BY_SHOPPER, what=what, reason=said),
            )
    except MalhaError as error:
        shop, order = await _read(request, token)
        return _cancel_page(request, token, shop, order, error)
    return desk.see_other(f"/track/{token}?done={outcome.value}")


def _wishes(order: Tracked, form: dict[str, str]) -> list[CancelWish]:
    """Return what was chosen: of each line so many, or all that the page showed.

    Raises:
        ChooseUnits: nothing was.
    """
    wishes = []
    chosen = "of" if form.get("all") else "line"
    for line in order.lines:
        said = form.get(f"{chosen}-{line.line}", "")
        quantity = whole_in(said, 6) or 0
        if 0 < quantity <= MOST_UNITS:
            wishes.append(CancelWish(line.line, quantity))
    if not wishes:
        raise ChooseUnits
    return wishes


async def _read(request: Asking, token: str) -> tuple[Retailer, Tracked]:
    """Read the retailer and the order of a token.

    Raises:
        TokenWrong, TokenExpired: the link is not good (any more), or was sent to somebody else by mistake.
        NoSuchPage: the order is gone.
    """
    here = desk.desk_of(request)
    link = read_link(here.keys, token, at=now())
    async with here.database.snapshot(desk.actor_of(request)) as tx:
        shop = await desk.shop_of(tx, request)
        order = await reads.tracked(tx, link.order_id)
    if order is None:
        raise NoSuchPage
    link.refuse_moved(here.keys, (order.buyer_email, order.buyer_phone))
    return shop, order


@get("/shop/colour/{colour:str}", opt={"permission": PUBLIC})
async def colours(colour: FromPath[str]) -> Response[str]:
    """Send the style sheet of a colour. Its address says everything, so a browser may keep it for ever."""
    if not HEX.match(colour):
        raise NoSuchPage
    return Response(desk.stylesheet(f"#{colour}"), media_type="text/css; charset=utf-8", headers=FOR_EVER)


@get("/shop/logo/{digest:str}", opt={"permission": PUBLIC})
async def logo(request: Asking, digest: FromPath[str]) -> Response[bytes]:
    """Send the retailer's logo. Its address names the picture."""
    async with desk.desk_of(request).database.snapshot(desk.actor_of(request)) as tx:
        found = await retailer.logo(tx)
    if found is None or found.digest != digest:
        raise NoSuchPage
    return Response(found.picture, media_type=found.media_type, headers=FOR_EVER)


def refuse(request: Asking, error: MalhaError) -> Response[Any]:
    """Show a refusal in the retailer's colours; what only the retailer's people understand, in other words."""
    if error.status in {404, 405} and error.code in {"no_such_route", "method_not_allowed"}:
        error = NoSuchPage()
    elif error.status >= 500 or error.code == "busy":
        passing = error.status == 503 or error.code == "busy"
        error = OutOfOrder()
        if passing and request.method == "GET":
            shown = desk.refused(request, error)
            shown.headers["Refresh"] = str(error.retry_after)
            return shown
    return desk.refused(request, error)


def owns(path: str) -> bool:
    """Return whether an address is one of these pages, whether or not there is one."""
    return path.startswith(("/track/", "/wishes/")) or path in {"/track", "/wishes"}


router = partial(  # one for each application, which makes it its own
    Router,
    path="/",
    route_handlers=[look_up_page, look_up, follow, cancel_page, cancel, colours, logo, *wishes.HANDLERS],
    before_request=desk.arrive,
    exception_handlers={MalhaError: refuse},
    include_in_schema=False,
)
