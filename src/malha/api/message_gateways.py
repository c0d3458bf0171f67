"""Means of contact: gateways for SMS and WhatsApp, what mail services report back, and which means goes first.

Secrets go in and never come out: an answer only says whether there is one.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.flows import trying
from malha.notifications import means, presets, reads
from malha.notifications.gateways import BODY_LENGTH, MOST_HEADERS, Gateway, Meaning, Receipts
from malha.notifications.means import ALL_KINDS
from malha.notifications.model import Channel, Kind, Route
from malha.notifications.reads import GatewayRow
from malha.platform import brazil
from malha.platform.errors import NotFound
from malha.platform.flaws import Flaw, Invalid, refuse
from malha.platform.i18n import N_, Word

TAG = "messages"
USUAL = "usual"

Line = Annotated[str, Meta(max_length=300)]
Words = Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=40)]
Secret = Annotated[
    str, Meta(min_length=1, max_length=means.SECRET_LENGTH, description="Kept encrypted, never given back.")
]


class HeaderBody(msgspec.Struct, forbid_unknown_fields=True):
    """A header of the request; its value may name `{secret}`, `{secret_base64}` and `{id}`."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    value: Annotated[str, Meta(max_length=2_000)]


class MeaningBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What an answer means. Statuses are like `200-299, 409`; whatever none names is an unknown end."""

    accepted: Line = Meaning().accepted
    refused: Line = Meaning().refused
    later: Line = Meaning().later
    id_path: Line = ""
    error_path: Line = ""
    ok_path: Line = ""
    ok_values: Words = []
    bad_address: Words = []
    repeat_safe: bool = False


class ReceiptsBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How receipts prove themselves and what they say."""

    proof: Literal["token", "hmac-sha256", "hmac-sha1"] = "token"
    header: Line = ""
    prefix: Annotated[str, Meta(max_length=40)] = ""
    encoding: Literal["hex", "base64"] = "hex"
    items_path: Line = ""
    id_path: Line = "id"
    status_path: Line = "status"
    words_path: Line = ""
    at_path: Line = ""
    delivered: Words = msgspec.field(default_factory=lambda: list(Receipts().delivered))
    read: Words = msgspec.field(default_factory=lambda: list(Receipts().read))
    bounced: Words = msgspec.field(default_factory=lambda: list(Receipts().bounced))
    bad_address: Words = []


