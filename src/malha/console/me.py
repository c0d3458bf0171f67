"""A person's own settings: name, language, theme, time zone. They follow the person to every browser."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from litestar import get, post
from litestar.response import Response

from malha.console import render, session, shell, web
from malha.identity import keeping
from malha.identity import reads as people
from malha.identity.keeping import THEMES, Ways
from malha.identity.model import ROLE_NAMES, SIGNED_IN
from malha.platform import i18n
from malha.platform.clock import now
from malha.platform.errors import NotFound
from malha.platform.i18n import N_, _

LANGUAGE_NAMES = {"pt-BR": "Português (Brasil)", "en": "English"}  # each in its own words
THEME_NAMES = {"light": N_("Light"), "dark": N_("Dark")}
# One zone for each time that Brazil has; others are kept and shown, but chosen elsewhere.
ZONES = {
    "America/Sao_Paulo": N_("Brasília"),
    "America/Noronha": N_("Fernando de Noronha"),
    "America/Manaus": N_("Manaus, Cuiabá, Campo Grande, Porto Velho, Boa Vista"),
    "America/Rio_Branco": N_("Rio Branco"),
}


class Mine(msgspec.Struct, frozen=True, kw_only=True):
    """The form as it is shown."""

    name: str
    role: str
    places: str
    language: str
    theme: str
    zone: str
    languages: list[tuple[str, str]]
    themes: list[tuple[str, str]]
    zones: list[tuple[str, str]]


def zone_choices(chosen: str) -> list[tuple[str, str]]:
    """Return the time zones to choose from, with the time there now; one that is not listed stays if it is chosen."""
    at = now()
    zones = {**ZONES, **({chosen: chosen} if chosen and chosen not in ZONES else {})}
    return [(zone, f"{_(name)}, {i18n.time(at.astimezone(ZoneInfo(zone)).timetz())}") for zone, name in zones.items()]


@get("/me", opt={"permission": SIGNED_IN})
async def show(request: web.Asking) -> Response[str]:
    """Show the settings of whoever asks.

    Raises:
        NotSignedIn: a key asks.
    """
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "me")
        person = await people.person(tx, web.person_of(request))
    if person is None:
        raise NotFound(what="person", key="")
    mine = Mine(
        name=person.name,
        role=_(ROLE_NAMES[person.role]),
        places=_("Everywhere") if person.everywhere else ", ".join(person.locations),
        language=person.language or "",
        theme=web.caller_of(request).theme or "",
        zone=person.timezone or "",
        languages=list(LANGUAGE_NAMES.items()),
        themes=[(theme, _(THEME_NAMES[theme])) for theme in THEMES],
        zones=zone_choices(person.timezone or ""),
    )
    return render.html("me/page.html", shell=around, may=around.may, me=mine, person=person)


@post("/me", opt={"permission": SIGNED_IN}, status_code=200)
async def save(request: web.Asking) -> Response[Any]:
    """Keep the settings.

    Raises:
        NotSignedIn: a key asks.
        Invalid: a field is not acceptable.
    """
    form = await request.form()
    said = {name: str(form.get(name, ""))[:200] or None for name in ("language", "theme", "timezone")}
    ways = Ways(name=str(form.get("name", ""))[:200], **said)
    async with web.writing(request) as tx:
        await keeping.change_ways(tx, web.person_of(request), ways)
    if ways.language:
        i18n.use(ways.language)
    return _remember(web.go_on(request, "/me", _("Your settings are saved.")), said)


@post("/me/language", opt={"permission": SIGNED_IN}, status_code=200)
async def language(request: web.Asking) -> Response[Any]:
    """Have pages speak a language, from the switch that every page has.

    Raises:
        Invalid: the product does not speak it.
    """
    form = await request.form()
    said = str(form.get("language", ""))
    async with web.writing(request) as tx:
        await keeping.choose_language(tx, web.person_of(request), said)
    return _remember(web.see_other(_back(form)), {"language": said})


@post("/me/theme", opt={"permission": SIGNED_IN}, status_code=200)
async def theme(request: web.Asking) -> Response[Any]:
    """Have pages look light or dark, from the switch that every page has.

    Raises:
        Invalid: it is neither.
    """
    form = await request.form()
    said = str(form.get("theme", ""))
    async with web.writing(request) as tx:
        await keeping.choose_theme(tx, web.person_of(request), said)
    return _remember(web.see_other(_back(form)), {"theme": said})


def _back(form: Any) -> str:
    return web.safe_address(str(form.get("next", "")), "/")


def _remember(sent: Response[Any], said: dict[str, str | None]) -> Response[Any]:
    """Have this browser's log-in page look and speak the same."""
    names = {"language": web.LANGUAGE_COOKIE, "theme": shell.THEME_COOKIE}
    sent.cookies.extend(session.kept(name, said[field] or "") for field, name in names.items() if said.get(field))
    return sent


HANDLERS = [show, save, language, theme]
