"""Two profiles of one person: which look alike, putting them together after a look at both, telling them apart."""

from typing import Any, NamedTuple

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.console import customer_reads, filling, render, shell, web
from malha.customers import merging, reads, rules
from malha.customers.errors import UnknownCustomer
from malha.customers.model import Customer, CustomerRow
from malha.identity.errors import NeedsEverywhere
from malha.notifications.merging import merge_customers, unmerge_customers
from malha.platform.address import Address
from malha.platform.brazil import mask_email, mask_phone
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.ids import UUID
from malha.platform.text import whole_in

SHARES = {"email": N_("same e-mail"), "phone": N_("same phone")}
WORDS = {"name": N_("Name"), "email": N_("E-mail"), "phone": N_("Phone"), "address": N_("Address")}


class Pair(NamedTuple):
    """Two profiles that may be one person, masked, with how many orders each has."""

    one: CustomerRow
    other: CustomerRow
    shares: str
    orders: tuple[int, int]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A field that both profiles have and in which they differ."""

    name: str
    word: str
    kept: str
    gone: str


def _everywhere(request: Request[Any, Any, Any]) -> None:
    """Refuse whoever sees the customers of some locations only: a profile is everybody's.

    Raises:
        NeedsEverywhere: the caller is limited to locations.
    """
    if web.caller_of(request).locations is not None:
        raise NeedsEverywhere


@get("/customers:duplicates", opt={"permission": "customers:write"})
async def duplicates(request: Request[Any, Any, Any]) -> Response[str]:
    """Show pairs of profiles that share an e-mail or a telephone; a CPF or CNPJ has one profile in any case."""
    _everywhere(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "customers")
        found = await reads.alike(tx)
        ids = {id_ for pair in found for id_ in (pair.one_id, pair.other_id)}
        known = await reads.by_ids(tx, sorted(ids))
        counts = await customer_reads.order_counts(tx, sorted(ids))
    pairs = [
        Pair(
            reads.masked_customer(known[pair.one_id]),
            reads.masked_customer(known[pair.other_id]),
            _(SHARES[pair.shares]),
            (counts.get(pair.one_id, 0), counts.get(pair.other_id, 0)),
        )
        for pair in found
    ]
    return render.html("customers/duplicates.html", shell=around, may=around.may, pairs=pairs)


async def _two(tx: Tx, one: int, other: int) -> tuple[Customer, Customer]:
    found = [await reads.by_number(tx, number) for number in (one, other)]
    if found[0] is None or found[1] is None:
        raise UnknownCustomer(key=one if found[0] is None else other)
    return found[0], found[1]


def _shown(name: str, value: Any) -> str:
    match name:
        case "email":
            return mask_email(value)
        case "phone":
            return mask_phone(value)
        case "address":
            parts: Address = value
            return render.DASH.join(x for x in (parts.city, parts.state) if x) or _("given")
        case _:
            return str(value)


@get("/customers/{number:int}/merge/{other:int}", opt={"permission": "customers:write"})
async def compare(request: Request[Any, Any, Any], number: FromPath[int], other: FromPath[int]) -> Response[str]:
    """Show two profiles beside one another, what would come of them, and what a person may choose."""
    _everywhere(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "customers")
        kept, gone = await _two(tx, number, other)
        counts = await customer_reads.order_counts(tx, [kept.id, gone.id])
    differ = bool(kept.document and gone.document)
    choices = [
        Choice(name=name, word=_(WORDS[name]), kept=_shown(name, a), gone=_shown(name, b))
        for name, (a, b) in merging.preview(kept, gone).items()
    ]
    merged = rules.put_together(kept, gone, frozenset())
    return render.html(
        "customers/merge.html",
        shell=around,
        may=around.may,
        kept=reads.masked_customer(kept),
        gone=reads.masked_customer(gone),
        merged=reads.masked_customer(merged),
        orders=(counts.get(kept.id, 0), counts.get(gone.id, 0)),
        versions=f"{kept.version}.{gone.version}",
        choices=choices,
        differ=differ,
    )


@post("/customers/{number:int}/merge/{other:int}", opt={"permission": "customers:write"}, status_code=200)
async def merge(request: Request[Any, Any, Any], number: FromPath[int], other: FromPath[int]) -> Response[Any]:
    """Put two profiles together, as long as both are as the person saw them.

    Raises:
        UnknownCustomer, SameCustomer, CustomersDiffer, Conflict: they cannot be put together, or not any more.
        NeedsEverywhere: the caller is limited to locations.
    """
    _everywhere(request)
    read = filling.filled(await request.form())
    one, _dot, two = read.text("versions", 30).partition(".")
    versions = whole_in(one, 9) or 0, whole_in(two, 9) or 0
    taken = frozenset(name for name in merging.CHOICES if read.text(name, 10) == "gone")
    async with web.writing(request) as tx:
        kept, gone = await _two(tx, number, other)
        await merge_customers(tx, kept.id, gone.id, versions, taken)
    return web.go_on(request, f"/customers/{number}", _("The two profiles are one now"))


@post("/customers/{number:int}/distinct/{other:int}", opt={"permission": "customers:write"}, status_code=200)
async def distinct(request: Request[Any, Any, Any], number: FromPath[int], other: FromPath[int]) -> Response[Any]:
    """Note that two profiles are two people: they are not offered again.

    Raises:
        UnknownCustomer, SameCustomer: there are no such two.
        NeedsEverywhere: the caller is limited to locations.
    """
    _everywhere(request)
    async with web.writing(request) as tx:
        one, two = await _two(tx, number, other)
        await merging.call_distinct(tx, one.id, two.id)
    return web.go_on(request, "/customers:duplicates", _("They are not offered again"))


@post("/customers/{number:int}/unmerge/{merge_id:uuid}", opt={"permission": "customers:write"}, status_code=200)
async def unmerge(request: Request[Any, Any, Any], number: FromPath[int], merge_id: FromPath[UUID]) -> Response[Any]:
    """Tell two profiles apart again; the orders and wishes that followed go back.

    Raises:
        UnknownMerge, MergeUndone, CustomersDiffer: it cannot be, or not any more.
        NeedsEverywhere: the caller is limited to locations.
    """
    _everywhere(request)
    async with web.writing(request) as tx:
        await unmerge_customers(tx, merge_id)
    return web.go_on(request, f"/customers/{number}", _("They are two profiles again"))


HANDLERS = [duplicates, compare, merge, distinct, unmerge]
