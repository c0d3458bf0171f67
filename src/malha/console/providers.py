"""Log-in providers: the list, how people may log in, one provider's form, and trying it out."""

import re
from typing import Any

from litestar import Request, get, post
from litestar.params import FromPath
from litestar.response import Response, Stream

from malha.console import export, filling, forms, provider_session, render, shell, web
from malha.console.filling import Filled
from malha.console.people import MANAGE, ROLE_KEYS
from malha.console.words import Sign
from malha.identity import provider_check, provider_reads, provider_rules, providers, service
from malha.identity.model import ROLE_NAMES, Role
from malha.identity.oidc import Client
from malha.identity.provider_check import Check
from malha.identity.provider_model import FACTOR_POLICIES, FactorPolicy, ProviderDraft, Rule
from malha.identity.provider_reads import Provider
from malha.network import reads as network
from malha.platform.db import Tx
from malha.platform.i18n import N_, _
from malha.platform.ids import UUID
from malha.platform.sheets import Column, Kind

Asking = Request[Any, Any, Any]
IN_USE = Sign(N_("In use"), "done", "done")
OFF = Sign(N_("Off"), "neutral", "x")
SPARE_RULES = 3
NEW = ProviderDraft(code="", name="", issuer="", client_id="", role=Role.STORE_ASSOCIATE)


@get("/providers", opt=MANAGE)
async def provider_list(request: Asking) -> Response[str]:
    """Show the providers, and whether passwords let people in besides."""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "providers")
        found = await provider_reads.providers(tx)
        policy = await provider_reads.policy(tx)
    return render.html(
        "providers/list.html",
        shell=around,
        may=around.may,
        rows=[(one, IN_USE if one.active else OFF) for one in found],
        policy=policy,
        everywhere=web.caller_of(request).locations is None,
        exports=export.choices(str, "/providers:export"),
    )


COLUMNS = (
    Column(N_("Code")), Column(N_("Name"), width=28), Column(N_("Issuer"), width=48), Column(N_("Client ID"), width=28),
    Column(N_("E-mail domains"), width=32), Column(N_("Second factor"), width=28), Column(N_("People"), Kind.WHOLE),
    Column(N_("In use")),
)  # fmt: skip


@get(export.paths("/providers:export"), opt=MANAGE)
async def provider_export(request: Asking) -> Stream:
    """Send the list as a file, without a secret."""
    async with web.reading(request) as tx:
        found = await provider_reads.providers(tx)

    def cells(one: Provider) -> list[Any]:
        return [
            one.code, one.name, one.issuer, one.client_id, ", ".join(one.domains),
            _(FACTOR_POLICIES[FactorPolicy(one.second_factor)]), one.people, _("yes") if one.active else _("no"),
        ]  # fmt: skip

    return export.send_all(request, "login-providers", COLUMNS, found, cells)


@post("/providers:policy", opt=MANAGE, status_code=200)
async def policy_change(request: Asking) -> Response[Any]:
    """Let people log in by a provider only, or by password too."""
    read = filling.filled(await request.form())
    only = read.text("provider_only", 5) == "yes"
    async with web.writing(request) as tx:
        await providers.set_policy(tx, provider_only=only, version=read.version())
    notice = _("From now on people log in by a provider") if only else _("Passwords let people in again")
    return web.go_on(request, "/providers", notice)


async def _page(tx: Tx, request: Asking, provider: Provider | None, checks: list[Check] | None = None) -> Response[str]:
    """Draw the form of a provider, or of a new one. It names only locations that the caller sees."""
    here = f"/providers/{provider.code}" if provider else "/providers:new"
    around, caller = await shell.around(tx, request, "providers", here=here), web.caller_of(request)
    draft = providers.draft_of(provider) if provider else NEW
    spare = Rule(value="", role=Role.STORE_ASSOCIATE)
    base = request.app.state.services.settings.address
    return render.html(
        "providers/form.html",
        shell=around,
        may=around.may,
        action=here,
        draft=draft,
        provider=provider,
        everywhere=caller.locations is None,
        version=provider.version if provider else 0,
        rules=[*draft.rules, *([spare] * SPARE_RULES)],
        roles=[(role.value, _(ROLE_NAMES[role])) for role in Role],
        factors=[(policy.value, _(word)) for policy, word in FACTOR_POLICIES.items()],
        scope={"everywhere": draft.locations is None, "locations": draft.locations or ()},
        places=[place for place in await network.locations(tx) if caller.sees(place.id)],
        redirect=provider_session.redirect_uri(request, provider.code) if provider else f"{base}/login/back/",
        back_to=f"{base}/login",
        hidden=(provider.others or 0) if provider else 0,
        checks=checks,
        plain=base.startswith("http://"),
    )


@get("/providers:new", opt={**MANAGE, "everywhere": True})
async def provider_new(request: Asking) -> Response[str]:
    """Show the empty form."""
    async with web.reading(request) as tx:
        return await _page(tx, request, None)


