"""Webhooks: who is told what, sent again, and how it went."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.network import reads as network
from malha.platform import failures, paging
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.paging import Page
from malha.platform.shapes import Instant
from malha.webhooks import reads, rules, sending, service
from malha.webhooks.model import DeliveryState, Endpoint, EndpointDraft, EndpointState, Replay, WebhookMaker, Why

TAG = "webhooks"
MANAGE = "webhooks:manage"
Code = Annotated[str, Meta(min_length=1, max_length=80)]
TypeName = Annotated[str, Meta(min_length=1, max_length=80, description="A type, a family like `order.*`, or `*`.")]


class StateWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who shall be told what.

    `locations` and `channels` are codes; null is all. With `ordered`, later events of an order (or whatever the subject
    is) wait behind one that cannot be delivered; without, they do not.
    """

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    url: Annotated[str, Meta(min_length=1, max_length=2_048)]
    types: Annotated[list[TypeName], Meta(min_length=1, max_length=100)]
    locations: Annotated[list[Code], Meta(min_length=1, max_length=1_000)] | None = None
    channels: Annotated[list[Code], Meta(min_length=1, max_length=200)] | None = None
    ordered: bool = False


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook and how it does. `waiting` and `failed` are counted to 100,001.

    `resumes_at` is when a server that is in trouble, or asked for rest, is tried again. `created_by` is who made it, as
    the audit trail names them; `maker` who answers for it now, null: no person.
    """

    id: int
    name: str
    url: str
    types: list[str]
    locations: list[str] | None
    channels: list[str] | None
    ordered: bool
    state: EndpointState
    why: Why | None
    version: int
    created_at: datetime
    created_by: str
    maker: WebhookMaker | None
    failing_since: datetime | None
    error: str | None
    resumes_at: datetime | None
    former_secret_until: datetime | None
    waiting: int
    oldest_at: datetime | None
    failed: int


class WebhookMade(msgspec.Struct, frozen=True):
    """The new webhook. `secret` is shown this once: a repeated send of the same Idempotency-Key answers null."""

    id: int
    version: int
    secret: str | None


class Rotated(msgspec.Struct, frozen=True):
    """The new secret, shown this once; until `former_until` the former one signs too."""

    version: int
    secret: str | None
    former_until: datetime


class Starts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Start again; with `catch_up`, what happened meanwhile is sent too."""

    catch_up: bool = True


class Stored(msgspec.Struct, frozen=True):
    """The version it has now."""

    version: int


class Started(msgspec.Struct, frozen=True):
    """The version it has now, and how many events it had missed."""

    version: int
    missed: int


class Tried(msgspec.Struct, frozen=True):
    """What became of a test event."""

    delivered: bool
    status: int | None
    ms: int
    error: str | None
    answer: str | None


class AskReplay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which events to send again: those of a stretch of time, or with `failed` those that were given up.

    `types` bounds both. When the answer says `after`, send the same again with it for the rest.
    """

    since: Instant | None = None
    until: Instant | None = None
    types: Annotated[list[TypeName], Meta(max_length=100)] = []
    failed: bool = False
    after: Annotated[int, Meta(ge=0, le=2**62)] = 0


class Replayed(msgspec.Struct, frozen=True):
    """How many events were put in line, and after which to go on when that were not all."""

    count: int
    after: int | None


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One event for a webhook. `cursor` identifies it; `next_at` is when it is tried next, while it waits."""

    cursor: int
    type: str
    subject: str
    at: datetime
    state: DeliveryState
    attempts: int
    replays: int
    next_at: datetime | None
    done_at: datetime | None
    status: int | None
    ms: int | None
    error: str | None


class DeliveryDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One event for a webhook, with its attempts and its body.

    The body is null once the log no longer holds it, and where the webhook may not be told of it any more.
    """

    delivery: DeliveryView
    tried: list[reads.AttemptRow]
    body: msgspec.Raw | None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a webhook did in a stretch of time. `p95_ms` is the upper end of a bucket; null where nothing was sent."""

    since: datetime
    delivered: int
    failed: int
    p50_ms: int | None
    p95_ms: int | None
    longest_lag_ms: int


