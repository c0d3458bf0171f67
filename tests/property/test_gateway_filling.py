"""Whatever a value says, it arrives as that value and changes nothing around it; answers and receipts never fail."""

import base64
import json
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.notifications import gateways, presets, segments
from malha.notifications.contract import End, Letter, Receipt, Status
from malha.notifications.gateways import Gateway, Header, Meaning, Receipts
from malha.notifications.model import Channel
from malha.platform.ids import new_id

anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
nasty = st.one_of(
    anything,
    st.sampled_from(['"', '","to":"x', "{secret}", "{to}", "\\", "\n", "&To=x", "%22", "\u2028", "{{1}}", "\x00"]),
)
BODY = '{"to": "{to}", "say": {"text": "{text}", "mixed": "<{text}|{id}>"}, "list": "{parameters}", "n": 1}'


def letter(text: str, parameters: tuple[str, ...] = ()) -> Letter:
    return Letter(id=new_id(), address="+5511987654321", language="pt-BR", text=text, parameters=parameters)


@given(nasty, st.lists(nasty, max_size=4), nasty)
def test_a_json_body_keeps_its_shape_and_every_value_comes_back_as_it_was(text, parameters, secret):
    said = letter(text, tuple(parameters))
    request = gateways.request_of(Gateway(url="https://g.example/", body=BODY), said, secret=secret)
    assert json.loads(request.body) == {
        "to": "+5511987654321",
        "say": {"text": text, "mixed": f"<{text}|{said.id}>"},
        "list": parameters,
        "n": 1,
    }


@given(nasty, nasty)
def test_a_form_keeps_its_fields_in_the_body_and_in_the_query(text, secret):
    described = Gateway(url="https://g.example/send?a=1", format="form", body="To={to}\nBody=x{text}\nKey={secret}")
    request = gateways.request_of(described, letter(text), secret=secret)
    wanted = [("To", "+5511987654321"), ("Body", f"x{text}"), ("Key", secret)]
    assert parse_qsl(request.body.decode(), keep_blank_values=True) == wanted
    asked = gateways.request_of(msgspec.structs.replace(described, method="GET"), letter(text), secret=secret)
    assert asked.body is None
    query = parse_qs(urlsplit(asked.url).query, keep_blank_values=True)
    assert query == {"a": ["1"], "To": ["+5511987654321"], "Body": [f"x{text}"], "Key": [secret]}


@given(st.integers(100, 599), st.binary(max_size=200), anything)
def test_every_answer_has_one_end_and_never_shows_the_secret(status, body, error):
    meaning = Meaning(id_path="a.*.id", error_path="error", bad_address=("gone",))
    for raw in (body, json.dumps({"error": f"s3cret {error}", "a": [{"id": 7}]}).encode()):
        answer = gateways.answer_of(meaning, status, {"retry-after": error}, raw, hide=("s3cret",))
        assert answer.end in End
        assert "s3cret" not in answer.words
        assert len(answer.words) <= gateways.WORDS
        assert (answer.end is End.ACCEPTED) is (200 <= status < 300)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | anything, lambda x: st.lists(x) | st.dictionaries(anything, x)
    )
)
def test_receipts_of_any_shape_are_read_or_left_out(found):
    for described in (Receipts(), Receipts(items_path="a.*.b"), presets.PRESETS["whatsapp-cloud"][1].receipts):
        assert all(isinstance(r, Receipt) for r in gateways.receipts_of(described, "", json.dumps(found).encode()))


@given(anything)
def test_plain_letters_never_need_more_parts(text):
    assert segments.length_of(segments.plain(text)).parts <= max(segments.length_of(text).parts * 2, 1)
    assert segments.plain(segments.plain(text)) == segments.plain(text)


@pytest.mark.parametrize(
    ("status", "body", "end"),
    [
        (200, b'{"id": "1"}', End.ACCEPTED),
        (202, b"", End.ACCEPTED),
        (400, b"{}", End.REFUSED),
        (404, b"", End.REFUSED),
        (409, b"", End.UNKNOWN),
        (429, b"", End.LATER),
        (500, b"", End.UNKNOWN),
        (502, b"", End.UNKNOWN),
        (503, b"", End.LATER),
    ],
)
def test_what_nobody_gave_a_meaning_is_an_unknown_end(status, body, end):
    assert gateways.answer_of(Meaning(id_path="id"), status, {}, body).end is end


