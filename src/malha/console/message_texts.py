"""The texts of messages: which go out, how they read, what they look like with a real order, and a try to oneself.

A mail is shown in a frame under a policy of its own: it may have inline styles and nothing else, no script, no form, no
picture from elsewhere, and the page around it may show it and nothing else.
"""

import re
from datetime import time
from typing import Any

import msgspec
from litestar import MediaType, Request, get, post
from litestar.params import FromPath
from litestar.response import Response

from malha.console import message_means, render, shell, web
from malha.console.messages import KIND_CODES
from malha.flows import telling
from malha.identity import reads as people
from malha.notifications import reads, rendering, rules, segments
from malha.notifications import service as notifications
from malha.notifications.model import CHANNEL_WORDS, KINDS, Channel, Facts, Kind, Rendered, Shape, Template, Text
from malha.ordering import reads as orders
from malha.ordering.tracking import tracking_address
from malha.platform import audit, brazil, mail
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import NotFound
from malha.platform.flaws import Flaw, Invalid, refuse
from malha.platform.i18n import LANGUAGES, N_, _
from malha.platform.ids import UUID
from malha.platform.page_policy import FRAMED_POLICY, FRAMING_POLICY
from malha.platform.settings import Settings

LANGUAGE_WORDS = {"pt-BR": N_("Portuguese"), "en": N_("English")}
Asking = Request[Any, Any, Any]


def _settings(request: Asking) -> Settings:
    settings: Settings = request.app.state.services.settings
    return settings


def _key(kind: str, language: str) -> tuple[Kind, str]:
    if kind not in KIND_CODES or language not in LANGUAGES:
        raise NotFound(what=_("text"), key=f"{kind}/{language}")
    return Kind(kind), language


@get("/messages/texts", opt={"permission": "settings:manage"})
async def text_list(request: Asking) -> Response[str]:
    """Show every kind of message, whether it goes out, and its texts for each means."""
    settings = _settings(request)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "messages")
        texts = await reads.templates(tx)
        on = await reads.active(tx)
        resting = await reads.rules(tx)
        gateways = await reads.ready_gateways(tx)
    # Mail always; of the others those that are in use, or have a text of their own.
    shown = [c for c in Channel if c is Channel.EMAIL or c in gateways or any(t.own and t.channel is c for t in texts)]
    by_kind = {kind: [(c, [t for t in texts if t.kind is kind and t.channel is c]) for c in shown] for kind in Kind}
    return render.html(
        "messages/texts.html",
        shell=around,
        may=around.may,
        kinds=[(kind, facts, kind in on, by_kind[kind]) for kind, facts in KINDS.items()],
        languages=LANGUAGE_WORDS,
        means_words=CHANNEL_WORDS,
        rules=resting,
        mail_ready=bool(settings.smtp_url and settings.mail_from),
        sender=settings.mail_from or "",
    )


@post("/messages/texts/{kind:str}/switch", opt={"permission": "settings:manage"}, status_code=303)
async def text_switch(request: Asking, kind: FromPath[str]) -> Response[bytes]:
    """Say whether a kind of message goes out.

    Raises:
        KindAlways: it always goes out.
    """
    form = await request.form()
    wanted, _language = _key(kind, LANGUAGES[0])
    on = form.get("on") == "1"
    async with web.writing(request) as tx:
        await notifications.switch(tx, wanted, on=on)
    word = _(KINDS[wanted].word)
    notice = _("“{kind}” is sent again.", kind=word) if on else _("“{kind}” is no longer sent.", kind=word)
    return web.see_other("/messages/texts", notice=notice)


@post("/messages/rules", opt={"permission": "settings:manage"}, status_code=303)
async def rules_change(request: Asking) -> Response[bytes]:
    """Change quiet hours and how long words are kept.

    Raises:
        Invalid: a time or the number of days is wrong.
        Conflict: somebody else changed them meanwhile.
    """
    form = await request.form()
    flaws = []
    times: list[time] = []
    for name in ("quiet_from", "quiet_until"):
        try:
            times.append(time.fromisoformat(str(form.get(name, ""))))
        except ValueError:
            flaws.append(Flaw(name, N_("Write a time like 21:00.")))
    days, version = str(form.get("kept_days", "")), str(form.get("version", ""))
    if not re.fullmatch(r"[0-9]{1,4}", days):
        flaws.append(Flaw("kept_days", N_("Keep messages for 1 to 3650 days.")))
    refuse(flaws)
    async with web.writing(request) as tx:
        await notifications.change_rules(
            tx,
            quiet_from=times[0],
            quiet_until=times[1],
            kept_days=int(days),
            version=int(version) if re.fullmatch(r"[0-9]{1,9}", version) else 0,
        )
    return web.see_other("/messages/texts", notice=_("The rules were saved."))


