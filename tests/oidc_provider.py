"""OpenID providers for tests, over real HTTP.

`honest()` runs somebody else's: `oidc-provider-mock`, made of Authlib's server parts, in a process of its own.
`Hostile` is ours, in a thread: it checks what a strict provider checks (client, redirect URI, PKCE, one use of a code)
and lies on demand.
"""

import base64
import hashlib
import json
import secrets
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import RSAKey
from tests.ports import free_port

CLIENT, SECRET = "malha-test", "a client's secret"


@contextmanager
def honest(*people: dict[str, Any]) -> Iterator[str]:
    """Run oidc-provider-mock and yield its issuer; these people can be chosen on its page."""
    port = free_port()
    claims = [word for person in people for word in ("--user-claims", json.dumps(person))]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-p", str(port), "-n", "true", *claims]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=5).close()  # noqa: S310
                break
            except OSError:
                assert server.poll() is None, "oidc-provider-mock stopped"
                assert time.monotonic() < deadline, "oidc-provider-mock did not start"
                time.sleep(0.1)
        yield issuer
    finally:
        server.terminate()
        server.wait(10)


def encoded(data: bytes) -> str:
    """Base64 as tokens have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Hostile:
    """A provider that is strict with us, and lies when told to."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
        self.published = [self.key.as_dict()]
        self.person: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}  # what the document says besides or instead
        self.change: Callable[[dict[str, Any]], dict[str, Any]] = dict  # what becomes of the claims
        self.sign: Callable[[dict[str, Any]], str] = self.signed
        self.answer_iss: str | None = ""  # RFC 9207; empty: the issuer, None: none
        self.state: str | None = None  # instead of the one that was sent
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}  # instead of what is there
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.public = False  # whether the client has no secret
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def signed(self, claims: dict[str, Any], *, key: RSAKey | None = None, **header: Any) -> str:
        key = key or self.key
        head = {"alg": "RS256", "kid": key.kid, **header}
        return jws.serialize_compact(head, json.dumps(claims), key, algorithms=[head["alg"]])

    def unsigned(self, claims: dict[str, Any]) -> str:
        return f"{encoded(json.dumps({'alg': 'none'}).encode())}.{encoded(json.dumps(claims).encode())}."

    def document(self) -> dict[str, Any]:
        at = self.issuer
        return {
            "issuer": at,
            "authorization_endpoint": f"{at}/authorize",
            "token_endpoint": f"{at}/token",
            "jwks_uri": f"{at}/jwks",
            "userinfo_endpoint": f"{at}/userinfo",
            "end_session_endpoint": f"{at}/end",
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "email", "profile"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def authorize(self, asked: dict[str, str]) -> str:
        """Return where the browser is sent back to."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        terms = {"code": code, "state": self.state if self.state is not None else asked["state"]}
        if self.answer_iss is not None:
            terms["iss"] = self.answer_iss or self.issuer
        return f"{asked['redirect_uri']}?{urlencode(terms)}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else ""
        wanted = f"{CLIENT}:{urlencode({'': SECRET})[1:]}"
        allowed = given == wanted or (self.public and not given and form.get("client_id") == CLIENT)
        allowed = allowed or (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        if not allowed:
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form["code"], None)
        challenge = encoded(hashlib.sha256(form["code_verifier"].encode()).digest())
        if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = self.change(
            {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.person}
        )
        return 200, {"access_token": "an-access-token", "token_type": "Bearer", "id_token": self.sign(claims)}

    def _handler(self) -> type[BaseHTTPRequestHandler]:  # noqa: C901 -- one place for each address
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def _send(self, status: int, body: Any, **headers: str) -> None:
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def _serve(self, form: dict[str, str]) -> None:
                parts = urlsplit(self.path)
                provider.asked.append((parts.path, form or dict(parse_qsl(parts.query))))
                if parts.path in provider.pages:
                    status, headers, body = provider.pages[parts.path]
                    self._send(status, body, **headers)
                elif parts.path.endswith("/.well-known/openid-configuration"):
                    self._send(200, provider.document())
                elif parts.path == "/jwks":
                    self._send(200, {"keys": provider.published})
                elif parts.path == "/authorize":
                    self._send(302, b"", location=provider.authorize(dict(parse_qsl(parts.query))))
                elif parts.path == "/token":
                    self._send(*provider.token(form, self.headers.get("authorization", "")))
                elif parts.path == "/userinfo":
                    assert self.headers["authorization"] == "Bearer an-access-token"
                    self._send(200, provider.person)
                else:
                    self._send(200, b"<h1>Logged out</h1>", **{"content-type": "text/html"})

            def do_GET(self) -> None:
                self._serve({})

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                found = parse_qs(self.rfile.read(length).decode())
                self._serve({name: values[0] for name, values in found.items()})

        return Handler
