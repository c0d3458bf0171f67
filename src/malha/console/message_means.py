"""Means of contact: which goes first for which message, and how SMS and WhatsApp gateways are asked.

A gateway is described in a form, tried with a real message to a number of one's own, and then put into use. Its secrets
are entered and replaced here and never shown.
"""

import re
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.console import forms, render, shell, web
from malha.flows import trying
from malha.notifications import means, presets, reads
from malha.notifications.contract import End
from malha.notifications.errors import GatewayRefused
from malha.notifications.gateways import BODY_NAMES, HEADER_NAMES, Gateway, Header, Meaning, Receipts
from malha.notifications.model import CHANNEL_WORDS, KINDS, Channel, Kind, Rendered, Route
from malha.platform import brazil, i18n, mail, signing
from malha.platform.errors import NotFound
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _
from malha.platform.sealing import SealBroken
from malha.platform.settings import Settings

Asking = Request[Any, Any, Any]
PROOFS = (("token", N_("A secret word")), ("hmac-sha256", N_("HMAC SHA-256")), ("hmac-sha1", N_("HMAC SHA-1")))


def _settings(request: Asking) -> Settings:
    settings: Settings = request.app.state.services.settings
    return settings


def _channel(said: str) -> Channel:
    if said not in {channel.value for channel in Channel}:
        raise NotFound(what=_("means of contact"), key=said[:40])
    return Channel(said)


@get("/messages/means", opt={"permission": "settings:manage"})
async def means_page(request: Asking) -> Response[str]:
    """Show which means there are, and by which each message is told."""
    settings = _settings(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "messages")
        rows = {channel: await reads.gateway(tx, channel) for channel in Channel}
        routes = await reads.routes(tx)
    ready: set[Channel] = {c for c, row in rows.items() if row is not None and row.active and c != Channel.EMAIL}
    if mail.is_set_up(settings):
        ready.add(Channel.EMAIL)
    usual = routes.get(means.ALL_KINDS, Route())
    kinds = [(kind.value, _(facts.word), routes.get(kind.value)) for kind, facts in KINDS.items()]
    return render.html(
        "messages/means.html",
        shell=around,
        may=around.may,
        rows=[(channel, _(word), rows[channel], channel in ready) for channel, word in CHANNEL_WORDS.items()],
        usual=usual,
        kinds=kinds,
        words={channel.value: _(word) for channel, word in CHANNEL_WORDS.items()},
        channels=[channel.value for channel in Channel],
        sender=settings.mail_from or "",
        bounces=settings.bounce_address or "",
    )


@post("/messages/means/route", opt={"permission": "settings:manage"}, status_code=200)
async def route_save(request: Asking) -> Response[Any]:
    """Say by which means a kind of message is told.

    Raises:
        Invalid: no means, or one twice.
        Conflict: somebody else changed it meanwhile.
    """
    form = await request.form()
    said = str(form.get("kind", ""))
    kind = Kind(said) if said in {k.value for k in Kind} else None
    chosen = [str(form.get(f"means{n}", "")) for n in range(1, len(Channel) + 1)]
    wanted = [Channel(c) for c in chosen if c in {channel.value for channel in Channel}]
    version = str(form.get("version", "0"))
    async with web.writing(request) as tx:
        await means.set_route(
            tx,
            kind,
            None if form.get("own") == "0" else wanted,
            every=form.get("every") == "1",
            version=int(version) if re.fullmatch(r"[0-9]{1,9}", version) else 0,
        )
    notice = _("Saved. It counts for what happens from now on.")
    return web.go_on(request, "/messages/means", notice)


@get("/messages/means/{channel:str}", opt={"permission": "settings:manage"})
async def gateway_edit(request: Asking, channel: FromPath[str]) -> Response[str]:
    """Show a gateway's form; `?preset=` fills it in with what a known gateway publishes.

    Raises:
        NotFound: there is no such means.
    """
    wanted = _channel(channel)
    named = presets.PRESETS.get(request.query_params.get("preset", ""))
    settings = _settings(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "messages")
        row = await reads.gateway(tx, wanted)
        try:
            opened = await means.open_gateway(tx, signing.keys_of(settings), wanted) if row else None
        except SealBroken:  # the form is where they are entered again
            opened = None
    preset = named[1] if named and named[0] is wanted else None
    gateway = preset or (row.gateway if row else Gateway(body='{"to": "{to}", "text": "{text}", "id": "{id}"}'))
    address = f"{settings.address}/v1/messages/receipts/{wanted.value}"
    return render.html(
        "messages/gateway.html",
        shell=around,
        may=around.may,
        channel=wanted.value,
        word=_(CHANNEL_WORDS[wanted]),
        g=gateway,
        headers_text="\n".join(f"{h.name}: {h.value}" for h in gateway.headers),
        row=row,
        version=row.version if row else 0,
        from_preset=preset is not None,
        presets=[(key, p.name) for key, (c, p) in presets.PRESETS.items() if c is wanted and p.name],
        body_names=BODY_NAMES,
        header_names=HEADER_NAMES,
        proofs=PROOFS,
        address=address,
        by_token=gateway.receipts.proof == "token" and not gateway.receipts.header,
        joined=", ".join,
        has_secret=bool(opened and opened.secret),
        has_receipt_secret=bool(opened and opened.receipt_secret),
    )


def _list(form: Any, name: str) -> tuple[str, ...]:
    return tuple(x.strip()[:100] for x in str(form.get(name, "")).split(",") if x.strip())[:40]


def _text(form: Any, name: str, most: int = 300) -> str:
    return forms.said(form, name, most)