def test_a_gateway_that_always_answers_200_says_in_the_body_whether_it_took_the_message():
    meaning = Meaning(ok_path="status", ok_values=("ok", "true"), error_path="why", bad_address=("no such number",))
    answer = gateways.answer_of(meaning, 200, {}, b'{"status": "error", "why": "no such number"}')
    assert (answer.end, answer.bad_address) == (End.REFUSED, True)
    assert gateways.answer_of(meaning, 200, {}, b'{"status": true}').end is End.ACCEPTED
    assert gateways.answer_of(meaning, 200, {}, b"<html>").end is End.REFUSED


def test_one_that_knows_a_repeated_id_is_asked_again_after_an_unknown_end():
    assert gateways.answer_of(Meaning(repeat_safe=True), 500, {}, b"").end is End.LATER


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        ("1.5", 2),
        ("999999999", 86_400),
        ("-5", None),
        ("soon", None),
        ("Thu, 26 Nov 2026 12:10:00 GMT", 600),
        ("Thu, 26 Nov 2026 09:10:00 -0300", 600),
        ("Thursday, 26-Nov-26 12:10:00 GMT", 600),
    ],
)
def test_when_to_ask_again_is_heeded_within_a_day(said, seconds):
    headers = {"retry-after": said, "date": "Thu, 26 Nov 2026 12:00:00 GMT"}
    assert gateways.answer_of(Meaning(), 429, headers, b"").retry_after_s == seconds


def test_presets_are_good_once_what_is_in_angle_brackets_is_filled_in():
    for channel, preset in presets.PRESETS.values():
        assert [f.at for f in gateways.check_gateway(preset, channel) if f.at != "url"] == []


def test_a_report_of_the_whatsapp_cloud_is_read_as_it_is_published():
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"changes": [{"value": {"statuses": [
            {"id": "wamid.1", "status": "sent", "timestamp": "1795694400"},
            {"id": "wamid.1", "status": "delivered", "timestamp": "1795694401"},
            {"id": "wamid.2", "status": "failed", "errors": [{"code": 131026, "title": "Undeliverable"}]},
        ]}}]}],
    }  # fmt: skip
    told = gateways.receipts_of(presets.PRESETS["whatsapp-cloud"][1].receipts, "", json.dumps(body).encode())
    assert [(r.reference, r.status, r.bad_address) for r in told] == [
        ("wamid.1", Status.DELIVERED, False),
        ("wamid.2", Status.BOUNCED, True),
    ]
    assert told[0].at.timestamp() == 1_795_694_401


def test_receipts_of_a_form_are_read_as_twilio_sends_them():
    receipts = presets.PRESETS["twilio-sms"][1].receipts
    body = b"MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30005"
    [told] = gateways.receipts_of(receipts, "application/x-www-form-urlencoded", body)
    assert (told.reference, told.status, told.bad_address) == ("SM1", Status.BOUNCED, True)


def test_a_header_takes_the_secret_and_nothing_a_customer_wrote():
    wrong = Gateway(url="https://g.example", body="{}", headers=(Header("X", "{text}"),))
    assert [f.at for f in gateways.check_gateway(wrong, Channel.SMS)] == ["headers"]
    basic = Gateway(url="https://g.example", body="{}", headers=(Header("Authorization", "Basic {secret_base64}"),))
    assert gateways.request_of(basic, letter("x"), secret="a:b").headers["Authorization"] == "Basic YTpi"


@pytest.mark.parametrize("secret", ["s3cret", "user:päss word", 'a"b\\c/d'])
@pytest.mark.parametrize("spelt", [str, lambda s: base64.b64encode(s.encode()).decode(), lambda s: quote(s, safe="")])
def test_a_gateway_that_repeats_what_it_was_asked_shows_nobody_the_secret(secret, spelt):
    meaning = Meaning(id_path="headers.Authorization", error_path="said")
    heard = f"Bearer {spelt(secret)}"
    for status in (200, 400, 503):
        for raw in (json.dumps({"headers": {"Authorization": heard}, "said": heard}), json.dumps({"echo": heard})):
            answer = gateways.answer_of(
                meaning, status, {"content-type": "application/json"}, raw.encode(), hide=(secret,)
            )
            shown = f"{answer.words} {answer.reference}"
            for hidden in (secret, json.dumps(secret, ensure_ascii=False)[1:-1], spelt(secret)):
                assert hidden not in shown
