"""Pictures of a product: which of them Malha put there, and taking those off that a listing does not have any more.

Shopify gives each picture an id of its own and forgets the address that it came from. So Malha notes by the mark of an
address which id it became: the only one that came since it was said. A picture of which nobody knows whose it is stays,
and so does every one that people put there. What leaves a product stays among the shop's files, where people may use it
elsewhere; one that Shopify could never show is deleted.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from malha.channels.connectors.shopify.asking import ask, refused, spot
from malha.channels.contract import AuthExpired, Ctx, Pending, ProductPush, Rejected, Result

MOST = 250  # pictures that a product may have
GONE = frozenset({"FILE_DOES_NOT_EXIST", "REFERENCE_TARGET_DOES_NOT_EXIST"})
BUSY = frozenset({"NON_READY_STATE", "FILE_LOCKED", "MEDIA_CANNOT_BE_MODIFIED"})
NO_SCOPE = Rejected("access_denied", "the app lacks write_files: pictures that left the listing stay there", "images")


class Picture(msgspec.Struct, frozen=True):
    """A picture, film or model that stands on a product now."""

    id: str
    status: str  # UPLOADED, PROCESSING, READY or FAILED
    alt: str | None = None


class Kept(msgspec.Struct, frozen=True):
    """What is noted of pictures: ids by the marks of addresses, "" while one is looked for, None where nobody knows.

    `before`: the ids that stood there before the last were put, while those are looked for; None: none are.
    """

    ids: Mapping[str, str | None] = {}
    before: Sequence[str] | None = None

    def seen(self, there: Sequence[Picture], alt: str) -> "Kept":
        """Return it with the ids of those that were put last, where nobody else can have put what came since."""
        sought = [mark for mark, id_ in self.ids.items() if id_ == ""]
        known = {*(self.before or ()), *self.ids.values()}
        came = [each for each in there if each.id not in known]
        if len(came) == len(sought) and all(each.alt == alt for each in came):
            return Kept({**self.ids, **{mark: each.id for mark, each in zip(sought, came, strict=True)}})
        return Kept({**self.ids, **dict.fromkeys(sought)})

    def with_fresh(self, fresh: Sequence[str], there: Sequence[Picture]) -> "Kept":
        """Return what to note together with putting some there, of which an answer may be lost."""
        if not fresh:
            return self
        return Kept({**self.ids, **dict.fromkeys(fresh, "")}, [each.id for each in there])

    def without(self, marks: Sequence[str]) -> "Kept":
        """Return it without some marks."""
        return Kept({mark: id_ for mark, id_ in self.ids.items() if mark not in marks}, self.before)


def addresses(item: ProductPush) -> dict[str, str]:
    """Return the addresses of a listing's pictures by their marks, in order, each once."""
    said = item.fields.get("images") or ()
    return {sha256(url.encode()).hexdigest()[:16]: url for url in ([said] if isinstance(said, str) else said)}


async def look(ctx: Ctx, product: str) -> list[Picture]:
    """Return what stands on a product, in its order."""
    found = (await ask(ctx, "pictures", {"id": product, "first": MOST}))["product"]
    return [] if found is None else msgspec.convert(found["media"]["nodes"], list[Picture])


async def take_off(ctx: Ctx, product: str, leaving: Mapping[str, Picture]) -> tuple[list[str], Result | None]:
    """Take pictures off a product, by marks; return the marks of those that are off, and what keeps the others."""
    ready = {mark: each for mark, each in leaving.items() if each.status == "READY"}
    failed = {mark: each for mark, each in leaving.items() if each.status == "FAILED"}
    off: list[str] = []
    held: Result | None = Pending("images") if len(ready) + len(failed) < len(leaving) else None  # still being fetched
    for name, some in (("take_off_pictures", ready), ("drop_pictures", failed)):
        done, kept = await _each_off(ctx, name, product, some)
        off += done
        held = kept if held is None or isinstance(kept, Rejected) else held
    return off, held


async def _each_off(ctx: Ctx, name: str, product: str, some: Mapping[str, Picture]) -> tuple[list[str], Result | None]:
    """Take some off in one way, all or none at once: those that are refused are left out, and the others said again."""
    off: list[str] = []
    held: Result | None = None
    open_ = {mark: each.id for mark, each in some.items()}
    while open_:
        errors = await _said(ctx, name, product, [*open_.values()])
        if isinstance(errors, Rejected):
            return off, errors
        if not errors:
            return [*off, *open_], held
        marks = [*open_]
        for error in errors:
            at = spot(error, "files" if name == "take_off_pictures" else "fileIds")
            about = marks if at is None or at >= len(marks) else [marks[at]]
            code = error.get("code")
            if code in GONE:  # somebody was quicker
                off += about
            elif code not in BUSY:
                held = msgspec.structs.replace(refused([error]), field="images")
            elif held is None:
                held = Pending("images")
            for mark in about:
                open_.pop(mark, None)
    return off, held


async def _said(ctx: Ctx, name: str, product: str, ids: Sequence[str]) -> Sequence[Mapping[str, Any]] | Rejected:
    """Return what Shopify finds wrong with it."""
    try:
        if name == "drop_pictures":
            told = (await ask(ctx, name, {"ids": ids}))["fileDelete"]
        else:
            files = [{"id": id_, "referencesToRemove": [product]} for id_ in ids]
            told = (await ask(ctx, name, {"files": files}))["fileUpdate"]
    except AuthExpired:
        # The token was good for the product a moment ago: it may not do this, which holds up nothing else.
        return NO_SCOPE
    errors: Sequence[Mapping[str, Any]] = told["userErrors"]
    return errors
