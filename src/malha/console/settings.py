"""The settings that are changed while Malha runs: how shoppers see the retailer; and those of the process, to read."""

from typing import Any, NamedTuple
from zoneinfo import available_timezones

import msgspec
from litestar import Request, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import Response

from malha.console import filling, render, shell, web
from malha.network import retailer
from malha.network.colour import WHITE, contrast, normalise_colour
from malha.network.model import RetailerDraft
from malha.platform import i18n
from malha.platform.errors import NotFound
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _
from malha.platform.settings import PREFIX, SECRET_FIELDS, Settings

LANGUAGES = {"pt-BR": N_("Portuguese (Brazil)"), "en": N_("English")}
# What each setting of the process is, in a few words; the whole story is in the reference.
PROCESS = {
    "data_dir": N_("Directory of data"),
    "database_url": N_("Address of the database"),
    "retailer": N_("Schema in the database"),
    "wal_archive": N_("Archive of the database's log"),
    "host": N_("Address it listens on"),
    "port": N_("Port it listens on"),
    "public_url": N_("Address people use"),
    "web_workers": N_("Web processes"),
    "web_pool_size": N_("Database connections of a web process"),
    "backlog": N_("Connections that may wait"),
    "worker": N_("Worker beside the web processes"),
    "worker_pool_size": N_("Database connections of the worker"),
    "worker_jobs": N_("Background jobs at a time"),
    "stock_prices": N_("Prices of stock that may run out"),
    "waves": N_("Held orders planned together"),
    "wave_saving": N_("Least saving of a held order that moves, in centavos"),
    "learned_promises": N_("Dates learned from earlier deliveries"),
    "repromise": N_("What becomes of promises that slip"),
    "repromise_most": N_("Orders promised anew at once"),
    "repromise_hours": N_("Hours until a customer is told of another day"),
    "worker_nice": N_("How far the worker steps back"),
    "log_level": N_("Least severe message logged"),
    "log_format": N_("Form of the log"),
    "metrics": N_("Metrics for Prometheus"),
    "otlp_endpoint": N_("Where traces are sent"),
    "trace_percent": N_("Requests that are traced (%)"),
    "secret_key": N_("Key that signs cookies and links"),
    "secret_key_previous": N_("Key before it, still believed"),
    "smtp_url": N_("Mail server"),
    "mail_from": N_("Sender of mail"),
    "bounce_address": N_("Where undeliverable mail comes back to"),
    "outward_allow": N_("Gateways of one's own network"),
    "session_hours": N_("Hours until an idle person logs in again"),
    "session_days": N_("Days until everybody logs in again"),
    "trusted_proxies": N_("Trusted proxies"),
    "upload_limit_mb": N_("Largest file (MB)"),
    "import_limit_mb": N_("Largest imported file (MB)"),
    "timezone": N_("Time zone where none is set"),
    "currency": N_("Currency where none is named"),
    "language": N_("Language where none is wished"),
    "postgres_shared_buffers": N_("Memory of the embedded database"),
    "postgres_max_connections": N_("Connections of the embedded database"),
}


class ProcessSetting(NamedTuple):
    """One setting of the process, without secrets."""

    word: str
    variable: str
    value: str
    is_default: bool


class Sample(NamedTuple):
    """A colour as shopper pages use it."""

    chosen: str
    brand: str
    on_brand: str
    ink: str
    ink_dark: str
    ratio: str
    ink_ratio: str


def process_settings(settings: Settings) -> list[ProcessSetting]:
    """Return the settings of this process as people read them. Of a secret only whether it is set."""
    return [_process_setting(field, getattr(settings, field.name)) for field in msgspec.structs.fields(Settings)]


def _process_setting(field: msgspec.structs.FieldInfo, found: Any) -> ProcessSetting:
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if field.name in SECRET_FIELDS:
        value = _("set, not shown") if found else _("not set")
    elif isinstance(found, bool):
        value = _("yes") if found else _("no")
    elif isinstance(found, tuple):
        value = ", ".join(found)
    else:
        value = "" if found is None else str(found)
    word = _(PROCESS[field.name]) if field.name in PROCESS else field.name
    return ProcessSetting(word, PREFIX + field.name.upper(), value or _("none"), bool(found == default))


