"""A gateway as an administrator describes it: how to ask it, what its answers mean, what its receipts look like.

Pure: no network, no database. A description is data; its placeholders are filled with values, never with source text.
A JSON body is taken apart first and filled afterwards, so no value can add a field to it; a form's values are encoded;
headers take the secret and the id only. Paths name a value in an answer: `messages.0.id`; `*` is every element of a
list, as in `entry.*.changes.*.value.statuses`.
"""

import base64
import binascii
import hashlib
import hmac
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from malha.notifications.contract import Answer, End, Letter, Receipt, Status
from malha.notifications.model import Channel
from malha.platform import retrying
from malha.platform.clock import now
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

WORDS = 300  # characters of an answer that are kept
MOST_RECEIPTS = 1_000
MOST_HEADERS = 20
BODY_LENGTH = 8_000
_NAME = re.compile(r"\{([a-z_0-9]+)\}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,80}")
_STATUS = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")
_PATH = re.compile(r"[^\s.]{1,80}(\.[^\s.]{1,80}){0,15}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

# What a body may name, and what that is.
BODY_NAMES: dict[str, str] = {
    "to": N_("Telephone number, like +5511987654321"),
    "to_digits": N_("The same, digits only"),
    "to_national": N_("The same without the country's 55, for gateways of Brazil"),
    "text": N_("The whole message"),
    "id": N_("Id of the message; the same at every attempt"),
    "language": N_("Language of the message, pt-BR or en"),
    "template": N_("Name of the approved text"),
    "template_language": N_("Language of the approved text, as in pt_BR"),
    "parameters": N_("What fills the approved text, as a list of texts"),
    "parameters_meta": N_("The same as objects of type and text (WhatsApp Cloud API)"),
    "parameters_numbered": N_("The same as an object by number (Twilio)"),
    "receipt_address": N_("Where receipts are to be sent"),
    "secret": N_("The secret of the gateway"),
}
HEADER_NAMES: dict[str, str] = {
    "secret": N_("The secret of the gateway"),
    "secret_base64": N_("The same in base64, for Basic authentication: enter user:password as the secret"),
    "id": N_("Id of the message; the same at every attempt"),
}


class Header(msgspec.Struct, frozen=True):
    """A header of the request; its value may name `{secret}`, `{secret_base64}` and `{id}`."""

    name: str
    value: str


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer means. Statuses are like `200-299, 409`; whatever none names is an unknown end."""

    accepted: str = "200-299"
    refused: str = "400-407,410-424,451"
    later: str = "408,425,429,503"
    id_path: str = ""  # where the gateway's own id of the message is
    error_path: str = ""  # where it says what is wrong
    ok_path: str = ""  # where a gateway that always answers 200 says whether it took the message
    ok_values: tuple[str, ...] = ()  # ... and what stands there when it did
    bad_address: tuple[str, ...] = ()  # what stands at error_path when the number itself is bad
    repeat_safe: bool = False  # it knows a repeated {id} again: an unknown end may be tried again


class Receipts(msgspec.Struct, frozen=True, kw_only=True):
    """How receipts prove themselves and what they say."""

    proof: Literal["token", "hmac-sha256", "hmac-sha1"] = "token"
    header: str = ""  # where the proof is; a token may also come as ?token=
    prefix: str = ""  # before the proof, like "sha256="
    encoding: Literal["hex", "base64"] = "hex"
    items_path: str = ""  # the list of receipts; empty: the body is one
    id_path: str = "id"
    status_path: str = "status"
    words_path: str = ""
    at_path: str = ""  # seconds since 1970, or ISO 8601
    delivered: tuple[str, ...] = ("delivered",)
    read: tuple[str, ...] = ("read",)
    bounced: tuple[str, ...] = ("failed", "undelivered")
    bad_address: tuple[str, ...] = ()  # of those, what stands at words_path when the address itself is bad


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one gateway but its secrets."""

    name: str = ""
    method: Literal["POST", "PUT", "GET"] = "POST"
    url: str = ""
    headers: tuple[Header, ...] = ()
    format: Literal["json", "form"] = "json"  # of GET: the form is the query
    body: str = ""  # JSON, or lines of name=value
    plain_letters: bool = True  # of SMS: without accents, so that twice as much fits
    needs_consent: bool = False  # only to people who said yes
    meaning: Meaning = Meaning()
    receipts: Receipts = Receipts()


class Request(msgspec.Struct, frozen=True):
    """What is to be sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None


# --- is a description good ---


def check_gateway(gateway: Gateway, channel: Channel) -> list[Flaw]:
    """Return what is wrong with a description. Of mail only its receipts count."""
    flaws: list[Flaw] = []
    if channel is not Channel.EMAIL:
        flaws += _check_request(gateway)
    meaning, receipts = gateway.meaning, gateway.receipts
    for at, said in (("accepted", meaning.accepted), ("refused", meaning.refused), ("later", meaning.later)):
        if parse_statuses(said) is None:
            says = N_("{said} is no list of statuses.")
            flaws.append(Flaw(at, says, N_("Write it like 200-299, 409."), {"said": said[:60]}))
    paths = {
        "id_path": meaning.id_path, "error_path": meaning.error_path, "ok_path": meaning.ok_path,
        "receipt_items_path": receipts.items_path, "receipt_id_path": receipts.id_path,
        "receipt_status_path": receipts.status_path, "receipt_words_path": receipts.words_path,
        "receipt_at_path": receipts.at_path,
    }  # fmt: skip
    for at, path in paths.items():
        if path and not _PATH.fullmatch(path):
            says = N_("{path} is no path.")
            flaws.append(Flaw(at, says, N_("Write it like messages.0.id."), {"path": path[:60]}))
    if receipts.header and not _HEADER.fullmatch(receipts.header):
        flaws.append(Flaw("receipt_header", N_("This is no name of a header."), N_("Write it like X-Signature.")))
    if receipts.proof != "token" and not receipts.header:
        flaws.append(Flaw("receipt_header", N_("A signature comes in a header."), N_("Name that header.")))
    return flaws


def _check_request(gateway: Gateway) -> Iterator[Flaw]:
    if not gateway.url:
        yield Flaw("url", N_("The address of the gateway is missing."))
    if len(gateway.headers) > MOST_HEADERS:
        yield Flaw("headers", N_("There are more than {most} headers."), facts={"most": MOST_HEADERS})
    for header in gateway.headers:
        if not _HEADER.fullmatch(header.name) or header.name.lower() in {"host", "content-length"}:
            says = N_("{name} is no name of a header.")
            yield Flaw("headers", says, N_("Write one header a line: Name: value."), {"name": header.name[:60]})
        if _CONTROL.search(header.value):
            yield Flaw("headers", N_("A header has control characters."), N_("Type it again without them."))
        yield from _unknown("headers", header.value, HEADER_NAMES)
    if len(gateway.body) > BODY_LENGTH:
        yield Flaw("body", N_("The body is too long."), N_("Use at most {most} characters."), {"most": BODY_LENGTH})
    yield from _unknown("body", gateway.body, BODY_NAMES)
    if gateway.format == "json" and gateway.method != "GET":
        try:
            msgspec.json.decode(gateway.body)
        except msgspec.DecodeError as error:
            says = N_("The body is no JSON: {error}")
            yield Flaw("body", says, N_("Put placeholders into quotation marks."), {"error": str(error)[:120]})
    elif any(line.strip() and "=" not in line for line in gateway.body.splitlines()):
        yield Flaw("body", N_("A form has one name=value a line."), N_("Write To={to} on a line of its own."))


def _unknown(at: str, text: str, known: Mapping[str, str]) -> Iterator[Flaw]:
    for name in dict.fromkeys(_NAME.findall(text)):
        if name not in known:
            facts = {"name": name[:60], "known": ", ".join(known)}
            yield Flaw(at, N_("There is no placeholder {name}."), N_("These are known: {known}."), facts)


def parse_statuses(said: str) -> list[range] | None:
    """Read `200-299, 409`; None when it is no such list. Nothing is an empty list."""
    found = []
    for part in filter(None, (x.strip() for x in said.split(","))):
        match = _STATUS.fullmatch(part)
        if match is None:
            return None
        found.append(range(int(match[1]), int(match[2] or match[1]) + 1))
    return found


# --- asking ---


def request_of(gateway: Gateway, letter: Letter, *, secret: str, receipt_address: str = "") -> Request:
    """Return the request for a letter."""
    values = _values(letter, secret, receipt_address)
    headers = {h.name: _within(h.value, values) for h in gateway.headers}
    if gateway.method == "GET":
        query = urlencode(_form(gateway.body, values))
        return Request("GET", f"{gateway.url}{'&' if '?' in gateway.url else '?'}{query}", headers, None)
    if gateway.format == "form":
        body = urlencode(_form(gateway.body, values)).encode()
        return Request(gateway.method, gateway.url, _typed(headers, "application/x-www-form-urlencoded"), body)
    filled = _filled(msgspec.json.decode(gateway.body), values)
    return Request(gateway.method, gateway.url, _typed(headers, "application/json"), msgspec.json.encode(filled))


def _values(letter: Letter, secret: str, receipt_address: str) -> dict[str, Any]:
    digits = re.sub(r"[^0-9]", "", letter.address)
    numbered = {str(n): value for n, value in enumerate(letter.parameters, 1)}
    return {
        "to": letter.address,
        "to_digits": digits,
        "to_national": digits.removeprefix("55") if letter.address.startswith("+55") else digits,
        "text": letter.text,
        "id": str(letter.id),
        "language": letter.language,
        "template": letter.template,
        "template_language": letter.template_language,
        "parameters": list(letter.parameters),
        "parameters_meta": [{"type": "text", "text": value} for value in letter.parameters],
        "parameters_numbered": numbered,
        "receipt_address": receipt_address,
        "secret": secret,
        "secret_base64": base64.b64encode(secret.encode()).decode("ascii"),
    }


def _typed(headers: dict[str, str], kind: str) -> dict[str, str]:
    return headers if any(name.lower() == "content-type" for name in headers) else {**headers, "Content-Type": kind}


def _filled(node: Any, values: Mapping[str, Any]) -> Any:
    """Return a JSON value with its texts filled; a text that is one placeholder becomes that value, whatever it is."""
    if isinstance(node, str):
        whole = _NAME.fullmatch(node)
        return values[whole[1]] if whole and whole[1] in values else _within(node, values)
    if isinstance(node, list):
        return [_filled(each, values) for each in node]
    if isinstance(node, dict):
        return {key: _filled(each, values) for key, each in node.items()}
    return node


def _within(text: str, values: Mapping[str, Any]) -> str:
    """Return a text with its placeholders filled, each once: what a value says is not filled again."""

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1], match[0])
        return found if isinstance(found, str) else msgspec.json.encode(found).decode()

    return _NAME.sub(value, text)


def _form(body: str, values: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = [line.partition("=") for line in body.splitlines() if "=" in line]
    return [(name.strip(), _within(value.strip(), values)) for name, _sign, value in pairs]


# --- what an answer means ---


def answer_of(
    meaning: Meaning, status: int, headers: Mapping[str, str], body: bytes, *, hide: Sequence[str] = ()
) -> Answer:
    """Return what an HTTP answer means. `hide` are texts that must not be kept, like the secret."""
    found = _decoded(body, headers.get("content-type", ""))
    error = _text_at(found, meaning.error_path)
    reference = _clean(_text_at(found, meaning.id_path), hide)[:200]
    raw = error or ("" if _is_in(status, meaning.accepted) else body[: WORDS * 4].decode("utf-8", "replace"))
    words = _clean(f"{status} {raw}".strip(), hide)
    if _is_in(status, meaning.accepted):
        if meaning.ok_path and _text_at(found, meaning.ok_path) not in meaning.ok_values:
            return Answer(End.REFUSED, words=words, bad_address=error in meaning.bad_address and bool(error))
        return Answer(End.ACCEPTED, reference=reference, words=words)
    if _is_in(status, meaning.later):
        return Answer(End.LATER, words=words, retry_after_s=_retry_after(headers))
    if _is_in(status, meaning.refused):
        return Answer(End.REFUSED, words=words, bad_address=error in meaning.bad_address and bool(error))
    return unknown(meaning, words)


def unknown(meaning: Meaning, words: str) -> Answer:
    """Return the end of an attempt of which nobody knows what became of it."""
    return Answer(End.LATER if meaning.repeat_safe else End.UNKNOWN, words=words)


def _is_in(status: int, said: str) -> bool:
    return any(status in each for each in parse_statuses(said) or ())


def _retry_after(headers: Mapping[str, str]) -> int | None:
    # A date is meant by the clock of whoever said it, which the answer's own date tells.
    try:
        sent = parsedate_to_datetime(headers.get("date", "")).astimezone(UTC)
    except (ValueError, OverflowError):
        sent = now()
    wait = retrying.retry_after(headers.get("retry-after"), sent)
    return None if wait is None else math.ceil(wait)


def _clean(text: str, hide: Sequence[str]) -> str:
    """Take out what must not be kept, in every spelling that a gateway could repeat it in."""
    for each in hide:
        if each:
            packed = base64.b64encode(each.encode()).decode("ascii")
            for spelt in (each, msgspec.json.encode(each).decode()[1:-1], quote(each, safe=""), packed):
                text = text.replace(spelt, "\N{BULLET}" * 3)
    return _CONTROL.sub(" ", text)[:WORDS]


def _decoded(body: bytes, kind: str) -> Any:
    if "form-urlencoded" in kind:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)[:200])
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def values_at(found: Any, path: str) -> list[Any]:
    """Return what is at a path; several with `*`, none where the answer is not like that."""
    there = [found]
    for step in path.split(".") if path else []:
        after: list[Any] = []
        for node in there:
            if step == "*" and isinstance(node, list):
                after += node
            elif isinstance(node, list) and step.isascii() and step.isdigit() and int(step) < len(node):
                after.append(node[int(step)])
            elif isinstance(node, dict) and step in node:
                after.append(node[step])
        there = after
    return there


def _text_at(found: Any, path: str) -> str:
    if not path:
        return ""
    there = values_at(found, path)
    if not there or there[0] is None or isinstance(there[0], dict | list):
        return ""
    first = there[0]
    return str(first).lower() if isinstance(first, bool) else str(first)


# --- receipts ---


def is_proved(receipts: Receipts, secret: str, headers: Mapping[str, str], token: str, body: bytes) -> bool:
    """Tell whether a receipt comes from who knows the secret. Takes as long whatever is wrong with it."""
    if not secret:
        return False
    said = headers.get(receipts.header.lower(), "") if receipts.header else token
    if receipts.proof == "token":
        said = said or token
        return hmac.compare_digest(_digest(said.removeprefix(receipts.prefix)), _digest(secret))
    hashed = hmac.new(secret.encode(), body, hashlib.sha256 if receipts.proof == "hmac-sha256" else hashlib.sha1)
    given = said.strip().removeprefix(receipts.prefix)
    try:
        raw = base64.b64decode(given, validate=True) if receipts.encoding == "base64" else bytes.fromhex(given)
    except (ValueError, binascii.Error):
        raw = b""
    return hmac.compare_digest(raw, hashed.digest())


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def receipts_of(receipts: Receipts, kind: str, body: bytes) -> list[Receipt]:
    """Return what a gateway reports; what is no news (queued, sent) or names no message is left out."""
    found = _decoded(body, kind)
    there = values_at(found, receipts.items_path)
    if len(there) == 1 and isinstance(there[0], list):
        there = there[0]
    told: list[Receipt] = []
    statuses: list[tuple[Status, tuple[str, ...]]] = [
        (Status.DELIVERED, receipts.delivered),
        (Status.READ, receipts.read),
        (Status.BOUNCED, receipts.bounced),
    ]
    for item in there[:MOST_RECEIPTS]:
        reference = _text_at(item, receipts.id_path)[:200]
        said = _text_at(item, receipts.status_path)
        status = next((status for status, words in statuses if said in words), None)
        if status is None or not reference or "\x00" in reference:
            continue
        words = _text_at(item, receipts.words_path)
        told.append(
            Receipt(
                reference=reference,
                status=status,
                words=_clean(f"{said} {words}".strip(), ()),
                bad_address=status is Status.BOUNCED and words in receipts.bad_address,
                at=_instant(_text_at(item, receipts.at_path)),
            )
        )
    return told


def _instant(said: str) -> datetime | None:
    try:
        if said.isascii() and said.isdigit():
            seconds = int(said)
            return datetime.fromtimestamp(seconds / 1000 if seconds > 10**11 else seconds, UTC)
        found = datetime.fromisoformat(said) if said else None
    except (ValueError, OverflowError, OSError):
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