@get("/providers/{code:str}", opt=MANAGE)
async def provider_show(request: Asking, code: FromPath[str]) -> Response[str]:
    """Show a provider's form."""
    async with web.reading(request) as tx:
        (provider,) = await providers.in_sight(tx, [await providers.provider_named(tx, code)])
        return await _page(tx, request, provider)


@post("/providers:new", opt={**MANAGE, "everywhere": True}, status_code=200)
async def provider_create(request: Asking) -> Response[Any]:
    """Add a provider."""
    read = filling.filled(await request.form())
    draft = _draft(read, read.text("code", 40))
    read.refuse()
    services = request.app.state.services
    async with web.writing(request) as tx:
        await providers.create_provider(tx, services.signing, draft, allowed=services.settings.outward_allow)
    return web.go_on(request, f"/providers/{draft.code}", _("Provider added. Try it out before you switch it on."))


@post("/providers/{code:str}", opt={**MANAGE, "everywhere": True}, status_code=200)
async def provider_save(request: Asking, code: FromPath[str]) -> Response[Any]:
    """Save a provider that nobody else changed since the form was opened."""
    read = filling.filled(await request.form())
    draft = _draft(read, code)
    read.refuse()
    services = request.app.state.services
    async with web.writing(request) as tx:
        await providers.change_provider(
            tx, services.signing, draft, read.version(), allowed=services.settings.outward_allow
        )
    return web.go_on(request, f"/providers/{code}", _("Provider saved"))


@post("/providers/{code:str}/delete", opt={**MANAGE, "everywhere": True}, status_code=200)
async def provider_delete(request: Asking, code: FromPath[str]) -> Response[Any]:
    """Delete a provider; sessions opened by it end."""
    async with web.writing(request) as tx:
        name = (await providers.provider_named(tx, code)).name
        await providers.delete_provider(tx, code)
    return web.go_on(request, "/providers", _("{name} is deleted.", name=name))


@post("/providers/{code:str}/test", opt={**MANAGE, "everywhere": True}, status_code=200)
async def provider_test(request: Asking, code: FromPath[str]) -> Response[str]:
    """Ask the provider all that a log-in asks, but for a person, and show what it said."""
    services = request.app.state.services
    async with web.reading(request) as tx:
        provider = await providers.provider_named(tx, code)
        secret = await providers.secret_of(tx, services.signing, provider)
    redirect = provider_session.redirect_uri(request, code)
    client = Client(client_id=provider.client_id, secret=secret, redirect_uri=redirect)
    checks = await provider_check.check(services.directory, provider, client)
    async with web.reading(request) as tx:
        return await _page(tx, request, await providers.provider_named(tx, code), checks)


@post("/people/{person_id:uuid}/unbind", opt=MANAGE, status_code=200)
async def person_unbind(request: Asking, person_id: FromPath[UUID]) -> Response[Any]:
    """Take an account of a provider away from a person; their sessions end."""
    form = await request.form()
    issuer, subject = forms.said(form, "issuer", 2_000), forms.said(form, "subject", 255)
    async with web.writing(request) as tx:
        await service.person_to_manage(tx, person_id)
        await providers.unbind(tx, person_id, issuer, subject)
    return web.see_other(f"/people/{person_id}", notice=_("The account is no longer bound"))


def _draft(read: Filled, code: str) -> ProviderDraft:
    role = read.text("role", 40)
    secret = read.text("secret", 500)
    return ProviderDraft(
        code=code,
        name=read.text("name", 60),
        issuer=provider_rules.normal_issuer(read.text("issuer", 2_000)),
        client_id=read.text("client_id", 300),
        secret="" if read.flag("public_client") else secret or None,
        scopes=_words(read.text("scopes", 600)),
        domains=[domain.lower().removeprefix("@") for domain in _words(read.text("domains", 4_000))],
        creates=read.flag("creates"),
        links=read.flag("links"),
        claim=read.text("claim", 200) or None,
        rules=_rules(read),
        role=Role(role) if role in ROLE_KEYS else None,
        locations=None if read.text("scope", 20) != "some" else forms.chosen(read.form, "locations"),
        second_factor=read.choice("second_factor", FactorPolicy),
        proofs=_words(read.text("proofs", 600)),
        active=read.flag("active"),
    )


def _rules(read: Filled) -> list[Rule]:
    """Return the rules that were filled in. A rule without a value is a spare row, or one that was emptied to go."""
    rules = []
    for i in range(provider_rules.MOST_RULES + SPARE_RULES):
        value, role = read.text(f"rules/{i}/value", 300), read.text(f"rules/{i}/role", 40)
        if value:
            places = _words(read.text(f"rules/{i}/locations", 4_000))
            rules.append(
                Rule(
                    value=value,
                    role=Role(role) if role in ROLE_KEYS else Role.STORE_ASSOCIATE,
                    locations=places or None,
                )
            )
    return rules


def _words(text: str) -> list[str]:
    """Return what was typed one beside the other, with spaces, commas or lines between."""
    return [word for word in re.split(r"[\s,;]+", text) if word]


HANDLERS = [
    provider_list,
    provider_export,
    policy_change,
    provider_new,
    provider_show,
    provider_create,
    provider_save,
    provider_delete,
    provider_test,
    person_unbind,
]
