"""The form of a feed: what its file is made of, field by field, with the first rows as they would be."""

from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.catalog import reads as catalog
from malha.channels import service as channels
from malha.channels.feeds import rules, service
from malha.channels.feeds.model import Feed, FeedDraft, Filters, Format, Plan
from malha.channels.feeds.profiles import PROFILES, Profile
from malha.console import filling, mapping_form, render, shell, web
from malha.console.feeds import ADDRESS
from malha.console.filling import Filled
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, Invalid
from malha.platform.i18n import N_, _
from malha.platform.money import CURRENCY_DIGITS
from malha.platform.text import fold

PREVIEWED = 3
FORMATS = {
    Format.TSV: N_("Table, tabs (TSV)"),
    Format.CSV: N_("Table, commas (CSV)"),
    Format.RSS: "RSS 2.0",
    Format.XML: "XML",
    Format.JSONL: "JSON Lines",
}
FULL_TIMES = (60, 180, 360, 720, 1440, 10080)
CHANGE_TIMES = (5, 15, 30, 60, 180)


@get(f"{ADDRESS}:new", opt={"permission": "network:write"})
async def feed_new(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the form of a new feed of a target."""
    key = request.query_params.get("target", "")
    profile = PROFILES.get(key) or next(iter(PROFILES.values()))
    async with web.reading(request) as tx:
        chosen = sorted(await network.channels(tx), key=lambda c: (not c.active, fold(c.name)))
        currency = chosen[0].currency if chosen else "BRL"
        plan = service.usual_plan(profile.key, currency)
        draft = FeedDraft(name=_(profile.word), channel=chosen[0].code if chosen else "", plan=plan, full_minutes=1440)
        return await _page(tx, request, None, draft, profile)


@get(f"{ADDRESS}/{{code:str}}/edit", opt={"permission": "network:write"})
async def feed_edit(request: Request[Any, Any, Any], code: FromPath[str]) -> Response[str]:
    """Show the form of a feed."""
    async with web.reading(request) as tx:
        feed = await service.feed_of(tx, code)
        draft = FeedDraft(
            name=feed.name,
            channel=feed.channel,
            plan=feed.plan,
            active=feed.active,
            full_minutes=feed.full_minutes,
            changes_minutes=feed.changes_minutes,
            push_url=feed.push_url,
        )
        return await _page(tx, request, feed, draft, PROFILES[feed.plan.profile])


async def _page(
    tx: Tx, request: Request[Any, Any, Any], feed: Feed | None, draft: FeedDraft, profile: Profile
) -> Response[str]:
    around = await shell.around(tx, request, "feeds")
    refuse_limited(tx)
    rows = mapping_form.rows_of(profile, draft.plan.mapping)
    return render.html(
        "feeds/form.html",
        shell=around,
        may=around.may,
        feed=feed,
        draft=draft,
        profile=profile,
        target=_(profile.word),
        says=_(profile.says),
        rows=rows,
        new_row=mapping_form.new_row(),
        sources=mapping_form.sources(profile),
        others=mapping_form.others(),
        nothing=False,
        attributes=await catalog.attribute_names(tx),
        options=await catalog.option_names(tx),
        channels=[(c.code, c.name) for c in sorted(await network.channels(tx), key=lambda c: fold(c.name))],
        formats=[(f.value, _(FORMATS[f])) for f in profile.formats],
        currencies=[(code, code) for code in CURRENCY_DIGITS],
        groups=[(g.code, g.name) for g in await network.location_groups(tx)],
        full_times=_times(FULL_TIMES, draft.full_minutes),
        change_times=_times(CHANGE_TIMES, draft.changes_minutes),
    )


def _times(usual: tuple[int, ...], chosen: int | None) -> list[tuple[str, str]]:
    """Return how often, in words; what somebody chose over the API is among them."""
    minutes = sorted({*usual, *([chosen] if chosen else [])})
    return [(str(m), _every(m)) for m in minutes]


def _every(minutes: int) -> str:
    if minutes % 1440 == 0:
        days = minutes // 1440
        return _("every day") if days == 1 else _("every {n} days", n=days)
    if minutes % 60 == 0:
        hours = minutes // 60
        return _("every hour") if hours == 1 else _("every {n} hours", n=hours)
    return _("every {n} minutes", n=minutes)


# --- reading it ---


def _plan(read: Filled) -> tuple[Plan, list[int]]:
    """Return the plan, and of which row of the form each of its fields is."""
    mapping, of_row = mapping_form.read_mapping(read)
    filters = Filters(
        in_stock=read.flag("in_stock"),
        categories=_words(read.text("plan/filters/categories", 4_000)),
        brands=_words(read.text("plan/filters/brands", 4_000)),
        location_group=read.text("plan/filters/location_group", 80) or None,
    )
    profile = read.text("profile", 40)
    plan = Plan(
        profile=profile,
        format=read.choice("plan/format", Format),
        mapping=mapping,
        filters=filters,
        currency=read.text("plan/currency", 3),
    )
    return plan, of_row


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _minutes(read: Filled, name: str) -> int | None:
    text = read.text(name, 10)
    return int(text) if text.isascii() and text.isdigit() else None


@post(f"{ADDRESS}:save", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def feed_save(request: Request[Any, Any, Any]) -> Response[Any]:
    """Create a feed, or change the one whose version the form was made from."""
    read = filling.filled(await request.form())
    plan, of_row = _plan(read)
    code = read.text("code", 80)
    draft = FeedDraft(
        name=read.text("name", 120),
        channel=read.text("channel", 80),
        plan=plan,
        active=read.flag("active"),
        full_minutes=_minutes(read, "full_minutes"),
        changes_minutes=_minutes(read, "changes_minutes"),
        push_url=read.text("push_url", 2_048) or None,
        push_secret=read.text("push_secret", 1_000) or None,
    )
    read.refuse()
    services: Any = request.app.state.services
    try:
        async with web.writing(request) as tx:
            await service.put_feed(
                tx, code, draft, read.version(), services.signing, allowed=services.settings.outward_allow
            )
    except Invalid as error:
        raise mapping_form.placed(error, plan.mapping, of_row) from None
    return web.go_on(request, f"{ADDRESS}/{code}", _("Feed saved"))


@post(f"{ADDRESS}:preview", opt={"permission": "network:write", "everywhere": True}, status_code=200)
async def feed_preview(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the first rows as the form would have them, with what is wrong in each. Nothing is kept."""
    read = filling.filled(await request.form())
    plan, _of_row = _plan(read)
    sku = read.text("preview_sku", 80) or None
    shown: service.Preview | None = None
    flaws: list[Flaw] = list(read.flaws)
    if not flaws:
        try:
            async with web.reading(request) as tx:
                channel = await channels.channel_of(tx, read.text("channel", 80))
                shown = await service.preview(tx, plan, channel, rows=PREVIEWED, sku=sku)
        except Invalid as error:
            flaws = list(error.flaws)
    lines = []
    if shown is not None:
        for n, column in enumerate(shown.columns):
            cells = []
            for row in shown.rows:
                value = row.values[n]
                found = [(f, _(rules.RULES.get(f.rule, f.rule))) for f in row.found if f.field == column]
                cells.append((", ".join(value) if isinstance(value, list) else value, found))
            lines.append((column, cells))
    return render.html(
        "feeds/preview.html",
        shown=shown,
        lines=lines,
        flaws=[web.flaw_text(f)[0] for f in flaws[:5]],
        sku=sku,
    )


HANDLERS = [feed_new, feed_edit, feed_save, feed_preview]
