"""Texts of messages: what may be written, what comes out in words and as a page, and when a message may go out."""

from datetime import UTC, date, datetime, time, timedelta

import msgspec
import pytest

from malha.notifications import reads, rendering, rules, segments
from malha.notifications.model import (
    KINDS,
    Channel,
    Contact,
    Item,
    Kind,
    Look,
    Means,
    MessageRules,
    Route,
    State,
    Teller,
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
def test_every_short_text_is_good_and_fits_into_few_parts(kind, language):
    for channel in (Channel.SMS, Channel.WHATSAPP):
        text = reads.default_text(kind, language, channel)
        assert rules.check_text(kind, text, channel) == []
        facts = rendering.example(language, "https://loja.example/track/" + "x" * 71)
        made = rendering.render_short(text, kind, facts, LOOK, language, channel)
        assert "{" not in made.text
        assert "1042" in made.text
        assert segments.length_of(segments.plain(made.text)).parts <= 2
        approved, names = rules.numbered(text.body, KINDS[kind].placeholders)
        assert approved.count("{{") >= len(names) > 1
        if channel is Channel.WHATSAPP:
            assert (made.template, len(made.parameters)) == (f"order_{kind.value}", len(names))
            assert all(made.parameters)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_hold_that_is_told_says_why_and_fits_into_few_parts(language):
    assert set(rendering.HOLD_REASONS) == rules.HOLDS_TOLD
    text = reads.default_text(Kind.ON_HOLD, language, Channel.SMS)
    for kind in rules.HOLDS_TOLD:
        facts = msgspec.structs.replace(rendering.example(language, ADDRESS), hold_kind=kind)
        made = rendering.render_short(text, Kind.ON_HOLD, facts, LOOK, language, Channel.SMS)
        assert segments.length_of(segments.plain(made.text)).parts <= 2


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(Kind))
def test_every_text_that_comes_with_the_program_is_good_and_leaves_no_placeholder_open(kind, language):
    text = reads.default_text(kind, language)
    assert rules.check_text(kind, text) == []
    made = rendering.render(text, kind, rendering.example(language, ADDRESS), LOOK, language)
    assert "{" not in made.subject + made.text
    assert "1042" in made.text
    assert made.subject in made.html


@pytest.mark.parametrize(("name", "said"), [("Aroeira Casa S.A.", "at Aroeira Casa S.A.\n"), ("Loja", "at Loja.\n")])
def test_a_name_that_ends_with_a_point_ends_its_sentence(name: str, said: str) -> None:
    look = msgspec.structs.replace(LOOK, retailer=name)
    made = rendering.render(Text("S", "Hi"), Kind.PLACED, rendering.example("en", ADDRESS), look, "en")
    assert said in made.text


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


@pytest.mark.parametrize(
    ("language", "says"),
    [("pt-BR", "Previsão dos primeiros itens: 01/12/2026."), ("en", "The first items are expected by 2026-12-01.")],
)
@pytest.mark.parametrize("kind", [Kind.PLACED, Kind.PAID])
def test_the_first_day_is_said_so_that_it_fits_what_is_brought_and_what_is_fetched(kind, language, says):
    made = rendered(reads.default_text(kind, language), kind, language, first_day=date(2026, 12, 1))
    assert says in made.text


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
        "teller": Teller.US, "state": "SP", "language": None,
    }  # fmt: skip
    return Contact(**{**usual, **changes})


def planned(kind: Kind, at: datetime = NOON, told_at: datetime | None = None, zone="America/Sao_Paulo", **changes):
    told = Told(order_id=new_id(), event_seq=1, kind=kind, at=told_at or at)
    route, means = changes.pop("route", Route()), changes.pop("means", Means())
    drafts = rules.plan_messages(told, contact(**changes), route, means, "pt-BR", MessageRules(), at=at, zone=zone)
    assert len(drafts) <= 1
    return drafts[0] if drafts else None


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


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in rules.OF_TAKING_IN])
def test_what_is_done_now_to_an_order_that_came_late_is_told_and_what_was_done_then_is_not(kind):
    late = {"placed_at": NOON - timedelta(days=8), "received_at": NOON - timedelta(minutes=10)}
    assert planned(kind, **late).state is State.QUEUED
    assert planned(kind, told_at=NOON - timedelta(days=5), **late) is None


@pytest.mark.parametrize("kind", sorted(rules.OF_TAKING_IN))
def test_that_an_order_was_taken_in_late_is_no_news_of_its_placing_its_money_or_its_holds(kind):
    placed_at = NOON - timedelta(days=8)
    assert planned(kind, placed_at=placed_at, received_at=NOON) is None
    assert planned(kind, placed_at=NOON - timedelta(days=2), received_at=NOON).state is State.QUEUED
    if kind is not Kind.PLACED:  # money and holds of today
        assert planned(kind, placed_at=placed_at, received_at=NOON - timedelta(days=1)).state is State.QUEUED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"email": None}, "no_address"),
        ({"teller": Teller.CHANNEL}, "told_by_channel"),
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
        Kind.REPLACED,
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


# --- by which means ---

ALL = Means(ready=frozenset(Channel))
PHONE = "+5511987654321"


USUAL = Route()


def drafts_of(kind: Kind, route: Route = USUAL, means: Means = ALL, **changes):
    told = Told(order_id=new_id(), event_seq=1, kind=kind, at=NOON)
    who = contact(**{"phone": PHONE} | changes)
    drafts = rules.plan_messages(told, who, route, means, "pt-BR", MessageRules(), at=NOON, zone="America/Sao_Paulo")
    return [(d.channel, d.state, d.reason, d.rank) for d in drafts]


W, S, E = Channel.WHATSAPP, Channel.SMS, Channel.EMAIL
QUEUED = (State.QUEUED, None, 0)


