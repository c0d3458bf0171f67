"""Texts of messages: what may be written, what comes out in words and as a page, and when a message may go out."""

from datetime import UTC, date, datetime, time, timedelta

import msgspec
import pytest

from malha.notifications import reads, rendering, rules
from malha.notifications.model import (
    KINDS,
    Channel,
    Contact,
    Item,
    Kind,
    Look,
    MessageRules,
    State,
    Text,
    Told,
)
from malha.platform.i18n import LANGUAGES
from malha.platform.ids import new_id
from malha.platform.money import Money

LOOK = Look(retailer="Loja <Azul>", colour="#2a52b0", on_colour="#ffffff", support_email="sac@loja.example")
NOON = datetime(2026, 11, 26, 15, 0, tzinfo=UTC)  # 12:00 in São Paulo
NIGHT = datetime(2026, 11, 27, 1, 30, tzinfo=UTC)  # 22:30 in São Paulo
ADDRESS = "https://oms.example.com/track/abc"


def rendered(text: Text | str, kind: Kind = Kind.PLACED, language: str = "en", **facts):
    wanted = msgspec.structs.replace(rendering.example(language, ADDRESS), **facts)
    text = Text("Subject", text) if isinstance(text, str) else text
    return rendering.render(text, kind, wanted, LOOK, language)


def problems(subject: str, body: str, kind: Kind = Kind.PLACED) -> list[str]:
    return [
        f"{flaw.at}: {flaw.text()} {flaw.mend.format_map(flaw.facts)}"
        for flaw in rules.check_text(kind, Text(subject, body))
    ]


# --- what may be written ---


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(Kind))
def test_every_text_that_comes_with_the_program_is_good_and_leaves_no_placeholder_open(kind, language):
    text = reads.default_text(kind, language)
    assert rules.check_text(kind, text) == []
    made = rendering.render(text, kind, rendering.example(language, ADDRESS), LOOK, language)
    assert "{" not in made.subject + made.text
    assert "1042" in made.text
    assert made.subject in made.html


def test_an_unknown_placeholder_is_named_with_the_nearest_that_is_known():
    assert problems("Order {order_numbr}", "Hi") == [
        "subject: There is no placeholder order_numbr. Did you mean order_number?"
    ]
    assert problems("Hi", "Your {secret.password}")[0].startswith("body: There is no placeholder secret.password.")


def test_a_placeholder_of_another_message_is_unknown_here():
    assert "There is no placeholder pickup_code" in problems("Hi", "{pickup_code}")[0]
    assert problems("Hi", "{pickup_code}", Kind.READY) == []


@pytest.mark.parametrize("body", ["{", "a } b", "{{order_number}", "{order_number"])
def test_a_brace_without_its_other_half_is_refused(body):
    assert "There is a brace without its other half." in problems("Hi", body)[0]


def test_what_is_more_than_a_word_needs_a_paragraph_of_its_own():
    assert "items needs a paragraph of its own" in problems("Hi", "Here: {items}")[0]
    assert "has no place here" in problems("{items}", "Hi")[0]
    assert problems("Hi", "Here:\n\n{items}\n\nBye") == []


@pytest.mark.parametrize(
    ("subject", "body"), [("", "x"), ("x", " "), ("x" * 151, "x"), ("x", "x" * 8001), ("a\nb", "x"), ("x", "a\x00")]
)
def test_empty_endless_and_broken_parts_are_refused(subject, body):
    assert len(problems(subject, body)) == 1


# --- what comes out ---


def test_nothing_a_customer_or_a_channel_wrote_becomes_markup():
    evil = '<script>alert(1)</script>" onmouseover="x'
    made = rendered("Hi {customer_name}\n\n{items}", customer_name=evil, items=(Item(evil, 1, Money(100)),))
    assert "<script>" not in made.html
    assert 'onmouseover="x' not in made.html
    assert evil in made.text
    assert "Loja &lt;Azul&gt;" in made.html


def test_a_value_with_braces_is_not_filled_again():
    assert "{order_total}" in rendered("Hi {customer_name}", customer_name="{order_total}").text


def test_an_address_that_is_no_web_address_becomes_no_link():
    made = rendered("Hi\n\n{track_button}", tracking_address="javascript:alert(1)")
    assert "javascript" not in made.html + made.text


def test_a_paragraph_whose_facts_are_all_missing_is_left_out():
    body = "Order {order_number}\n\nExpected by {promised_day}.\n\n{payment_note}"
    made = rendered(body, promised_day=None, awaits_payment=False)
    assert made.text.split("\n\n")[:2] == [
        "Order 1042",
        "-- \nYou receive this message because you bought at Loja <Azul>.\nsac@loja.example\n",
    ]
    assert "Expected by 2026-12-01." in rendered(body, promised_day=date(2026, 12, 1)).text