def sample_of(colour: str) -> Sample:
    """Return what shopper pages make of a colour, with the contrasts."""
    tone = retailer.shades(colour)
    return Sample(
        colour,
        tone["brand"],
        tone["on-brand"],
        tone["brand-ink"],
        tone["brand-ink-dark"],
        i18n.number(contrast(tone["brand"], tone["on-brand"]), decimals=1),
        i18n.number(contrast(tone["brand-ink"], WHITE), decimals=1),
    )


@get("/settings", opt={"permission": "settings:manage"})
async def settings_show(request: Request[Any, Any, Any]) -> Response[str]:
    """Show the settings."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "settings")
        found = await retailer.current(tx)
    process: Settings = request.app.state.services.settings
    return render.html(
        "settings/page.html",
        shell=around,
        may=around.may,
        r=found,
        sample=sample_of(found.colour),
        languages=[(code, _(word), code in found.languages) for code, word in LANGUAGES.items()],
        first=found.languages[0],
        zones=[(zone, zone) for zone in sorted(available_timezones()) if "/" in zone and not zone.startswith("Etc/")],
        default_zone=process.timezone,
        process=process_settings(process),
    )


@post("/settings", opt={"permission": "settings:manage"}, status_code=200)
async def settings_change(request: Request[Any, Any, Any]) -> Response[Any]:
    """Change how shoppers see the retailer."""
    read = filling.filled(await request.form())
    spoken = [code for code in LANGUAGES if read.flag(f"speaks-{code}")]
    first = read.text("first", 10)
    if first not in spoken:
        read.wrong("first", N_("The first language is not among those spoken."), N_("Choose one that is ticked."))
    draft = RetailerDraft(
        name=read.text("name", 120),
        colour=read.text("colour", 40),
        languages=(first, *(code for code in spoken if code != first)),
        timezone=read.text("timezone", 60) or None,
        support_email=read.text("support_email") or None,
        support_phone=read.text("support_phone", 40) or None,
        website=read.text("website", 400) or None,
    )
    read.refuse()
    async with web.writing(request) as tx:
        await retailer.change(tx, draft, read.version())
    return web.go_on(request, "/settings", _("Settings saved"))


@get("/settings/colour", opt={"permission": "settings:manage"})
async def colour_sample(request: Request[Any, Any, Any]) -> Response[str]:
    """Draw what shopper pages make of a colour while it is being chosen."""
    colour = normalise_colour(request.query_params.get("colour", "")[:40])
    if colour is None:
        return render.html("settings/sample.html", sample=None)
    async with web.reading(request) as tx:
        found = await retailer.current(tx)
    return render.html("settings/sample.html", sample=sample_of(colour), r=found)


@post("/settings/logo", opt={"permission": "settings:manage"}, status_code=200)
async def logo_change(request: Request[Any, Any, Any]) -> Response[Any]:
    """Take a new logo, or take the logo away."""
    form = await request.form()
    read = filling.filled(form)
    picture: bytes | None = None
    if not read.flag("remove"):
        given = form.get("logo")
        if not isinstance(given, UploadFile):
            refuse([Flaw("logo", N_("No file was chosen."), N_("Choose a picture."))])
        else:
            picture = await given.read()
    async with web.writing(request) as tx:
        await retailer.change_logo(tx, picture)
    return web.go_on(request, "/settings", _("Logo saved") if picture is not None else _("Logo removed"))


@get("/settings/logo/{digest:str}", opt={"permission": "settings:manage"})
async def logo_show(request: Request[Any, Any, Any], digest: FromPath[str]) -> Response[bytes]:
    """Send the logo's picture; its address names the picture.

    Raises:
        NotFound: there is no logo.
    """
    async with web.reading(request) as tx:
        found = await retailer.logo(tx)
    if found is None or found.digest != digest:
        raise NotFound(what="file", key=digest)
    return Response(found.picture, media_type=found.media_type, headers={"Cache-Control": "private, max-age=86400"})


HANDLERS = [settings_show, settings_change, colour_sample, logo_change, logo_show]
