"""The protocol of OpenID Connect: the authorization code flow with PKCE, as a relying party. No database.

    directory = oidc.directory_of(settings)                 # one per process: remembers documents and keys
    metadata = await directory.metadata(issuer)             # discovery
    address = oidc.authorization_address(metadata, ...)     # where the browser goes
    tokens = await oidc.exchange(out, metadata, ...)        # code for tokens
    claims = await directory.verified(metadata, tokens.id_token)

Everything here asks other servers: never inside a transaction. Nothing that a provider sends is believed before its
signature, and what a refusal says of it is bounded and holds no token.
"""

import asyncio
import hashlib
import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import msgspec

from malha.identity.errors import AnswerWrong
from malha.identity.provider_rules import ALGORITHMS
from malha.platform.errors import MalhaError
from malha.platform.i18n import N_, Word
from malha.platform.outward import Answer, Outward, OutwardRefused, OutwardUnanswered, OutwardUnreachable, check_address
from malha.platform.settings import Settings

TIMEOUT_S = 10.0
LARGEST = 512 * 1024  # bytes of an answer
NOT_ASKED = OutwardRefused, OutwardUnreachable, OutwardUnanswered
REMEMBERED_S = 600.0  # how long documents and keys of a provider are believed without asking again
AGAIN_S = 5.0  # keys are asked for again when one is unknown, but not more often
TOKEN_LENGTH = 64 * 1024
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,60}")
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider says about itself in its discovery document."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    response_types_supported: list[str] = msgspec.field(default_factory=lambda: ["code"])
    scopes_supported: list[str] | None = None
    claims_supported: list[str] | None = None
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(default_factory=lambda: ["client_secret_basic"])
    id_token_signing_alg_values_supported: list[str] = msgspec.field(default_factory=lambda: ["RS256"])
    code_challenge_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What the token endpoint gave. Its `repr` shows neither."""

    id_token: str
    access_token: str | None = None

    def __repr__(self) -> str:
        return "Tokens(...)"


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are at a provider. Its `repr` does not show the secret."""

    client_id: str
    secret: str | None
    redirect_uri: str

    def __repr__(self) -> str:
        return f"Client({self.client_id!r})"


