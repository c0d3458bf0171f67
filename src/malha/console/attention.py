"""What needs attention: what stopped and why, grouped by cause, what is at risk, and the button that tries again.

Records whose events could not be handled are grouped by what handles them and why it failed: one cause, one entry,
one act for all its records. Beside them stand background jobs that failed for good, and above all of them whatever
stands still altogether.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from litestar import Request, get, post
from litestar.response import Response

from malha.console import attention_reads as reads
from malha.console import care, connection_troubles, filling, render, shell, web, words
from malha.console.attention_reads import OrderAtRisk
from malha.console.refunds_due import PATH as REFUNDS
from malha.console.refunds_due import RECORD
from malha.fulfillment import bulk, bulk_reads, slip_reads
from malha.fulfillment import reads as work
from malha.fulfillment.bulk_reads import BulkAction
from malha.identity import care as taking
from malha.identity import care_reads
from malha.identity import reads as identity
from malha.identity.care import Subject
from malha.identity.care_reads import Care
from malha.network.service import refuse_limited
from malha.ordering import reads as orders
from malha.ordering.promised_days import ends_at
from malha.payments import giving_back
from malha.payments import giving_back_reads as together
from malha.payments import reads as payments
from malha.payments.giving_back_reads import Batch
from malha.platform import audit, i18n, jobs, parking, subscribers
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import MalhaError, NotFound
from malha.platform.i18n import N_, _, n_
from malha.platform.ids import UUID
from malha.platform.jobs import FailedJob
from malha.platform.parking import ParkedKey
from malha.platform.subscribers import Failing
from malha.platform.text import whole_in
from malha.webhooks import service as webhooks
from malha.webhooks.model import MANAGES, EndpointState, silence_of

# What a subscriber does, as people say it; one without a name here shows its own.
DOES = {
    "order_timeline": N_("Timeline"),
    "order_search": N_("Search"),
    "order_location": N_("Locations of the order"),
    "order_customer": N_("Customer of the order"),
    "order_payments": N_("Effect of payments"),
    "order_work": N_("Work at the locations"),
    "order_places": N_("Choice of the location"),
    "order_released_again": N_("Release of what moved to another location"),
    "order_slots": N_("Slots of orders"),
    "order_messages": N_("Messages to the customer"),
    "payment_deadlines": N_("Time to pay"),
    "stock_changes": N_("Stock that channels are told of"),
    "connector_operations": N_("What channels are told of orders"),
    "connector_documents": N_("What ERPs are told of orders"),
    "partner_requests": N_("What logistics partners are asked"),
    "partner_notices": N_("Goods that logistics partners expect"),
    "short_pick_counts": N_("Counts of what was not found"),
    "waiting_orders": N_("Orders that wait for stock"),
    "supply_followers": N_("Orders that wait for goods on order"),
    "missing_goods": N_("Orders that wait for goods on order"),
    "transferred_orders": N_("Orders that wait for goods on order"),
    "order_arrivals": N_("Goods that are brought to where orders are fetched"),
    "counted_disagreements": N_("Disagreements that were counted"),
    "promise_outcomes": N_("What became of promises"),
    "webhooks": N_("Webhooks"),
}
# What a background job does; one without a name here shows its own.
TASKS = {
    "orders.place_waiting": N_("Choice of the location"),
    "orders.follow_supply": N_("Orders that wait for goods on order"),
    "orders.wait_for_transfer": N_("Orders that wait for goods on order"),
    "supply.line_up": N_("Order of those who wait for goods on order"),
    "messages.send": N_("Messages to the customer"),
    giving_back.go_on.name: N_("Recording of refunds together"),
    bulk.go_on.name: N_("Bulk actions on orders"),
    "promises.promise_slipping": N_("Promises that slip"),
    "routing.price_stock": N_("Prices of stock"),
    "catalog.fetch_pictures": N_("Pictures of products"),
}
JOBS = "jobs"
MANAGES_KEYS = "identity:manage"
# Classes of failure whose remedy is known: (what happened, what to do).
CAUSES = {
    "OperationalError": (N_("The database did not answer"), N_("Check that it runs and has room, then try again.")),
    "TimeoutError": (N_("An answer took too long"), N_("Try again; if it stays so, look at what is slow.")),
    "OSError": (N_("A file or the network failed"), N_("Check disk and network, then try again.")),
}
_FAULT = (
    N_("A fault in the program"),
    N_("Report it with the answer below. Once a version that mends it runs, try again: nothing of it is lost."),
)
VIEWS = {
    "": N_("Open"),
    "mine": N_("Mine"),
    "parked": N_("Waits for you"),
    "retrying": N_("Tried again by itself"),
    "snoozed": N_("Put off"),
}


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One cause with the records it stopped."""

    id: str
    href: str
    title: str
    line: str
    icon: str
    tone: str
    count: int
    age: str
    waits: bool  # for a person
    holders: list[str]  # who looks after it
    snoozed: bool