@query("/webhooks", permission=MANAGE, tag=TAG)
async def list_webhooks(work: Work) -> list[WebhookView]:
    """List webhooks by name: those that tell of nothing you may not see, by permission and by location."""
    backlogs = await reads.backlogs(work.tx)
    codes = await _codes(work.tx)
    seen = await service.all_seen(work.tx)
    makers = await reads.makers(work.tx, seen)
    return [_view(endpoint, backlogs, codes, makers) for endpoint in seen]


@command("/webhooks", permission=MANAGE, status=201, tag=TAG)
async def create_webhook(work: Work, data: StateWebhook) -> WebhookMade:
    """Have a program told of what happens from now on. It is told at most what you may see yourself.

    The body is signed as Standard Webhooks says, with the secret of the answer. Answer 2xx within ten seconds; the
    same `webhook-id` may come again.
    """
    id_, secret = await service.create(
        work.tx, _draft(data), work.services.signing, allowed=work.services.settings.outward_allow
    )
    work.created(f"/v1/webhooks/{id_}")
    work.tag(1)
    work.keep(WebhookMade(id_, 1, None))
    return WebhookMade(id_, 1, secret)


@query("/webhooks/{webhook_id:int}", permission=MANAGE, tag=TAG)
async def get_webhook(work: Work, webhook_id: int) -> WebhookView:
    """Return a webhook and how it does."""
    found = await service.seen(work.tx, webhook_id)
    work.tag(found.version)
    return await _shown(work.tx, found)


@command("/webhooks/{webhook_id:int}", method="PUT", permission=MANAGE, versioned="required", tag=TAG)
async def change_webhook(work: Work, webhook_id: int, data: StateWebhook) -> Stored:
    """Change a webhook. It tells from now on what you may see, and you answer for it.

    What is in line already stays, except what it may not be told any more.
    """
    was = work.expect((await service.hold(work.tx, webhook_id)).version)
    version = await service.change(
        work.tx,
        webhook_id,
        _draft(data),
        was,
        allowed=work.services.settings.outward_allow,
    )
    work.tag(version)
    return Stored(version)


class WebhookKeeper(msgspec.Struct, forbid_unknown_fields=True):
    """Who is to answer for a webhook: the id of a person who has access and sees all that it tells."""

    person: UUID


@command("/webhooks/{webhook_id:int}/hand-over", permission=MANAGE, tag=TAG)
async def hand_over_webhook(work: Work, webhook_id: int, data: WebhookKeeper) -> WebhookView:
    """Have a person answer for a webhook in the place of who made it, who is gone; its secret and rights stay.

    They are its `maker` from then on.
    """
    return await _shown(work.tx, await service.hand_over(work.tx, webhook_id, data.person))


@command("/webhooks/{webhook_id:int}", method="DELETE", permission=MANAGE, versioned="required", tag=TAG)
async def remove_webhook(work: Work, webhook_id: int) -> None:
    """Remove a webhook with all that is in line for it."""
    was = work.expect((await service.hold(work.tx, webhook_id)).version)
    await service.remove(work.tx, webhook_id, was)


@command("/webhooks/{webhook_id:int}/rotate", permission=MANAGE, versioned="required", tag=TAG)
async def rotate_webhook_secret(work: Work, webhook_id: int) -> Rotated:
    """Make a new secret. For a day, messages are signed with the former one as well."""
    was = work.expect((await service.hold(work.tx, webhook_id)).version)
    version, secret, until = await service.rotate(work.tx, webhook_id, was, work.services.signing, now())
    work.tag(version)
    work.keep(Rotated(version, None, until))
    return Rotated(version, secret, until)