def test_a_message_goes_by_the_first_means_that_is_set_up_and_reaches_the_person():
    route = Route(means=(W, S, E))
    assert drafts_of(Kind.PLACED, route) == [(W, *QUEUED)]
    assert drafts_of(Kind.PLACED, route, Means(ready=frozenset({S, E}))) == [(S, *QUEUED)]
    assert drafts_of(Kind.PLACED, route, phone=None) == [(E, *QUEUED)]
    assert drafts_of(Kind.PLACED, route, suppressed=("whatsapp", "sms")) == [(E, *QUEUED)]
    assert drafts_of(Kind.PLACED, route, declined=("whatsapp",)) == [(S, *QUEUED)]
    landline = {"phone": "+551133334444"}
    assert drafts_of(Kind.PLACED, Route(means=(S, E)), **landline) == [(E, *QUEUED)]
    assert drafts_of(Kind.PLACED, Route(means=(S, E)), phone="+4915112345678") == [(S, *QUEUED)]


def test_a_retailer_may_choose_several_means_at_once():
    drafts = drafts_of(Kind.READY, Route(means=(W, E, S), every=True), declined=("sms",))
    assert drafts == [(W, State.QUEUED, None, 0), (E, State.QUEUED, None, 1)]


def test_where_yes_is_needed_only_those_who_said_it_are_written_to_but_of_losses():
    shy = Means(ready=frozenset({W}), needing_consent=frozenset({W}))
    only = Route(means=(W,))
    assert drafts_of(Kind.PLACED, only, shy) == []
    assert drafts_of(Kind.PLACED, only, shy, agreed=("whatsapp",)) == [(W, *QUEUED)]
    assert drafts_of(Kind.CANCELLED, only, shy) == [(W, *QUEUED)]
    # With another way nobody is written to where they did not agree.
    both = Means(ready=frozenset({W, E}), needing_consent=frozenset({W}))
    assert drafts_of(Kind.CANCELLED, Route(means=(W, E)), both) == [(E, *QUEUED)]


def test_of_a_loss_it_is_said_that_no_means_reaches_the_person_and_of_the_rest_nothing():
    nowhere = {"phone": None, "email": None}
    assert drafts_of(Kind.CANCELLED, **nowhere) == [(E, State.SKIPPED, "no_address", 0)]
    assert drafts_of(Kind.PLACED, **nowhere) == []
    assert drafts_of(Kind.LATE, suppressed=("email", "sms", "whatsapp"))[0][2] == "suppressed"


@pytest.mark.parametrize(
    ("teller", "placed", "cancelled"),
    [
        (Teller.US, [(E, *QUEUED)], [(E, *QUEUED)]),
        (Teller.LOSSES, [], [(E, *QUEUED)]),
        (Teller.CHANNEL, [], [(E, State.SKIPPED, "told_by_channel", 0)]),
    ],
)
def test_who_tells_the_buyer_is_decided_by_the_sales_channel(teller, placed, cancelled):
    assert drafts_of(Kind.PLACED, teller=teller) == placed
    assert drafts_of(Kind.CANCELLED, teller=teller) == cancelled


def test_what_waited_does_not_go_out_after_somebody_objected():
    assert rules.objection(Kind.SHIPPED, contact(declined=("email",)), E, ALL) == "declined"
    assert rules.objection(Kind.CANCELLED, contact(declined=("email",)), E, ALL) is None
    assert rules.objection(Kind.CANCELLED, contact(suppressed=("email",)), E, ALL) == "suppressed"
    assert rules.objection(Kind.SHIPPED, contact(), E, ALL) is None


@pytest.mark.parametrize(
    ("text", "parts", "unicode"),
    [
        ("", 0, False),
        ("a" * 160, 1, False),
        ("a" * 161, 2, False),
        ("a" * 306, 2, False),
        ("a" * 307, 3, False),
        ("€" * 80, 1, False),
        ("€" * 81, 2, False),
        ("a" * 152 + "€" + "a" * 20, 2, False),
        ("ã" * 70, 1, True),
        ("ã" * 71, 2, True),
        ("\N{SHOPPING TROLLEY}" * 35, 1, True),
        ("\N{SHOPPING TROLLEY}" * 36, 2, True),
    ],
)
def test_the_parts_of_an_sms_are_counted_as_networks_do(text, parts, unicode):
    found = segments.length_of(text)
    assert (found.parts, found.unicode) == (parts, unicode)


def test_portuguese_without_accents_fits_the_gsm_alphabet():
    said = "Olá! “Não” há previsão… R$\xa010,00 – coração, você"
    assert segments.plain(said) == 'Ola! "Nao" ha previsao... R$ 10,00 - coracao, voce'
    assert not segments.length_of(segments.plain(said)).unicode


@pytest.mark.parametrize(
    ("buyer", "called"),
    [
        ("Marina Souza", "Marina"),
        ("  zé  da Silva", "zé"),
        ("D'Ávila, Ana-Maria", "D'Ávila"),
        ("Ana-Maria", "Ana-Maria"),
        ("J. Prado", "J."),
        ("C&A Modas", "C&A"),
        ("A1 Comércio", "A1"),
        ("", ""),
        ("https://premio.example/ganhe agora", ""),
        ("www.premio.example", ""),
        ("premio.example", ""),
        ("premio.example.", ""),
        ("bit.ly/x", ""),
        ("ganhe@premio.example", ""),
        ("ligue-0800123456", ""),
        ("+5581987654321", ""),
        ("Ganhe" * 10, ""),
        ("<b>Ana</b>", ""),
    ],
)
def test_a_message_calls_its_reader_by_a_name_and_by_nothing_that_becomes_a_link(buyer: str, called: str) -> None:
    assert rules.first_name(buyer) == called