def test_money_and_days_are_written_in_the_language_of_the_message():
    body = "{order_total} {order_date}"
    facts = {"order_total": Money(123_456), "order_date": date(2026, 11, 26)}
    assert rendered(body, language="pt-BR", **facts).text.startswith("R$\xa01.234,56 26/11/2026")
    assert rendered(body, language="en", **facts).text.startswith("R$1,234.56 2026-11-26")


def test_bold_is_bold_on_the_page_and_plain_in_words():
    made = rendered("Now **{order_number}** is {{here}}")
    assert "<strong>1042</strong>" in made.html
    assert made.text.startswith("Now 1042 is {here}")


# --- whether and when ---


def contact(**changes) -> Contact:
    usual = {
        "order_id": new_id(), "email": "ana@example.com", "placed_at": NOON, "received_at": NOON,
        "by_channel": False, "state": "SP", "language": None,
    }  # fmt: skip
    return Contact(**{**usual, **changes})


def planned(kind: Kind, at: datetime = NOON, told_at: datetime | None = None, zone="America/Sao_Paulo", **changes):
    told = Told(order_id=new_id(), event_seq=1, kind=kind, at=told_at or at)
    return rules.plan_message(told, contact(**changes), Channel.EMAIL, "pt-BR", MessageRules(), at=at, zone=zone)


def test_urgent_news_goes_out_at_night_and_the_rest_waits_for_the_morning_where_the_customer_is():
    assert planned(Kind.READY, NIGHT).due_at == NIGHT
    assert planned(Kind.LATE, NIGHT).due_at == datetime(2026, 11, 27, 11, 0, tzinfo=UTC)
    assert planned(Kind.LATE, NIGHT, zone="America/Rio_Branco").due_at == NIGHT  # 20:30 there
    assert planned(Kind.LATE, NOON).due_at == NOON


@pytest.mark.parametrize(
    ("start", "end", "local", "due"),
    [
        ("21:00", "08:00", "21:00", "08:00+1"),
        ("21:00", "08:00", "20:59", "20:59"),
        ("21:00", "08:00", "07:59", "08:00"),
        ("21:00", "08:00", "08:00", "08:00"),
        ("12:00", "14:00", "13:00", "14:00"),
        ("00:00", "00:00", "03:00", "03:00"),
    ],
)
def test_quiet_hours_may_lie_across_midnight(start, end, local, due):
    hours = MessageRules(quiet_from=time.fromisoformat(start), quiet_until=time.fromisoformat(end))
    clock, _, days = due.partition("+")
    at = datetime.fromisoformat(f"2026-11-26T{local}:00-03:00")
    expected = datetime.fromisoformat(f"2026-11-26T{clock}:00-03:00") + timedelta(days=int(days or 0))
    assert rules.after_quiet(at, hours, "America/Sao_Paulo") == expected


def test_what_is_long_past_is_not_told():
    assert planned(Kind.CANCELLED, told_at=NOON - timedelta(hours=49)) is None
    assert planned(Kind.CANCELLED, placed_at=NOON - timedelta(days=400)) is None
    assert planned(Kind.CANCELLED, told_at=NOON - timedelta(hours=47)).state is State.QUEUED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"email": None}, "no_address"),
        ({"by_channel": True}, "told_by_channel"),
        ({"suppressed": ("email",)}, "suppressed"),
    ],
)
def test_that_a_loss_could_not_be_told_is_written_down(changes, reason):
    draft = planned(Kind.CANCELLED, **changes)
    assert (draft.state, draft.reason) == (State.SKIPPED, reason)


def test_a_wish_for_silence_holds_for_everything_but_losses():
    assert planned(Kind.SHIPPED, declined=("email",)).reason == "declined"
    assert planned(Kind.CANCELLED, declined=("email",)).state is State.QUEUED


def test_losses_cannot_be_switched_off():
    assert {kind for kind, facts in KINDS.items() if facts.always} == {
        Kind.LATE,
        Kind.REPROMISED,
        Kind.CANCELLED,
        Kind.CANCELLED_IN_PART,
    }


def test_a_message_is_tried_for_about_a_day_with_growing_pauses():
    pauses = [rules.next_attempt(n, NOON) - NOON for n in range(1, len(rules.PAUSES) + 1)]
    assert pauses == sorted(pauses)
    assert timedelta(hours=20) < sum(pauses, timedelta()) < timedelta(hours=30)
    assert rules.next_attempt(len(rules.PAUSES) + 1, NOON) is None


@pytest.mark.parametrize(
    ("answer", "bad"),
    [
        ("550 5.1.1 no such user", True),
        ("550 5.1.10 null MX", True),
        ("550 5.7.1 relay denied", False),
        ("550 no", False),
    ],
)
def test_only_a_refusal_of_the_address_itself_silences_it(answer, bad):
    assert rules.is_bad_address(answer) is bad