@get("/messages/texts/{kind:str}/{language:str}", opt={"permission": "settings:manage"})
async def text_edit(request: Asking, kind: FromPath[str], language: FromPath[str]) -> Response[str]:
    """Show the editor of a text.

    Raises:
        NotFound: there is no such text.
    """
    wanted, spoken = _key(kind, language)
    shown = request.query_params.get("version", "")
    means = _means(request.query_params)
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "messages")
        template = await reads.template(tx, wanted, means, spoken)
        versions = await reads.versions(tx, wanted, means, spoken)
        old = (
            await reads.text_of_version(tx, wanted, means, spoken, int(shown))
            if re.fullmatch(r"[0-9]{1,9}", shown)
            else None
        )
        gateways = await reads.ready_gateways(tx)
    settings = _settings(request)
    ready = mail.is_set_up(settings) if means is Channel.EMAIL else means in gateways
    return render.html(
        "messages/edit.html",
        headers={"Content-Security-Policy": FRAMING_POLICY},
        shell=around,
        may=around.may,
        current=template,
        text=old or template.text,
        looking_back=int(shown) if old else 0,
        facts=KINDS[wanted],
        versions=versions,
        language_word=_(LANGUAGE_WORDS[spoken]),
        other=next(x for x in LANGUAGES if x != spoken),
        other_word=_(LANGUAGE_WORDS[next(x for x in LANGUAGES if x != spoken)]),
        words_of=[p for p in KINDS[wanted].placeholders if p.shape is Shape.WORD],
        blocks_of=[p for p in KINDS[wanted].placeholders if p.shape is Shape.BLOCK and means is Channel.EMAIL],
        path=f"/messages/texts/{wanted.value}/{spoken}",
        means=means.value,
        means_word=_(CHANNEL_WORDS[means]),
        query="" if means is Channel.EMAIL else f"?means={means.value}",
        ready=ready,
        longest=(rules.SUBJECT_LENGTH, rules.BODY_LENGTH if means is Channel.EMAIL else rules.SHORT_LENGTH),
    )


def _means(said: Any) -> Channel:
    """Return the means a form or an address names; mail where it names none."""
    found = said.get("means", "")
    return Channel(found) if found in {channel.value for channel in Channel} else Channel.EMAIL


def _address(kind: str, language: str, means: Channel) -> str:
    address = f"/messages/texts/{kind}/{language}"
    return address if means is Channel.EMAIL else f"{address}?means={means.value}"


def _said(form: Any) -> Text:
    return Text(str(form.get("subject", "")).strip(), str(form.get("body", "")).replace("\r\n", "\n").strip())


def _version(form: Any) -> int:
    said = str(form.get("version", "0"))
    return int(said) if re.fullmatch(r"[0-9]{1,9}", said) else 0


@post("/messages/texts/{kind:str}/{language:str}", opt={"permission": "settings:manage"}, status_code=200)
async def text_save(request: Asking, kind: FromPath[str], language: FromPath[str]) -> Response[bytes]:
    """Save a text as the next version.

    Raises:
        Invalid: a placeholder is unknown or misplaced, or a part is empty or too long.
        Conflict: somebody else saved one meanwhile.
    """
    wanted, spoken = _key(kind, language)
    form = await request.form()
    async with web.writing(request) as tx:
        await notifications.save_template(tx, wanted, _means(form), spoken, _said(form), version=_version(form))
    return web.go_on(request, _address(kind, language, _means(form)), _("The text was saved and is used from now on."))


@post("/messages/texts/{kind:str}/{language:str}/reset", opt={"permission": "settings:manage"}, status_code=200)
async def text_reset(request: Asking, kind: FromPath[str], language: FromPath[str]) -> Response[bytes]:
    """Go back to the text that comes with the program.

    Raises:
        Conflict: somebody else saved one meanwhile.
    """
    wanted, spoken = _key(kind, language)
    form = await request.form()
    async with web.writing(request) as tx:
        await notifications.reset_template(tx, wanted, _means(form), spoken, version=_version(form))
    return web.go_on(request, _address(kind, language, _means(form)), _("The default text is used from now on."))


async def _facts(tx: Tx, request: Asking, form: Any, kind: Kind, language: str) -> Facts:
    """Return the facts of the order that was asked for, filled up by invented ones where it has none of that sort."""
    settings = _settings(request)
    # A link as long as real ones, because letters of an SMS are counted; it leads to no order.
    link = tracking_address(request.app.state.services.signing, settings.address, UUID(int=0), at=now(), to="-")
    made_up = rendering.example(language, link)
    said = str(form.get("order", "")).strip().removeprefix("#")
    if not said:
        return made_up
    number = int(said) if re.fullmatch(r"[0-9]{1,18}", said) else 0
    order_id = await orders.id_of(tx, number)
    scope = shell.scope_of(web.caller_of(request))
    real = None
    if order_id is not None and (scope is None or await orders.is_at(tx, order_id, scope)):
        real = await telling.facts_of(tx, order_id, {}, settings)
    if real is None:
        raise NotFound(what=_("order"), key=f"#{said[:20]}")
    return rendering.filled_up(real, made_up, kind)