class _Keys(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


class Directory:
    """What one process knows of providers: their documents and keys, asked for again after a while.

    Many people who come in at once ask once; and a provider that does not answer is not asked again for a moment, so
    that strangers who press its button cannot make this process ask it all the time.
    """

    def __init__(self, out: Outward) -> None:
        self.out = out
        self._documents: dict[str, tuple[float, Metadata]] = {}
        self._keys: dict[str, tuple[float, list[dict[str, Any]]]] = {}
        self._failed: dict[str, tuple[float, MalhaError]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def metadata(self, issuer: str, *, fresh: bool = False) -> Metadata:
        """Return what a provider says about itself; `fresh` asks it now.

        Raises:
            OutwardRefused, OutwardUnreachable, OutwardUnanswered: it could not be asked.
            AnswerWrong: its document is none, or calls itself otherwise.
        """
        async with self._one_asks(issuer):
            known, failed = self._documents.get(issuer), self._failed.pop(issuer, None)
            if not fresh and known is not None and known[0] + REMEMBERED_S > time.monotonic():
                return known[1]
            if not fresh and failed is not None and failed[0] + AGAIN_S > time.monotonic():
                self._failed[issuer] = failed
                raise type(failed[1])(**failed[1].facts)
            try:
                found = await discover(self.out, issuer)
            except MalhaError as error:
                self._failed[issuer] = (time.monotonic(), error)
                raise
            self._documents[issuer] = (time.monotonic(), found)
            return found

    async def verified(self, metadata: Metadata, token: str) -> dict[str, Any]:
        """Return the claims of an ID token whose signature is the provider's; a key that is new is asked for.

        Raises:
            AnswerWrong: no key of the provider made this signature, or not with an algorithm that is believed.
            OutwardRefused, OutwardUnreachable, OutwardUnanswered: the keys could not be asked for.
        """
        try:
            return verified_by(await self.keys(metadata), metadata, token)
        except AnswerWrong as error:
            if error.facts.get("detail") not in {"kid", "signature"}:
                raise
            return verified_by(await self.keys(metadata, older_than=AGAIN_S), metadata, token)

    async def keys(self, metadata: Metadata, *, older_than: float = REMEMBERED_S) -> list[dict[str, Any]]:
        """Return a provider's public keys, asked for again when what is known is older than so many seconds."""
        async with self._one_asks(metadata.jwks_uri):
            known = self._keys.get(metadata.jwks_uri)
            if known is None or known[0] + older_than <= time.monotonic():
                found = await fetch_keys(self.out, metadata)
                known = self._keys[metadata.jwks_uri] = (time.monotonic(), found)
        return known[1]

    def _one_asks(self, address: str) -> asyncio.Lock:
        """Return the lock of one address. Addresses change while a provider is set up: far too many are forgotten."""
        if len(self._asking) > 100:
            for memory in (self._documents, self._keys, self._failed, self._asking):
                memory.clear()
        return self._asking.setdefault(address, asyncio.Lock())


def directory_of(settings: Settings) -> Directory:
    """Return a process's own directory."""
    return Directory(Outward(settings.outward_allow, timeout_s=TIMEOUT_S, limit=LARGEST))


def check_endpoint(address: str) -> None:
    """Refuse the address of a provider that is not https, but for one on this machine, which also has to be listed.

    Raises:
        OutwardRefused: it is no web address, not https, or could not stand in a header.
    """
    check_address(address)
    parts = urlsplit(address)
    shown = f"{parts.scheme}://{parts.hostname}"
    if not address.isascii():
        raise OutwardRefused(address=shown, why=Word(N_("it is no web address")))
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise OutwardRefused(address=shown, why=Word(N_("it is not https")))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def discover(out: Outward, issuer: str) -> Metadata:
    """Ask a provider for its discovery document.

    Raises:
        OutwardRefused, OutwardUnreachable, OutwardUnanswered: it could not be asked.
        AnswerWrong: there is no such document, or it is another provider's.
    """
    answer = await out.send(
        "GET", issuer.rstrip("/") + "/.well-known/openid-configuration", headers={"Accept": "application/json"}
    )
    metadata: Metadata = _decoded(answer, Metadata, "discovery")
    if metadata.issuer != issuer:
        raise AnswerWrong(detail="issuer", found=metadata.issuer[:200])
    for address in (
        metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri, metadata.userinfo_endpoint,
        metadata.end_session_endpoint,
    ):  # fmt: skip
        if address is not None:
            check_endpoint(address)
    return metadata


async def fetch_keys(out: Outward, metadata: Metadata) -> list[dict[str, Any]]:
    """Ask a provider for its public keys."""
    answer = await out.send("GET", metadata.jwks_uri, headers={"Accept": "application/json"})
    found: _Keys = _decoded(answer, _Keys, "jwks")
    return found.keys


def challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier (RFC 7636)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def authorization_address(
    metadata: Metadata, client: Client, *, scopes: Sequence[str], state: str, nonce: str, verifier: str
) -> str:
    """Return where the browser goes to log in."""
    return _with_query(
        metadata.authorization_endpoint,
        {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": " ".join(scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        },
    )


def log_out_address(metadata: Metadata, *, client_id: str, back_to: str, id_token: str | None) -> str | None:
    """Return where the browser goes to end the provider's session too; None where the provider has no such place."""
    if metadata.end_session_endpoint is None:
        return None
    hint = {"id_token_hint": id_token} if id_token else {}
    return _with_query(
        metadata.end_session_endpoint, {"client_id": client_id, "post_logout_redirect_uri": back_to, **hint}
    )


def _with_query(address: str, terms: Mapping[str, str]) -> str:
    parts = urlsplit(address)
    query = "&".join(text for text in (parts.query, urlencode(terms, quote_via=quote)) if text)
    return parts._replace(query=query, fragment="").geturl()


async def exchange(out: Outward, metadata: Metadata, client: Client, *, code: str, verifier: str) -> Tokens:
    """Give a code for tokens.

    Raises:
        AnswerWrong: the provider refuses; `detail` is its own word, like `invalid_client` or `invalid_grant`.
        OutwardRefused, OutwardUnreachable, OutwardUnanswered: it could not be asked.
    """
    answer = await ask_for_tokens(out, metadata, client, code=code, verifier=verifier)
    if answer.status != 200:
        raise AnswerWrong(detail=error_in(answer))
    tokens: Tokens = _decoded(answer, Tokens, "token_response")
    if len(tokens.id_token) > TOKEN_LENGTH:
        raise AnswerWrong(detail="token_response")
    return tokens


async def ask_for_tokens(out: Outward, metadata: Metadata, client: Client, *, code: str, verifier: str) -> Answer:
    """Send a code to the token endpoint and return its answer, whatever it is."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": verifier,
    }
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    methods = metadata.token_endpoint_auth_methods_supported
    if client.secret is None:
        form["client_id"] = client.client_id
    elif "client_secret_basic" in methods:
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}"  # RFC 6749, 2.3.1
        headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    elif "client_secret_post" in methods:
        form |= {"client_id": client.client_id, "client_secret": client.secret}
    else:
        raise AnswerWrong(detail="token_endpoint_auth_methods")
    return await out.send("POST", metadata.token_endpoint, headers=headers, body=urlencode(form).encode())


def error_in(answer: Answer) -> str:
    """Return the error that an answer names, in one word, else its status."""
    try:
        said = msgspec.json.decode(answer.body).get("error")
    except (msgspec.DecodeError, AttributeError):
        said = None
    return said if isinstance(said, str) and _WORD.fullmatch(said) else f"http_{answer.status}"


async def userinfo(out: Outward, metadata: Metadata, tokens: Tokens, subject: str) -> dict[str, Any]:
    """Return what the provider says of the person besides the ID token; nothing where it has no such place.

    Raises:
        AnswerWrong: it speaks of somebody else, or not in plain JSON.
        OutwardRefused, OutwardUnreachable, OutwardUnanswered: it could not be asked.
    """
    if metadata.userinfo_endpoint is None or tokens.access_token is None:
        return {}
    headers = {"Accept": "application/json", "Authorization": f"Bearer {tokens.access_token}"}
    if not tokens.access_token.isprintable() or not tokens.access_token.isascii():
        raise AnswerWrong(detail="token_response")
    answer = await out.send("GET", metadata.userinfo_endpoint, headers=headers)
    found: dict[str, Any] = _decoded(answer, dict[str, Any], "userinfo")
    if found.get("sub") != subject:
        raise AnswerWrong(detail="userinfo")
    return found


def verified_by(keys: Sequence[Mapping[str, Any]], metadata: Metadata, token: str) -> dict[str, Any]:
    """Return the claims of an ID token that one of these public keys signed, with an algorithm that is believed.

    Raises:
        AnswerWrong: `detail` says whether the form, the algorithm, the key or the signature is wrong.
    """
    from joserfc import jwk, jws  # noqa: PLC0415 -- the first order does not need it
    from joserfc.errors import JoseError  # noqa: PLC0415

    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError):
        raise AnswerWrong(detail="id_token") from None
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS or algorithm not in metadata.id_token_signing_alg_values_supported:
        raise AnswerWrong(detail="alg")
    fitting = [key for key in keys if _fits(key, algorithm, header.get("kid"))]
    if not fitting:
        raise AnswerWrong(detail="kid")
    for key in fitting:
        try:
            read = jws.deserialize_compact(token, jwk.import_key(dict(key)), algorithms=[algorithm])
            claims = msgspec.json.decode(read.payload)
        except (JoseError, ValueError, TypeError):
            continue
        if isinstance(claims, dict):
            return claims
    raise AnswerWrong(detail="signature")


def _fits(key: Mapping[str, Any], algorithm: str, kid: Any) -> bool:
    """Return whether a key may have made a signature: a public one of the right kind, for signing, with this name."""
    return (
        key.get("kty") == _KINDS[algorithm[:2]]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (kid is None or key.get("kid") == kid)
    )


def _decoded(answer: Answer, into: Any, what: str) -> Any:
    if answer.status >= 500:
        raise OutwardUnanswered(host=what, answer=f"HTTP {answer.status}")
    if answer.status != 200:
        raise AnswerWrong(detail=what, found=f"HTTP {answer.status}")
    try:
        return msgspec.json.decode(answer.body, type=into)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise AnswerWrong(detail=what, found=str(error)[:200]) from None
