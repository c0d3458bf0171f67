"""How the fields of a channel's listings are made of ours: filled in, tried on real listings, saved, taken back."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.catalog import reads as catalog
from malha.channels.connecting.service import connection_of
from malha.channels.feeds.model import Mapped, Origin
from malha.channels.feeds.profiles import Profile
from malha.channels.feeds.rules import FIELDS as OURS
from malha.channels.feeds.rules import MOST_FIELDS, RULES
from malha.channels.listings import mapping, reads, service, words
from malha.channels.listings.errors import UnknownListing
from malha.channels.listings.making import profile_of
from malha.channels.listings.mapping import Foreseen, Foresight
from malha.channels.listings.model import Explained, ListingError
from malha.console import filling, mapping_form, meanwhile, render, shell, web
from malha.console.connection_listings import FIELDS
from malha.console.mapping_form import NOTHING, FieldRow
from malha.network.service import refuse_limited
from malha.platform.flaws import Invalid
from malha.platform.i18n import _

CHANGE = "network:write"
MOST_REASONS = 5
Asking = Request[Any, Any, Any]


class Cell(NamedTuple):
    """A field of one listing in the preview; `was` is what the channel gets now, where that differs."""

    value: str
    was: str
    other: bool
    found: list[tuple[bool, str]]  # whether it keeps the listing from being sent, and in which words


class Head(NamedTuple):
    """A listing in the preview. `state`: kept (would not be sent), other, same."""

    sku: str
    name: str
    state: str
    beside: list[str]  # what is wrong with no field of the table


def _label(name: str) -> str:
    return _(FIELDS[name]) if name in FIELDS else name


def _usual(profile: Profile, name: str) -> str:
    found = next(m for m in profile.defaults if m.target == name)
    return _("as usual: {field}", field=_(OURS[found.value])) if found.origin is Origin.FIELD else ""


def _rows(profile: Profile, said: Sequence[Mapped]) -> list[FieldRow]:
    """Return a row for each field of the channel, then one for each of the retailer's own that somebody mapped."""
    known = {m.target: m for m in said}
    names = [f.name for f in profile.fields]
    own = [name for name in known if name not in names and profile.open]
    rows = []
    for n, name in enumerate([*names, *own]):
        one = known.get(name)
        row = mapping_form.row_of(n, profile, name, one)
        if name in own:
            row = row._replace(free=True, usual=_("as the product says"))
        else:
            row = row._replace(label=_(FIELDS[name]) if name in FIELDS else "", usual=_usual(profile, name))
        if one == Mapped(target=name, origin=Origin.CONSTANT):
            row = row._replace(source=NOTHING)
        rows.append(row)
    return rows