async def _rendered(request: Asking, form: Any, kind: Kind, language: str) -> Rendered:
    text, means = _said(form), _means(form)
    refuse(rules.check_text(kind, text, means))
    async with web.reading(request) as tx:
        facts = await _facts(tx, request, form, kind, language)
        look = await telling.look_of(tx)
    look = msgspec.structs.replace(look, wishes_address=f"{_settings(request).address}/wishes/...")
    template = Template(kind=kind, channel=means, language=language, version=0, text=text, own=True)
    return telling.written_as(template, facts, look)


@post("/messages/texts/{kind:str}/{language:str}/preview", opt={"permission": "settings:manage"}, status_code=200)
async def text_preview(request: Asking, kind: FromPath[str], language: FromPath[str]) -> Response[str]:
    """Show a text as it arrives, for a frame; what is wrong with it is said there too."""
    wanted, spoken = _key(kind, language)
    form = await request.form()
    try:
        rendered = await _rendered(request, form, wanted, spoken)
        shown = rendered.html or await _short_preview(request, form, wanted, rendered)
    except (Invalid, NotFound) as error:
        says, mend = web.refusal_text(error)
        problems = web.problems_text(error) or [" ".join(x for x in (says, mend) if x)]
        shown = render.text_of("messages/flaws.html", problems=problems)
    return Response(
        shown,
        media_type=MediaType.HTML,
        headers={"Content-Security-Policy": FRAMED_POLICY, "Cache-Control": "no-store"},
    )


async def _short_preview(request: Asking, form: Any, kind: Kind, rendered: Rendered) -> str:
    """Show a short text as a bubble, with its parts as an SMS, or as a gateway approves it."""
    means = _means(form)
    async with web.reading(request) as tx:
        row = await reads.gateway(tx, means)
    text = rendered.text
    if means is Channel.SMS and (row is None or row.gateway.plain_letters):
        text = segments.plain(text)
    approved, names = rules.numbered(_said(form).body, KINDS[kind].placeholders)
    return render.text_of(
        "messages/short.html",
        text=text,
        length=segments.length_of(text) if means is Channel.SMS else None,
        approved=approved if means is Channel.WHATSAPP else "",
        names=list(zip(names, rendered.parameters, strict=True)) if means is Channel.WHATSAPP else [],
    )


@post("/messages/texts/{kind:str}/{language:str}/try", opt={"permission": "settings:manage"}, status_code=200)
async def text_try(request: Asking, kind: FromPath[str], language: FromPath[str]) -> Response[bytes]:
    """Send a text to whoever asks, at once, saved or not: by mail to their address, else to the number they name.

    Raises:
        Invalid: something is wrong with the text or the number.
        MailNotConfigured, MailRefused, MailPostponed, MailUnreachable, MailUnanswered: it could not be sent.
        GatewayNotReady, GatewayRefused: it could not be sent.
    """
    wanted, spoken = _key(kind, language)
    form = await request.form()
    means = _means(form)
    if means is Channel.EMAIL:
        notice = await _try_mail(request, form, wanted, spoken)
    else:
        notice = await _try_gateway(request, form, wanted, spoken)
    async with web.writing(request) as tx:
        await audit.record(tx, action="try", entity="message_template", entity_id=f"{kind}/{means.value}/{language}")
    if not web.by_htmx(request):
        return web.see_other(_address(kind, language, means), notice=notice)
    return Response(b"", headers={"HX-Reswap": "none", "HX-Trigger": web.trigger("toast", notice)})


async def _try_mail(request: Asking, form: Any, kind: Kind, language: str) -> str:
    server = mail.server_of(_settings(request))
    rendered = await _rendered(request, form, kind, language)
    caller = web.caller_of(request)
    async with web.reading(request) as tx:
        person = await people.person(tx, UUID(caller.id))
    message = mail.compose(
        sender=_settings(request).mail_from or "",
        to=person.email if person else "",
        subject=_("[Test] {subject}", subject=rendered.subject),
        text=rendered.text,
        html=rendered.html,
    )
    await mail.send(server, message)
    return _("The mail server took the test. Look into your inbox.")


async def _try_gateway(request: Asking, form: Any, kind: Kind, language: str) -> str:
    means = _means(form)
    phone = brazil.normalise_phone(str(form.get("phone", ""))[:40])
    if phone is None:
        refuse([Flaw("phone", N_("Write a telephone number with its area code."))])
    rendered = await _rendered(request, form, kind, language)
    return await message_means.try_letter(request, means, phone or "", language, rendered)


HANDLERS = [
    text_list,
    text_switch,
    rules_change,
    text_edit,
    text_save,
    text_reset,
    text_preview,
    text_try,
]