@command("/webhooks/{webhook_id:int}/pause", permission=MANAGE, versioned="required", tag=TAG)
async def pause_webhook(work: Work, webhook_id: int) -> Stored:
    """Tell a webhook nothing for now. What happens meanwhile can be given to it when it starts again."""
    was = work.expect((await service.hold(work.tx, webhook_id)).version)
    version = await service.pause(work.tx, webhook_id, was)
    work.tag(version)
    return Stored(version)


@command("/webhooks/{webhook_id:int}/start", permission=MANAGE, versioned="required", tag=TAG)
async def start_webhook(work: Work, webhook_id: int, data: Starts) -> Started:
    """Tell a paused or disabled webhook again, with what it missed unless you say otherwise."""
    was = work.expect((await service.hold(work.tx, webhook_id)).version)
    version, missed = await service.start(work.tx, webhook_id, was, catch_up=data.catch_up)
    work.tag(version)
    return Started(version, missed)


@command("/webhooks/{webhook_id:int}/test", permission=MANAGE, transaction=False, tag=TAG)
async def test_webhook(work: Work, webhook_id: int) -> Tried:
    """Send a test event (`webhook.test`) now and return what became of it.

    Where it arrives after failures, what is in line goes at once instead of when its wait is over.
    """
    async with work.transaction() as tx:
        endpoint = await service.seen(tx, webhook_id)
    sender = sending.sending_of(work.services.settings)
    async with sender.kept:
        outcome = await sending.send_test(work.database, sender, endpoint)
    return Tried(
        outcome.delivered, outcome.status, outcome.ms, outcome.error and failures.shown(outcome.error), outcome.answer
    )


@query("/webhooks/{webhook_id:int}/health", permission=MANAGE, tag=TAG)
async def get_webhook_health(work: Work, webhook_id: int, hours: Annotated[int, Meta(ge=1, le=168)] = 24) -> Health:
    """Return how a webhook did in the last hours."""
    await service.seen(work.tx, webhook_id)
    since = now() - timedelta(hours=hours)
    rows = await reads.minutes(work.tx, [webhook_id], since)
    took = [sum(column) for column in zip(*(row.took for row in rows), strict=True)] if rows else []
    return Health(
        since=since,
        delivered=sum(row.delivered for row in rows),
        failed=sum(row.failed for row in rows),
        p50_ms=rules.percentile(took, 0.5),
        p95_ms=rules.percentile(took, 0.95),
        longest_lag_ms=max((row.lag_ms for row in rows), default=0),
    )


