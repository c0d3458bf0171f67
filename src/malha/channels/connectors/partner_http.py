"""A logistics partner over HTTP: the messages of `partner_files` as JSON, for partners without SFTP.

What we ask is posted to the partner's address, signed as Standard Webhooks says; `webhook-id` is our key of it, the
same each time, so that who has it already answers 2xx and does nothing:

    {"type": "pick" | "cancel" | "inbound", ...}

What the partner answers is posted to the address of the connection, signed the same way, one message or many:

    {"type": "answer" | "shipment" | "adjustment" | "receipt" | "stock", ...}     {"messages": [{...}, {...}]}

The fields are those of `PickRequest`, `PickCancel` and `InboundNotice`, and of `RequestAnswer`, `ShipmentTold`,
`AdjustmentTold`, `ReceiptTold` and `StockTold` in `channels.contract`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from malha.channels import signatures
from malha.channels.contract import (
    SHORT_REASONS,
    Answer,
    Ask,
    Capability,
    Ctx,
    ExtRef,
    Health,
    InboxEvent,
    Invalid,
    Limits,
    Ok,
    Ping,
    RawRequest,
    Rejected,
    RequestAnswer,
    Result,
    ShipmentTold,
    StockTold,
    Tier,
    Trust,
    Unsure,
    Verified,
)

MOST = 1_000  # messages of one post
_encode = msgspec.json.Encoder().encode
_answer = msgspec.json.Decoder(Answer).decode
_stock = msgspec.json.Decoder(StockTold).decode


class PartnerHttpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the partner takes messages, and whose word its stock is."""

    base_url: Annotated[
        str, Meta(min_length=8, max_length=500, title="Address", description="Where we post what we ask.")
    ]
    stock_source: Annotated[
        str, Meta(max_length=40, title="Stock source", description="Code of the source whose word its stock is.")
    ] = ""
    answer_hours: Annotated[
        int, Meta(ge=1, le=720, title="Hours for an answer", description="After them a request needs attention.")
    ] = 4


class _Many(msgspec.Struct):
    messages: Annotated[list[msgspec.Raw], Meta(max_length=MOST)]


class _Type(msgspec.Struct):
    type: str = ""
    messages: msgspec.Raw = msgspec.Raw()


class _Taken(msgspec.Struct):
    id: str = ""


class _Problem(msgspec.Struct):
    code: str = ""
    message: str = ""


class PartnerHttp:
    """See the module."""

    key: ClassVar[str] = "partner_http"
    name: ClassVar[str] = "Partner by webhooks (JSON)"
    config_model: ClassVar[type[msgspec.Struct]] = PartnerHttpConfig
    secrets: ClassVar[Mapping[str, str]] = {
        "signing_secret": "Secret that we sign our posts with",
        "webhook_secret": "Secret that webhooks are signed with",
    }
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.FULFILMENT, Capability.WEBHOOKS})
    limits: ClassVar[Limits] = Limits(rate=10.0, burst=20.0, in_flight=4)
    evidence: ClassVar[Tier] = Tier.C
    idempotent: ClassVar[bool] = True  # the protocol says so: the same `webhook-id` is one message

    async def check(self, ctx: Ctx) -> Health:
        """Post a signed ping."""
        reply = await self._post(ctx, {"type": "ping"}, f"ping-{int(ctx.now().timestamp())}")
        return Health(ok=reply < 300, says=f"HTTP {reply}")

    async def find_ask(self, ctx: Ctx, ask: Ask, key: str) -> ExtRef | None:
        """Nobody can be asked; but a message that came before is taken for what it is."""
        raise NotImplementedError

    async def ask(self, ctx: Ctx, ask: Ask, key: str) -> Result:
        """Post what is asked."""
        reply = await ctx.http.send(
            "POST", ctx.config.base_url, headers=_signed(ctx, _encode(ask), key), body=_encode(ask), operation="ask"
        )
        if reply.status < 300:
            return Ok(_told(reply.body, _Taken).id or key)
        problem = _told(reply.body, _Problem)
        return Rejected(problem.code or str(reply.status), problem.message[:200])

    async def _post(self, ctx: Ctx, message: Mapping[str, str], key: str) -> int:
        body = _encode(message)
        reply = await ctx.http.send(
            "POST", ctx.config.base_url, headers=_signed(ctx, body, key), body=body, operation="check"
        )
        return reply.status

    # --- what it answers ---

    def verify(self, raw: RawRequest, secrets: Sequence[str], now: datetime) -> Verified | Rejected | Ping:
        """Check the signature of Standard Webhooks."""
        good = signatures.is_standard(
            secrets,
            id_=raw.headers.get("webhook-id", ""),
            timestamp=raw.headers.get("webhook-timestamp", ""),
            body=raw.body,
            said=raw.headers.get("webhook-signature", ""),
            now=now,
        )
        if not good:
            return Rejected("signature", "the signature does not fit")
        return Ping() if _read(raw.body, _Type).type == "ping" else Verified(raw)

    def parse(self, verified: Verified) -> Sequence[InboxEvent]:
        """Return the messages of a post. One that cannot be read refuses all of it: the partner mends it."""
        body = verified.request.body
        many = _read(body, _Many).messages if bytes(_read(body, _Type).messages) else [msgspec.Raw(body)]
        own = verified.request.headers.get("webhook-id", "")
        return [_event(bytes(each), f"{own}:{n}") for n, each in enumerate(many)]


def _event(body: bytes, own: str) -> InboxEvent:
    try:
        if _read(body, _Type).type == "stock":
            told: Any = _stock(body)
        else:
            told = _answer(body)
    except msgspec.DecodeError as error:
        raise Invalid(str(error)) from None
    _refuse_words(told)
    return InboxEvent(dedup=own, entity="", trust=Trust.DATA, answer=told)


def _refuse_words(told: Any) -> None:
    words = [told.reason] if isinstance(told, RequestAnswer) else []
    if isinstance(told, ShipmentTold):
        words += [line.reason for line in told.short]
        counts = [line.quantity for parcel in told.parcels for line in parcel.lines]
        counts += [line.quantity for line in told.short]
        if not counts or min(counts) < 1:
            raise Invalid("a shipment says at least one unit that left or is short, and no fewer than one of each")
    strange = sorted(set(words) - set(SHORT_REASONS))
    if strange:
        raise Invalid(f"reason {strange[0]!r} is none of {', '.join(SHORT_REASONS)}")


def _read(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(str(error)) from None


def _told(body: bytes, kind: Any) -> Any:
    """Return what an answer says; one that is empty says nothing, one that cannot be read may be anybody's."""
    if not body.strip():
        return kind()
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unsure(f"the answer cannot be read: {error}") from None


def _signed(ctx: Ctx, body: bytes, key: str) -> dict[str, str]:
    secret = ctx.access.secret("signing_secret")
    stamp = int(ctx.now().timestamp())
    return {
        "content-type": "application/json",
        "webhook-id": key,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signatures.sign_standard(secret, key, stamp, body),
    }
