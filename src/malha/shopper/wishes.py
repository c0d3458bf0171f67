"""What a shopper wants to get, by the link in every message: a page with a box for each means, and one click to stop.

No log-in: whoever has the link of a message may say what its reader wants, and nothing else. What is said is added to
the ledger of consents, with the link's message as its proof.
"""

from typing import Any

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.identity.model import PUBLIC
from malha.network.model import Retailer
from malha.notifications import reads, wishes
from malha.notifications.errors import WishesNotKept
from malha.notifications.model import CHANNEL_WORDS, PURPOSE_WORDS, Channel, ConsentSource, Purpose
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import _
from malha.platform.ids import UUID
from malha.shopper import desk
from malha.shopper.desk import Asking


async def _customer(tx: Tx, order_id: UUID) -> UUID:
    """Return whose order it is.

    Raises:
        WishesNotKept: nobody's (yet).
    """
    found = await reads.customer_of(tx, order_id)
    if found is None:
        raise WishesNotKept
    return found


async def _offered(tx: Tx) -> list[Channel]:
    """Return the means a shopper can have wishes about: mail, and what is set up."""
    return [Channel.EMAIL, *await reads.ready_gateways(tx)]


@get("/wishes/{token:str}", opt={"permission": PUBLIC})
async def wishes_page(request: Asking, token: FromPath[str]) -> Response[str]:
    """Show what the reader of a message wants to get.

    Raises:
        TokenWrong, TokenExpired: the link is not good (any more).
        WishesNotKept: the order has no customer.
    """
    here = desk.desk_of(request)
    order_id, _channel = wishes.wished_order(here.keys, token, at=now())
    async with here.database.snapshot(desk.actor_of(request)) as tx:
        shop = await desk.shop_of(tx, request)
        return await _shown(tx, request, token, shop, order_id, done=request.query_params.get("done", ""))


async def _shown(tx: Tx, request: Asking, token: str, shop: Retailer, order_id: UUID, *, done: str) -> Response[str]:
    standing = await reads.standing(tx, await _customer(tx, order_id))
    offered = await _offered(tx)
    rows = [
        (
            purpose.value,
            _(word),
            [
                (c.value, _(CHANNEL_WORDS[c]), standing.get((purpose, c), purpose is Purpose.TRANSACTIONAL))
                for c in offered
            ],
        )
        for purpose, word in PURPOSE_WORDS.items()
    ]
    return desk.page(request, "wishes.html", shop, token=token, rows=rows, done=done)


@post("/wishes/{token:str}", opt={"permission": PUBLIC}, status_code=200)
async def wishes_save(request: Asking, token: FromPath[str]) -> Response[Any]:
    """Write down what the reader of a message wants to get.

    Raises:
        TokenWrong, TokenExpired, WishesNotKept: as for the page.
    """
    here = desk.desk_of(request)
    order_id, came_by = wishes.wished_order(here.keys, token, at=now())
    form = await request.form()
    async with here.database.transaction(desk.actor_of(request, order_id)) as tx:
        customer = await _customer(tx, order_id)
        wanted = {
            (purpose, channel): form.get(f"{purpose.value}-{channel.value}") == "1"
            for purpose in Purpose
            for channel in await _offered(tx)
        }
        proof = _proof(request, came_by)
        await wishes.set_wishes(tx, customer, wanted, source=ConsentSource.SHOPPER_PAGE, proof=proof)
    return desk.see_other(f"/wishes/{token}?done=saved")


@get("/wishes/{token:str}/stop", opt={"permission": PUBLIC})
async def stop_page(request: Asking, token: FromPath[str]) -> Response[Any]:
    """Lead a person to the page: only a POST ends anything, because programs open links to look at them."""
    wishes.wished_order(desk.desk_of(request).keys, token, at=now())
    return desk.see_other(f"/wishes/{token}")


@post("/wishes/{token:str}/stop", opt={"permission": PUBLIC}, status_code=200)
async def stop(request: Asking, token: FromPath[str]) -> Response[Any]:
    """End what can be ended by the means a message came by (RFC 8058): one POST of a mail program, no question asked.

    Raises:
        TokenWrong, TokenExpired, WishesNotKept: as for the page.
    """
    here = desk.desk_of(request)
    order_id, channel = wishes.wished_order(here.keys, token, at=now())
    async with here.database.transaction(desk.actor_of(request, order_id)) as tx:
        customer = await _customer(tx, order_id)
        nothing = {(purpose, channel): False for purpose in Purpose}
        proof = _proof(request, channel)
        await wishes.set_wishes(tx, customer, nothing, source=ConsentSource.ONE_CLICK, proof=proof)
        shop = await desk.shop_of(tx, request)
        # No redirect: mail programs follow none.
        return await _shown(tx, request, token, shop, order_id, done="stopped")


def _proof(request: Asking, channel: Channel) -> str:
    return f"link in a message by {channel.value}, from {desk.source_of(request)}"


HANDLERS = [wishes_page, wishes_save, stop_page, stop]