class Record(NamedTuple):
    """One record that waits."""

    key: str
    name: str
    href: str
    who: str
    due: str
    due_class: str
    total: str
    waiting: int
    next: str
    holder: str


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """One incident opened."""

    incident: Incident
    subscriber: str
    pill: str
    history: str
    cause: str
    cause_more: str
    risk: str
    risk_more: str
    fix: str
    fix_more: str
    records: list[Record]
    answer: str
    are_jobs: bool
    care: care.Panel | None
    stops: bool = False  # whether a person may have it stopped, too


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """One subscriber that succeeds with nothing."""

    does: str
    error: str
    behind: int
    since: str


class _Group(NamedTuple):
    """What one incident is made of: parked keys, or jobs that failed."""

    id: str
    subscriber: str
    parked: list[ParkedKey]
    jobs: list[FailedJob]


@get("/attention", opt={"permission": "doctor:read"})
async def attention(request: Request[Any, Any, Any]) -> Response[str]:
    """Show what could not be handled, and one cause beside the list."""
    asked = request.query_params.get("incident", "")
    view = request.query_params.get("view", "") if request.query_params.get("view", "") in VIEWS else ""
    async with web.reading(request) as tx:
        around = await shell.around(tx, request, "attention")
        parked = await parking.needs_attention(tx)
        scope = shell.scope_of(web.caller_of(request))
        if scope is not None:
            parked = await orders.parked_at(tx, parked, scope)
        # Jobs are nobody's location: whoever is limited to some does not see them.
        failed = await jobs.failed(tx) if scope is None else []
        stuck = [_stuck(f) for f in await subscribers.failing(tx)]
        slips = await slip_reads.counts(tx, scope) if around.may("orders:read") else {}
        refunds = await payments.refunds_due_count(tx, scope) if around.may("orders:read") else 0
        silent = await webhooks.all_seen(tx) if around.may(MANAGES) else []
        silent = [endpoint for endpoint in silent if endpoint.state == EndpointState.DISABLED]
        keys = await identity.orphaned_keys(tx) if around.may(MANAGES_KEYS) else []
        orphaned = await webhooks.orphaned(tx) if around.may(MANAGES) else []
        troubles = await connection_troubles.troubles(tx) if scope is None and around.may("network:read") else []
        held = await _held(tx, parked, failed)
        me = web.caller_of(request).id
        views = {key: list(_groups(*_within(key, parked, failed, held, me))) for key in VIEWS}
        shown = views[view]
        opened = next((group for group in shown if group.id == asked), shown[0] if shown else None)
        detail = await _detail(tx, request, opened, view, held) if opened else None
    return render.html(
        "attention/list.html" if web.wants_part(request) else "attention/page.html",
        shell=around,
        may=around.may,
        incidents=[_incident(group, view, held) for group in shown],
        detail=detail,
        stuck=stuck,
        slips=sum(n for n, _dated in slips.values()),
        dateless=sum(n - dated for n, dated in slips.values()),
        refunds=refunds,
        silent=[(endpoint, silence_of(endpoint)) for endpoint in silent],
        troubles=troubles,
        keys=keys,
        orphaned=[endpoint for endpoint, _maker in orphaned],
        tabs=[(_(word), _address(view=key), len(views[key]), key == view) for key, word in VIEWS.items()],
        nothing=not parked and not failed and not silent and not troubles and not keys and not orphaned,
        back=_address(view=view, incident=opened.id) if opened else _address(view=view),
    )