@query("/webhooks/{webhook_id:int}/deliveries", permission=MANAGE, tag=TAG)
async def list_webhook_deliveries(
    work: Work,
    webhook_id: int,
    outcome: DeliveryState | None = None,
    type: str | None = None,  # noqa: A002 -- the name of the parameter
    subject: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[DeliveryView]:
    """List what was sent, is in line or was given up, the newest event first.

    What was delivered is kept for three days, what was given up for thirty. Whoever may not be told everything reads
    of a webhook that was narrowed only what it may be told now.
    """
    size = paging.bounded(limit)
    before = paging.position(cursor, "webhook-deliveries", (int,))
    rows = await service.deliveries(
        work.tx,
        webhook_id,
        before=before[0] if before else None,
        state=outcome,
        type_=type,
        key=subject,
        limit=size + 1,
    )
    page = paging.page_of(rows, size, "webhook-deliveries", lambda row: (row.position,))
    return Page([_delivery(row) for row in page.items], page.next)


@query("/webhooks/{webhook_id:int}/deliveries/{position:int}", permission=MANAGE, tag=TAG)
async def get_webhook_delivery(work: Work, webhook_id: int, position: int) -> DeliveryDetail:
    """Return one delivery by its `cursor`, with its attempts and its body."""
    row, tried, body = await service.delivery_of(work.tx, webhook_id, position)
    tried = [msgspec.structs.replace(each, error=each.error and failures.shown(each.error)) for each in tried]
    return DeliveryDetail(delivery=_delivery(row), tried=tried, body=None if body is None else msgspec.Raw(body))


@command("/webhooks/{webhook_id:int}/deliveries/{position:int}/replay", permission=MANAGE, tag=TAG)
async def replay_webhook_delivery(work: Work, webhook_id: int, position: int) -> None:
    """Send one event again, whatever became of it. Its `webhook-id` stays.

    409 says that the webhook may not be told of it any more.
    """
    await service.replay_one(work.tx, webhook_id, position)


@command("/webhooks/{webhook_id:int}/replay", permission=MANAGE, tag=TAG)
async def replay_webhook(work: Work, webhook_id: int, data: AskReplay) -> Replayed:
    """Send events again: of a stretch of time, from the log, or all that were given up. The oldest go first.

    What the webhook may not be told any more is left out.
    """
    wanted = Replay(since=data.since, until=data.until, types=tuple(data.types), failed=data.failed)
    count, after = await service.replay(work.tx, webhook_id, wanted, beyond=data.after)
    return Replayed(count, after)


def _draft(data: StateWebhook) -> EndpointDraft:
    for name, given in (("locations", data.locations), ("channels", data.channels)):
        if given is not None and len(set(given)) < len(given):
            refuse([Flaw(name, N_("A code is there twice."))])
    return EndpointDraft(
        name=data.name,
        url=data.url,
        types=tuple(data.types),
        locations=None if data.locations is None else tuple(data.locations),
        channels=None if data.channels is None else tuple(data.channels),
        ordered=data.ordered,
    )


async def _codes(tx: Tx) -> tuple[dict[int, str], dict[int, str]]:
    places = {location.id: location.code for location in await network.locations(tx)}
    return places, {channel.id: channel.code for channel in await network.channels(tx)}


async def _shown(tx: Tx, endpoint: Endpoint) -> WebhookView:
    backlogs, codes = await reads.backlogs(tx, endpoint.id), await _codes(tx)
    return _view(endpoint, backlogs, codes, await reads.makers(tx, [endpoint]))


def _view(
    endpoint: Endpoint,
    backlogs: dict[int, reads.Backlog],
    codes: tuple[dict[int, str], dict[int, str]],
    makers: dict[int, WebhookMaker],
) -> WebhookView:
    places, channels = codes
    backlog = backlogs.get(endpoint.id) or reads.Backlog(endpoint.id, 0, None, 0)
    rests = [at for at in (endpoint.open_until, endpoint.rest_until) if at is not None and at > now()]
    return WebhookView(
        id=endpoint.id,
        name=endpoint.name,
        url=endpoint.url,
        types=endpoint.types,
        locations=None if endpoint.locations is None else [places[id_] for id_ in endpoint.locations],
        channels=None if endpoint.channels is None else [channels[id_] for id_ in endpoint.channels],
        ordered=endpoint.ordered,
        state=endpoint.state,
        why=endpoint.why,
        version=endpoint.version,
        created_at=endpoint.created_at,
        created_by=endpoint.created_by,
        maker=makers.get(endpoint.id),
        failing_since=endpoint.failing_since,
        error=endpoint.error and failures.shown(endpoint.error),
        resumes_at=max(rests, default=None),
        former_secret_until=endpoint.former_until,
        waiting=backlog.waiting,
        oldest_at=backlog.oldest_at,
        failed=backlog.failed,
    )


def _delivery(row: reads.DeliveryRow) -> DeliveryView:
    return DeliveryView(
        cursor=row.position,
        type=row.type,
        subject=row.key,
        at=row.at,
        state=row.state,
        attempts=row.attempts,
        replays=row.replays,
        next_at=row.next_at if row.state == DeliveryState.WAITING else None,
        done_at=row.done_at,
        status=row.status,
        ms=row.ms,
        error=row.error and failures.shown(row.error),
    )


handlers = [
    list_webhooks,
    create_webhook,
    get_webhook,
    change_webhook,
    hand_over_webhook,
    remove_webhook,
    rotate_webhook_secret,
    pause_webhook,
    start_webhook,
    test_webhook,
    get_webhook_health,
    list_webhook_deliveries,
    get_webhook_delivery,
    replay_webhook_delivery,
    replay_webhook,
]