def gateway_of(form: Any) -> Gateway:
    """Return the description that a form says."""
    headers = []
    for line in str(form.get("headers", "")).replace("\r", "").splitlines():
        name, colon, value = line.partition(":")
        if line.strip():
            headers.append(Header(name.strip(), value.strip() if colon else ""))

    def choose(name: str, *known: str) -> Any:
        return _text(form, name) if _text(form, name) in known else known[0]

    return Gateway(
        name=_text(form, "name", 80),
        method=choose("method", "POST", "PUT", "GET"),
        url=_text(form, "url", 2_000),
        headers=tuple(headers),
        format=choose("format", "json", "form"),
        body=str(form.get("body", "")).replace("\r\n", "\n").replace("\x00", "")[:10_000],
        plain_letters=form.get("plain_letters") == "1",
        needs_consent=form.get("needs_consent") == "1",
        meaning=Meaning(
            accepted=_text(form, "accepted"),
            refused=_text(form, "refused"),
            later=_text(form, "later"),
            id_path=_text(form, "id_path"),
            error_path=_text(form, "error_path"),
            ok_path=_text(form, "ok_path"),
            ok_values=_list(form, "ok_values"),
            bad_address=_list(form, "bad_address"),
            repeat_safe=form.get("repeat_safe") == "1",
        ),
        receipts=Receipts(
            proof=choose("receipt_proof", *(key for key, _word in PROOFS)),
            header=_text(form, "receipt_header"),
            prefix=str(form.get("receipt_prefix", "")).replace("\x00", "")[:40],
            encoding=choose("receipt_encoding", "hex", "base64"),
            items_path=_text(form, "receipt_items_path"),
            id_path=_text(form, "receipt_id_path"),
            status_path=_text(form, "receipt_status_path"),
            words_path=_text(form, "receipt_words_path"),
            at_path=_text(form, "receipt_at_path"),
            delivered=_list(form, "receipt_delivered"),
            read=_list(form, "receipt_read"),
            bounced=_list(form, "receipt_bounced"),
            bad_address=_list(form, "receipt_bad_address"),
        ),
    )


@post("/messages/means/{channel:str}", opt={"permission": "settings:manage"}, status_code=200)
async def gateway_save(request: Asking, channel: FromPath[str]) -> Response[Any]:
    """Save a gateway's description and put it into use, or out of it.

    Raises:
        Invalid: the description is wrong.
        Conflict: somebody else changed it meanwhile.
    """
    wanted = _channel(channel)
    form = await request.form()
    version = _text(form, "version", 9)
    async with web.writing(request) as tx:
        await means.save_gateway(
            tx,
            signing.keys_of(_settings(request)),
            wanted,
            gateway_of(form),
            active=form.get("active") == "1",
            version=int(version) if re.fullmatch(r"[0-9]{1,9}", version) else 0,
            secret=str(form.get("secret", "")).strip(),
            receipt_secret=str(form.get("receipt_secret", "")).strip(),
            allowed=_settings(request).outward_allow,
        )
    notice = _("The gateway was saved and is in use.") if form.get("active") == "1" else _("The gateway was saved.")
    return web.go_on(request, f"/messages/means/{wanted.value}", notice)


@post("/messages/means/{channel:str}/remove", opt={"permission": "settings:manage"}, status_code=200)
async def gateway_remove(request: Asking, channel: FromPath[str]) -> Response[Any]:
    """Forget a gateway and its secrets.

    Raises:
        GatewayNotReady: there is none.
        Conflict: somebody else changed it meanwhile.
    """
    wanted = _channel(channel)
    version = _text(await request.form(), "version", 9)
    async with web.writing(request) as tx:
        await means.remove_gateway(tx, wanted, version=int(version) if re.fullmatch(r"[0-9]{1,9}", version) else 0)
    return web.go_on(request, "/messages/means", _("The gateway and its secrets were removed."))


@post("/messages/means/{channel:str}/try", opt={"permission": "settings:manage"}, status_code=200)
async def gateway_try(request: Asking, channel: FromPath[str]) -> Response[Any]:
    """Send a test through the saved gateway to a number of one's own, and say what it answered.

    Raises:
        Invalid: the number is none.
        GatewayNotReady: the gateway is not saved yet.
        GatewayRefused: the gateway did not take it.
    """
    wanted = _channel(channel)
    form = await request.form()
    phone = brazil.normalise_phone(str(form.get("phone", ""))[:40])
    if phone is None:
        refuse([Flaw("phone", N_("Write a telephone number with its area code."))])
    language = i18n.current_language()
    async with web.reading(request) as tx:
        rendered = await trying.trial_of(tx, language, _text(form, "template", 80))
    notice = await try_letter(request, wanted, phone or "", language, rendered)
    if web.by_htmx(request):
        return Response(b"", headers={"HX-Reswap": "none", "HX-Trigger": web.trigger("toast", notice)})
    return web.see_other(f"/messages/means/{wanted.value}", notice=notice)


async def try_letter(request: Asking, channel: Channel, phone: str, language: str, rendered: Rendered) -> str:
    """Send a test through a saved gateway; return what to tell who asked.

    Raises:
        GatewayNotReady: the gateway is not saved yet.
        GatewayRefused: it was not taken, or nobody knows.
    """
    database, actor = web.database_of(request), web.actor_of(request)
    answer = await trying.send_trial(database, actor, _settings(request), channel, phone, language, rendered)
    if answer.end is not End.ACCEPTED:
        raise GatewayRefused(answer=answer.words or answer.end.value)
    said = answer.reference or answer.words
    return _("The gateway took the test: {answer}", answer=said) if said else _("The gateway took the test.")


HANDLERS = [means_page, route_save, gateway_edit, gateway_save, gateway_remove, gateway_try]