@post("/attention/replay", opt={"permission": "settings:manage"}, status_code=303)
async def replay(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Have the waiting events of some records, or some failed jobs, handled again.

    Raises:
        NotFound: nothing of them waits any more.
    """
    form = await request.form()
    read = filling.filled(form)
    subscriber = read.text("subscriber", 100)
    keys = [str(key)[:300] for key in form.getall("key", [])][:1_000]
    async with web.writing(request) as tx:
        if subscriber == JOBS:
            ids = [number for key in keys if (number := whole_in(key, 18)) is not None]
            done = [str(id_) for id_ in await jobs.retry(tx, ids)]
        else:
            done = await parking.ask_replays(tx, subscriber, keys)
        if not done:
            raise NotFound(what="parked event", key=", ".join(keys)[:100])
        changes = [(f"{subscriber}/{key}", None, None) for key in done]
        await audit.record_many(tx, action="replay", entity="event", changes=changes)
    told = n_("{n} record is tried again within a second.", "{n} records are tried again within a second.", len(done))
    return web.see_other("/attention", notice=told)


@post("/attention/stop", opt={"permission": RECORD, "everywhere": True}, status_code=303)
async def stop(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Stop recording the refunds whose jobs failed for good; what is recorded stays so, the rest stays due.

    Raises:
        NotFound: none of them waits any more.
        BatchEnded: it does not go on any more.
    """
    form = await request.form()
    keys = {str(key)[:300] for key in form.getall("key", [])}
    async with web.writing(request) as tx:
        refuse_limited(tx)
        chosen = [job for job in await jobs.failed(tx) if str(job.id) in keys and job.task == giving_back.go_on.name]
        if not chosen:
            raise NotFound(what="parked event", key=", ".join(sorted(keys))[:100])
        batches = await _batches_of(tx, chosen)
        for batch in batches.values():
            await giving_back.stop(tx, batch.number)
        left = sum(batch.left for batch in batches.values())
    told = n_(
        "Stopped: the refund of {n} order is still due.", "Stopped: the refunds of {n} orders are still due.", left
    )
    return web.see_other("/attention", notice=told)


@post("/attention/care", opt={"permission": "doctor:read"}, status_code=303)
async def take_care(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Assign records or jobs, put them off, or write about them: those that are ticked, or all of the cause.

    Raises:
        Invalid: nothing is said.
        NotFound: the person is not there.
    """
    form = await request.form()
    read = filling.filled(form)
    subscriber = read.text("subscriber", 100)
    keys = [str(key)[:300] for key in form.getall("pick", []) or form.getall("key", [])][:1_000]
    change = care.change_of(read)
    read.refuse()
    kind = Subject.JOB if subscriber == JOBS else Subject.EVENT
    subjects = keys if subscriber == JOBS else [f"{subscriber}/{key}" for key in keys]
    async with web.writing(request) as tx:
        await _refuse_foreign(tx, kind, subjects)
        await taking.take_care(tx, kind, subjects, change, by=web.person_of(request))
    return web.see_other(web.safe_address(read.text("next", 400), "/attention"), notice=_("Saved"))


async def _refuse_foreign(tx: Tx, kind: Subject, subjects: Sequence[str]) -> None:
    """Refuse what does not wait, or belongs to locations that the caller does not see.

    Raises:
        NotFound: one of them is no such record.
    """
    scope = tx.actor.locations
    parked = await parking.needs_attention(tx)
    if scope is not None:
        parked = await orders.parked_at(tx, parked, sorted(scope))
    failed = await jobs.failed(tx) if scope is None else []
    known = {_subject(p) for p in parked} if kind is Subject.EVENT else {str(job.id) for job in failed}
    if missing := [subject for subject in subjects if subject not in known]:
        raise NotFound(what="parked event", key=missing[0][:100])


def _subject(parked: ParkedKey) -> str:
    return f"{parked.subscriber}/{parked.key}"


async def _held(tx: Tx, parked: Sequence[ParkedKey], failed: Sequence[FailedJob]) -> dict[str, Care]:
    """Return who looks after what waits, by subject, or number of a job; what failed anew since is nobody's again."""
    events = await care_reads.care_of(tx, Subject.EVENT, [_subject(p) for p in parked])
    found = {s: events[s] for p in parked if (s := _subject(p)) in events and events[s].at >= p.first_failed_at}
    return found | await care_reads.care_of(tx, Subject.JOB, [str(job.id) for job in failed])


def _within(
    view: str, parked: Sequence[ParkedKey], failed: Sequence[FailedJob], held: Mapping[str, Care], me: str
) -> tuple[list[ParkedKey], list[FailedJob]]:
    """Return what a view shows: what is put off is in none but its own, and in that of whoever has it."""

    def fits(care_: Care | None, state: str) -> bool:
        match view:
            case "mine":
                return care_ is not None and str(care_.assignee) == me
            case "snoozed":
                return care.is_put_off(care_)
            case _:
                return not care.is_put_off(care_) and view in {"", state}

    return (
        [p for p in parked if fits(held.get(_subject(p)), p.state)],
        [job for job in failed if fits(held.get(str(job.id)), "parked")],
    )


def _address(**said: str) -> str:
    shown = "&".join(f"{name}={quote(value, safe='')}" for name, value in said.items() if value)
    return f"/attention?{shown}" if shown else "/attention"


def _groups(parked: Sequence[ParkedKey], failed: Sequence[FailedJob]) -> Iterator[_Group]:
    """Yield the incidents: those that wait for a person first, then the oldest."""
    by_cause: dict[tuple[str, str], list[ParkedKey]] = {}
    for each in parked:
        by_cause.setdefault((each.subscriber, each.cause), []).append(each)
    for (subscriber, cause), members in by_cause.items():
        yield _Group(f"{subscriber}/{cause}", subscriber, members, [])
    by_task: dict[str, list[FailedJob]] = {}
    for job in failed:
        by_task.setdefault(job.task, []).append(job)
    for task, its in by_task.items():
        yield _Group(f"{JOBS}/{task}", JOBS, [], its)


def _state(group: _Group) -> str:
    return "retrying" if group.parked and all(p.state == "retrying" for p in group.parked) else "parked"


def _title(group: _Group) -> str:
    if group.jobs:
        return _(TASKS.get(group.jobs[0].task, group.jobs[0].task))
    return _(DOES.get(group.subscriber, group.subscriber))


def _incident(group: _Group, view: str, held: Mapping[str, Care]) -> Incident:
    waits = _state(group) == "parked"
    first = min((p.first_failed_at for p in group.parked), default=None)
    subjects = _subjects(group)
    return Incident(
        id=group.id,
        href=_address(view=view, incident=group.id),
        title=_title(group),
        line=_("Background job failed for good") if group.jobs else _says(group.parked[0])[0],
        icon="alert-triangle" if waits else "refresh",
        tone="fail" if waits else "wait",
        count=len(group.parked) + len(group.jobs),
        age=render.span(now() - first) if first else "",
        waits=waits,
        holders=sorted({c.person for s in subjects if (c := held.get(s)) and c.person}),
        snoozed=any(care.is_put_off(held.get(s)) for s in subjects),
    )


def _subjects(group: _Group) -> list[str]:
    return [str(job.id) for job in group.jobs] if group.jobs else [_subject(p) for p in group.parked]


def _refusal(code: str, of: type[MalhaError] = MalhaError) -> type[MalhaError] | None:
    """Return the refusal with a code: its sentences say what is so and how to mend it."""
    for kind in of.__subclasses__():
        if kind.code == code:
            return kind
        if found := _refusal(code, kind):
            return found
    return None


def _facts(says: str, error: str) -> dict[str, str] | None:
    """Return the facts that a refusal's sentence was filled with: what is stored is the English one."""
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(says))
    found = re.search(f"{pattern}$", error, re.DOTALL)
    return found.groupdict() if found else None


# Said where a refusal has no second sentence; named here so that the message collector finds it.
_MEND = N_("Mend it, then try again.")


def _says(parked: ParkedKey) -> tuple[str, str]:
    """Return what happened and what to do, in the reader's language."""
    refusal = _refusal(parked.cause)
    if refusal is not None:
        facts = _facts(refusal.says, parked.error)
        if facts is None:
            return parked.error, _(_MEND)
        return _(refusal.says, **facts), _(refusal.mend or _MEND, **facts)
    says, mend = CAUSES.get(parked.cause, _FAULT)
    return _(says), _(mend)


async def _detail(
    tx: Tx, request: Request[Any, Any, Any], group: _Group, view: str, held: Mapping[str, Care]
) -> Detail:
    incident = _incident(group, view, held)
    panel = await care.panel_of(tx, request, Subject.JOB if group.jobs else Subject.EVENT, _subjects(group))
    if group.jobs:
        return await _jobs_detail(tx, group, incident, panel, held)
    ids = [UUID(p.key.partition(":")[2]) for p in group.parked if p.key.startswith("order:")]
    orders = {f"order:{o.id}": o for o in await tx.all(OrderAtRisk, reads.ORDERS_AT_RISK, {"orders": ids})}
    due = {f"order:{id_}": at for id_, at in (await work.due(tx, ids)).items()}
    records = [_record(p, orders.get(p.key), due.get(p.key), held.get(_subject(p))) for p in group.parked]
    says, mend = _says(group.parked[0])
    first = min(p.first_failed_at for p in group.parked)
    attempts = max(p.attempts for p in group.parked)
    events = sum(p.waiting for p in group.parked)
    tried = n_("tried {n} time", "tried {n} times", attempts)
    return Detail(
        incident=incident,
        subscriber=group.subscriber,
        pill=n_("{n} record stopped", "{n} records stopped", len(records)),
        history=_("First {time}, {tried}.", time=render.moment(first), tried=tried),
        cause=says,
        cause_more=group.parked[0].cause,
        risk=_money_at_risk(list(orders.values())),
        risk_more=n_("{n} event waits in its order", "{n} events wait in their order", events),
        fix=mend,
        fix_more=_soonest(group.parked),
        records=records,
        answer="\n".join(dict.fromkeys(p.error for p in group.parked)),
        are_jobs=False,
        care=panel,
    )  # fmt: skip


async def _jobs_detail(
    tx: Tx, group: _Group, incident: Incident, panel: care.Panel | None, held: Mapping[str, Care]
) -> Detail:
    records = []
    batches = await _batches_of(tx, group.jobs)
    actions = await _actions_of(tx, group.jobs)
    for j in group.jobs:
        name, href = _job_named(j, batches, actions)
        records.append(
            Record(str(j.id), name, href, "", "", "", "", 1, _("Waits for you"), _holder(held.get(str(j.id))))
        )
    refunds = group.jobs[0].task == giving_back.go_on.name
    more = _("It goes on where it stopped and records nothing twice. Stopped, what is left of it stays due.")
    return Detail(
        incident=incident,
        subscriber=JOBS,
        pill=n_("{n} job failed", "{n} jobs failed", len(records)),
        history=n_("tried {n} time", "tried {n} times", max(j.attempts for j in group.jobs)),
        cause=incident.line,
        cause_more=group.jobs[0].task,
        risk=n_("{n} job", "{n} jobs", len(records)),
        risk_more=_("What it would have done has not been done"),
        fix=_("Look in the log of the worker for the cause, mend it, then try again."),
        fix_more=more if refunds else "",
        records=records,
        answer="",
        are_jobs=True,
        care=panel,
        stops=refunds,
    )


async def _batches_of(tx: Tx, failed: Sequence[FailedJob]) -> dict[UUID, Batch]:
    """Return the refunds together that some of these jobs record, by id."""
    return await together.batches_by_id(tx, {id_ for job in failed if (id_ := _batch_of(job)) is not None})


def _batch_of(job: FailedJob) -> UUID | None:
    return UUID(job.arguments["batch_id"]) if job.task == giving_back.go_on.name else None


async def _actions_of(tx: Tx, failed: Sequence[FailedJob]) -> dict[UUID, BulkAction]:
    """Return the bulk actions that some of these jobs carry out, by id."""
    return await bulk_reads.actions_by_id(tx, {id_ for job in failed if (id_ := _action_of(job)) is not None})


def _action_of(job: FailedJob) -> UUID | None:
    return UUID(job.arguments["action_id"]) if job.task == bulk.go_on.name else None


def _job_named(job: FailedJob, batches: Mapping[UUID, Batch], actions: Mapping[UUID, BulkAction]) -> tuple[str, str]:
    """Return what people call the work of a job, and the address of its page where it has one."""
    acts_on = _action_of(job)
    if acts_on is not None and acts_on in actions:
        action = actions[acts_on]
        said = _("Bulk action {number}, {act}", number=action.number, act=_(words.ACT[action.act]))
        return said, f"/bulk-actions/{action.number}"
    id_ = _batch_of(job)
    if id_ is not None and id_ in batches:
        batch = batches[id_]
        said = _("Refunds together {number}, {reference}", number=batch.number, reference=batch.reference)
        return said, f"{REFUNDS}/together/{batch.number}"
    return f"{job.task} {job.id}", ""


def _holder(care_: Care | None) -> str:
    return care_.person or "" if care_ else ""


def _record(p: ParkedKey, order: OrderAtRisk | None, due: datetime | None, held: Care | None) -> Record:
    if p.retry_at is None:
        tried = _("Waits for you")
    elif p.retry_at <= now():
        tried = _("Now")
    else:
        tried = _("In {time}", time=render.span(p.retry_at - now()))
    if order is None:
        return Record(p.key, p.key, "", "", "", "", "", p.waiting, tried, _holder(held))
    deadline = due or (order.promised_at and ends_at(order.promised_at))
    return Record(
        key=p.key,
        name=f"#{order.number}",
        href=f"/orders/{order.number}",
        who=order.buyer_name or _("Name not given"),
        due=render.due_text(deadline, promise=due is None, state=order.state, fetched_in=order.pickup_zone)
        if deadline
        else "",
        due_class=render.lateness(deadline) if deadline else "",
        total=i18n.money(order.total, order.currency),
        waiting=p.waiting,
        next=tried,
        holder=_holder(held),
    )


def _money_at_risk(orders: Sequence[OrderAtRisk]) -> str:
    if not orders:
        return _("No order")
    totals: dict[str, int] = {}
    for order in orders:
        totals[order.currency] = totals.get(order.currency, 0) + order.total
    money = ", ".join(i18n.money(total, currency) for currency, total in sorted(totals.items()))
    return n_("{money} in {n} order", "{money} in {n} orders", len(orders), money=money)


def _soonest(parked: Sequence[ParkedKey]) -> str:
    """Return when the next of them is tried again by itself."""
    next_ = min((p.retry_at for p in parked if p.retry_at), default=None)
    if next_ is None:
        return _("It is no longer tried by itself.")
    return _("It is tried again by itself, next {time}.", time=render.moment(next_))


def _stuck(failing: Failing) -> Stuck:
    return Stuck(
        does=_(DOES.get(failing.name, failing.name)),
        error=failing.error,
        behind=failing.behind,
        since=render.moment(failing.moved_at),
    )


HANDLERS = [attention, replay, stop, take_care]
