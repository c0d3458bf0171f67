"""Log-in providers (OpenID Connect), and whether passwords let people in besides."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.identity import provider_check, provider_reads, provider_rules, providers
from malha.identity.model import Role
from malha.identity.oidc import Client
from malha.identity.provider_model import FactorPolicy, ProviderDraft, Rule
from malha.identity.provider_reads import Policy, Provider

Text = Annotated[str, Meta(min_length=1, max_length=300)]
Word = Annotated[str, Meta(min_length=1, max_length=120)]
Codes = Annotated[list[Annotated[str, Meta(max_length=80)]], Meta(max_length=1_000)]


class RuleBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a value of the claim gives. `locations` are codes; null is everywhere."""

    value: Text
    role: Role
    locations: Codes | None = None


class ProviderBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A provider as it shall be. `role` null keeps out whoever fits no rule; `locations` null is everywhere."""

    name: Annotated[str, Meta(min_length=1, max_length=60, description="On the button of the log-in page.")]
    issuer: Annotated[str, Meta(min_length=1, max_length=2_000, description="Exactly as the provider calls itself.")]
    client_id: Text
    client_secret: (
        Annotated[
            str, Meta(max_length=500, description="Null keeps the one there is; an empty one makes a public client.")
        ]
        | None
    ) = None
    scopes: Annotated[list[Word], Meta(max_length=30)] = msgspec.field(
        default_factory=lambda: ["openid", "email", "profile"]
    )
    domains: Annotated[list[Word], Meta(max_length=200, description="Of e-mails that may come in; empty: any.")] = []
    creates: Annotated[bool, Meta(description="Whether people are added at their first log-in.")] = False
    links: Annotated[bool, Meta(description="Whether people are found by their verified e-mail.")] = False
    claim: (
        Annotated[str, Meta(max_length=200, description="Which claim names groups, like realm_access.roles.")] | None
    ) = None
    rules: Annotated[list[RuleBody], Meta(max_length=200)] = []
    role: Role | None = None
    locations: Codes | None = None
    second_factor: FactorPolicy = FactorPolicy.PROVIDER
    proofs: Annotated[list[Word], Meta(max_length=30)] = msgspec.field(default_factory=lambda: ["mfa"])
    active: bool = False


class NewProvider(ProviderBody, forbid_unknown_fields=True, kw_only=True):
    """A provider to add. Its code is in the redirect URI, and stays."""

    code: Word


class ProviderSaved(msgspec.Struct, frozen=True):
    """A provider's version, and the redirect URI to register there."""

    code: str
    version: int
    redirect_uri: str


class Tried(msgspec.Struct, frozen=True):
    """One thing that was looked at while a provider was tried out."""

    state: Literal["good", "warn", "bad"]
    says: str
    mend: str


class PolicyBody(msgspec.Struct, forbid_unknown_fields=True):
    """How people may log in: by a provider only (but for owners with a second factor), or by password too."""

    provider_only: bool


@query("/login-providers", permission="identity:manage")
async def list_login_providers(work: Work) -> list[Provider]:
    """List the log-in providers, each with those of the caller's locations that it names.

    Of a client secret only whether it is set.
    """
    return await providers.in_sight(work.tx, await provider_reads.providers(work.tx))


@query("/login-providers/{code:str}", permission="identity:manage")
async def get_login_provider(work: Work, code: str) -> Provider:
    """Return one log-in provider with those of the caller's locations that it names, and the version as `ETag`."""
    (found,) = await providers.in_sight(work.tx, [await providers.provider_named(work.tx, code)])
    work.tag(found.version)
    return found


@command("/login-providers", permission="identity:manage", status=201)
async def create_login_provider(work: Work, data: NewProvider) -> ProviderSaved:
    """Add a log-in provider."""
    version = await providers.create_provider(
        work.tx,
        work.services.signing,
        _draft(data, data.code),
        allowed=work.services.settings.outward_allow,
    )
    work.created(f"/v1/login-providers/{data.code}")
    return _saved(work, data.code, version)


@command(
    "/login-providers/{code:str}", method="PUT", permission="identity:manage", everywhere=True, versioned="required"
)
async def change_login_provider(work: Work, code: str, data: ProviderBody) -> ProviderSaved:
    """Change a log-in provider. Switching it off ends every session that was opened by it."""
    work.expect((await providers.lock_provider(work.tx, code)).version)
    draft = _draft(data, code)
    version = await providers.change_provider(
        work.tx, work.services.signing, draft, None, allowed=work.services.settings.outward_allow
    )
    return _saved(work, code, version)


@command("/login-providers/{code:str}", method="DELETE", permission="identity:manage", everywhere=True)
async def delete_login_provider(work: Work, code: str) -> None:
    """Delete a log-in provider; sessions opened by it end, its people stay."""
    await providers.delete_provider(work.tx, code)


@command(
    "/login-providers/{code:str}/test",
    permission="identity:manage",
    everywhere=True,
    transaction=False,
    idempotent=False,
)
async def test_login_provider(work: Work, code: str) -> list[Tried]:
    """Ask a provider all that a log-in asks, but for a person; nothing is changed."""
    async with work.transaction() as tx:
        provider = await providers.provider_named(tx, code)
        secret = await providers.secret_of(tx, work.services.signing, provider)
    client = Client(client_id=provider.client_id, secret=secret, redirect_uri=_redirect_uri(work, code))
    checks = await provider_check.check(work.services.directory, provider, client)
    return [Tried(check.state, check.says, check.mend) for check in checks]


@query("/login-policy", permission="identity:manage")
async def get_login_policy(work: Work) -> Policy:
    """Return how people may log in, with the version as `ETag`."""
    found = await provider_reads.policy(work.tx)
    work.tag(found.version)
    return found


@command("/login-policy", method="PUT", permission="identity:manage", versioned="optional")
async def change_login_policy(work: Work, data: PolicyBody) -> Policy:
    """Say whether people log in by a provider only. Refused while nobody could come in if the provider fails."""
    version = work.expect(await providers.lock_policy(work.tx))
    await providers.set_policy(work.tx, provider_only=data.provider_only, version=version)
    found = await provider_reads.policy(work.tx)
    work.tag(found.version)
    return found


def _redirect_uri(work: Work, code: str) -> str:
    return f"{work.services.settings.address}/login/back/{code}"


def _saved(work: Work, code: str, version: int) -> ProviderSaved:
    work.tag(version)
    return ProviderSaved(code, version, _redirect_uri(work, code))


def _draft(data: ProviderBody, code: str) -> ProviderDraft:
    return ProviderDraft(
        code=code,
        name=data.name,
        issuer=provider_rules.normal_issuer(data.issuer),
        client_id=data.client_id,
        secret=data.client_secret,
        scopes=data.scopes,
        domains=[domain.lower() for domain in data.domains],
        creates=data.creates,
        links=data.links,
        claim=data.claim,
        rules=[Rule(value=rule.value, role=rule.role, locations=rule.locations) for rule in data.rules],
        role=data.role,
        locations=data.locations,
        second_factor=data.second_factor,
        proofs=data.proofs,
        active=data.active,
    )


handlers = [
    list_login_providers,
    get_login_provider,
    create_login_provider,
    change_login_provider,
    delete_login_provider,
    test_login_provider,
    get_login_policy,
    change_login_policy,
]
