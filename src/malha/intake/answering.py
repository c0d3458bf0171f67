"""What submissions are answered before anything is planned: by what is wrong with them, or by an order that is here."""

from collections.abc import Sequence
from typing import Any

import msgspec

from malha.intake import rules
from malha.intake.errors import OrderDiffers, OrderDiffersUnnamed, UnknownChannel, WrongCurrency
from malha.intake.model import LineOutcome, Outcome, Placed, Result, Submission
from malha.intake.reference import Reference
from malha.ordering import placing
from malha.platform.db import Tx
from malha.platform.errors import MalhaError
from malha.platform.idempotency import KeyReused


def first_of_each_key(
    submissions: Sequence[Submission], reference: Reference, outcomes: list[Outcome | None]
) -> list[tuple[int, Submission]]:
    """Keep the first submission of each natural key whose channel and amounts can be; note why others cannot."""
    fresh: list[tuple[int, Submission]] = []
    seen: set[tuple[str, str]] = set()
    for position, submission in enumerate(submissions):
        order = submission.order
        channel = reference.channels.get(order.channel)
        refusal: MalhaError | None
        if channel is None or not channel.active:
            refusal = UnknownChannel(
                channel=order.channel,
                count=1,
                problems=[{"at": "/channel", "says": UnknownChannel.says, "facts": {"channel": order.channel}}],
            )
        elif order.currency is not None and order.currency != channel.currency:
            refusal = WrongCurrency(currency=order.currency, channel=channel.code, expected=channel.currency)
        else:
            refusal = rules.refuse_amounts(order) or rules.refuse_days(order)
        if refusal is not None:
            outcomes[position] = refusal
            continue
        key = (order.channel, submission.external_id)
        if key not in seen:
            seen.add(key)
            fresh.append((position, submission))
    return fresh


async def refuse_reused_keys(
    tx: Tx, fresh: list[tuple[int, Submission]], outcomes: list[Outcome | None]
) -> list[tuple[int, Submission]]:
    """Refuse an Idempotency-Key that came with another body before, or comes with two bodies now."""
    keyed = {s.request_key for _, s in fresh if s.request_key is not None}
    if not keyed:
        return fresh
    bodies = await placing.find_by_request_keys(tx, sorted(keyed))
    rest: list[tuple[int, Submission]] = []
    for position, submission in fresh:
        key = submission.request_key
        if key is not None and bodies.setdefault(key, submission.body_hash) != submission.body_hash:
            outcomes[position] = KeyReused()
        else:
            rest.append((position, submission))
    return rest


async def answer_existing(
    tx: Tx,
    fresh: Sequence[tuple[int, Submission]],
    reference: Reference,
    existing: dict[tuple[int, str], tuple[Any, ...]],
    outcomes: list[Outcome | None],
) -> list[tuple[int, Submission]]:
    """Answer submissions whose order is here already; return the others."""
    rest: list[tuple[int, Submission]] = []
    lines, holds = await placing.contents_of(tx, [row[0] for row in existing.values()])
    for position, submission in fresh:
        order = submission.order
        row = existing.get((reference.channels[order.channel].id, submission.external_id))
        if row is None:
            rest.append((position, submission))
            continue
        order_id, number, status, body_hash, total, currency = row
        if body_hash.hex != submission.body_hash:
            outcomes[position] = _differs(submission, number)
            continue
        outcomes[position] = Placed(
            id=order_id,
            number=number,
            channel=order.channel,
            external_id=submission.external_id,
            status=status,
            result=Result.DUPLICATE,
            total=total,
            currency=currency,
            holds=holds.get(order_id, []),
            lines=[LineOutcome(*line) for line in lines.get(order_id, [])],
        )
    return rest


def _differs(submission: Submission, number: int) -> MalhaError:
    if submission.order.external_id is None:
        return KeyReused()
    if submission.limited:
        return OrderDiffersUnnamed(channel=submission.order.channel, external_id=submission.external_id)
    return OrderDiffers(channel=submission.order.channel, external_id=submission.external_id, number=number)


def answer_repeats(submissions: Sequence[Submission], outcomes: list[Outcome | None]) -> None:
    """Answer the second and later submissions of a key within one batch by the first one's outcome."""
    if None not in outcomes:
        return
    first = {(s.order.channel, s.external_id): n for n, s in reversed(list(enumerate(submissions)))}
    for position, submission in enumerate(submissions):
        if outcomes[position] is not None:
            continue
        at = first[submission.order.channel, submission.external_id]
        outcome = outcomes[at]
        if isinstance(outcome, Placed) and submissions[at].body_hash != submission.body_hash:
            outcomes[position] = _differs(submission, outcome.number)
        elif isinstance(outcome, Placed):
            outcomes[position] = msgspec.structs.replace(outcome, result=Result.DUPLICATE)
        else:
            outcomes[position] = outcome