@get("/connections/{code:str}/listing-fields", opt={"permission": CHANGE})
async def listing_fields_show(request: Asking, code: FromPath[str]) -> Response[str]:
    """Show what fills each field that a channel takes, to change it."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "connections")
        refuse_limited(tx)
        found = await connection_of(tx, code)
        profile = profile_of(found)
        said, version, _seen = await reads.plan(tx, found.id)
        return render.html(
            "connections/listing_fields.html",
            shell=around,
            may=around.may,
            c=found,
            profile=profile,
            rows=_rows(profile, said or []),
            new_row=mapping_form.new_row(_("as the product says")),
            version=version,
            mapped=said is not None,
            change=await mapping.last_change(tx, found, said),
            sources=mapping_form.sources(profile),
            others=mapping_form.others(),
            nothing=True,
            attributes=await catalog.attribute_names(tx),
            options=await catalog.option_names(tx),
            most=MOST_FIELDS,
        )


def _meanwhile(request: Asking, code: str) -> AbstractAsyncContextManager[None]:
    return meanwhile.told(request, f"/connections/{code}/listing-fields", "listing", code, {"map"})


@post("/connections/{code:str}/listing-fields", opt={"permission": CHANGE}, status_code=200)
async def listing_fields_save(request: Asking, code: FromPath[str]) -> Response[Any]:
    """Map fields as they are filled in; all that is published is worked out anew."""
    read = filling.filled(await request.form())
    said, of_row = mapping_form.read_mapping(read)
    read.refuse()
    try:
        async with _meanwhile(request, code), web.writing(request) as tx:
            refuse_limited(tx)
            await service.put_mapping(tx, code, said or None, read.version())
    except Invalid as error:
        raise mapping_form.placed(error, said, of_row) from None
    return web.go_on(
        request, f"/connections/{code}/listing-fields", _("Saved; what differs is told to the channel by itself")
    )


@post("/connections/{code:str}/listing-fields:undo", opt={"permission": CHANGE}, status_code=200)
async def listing_fields_undo(request: Asking, code: FromPath[str]) -> Response[Any]:
    """Map fields as before the last change (`act` is undo), or in the usual way (usual)."""
    read = filling.filled(await request.form())
    usual = read.text("act", 10) == "usual"
    async with _meanwhile(request, code), web.writing(request) as tx:
        refuse_limited(tx)
        if usual:
            await service.put_mapping(tx, code, None, read.version())
        else:
            await mapping.take_back(tx, code, read.version())
    notice = _("All fields are filled as usual again") if usual else _("The last change is taken back")
    return web.go_on(request, f"/connections/{code}/listing-fields", notice)


@post("/connections/{code:str}/listing-fields:preview", opt={"permission": CHANGE}, status_code=200)
async def listing_fields_preview(request: Asking, code: FromPath[str]) -> Response[str]:
    """Show what the form would make of some listings, beside what they are now. Nothing is kept."""
    read = filling.filled(await request.form())
    said, of_row = mapping_form.read_mapping(read)
    sku = read.text("preview_sku", 80) or None
    shown: Foresight | None = None
    wrong = [web.flaw_text(f)[0] for f in read.flaws]
    if not wrong:
        try:
            async with web.reading(request) as tx:
                refuse_limited(tx)
                shown = await mapping.foresee(tx, code, said or None, sku)
        except Invalid as error:
            # The paths are of no use here, but what a field is called is.
            names = {of_row[n]: m.target for n, m in enumerate(said)}
            flaws = mapping_form.placed(error, said, of_row).flaws
            wrong = [_in_field(f.at, names, web.flaw_text(f)[0]) for f in flaws]
        except UnknownListing as error:
            wrong = [web.refusal_text(error)[0]]
    heads, lines = ([], []) if shown is None else _table(shown.shown)
    return render.html(
        "connections/listing_fields_preview.html",
        code=code,
        shown=shown,
        heads=heads,
        lines=lines,
        why=[] if shown is None else [(_reason(w.field, w.rule), w) for w in shown.why[:MOST_REASONS]],
        flaws=wrong[:MOST_REASONS],
    )


def _in_field(at: str, names: dict[int, str], text: str) -> str:
    parts = at.split("/")
    name = names.get(int(parts[2])) if len(parts) == 4 and parts[2].isdigit() else None
    return f"{_label(name)}: {text}" if name else text


def _reason(field: str, rule: str) -> str:
    text = _(RULES[rule]) if rule in RULES else rule
    return f"{_label(field)}: {text}" if field else text


def _table(shown: Sequence[Foreseen]) -> tuple[list[Head], list[tuple[str, bool, list[Cell]]]]:
    """Return the listings, and for each field that says anything of one its name, whether it is ours, and its cells."""
    names = dict.fromkeys(f.field for each in shown for side in (each.then, each.now) for f in side.fields)
    heads = []
    for each in shown:
        known = {f.field for f in each.then.fields}
        kept = bool(each.then.errors)
        state = "kept" if kept else "other" if each.now.digest != each.then.digest else "same"
        beside = [_beside(e) for e in each.then.errors if e.field not in known]
        heads.append(Head(each.goods.sku, each.goods.name, state, beside))
    lines = []
    for name in names:
        cells = [_cell(_of(each.now.fields, name), _of(each.then.fields, name)) for each in shown]
        if any(cell.value or cell.was or cell.found for cell in cells):
            lines.append((_label(name), name in FIELDS, cells))
    return heads, lines


def _beside(error: ListingError) -> str:
    return f"{_label(error.field)}: {words.said(error)}" if error.field else words.said(error)


def _of(fields: Sequence[Explained], name: str) -> Explained | None:
    return next((f for f in fields if f.field == name), None)


def _cell(now: Explained | None, then: Explained | None) -> Cell:
    before, after = _text(now), _text(then)
    found = [] if then is None else [(f.severity == "error", _(RULES.get(f.rule, f.rule))) for f in then.found]
    return Cell(after, before, before != after, found)


def _text(field: Explained | None) -> str:
    if field is None or field.value is None:
        return ""
    return "\n".join(field.value) if isinstance(field.value, list | tuple) else str(field.value)


HANDLERS = [listing_fields_show, listing_fields_save, listing_fields_undo, listing_fields_preview]
