"""What a shop shows of its products, written there until it shows what it shall.

Each product is looked up by its SKU, what differs is written, and the answer is looked at as what was looked up was:
until nothing differs. So what broke off goes on where it was, and an answer that was lost is looked up, not guessed.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from malha.channels.connectors.woocommerce.asking import read_as
from malha.channels.connectors.woocommerce.goods import Found, batch_rows, by_sku, priced, result_of
from malha.channels.connectors.woocommerce.showing import (
    OURS,
    TERMS,
    Plan,
    Units,
    is_measured,
    plan,
    plan_variation,
    unknown_attributes,
    wants,
)
from malha.channels.connectors.woocommerce.terms import OPERATION, Terms
from malha.channels.connectors.woocommerce.words import Listed
from malha.channels.contract import ChannelError, Ctx, Ok, Pending, ProductPush, Rejected, Result, Unknown, Unsure

AT_ONCE = 10  # products of one request: a shop takes its time for each
IMAGES_AT_ONCE = 3  # pictures of one request: the shop fetches them while we wait
LONGEST = timedelta(seconds=60)  # of one call; what is left of pictures then comes with the next
NO_PRICE = "the shop keeps its prices itself and does not have this: make it there, with its price"
NOT_THERE = Listed(id=0, status="draft")  # what a product that is to be made differs from
IMAGE_REFUSED = ("woocommerce_product_image_upload_error", "woocommerce_product_invalid_image_id")
# What an error is about, by a part of its code.
ABOUT = (("global_unique_id", "gtin"), ("image", "images"), ("sku", "code"))


class _Open(msgspec.Struct):
    """A listing that is being told."""

    item: ProductPush
    row: Listed | None = None
    written: Mapping[str, Any] = {}  # what the row is the answer to
    doubt: ChannelError | None = None  # nobody knows what became of what was written last
    taken: Rejected | None = None  # its SKU was taken when it was made
    refused: dict[str, Rejected] = {}  # parts that the shop did not take, by field or mark of a picture
    most: int = IMAGES_AT_ONCE
    result: Result | None = None


async def upsert(ctx: Ctx, items: Sequence[ProductPush]) -> Sequence[Result]:
    """Make and change products; one that is refused holds up no others.

    What is made anew becomes a simple product. Of a variation GTIN, weight, measures and whether it is for sale are
    written.

    Raises:
        Unsure: nobody knows what became of any of them.
        Invalid, Retryable, AuthExpired: as asking does.
    """
    until = ctx.now() + LONGEST
    terms = Terms(ctx)
    found = await _look_up(ctx, [item.code for item in items])
    every = [_Open(item, found.rows.get(item.code), result=found.unread.get(item.code)) for item in items]
    while open_ := [each for each in every if each.result is None]:
        planned = await _planned(ctx, terms, open_)
        if ctx.now() > until:
            for each in planned:
                each[0].result = Pending("images")
        made = [(each, told) for each, told in planned if each.result is None and each.row is None]
        changed = [(each, told) for each, told in planned if each.result is None and each.row is not None]
        for part in _parts(made):
            await _write(ctx, part, "/products/batch", "create")
        for parent in sorted({_parent(each.row) for each, _ in changed}):
            path = f"/products/{parent}/variations/batch" if parent else "/products/batch"
            for part in _parts([(each, told) for each, told in changed if _parent(each.row) == parent]):
                await _write(ctx, part, path, "update")
        unseen = [
            each for each, _ in planned if each.doubt is not None or (each.row is None and each.taken is not None)
        ]
        await _look_again(ctx, [each for each in unseen if each.result is None])
    doubts = [each.doubt for each in every if isinstance(each.result, Unknown)]
    if doubts and len(doubts) == len(every) and doubts[0] is not None:
        raise doubts[0]
    return [each.result or Unknown() for each in every]


async def _look_up(ctx: Ctx, codes: Iterable[str]) -> Found:
    # As it is kept: otherwise texts come as the shop's page shows them.
    return await by_sku(ctx, list(codes), Listed, {"context": "edit"})


async def _planned(ctx: Ctx, terms: Terms, open_: Sequence[_Open]) -> list[tuple[_Open, Plan]]:
    """Return what to write of each; who has nothing left to be written is done."""
    ids = await _ids(terms, open_)
    lacking = any(
        unknown_attributes(each.item, each.row or NOT_THERE) for each in open_ if each.item.active and not _varies(each)
    )
    shared = await terms.attributes() if lacking else {}
    measured = any(is_measured(each.item) for each in open_ if each.item.active)
    units = await terms.units() if measured else Units()
    planned = []
    for each in open_:
        told = _plan(ctx, each, ids.get(id(each), {}), shared, units)
        if each.row is None and not each.item.active:
            each.result = Ok()  # it is not for sale there, which is what is wanted
        elif each.row is None and each.item.currency != ctx.connection.currency:
            says = f"the shop sells in {ctx.connection.currency}"
            each.result = Rejected("currency", says, "currency")
        elif each.row is None and each.item.price is None:
            each.result = Rejected("price", NO_PRICE, "price")
        elif not told.changes:
            each.result = _done(each)
        elif each.doubt is not None:
            each.result = Unknown(each.doubt.why)
        elif each.row is not None and told.changes == each.written:
            names = [OURS.get(name, name) for name in told.changes if name != "meta_data"] or ["note"]
            each.result = Rejected("not_kept", f"the shop does not keep {', '.join(names)} as it was told", names[0])
        else:
            planned.append((each, told))
    return planned


def _done(each: _Open) -> Result:
    if each.refused:
        first, *others = each.refused.values()
        return msgspec.structs.replace(first, others=others)
    return Ok("" if each.row is None else str(each.row.id))


async def _ids(terms: Terms, open_: Sequence[_Open]) -> dict[int, dict[str, Sequence[int]]]:
    """Return the ids of the terms that each needs, asked for all together."""
    wanted = {
        id(each): wants(each.item, each.row or NOT_THERE) for each in open_ if each.item.active and not _varies(each)
    }
    found: dict[int, dict[str, Sequence[int]]] = {}
    for field in TERMS:
        texts = {said[field] for said in wanted.values() if field in said}
        known = await terms.ids_of(field, texts) if texts else {}
        for each in open_:
            ids = known.get(wanted.get(id(each), {}).get(field, ""))
            if isinstance(ids, Rejected):
                each.refused[field] = ids
            elif ids is not None:
                found.setdefault(id(each), {})[field] = ids
    return found


def _plan(ctx: Ctx, each: _Open, ids: Mapping[str, Sequence[int]], shared: Mapping[str, int], units: Units) -> Plan:
    if _varies(each) and each.row is not None:
        return plan_variation(each.item, each.row, units)
    return plan(
        each.item,
        each.row or NOT_THERE,
        ids=ids,
        shared=shared,
        units=units,
        visible=ctx.config.show_attributes,
        written=each.written,
        refused=frozenset(each.refused),
        most=each.most,
    )


def _varies(each: _Open) -> bool:
    return each.row is not None and each.row.type == "variation"


def _parent(row: Listed | None) -> int:
    return row.parent_id if row is not None and row.type == "variation" else 0


def _parts(planned: Sequence[tuple[_Open, Plan]]) -> Iterable[Sequence[tuple[_Open, Plan]]]:
    """Yield what goes in one request: few products, and fewer pictures."""
    part: list[tuple[_Open, Plan]] = []
    images = 0
    for each, told in planned:
        if part and (len(part) == AT_ONCE or images + len(told.fresh) > IMAGES_AT_ONCE):
            yield part
            part, images = [], 0
        part.append((each, told))
        images += len(told.fresh)
    if part:
        yield part


async def _write(ctx: Ctx, part: Sequence[tuple[_Open, Plan]], path: str, verb: str) -> None:
    """Write and note what came of each; what nobody knows is left in doubt."""
    items = []
    for each, told in part:
        if each.row is None:
            new = {"type": "simple", "sku": each.item.code, "manage_stock": True, "stock_quantity": 0}
            price = {} if each.item.price is None else priced(ctx, each.item.price, each.item.currency)
            items.append({**new, **price, **told.changes})
        else:
            items.append({"id": each.row.id, **told.changes})
    try:
        rows = await batch_rows(ctx, path, verb, items, OPERATION)
    except Unsure as error:
        for each, _ in part:
            each.doubt = error
        return
    for (each, told), row in zip(part, rows, strict=True):
        match result_of(row):
            case Ok():
                kept = {"type": "variation", "parent_id": _parent(each.row)} if _varies(each) else {}
                each.row, each.written = read_as({**row, **kept}, Listed), told.changes
            case Unknown(why):
                each.doubt = Unsure(why)
            case Rejected() as refused:
                _refuse(each, told, refused, row)


def _refuse(each: _Open, told: Plan, refused: Rejected, row: Mapping[str, Any]) -> None:
    """Note a refusal. Of several pictures it is tried which one is meant; the others go on."""
    if refused.code in IMAGE_REFUSED and told.fresh:
        if len(told.fresh) > 1:
            each.most = 1
        else:
            each.refused[told.fresh[0]] = msgspec.structs.replace(refused, field="images")
        each.written = {}
        return
    data = row["error"].get("data")
    if (
        each.row is None
        and refused.code == "product_invalid_sku"
        and isinstance(data, dict)
        and data.get("resource_id")
    ):
        # It was made meanwhile, by a request of ours that was given up or by somebody else.
        each.taken = msgspec.structs.replace(refused, field="code")
        return
    params = data.get("params") if isinstance(data, dict) else None
    named = next((OURS.get(name, name) for name in params), "") if isinstance(params, dict) else ""
    about = next((field for part, field in ABOUT if part in refused.code), named)
    each.result = msgspec.structs.replace(refused, field=about)


async def _look_again(ctx: Ctx, doubted: Sequence[_Open]) -> None:
    """Look up what nobody knows; where nobody can look now, nobody knows still."""
    if not doubted:
        return
    try:
        found = await _look_up(ctx, [each.item.code for each in doubted])
    except ChannelError:
        found = None
    for each in doubted:
        if found is None:
            each.result = Unknown("nobody could look it up" if each.doubt is None else each.doubt.why)
        elif each.item.code in found.unread:
            each.result = found.unread[each.item.code]
        else:
            each.row, each.written = found.rows.get(each.item.code), {}
            if each.row is None and each.doubt is None:
                each.result = each.taken