class GatewayDescription(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How a gateway is asked, what its answers mean, and what it reports back."""

    name: Annotated[str, Meta(max_length=80)] = ""
    method: Literal["POST", "PUT", "GET"] = "POST"
    url: Annotated[str, Meta(max_length=2_000, description="https, on the public internet.")] = ""
    headers: Annotated[list[HeaderBody], Meta(max_length=MOST_HEADERS)] = []
    format: Literal["json", "form"] = "json"
    body: Annotated[str, Meta(max_length=BODY_LENGTH, description="JSON, or lines of name=value.")] = ""
    plain_letters: Annotated[bool, Meta(description="Of SMS: without accents, so that twice as much fits.")] = True
    needs_consent: Annotated[bool, Meta(description="Only to people who said yes.")] = False
    meaning: MeaningBody = msgspec.field(default_factory=MeaningBody)
    receipts: ReceiptsBody = msgspec.field(default_factory=ReceiptsBody)


class GatewayBody(GatewayDescription, forbid_unknown_fields=True, kw_only=True):
    """A gateway as it shall be. A secret that is null stays, unless the address is another server's."""

    secret: Secret | None = None
    receipt_secret: Secret | None = None
    active: Annotated[bool, Meta(description="Whether customers are told by it.")] = False


class NewGateway(GatewayBody, forbid_unknown_fields=True, kw_only=True):
    """A gateway to add. Each means has one at most."""

    channel: Channel


class GatewayView(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway as it is; of its secrets only whether they are there.

    `receipts_to` is where it is to report back; where the proof is a token without a header, `?token=` and the secret
    of receipts follow.
    """

    channel: Channel
    active: bool
    gateway: GatewayDescription
    has_secret: bool
    has_receipt_secret: bool
    receipts_to: str
    version: int


class GatewaySaved(msgspec.Struct, frozen=True):
    """A gateway's version."""

    channel: Channel
    version: int


class Preset(msgspec.Struct, frozen=True):
    """A description to begin with, written from what a service publishes and not tried against it."""

    key: str
    channel: Channel
    gateway: GatewayDescription


class GatewayTest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whom to send a test, and in which language; `template` is an approved text, `name` or `name:its_language`."""

    phone: Annotated[str, Meta(min_length=1, max_length=40)]
    language: Literal["pt-BR", "en"] = "pt-BR"
    template: Annotated[str, Meta(max_length=80)] = ""


class GatewayAnswer(msgspec.Struct, frozen=True):
    """How a test ended: `unknown` may have arrived. `words` is what the gateway said, or why it was not asked."""

    end: Literal["accepted", "refused", "later", "unknown"]
    words: str
    reference: str


class RouteBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """By which means, first choice first; with `every` by each of them, not by the first that works."""

    means: Annotated[list[Channel], Meta(min_length=1, max_length=len(Channel))]
    every: bool = False


class RouteView(msgspec.Struct, frozen=True, kw_only=True):
    """By which means a kind of message is told: its `own` way, else the `usual` one. Version 0: it has none."""

    kind: str
    means: list[Channel]
    every: bool
    own: bool
    version: int


@query("/message-gateways", permission="settings:manage", tag=TAG)
async def list_message_gateways(work: Work) -> list[GatewayView]:
    """List the gateways that are described; that of e-mail says what a mail service reports back, nothing else."""
    rows = [await reads.gateway(work.tx, channel) for channel in Channel]
    return [_view(work, row) for row in rows if row is not None]


@query("/message-gateways/{channel:str}", permission="settings:manage", tag=TAG)
async def get_message_gateway(work: Work, channel: str) -> GatewayView:
    """Return the gateway of `sms`, `whatsapp` or `email`, with the version as `ETag`."""
    row = await _found(work, _channel(channel))
    work.tag(row.version)
    return _view(work, row)


@query("/message-gateway-presets", permission="settings:manage", tag=TAG)
async def list_message_gateway_presets(work: Work) -> list[Preset]:  # noqa: ARG001 -- the pattern's first parameter
    """List descriptions of known services: replace what is in angle brackets, and add the secret."""
    return [Preset(key, channel, _described(gateway)) for key, (channel, gateway) in presets.PRESETS.items()]


@command("/message-gateways", permission="settings:manage", status=201, tag=TAG)
async def create_message_gateway(work: Work, data: NewGateway) -> GatewaySaved:
    """Describe a gateway; its secrets are sealed at once and are in no log, audit row or answer."""
    saved = await _save(work, data.channel, data, version=0)
    work.created(f"/v1/message-gateways/{data.channel.value}")
    return saved


@command("/message-gateways/{channel:str}", method="PUT", permission="settings:manage", versioned="required", tag=TAG)
async def change_message_gateway(work: Work, channel: str, data: GatewayBody) -> GatewaySaved:
    """Change a gateway, or put it out of use (`active`). What is left out of the description gets its default."""
    wanted = _channel(channel)
    row = await _found(work, wanted)
    work.expect(row.version)
    return await _save(work, wanted, data, version=row.version)


@command(
    "/message-gateways/{channel:str}", method="DELETE", permission="settings:manage", versioned="optional", tag=TAG
)
async def delete_message_gateway(work: Work, channel: str) -> None:
    """Forget a gateway and its secrets; messages that wait go by the next means."""
    row = await _found(work, _channel(channel))
    work.expect(row.version)
    await means.remove_gateway(work.tx, row.channel, version=row.version)


@command(
    "/message-gateways/{channel:str}/test",
    permission="settings:manage",
    transaction=False,
    idempotent=False,
    tag=TAG,
)
async def test_message_gateway(work: Work, channel: str, data: GatewayTest) -> GatewayAnswer:
    """Send a test through the saved gateway, in use or not, to a telephone of your own; say what it answered.

    An address that this server does not ask (of a private network, or that resolves into one) is `refused`.
    """
    wanted = _channel(channel)
    phone = brazil.normalise_phone(data.phone)
    if phone is None:
        refuse([Flaw("phone", N_("Write a telephone number with its area code."))])
    async with work.transaction() as tx:
        rendered = await trying.trial_of(tx, data.language, data.template)
    services = work.services
    answer = await trying.send_trial(
        services.database, work.actor, services.settings, wanted, phone or "", data.language, rendered
    )
    return GatewayAnswer(answer.end.value, answer.words, answer.reference)


@query("/message-routes", permission="settings:manage", tag=TAG)
async def list_message_routes(work: Work) -> list[RouteView]:
    """List by which means each kind of message is told, the `usual` one first."""
    found = await reads.routes(work.tx)
    return [_route_view(found, kind) for kind in (None, *Kind)]


@query("/message-routes/{kind:str}", permission="settings:manage", tag=TAG)
async def get_message_route(work: Work, kind: str) -> RouteView:
    """Return by which means a kind of message, or `usual`, is told, with the version of its own route as `ETag`."""
    view = _route_view(await reads.routes(work.tx), _kind(kind))
    work.tag(view.version)
    return view


@command("/message-routes/{kind:str}", method="PUT", permission="settings:manage", versioned="required", tag=TAG)
async def put_message_route(work: Work, kind: str, data: RouteBody) -> RouteView:
    """Say by which means a kind of message is told, from now on; `usual` is every kind without a route of its own."""
    return await _set_route(work, kind, data.means, every=data.every)


@command("/message-routes/{kind:str}", method="DELETE", permission="settings:manage", versioned="optional", tag=TAG)
async def delete_message_route(work: Work, kind: str) -> RouteView:
    """Give a kind's own route up: it is told by the `usual` one, which itself goes back to how it comes."""
    return await _set_route(work, kind, None)


async def _set_route(work: Work, kind: str, wanted: list[Channel] | None, *, every: bool = False) -> RouteView:
    asked = _kind(kind)
    version = _route_view(await reads.routes(work.tx), asked).version
    work.expect(version)
    await means.set_route(work.tx, asked, wanted, every=every, version=version)
    view = _route_view(await reads.routes(work.tx), asked)
    work.tag(view.version)
    return view


def _route_view(found: dict[str, Route], kind: Kind | None) -> RouteView:
    own = found.get(kind.value if kind else ALL_KINDS)
    route = own or found.get(ALL_KINDS) or Route()
    return RouteView(
        kind=kind.value if kind else USUAL,
        means=list(route.means),
        every=route.every,
        own=own is not None,
        version=own.version if own else 0,
    )


async def _save(work: Work, channel: Channel, data: GatewayBody, *, version: int) -> GatewaySaved:
    said: dict[str, Any] = msgspec.to_builtins(data)
    gateway = msgspec.convert({name: said[name] for name in Gateway.__struct_fields__}, Gateway)
    try:
        row = await means.save_gateway(
            work.tx,
            work.services.signing,
            channel,
            gateway,
            active=data.active,
            version=version,
            secret=data.secret or "",
            receipt_secret=data.receipt_secret or "",
            allowed=work.services.settings.outward_allow,
        )
    except Invalid as wrong:  # its flaws name the fields of the form, which has no parts
        flaws = [msgspec.structs.replace(flaw, at=_pointer(flaw.at)) for flaw in wrong.flaws]
        raise Invalid(flaws) from None
    work.tag(row.version)
    return GatewaySaved(channel, row.version)


def _pointer(at: str) -> str:
    if at in GatewayBody.__struct_fields__:
        return at
    return f"receipts/{at.removeprefix('receipt_')}" if at.startswith("receipt_") else f"meaning/{at}"


def _view(work: Work, row: GatewayRow) -> GatewayView:
    return GatewayView(
        channel=row.channel,
        active=row.active,
        gateway=_described(row.gateway),
        has_secret=row.secret is not None,
        has_receipt_secret=row.receipt_secret is not None,
        receipts_to=f"{work.services.settings.address}/v1/messages/receipts/{row.channel.value}",
        version=row.version,
    )


def _described(gateway: Gateway) -> GatewayDescription:
    return msgspec.convert(msgspec.to_builtins(gateway), GatewayDescription)


async def _found(work: Work, channel: Channel) -> GatewayRow:
    row = await reads.gateway(work.tx, channel)
    if row is None:
        raise NotFound(what=Word(N_("gateway")), key=channel.value)
    return row


def _channel(said: str) -> Channel:
    if said not in {channel.value for channel in Channel}:
        raise NotFound(what=Word(N_("means of contact")), key=said[:40])
    return Channel(said)


def _kind(said: str) -> Kind | None:
    if said == USUAL:
        return None
    if said not in {kind.value for kind in Kind}:
        raise NotFound(what=Word(N_("kind of message")), key=said[:40])
    return Kind(said)


handlers = [
    list_message_gateways,
    get_message_gateway,
    list_message_gateway_presets,
    create_message_gateway,
    change_message_gateway,
    delete_message_gateway,
    test_message_gateway,
    list_message_routes,
    get_message_route,
    put_message_route,
    delete_message_route,
]
