"""Malha behind deploy/nginx/malha.conf and deploy/caddy/Caddyfile: Debian's servers, a real certificate, a browser's headers."""

import asyncio
import http.client
import json
import os
import re
import select
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
import pytest
from tests.ports import free_port
from traffic import Serving, a_retailer, eventually, url_of

from malha.identity import service as identity
from malha.identity.model import Role
from malha.identity.service import PersonDraft
from malha.platform.db import Database
from malha.platform.embedded import EmbeddedPostgres

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
EMAIL, PASSWORD = "dona@loja.test", "correct horse battery"
OWN_SENTENCE = "body_too_large"


class Site(NamedTuple):
    http: httpx.Client
    url: str
    plain: str
    port: int
    key: str
    database: str
    said: Path
    trust: ssl.SSLContext


async def an_owner(url: str) -> None:
    async with Database(url, "malha") as db, db.transaction() as tx:
        await identity.create_person(
            tx, PersonDraft(name="Dona", email=EMAIL, role=Role("owner"), locations=None), password=PASSWORD
        )


def certificate(place: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", place / "key.pem", "-out", place / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip


def changed(text: str, *changes: tuple[str, str]) -> str:
    """Put the test's own ports, name and certificate into a recipe; a change that finds no place is a recipe nobody tests."""
    for pattern, wanted in changes:
        text, places = re.subn(pattern, wanted, text)
        assert places, pattern
    return text


def nginx(place: Path, *, plain: int, tls: int, port: int) -> list[str | Path]:
    recipe = changed(
        (DEPLOY / "nginx" / "malha.conf").read_text("utf-8"),
        (r"listen \[::\].*\n", "\n"),
        (r"listen 80;", f"listen 127.0.0.1:{plain};"),
        (r"listen 443 ", f"listen 127.0.0.1:{tls} "),
        (r"oms\.example\.com;", "localhost;"),
        (r"ssl_certificate .*;", f"ssl_certificate {place}/cert.pem;"),
        (r"ssl_certificate_key .*;", f"ssl_certificate_key {place}/key.pem;"),
        (r"127\.0\.0\.1:8000", f"127.0.0.1:{port}"),
    )
    (place / "malha.conf").write_text(recipe)
    (place / "bodies").mkdir()
    temporary = "".join(
        f"{kind}_temp_path {place}/bodies/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    (place / "nginx.conf").write_text(
        f"{user}daemon off;\npid {place}/nginx.pid;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}include {place}/malha.conf;\n}}\n"
    )
    return ["-c", place / "nginx.conf", "-e", "stderr"]


def caddy(place: Path, *, plain: int, tls: int, port: int) -> list[str | Path]:
    recipe = changed(
        (DEPLOY / "caddy" / "Caddyfile").read_text("utf-8"),
        (r"(?m)^oms\.example\.com \{", f"localhost {{\n\tbind 127.0.0.1\n\ttls {place}/cert.pem {place}/key.pem\n"),
        (r"127\.0\.0\.1:8000", f"127.0.0.1:{port}"),
    )
    (place / "Caddyfile").write_text(f"{{\n\tadmin off\n\thttp_port {plain}\n\thttps_port {tls}\n}}\n{recipe}")
    return ["run", "--config", place / "Caddyfile", "--adapter", "caddyfile"]


RECIPES = {"nginx": nginx, "caddy": caddy}


def answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=5)
    except httpx.TransportError:
        return False
    return True


@pytest.fixture(scope="module", params=sorted(RECIPES))
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    program = shutil.which(request.param, path=PATH)
    if program is None and not os.environ.get("CI"):
        pytest.skip(f"needs {request.param}; set-up installs it in CI only, because its package starts a server")
    assert program is not None, f"{request.param} is missing"
    place = Path(tempfile.mkdtemp(prefix="malha-x-"))
    place.chmod(0o755)  # as root the server's user must reach what is in it
    home, plain, tls, port = place / "data", free_port(), free_port(), free_port()
    with EmbeddedPostgres(home) as server:
        key = a_retailer(server.url)
        asyncio.run(an_owner(server.url))
    certificate(place)
    arguments = RECIPES[request.param](place, plain=plain, tls=tls, port=port)
    with (place / "said").open("wb") as said:
        proxy = subprocess.Popen(
            [program, *arguments],
            stdout=said,
            stderr=said,
            env={**os.environ, "HOME": str(place), "XDG_DATA_HOME": str(place)},
        )
    public, trust = f"https://localhost:{tls}", ssl.create_default_context(cafile=place / "cert.pem")
    try:
        with (
            Serving(
                home, "--web-workers", "1", port=port, MALHA_PUBLIC_URL=public, MALHA_TRUSTED_PROXIES="127.0.0.1",
                MALHA_UPLOAD_LIMIT_MB="1",
            ) as malha,
            httpx.Client(base_url=public, verify=trust, timeout=30) as http,
        ):  # fmt: skip
            plainly = f"http://localhost:{plain}"
            eventually(lambda: proxy.poll() is not None or answers(plainly))
            assert proxy.poll() is None, (place / "said").read_text()
            yield Site(http, public, plainly, port, key, url_of(home), malha.log, trust)
    finally:
        proxy.send_signal(signal.SIGTERM)
        proxy.wait(30)
        shutil.rmtree(place, ignore_errors=True)


def sign_in(site: Site, **headers: str) -> httpx.Response:
    site.http.cookies.clear()
    form = {"email": EMAIL, "password": PASSWORD}
    return site.http.post("/login", data=form, headers={"origin": site.url, "sec-fetch-site": "same-origin", **headers})


def test_a_person_signs_in_with_a_cookie_that_only_travels_encrypted(site: Site) -> None:
    entered = sign_in(site)
    assert entered.status_code == 303, entered.text
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert "Secure" in cookie
    page = site.http.get("/orders")
    assert page.status_code == 200
    assert page.headers["strict-transport-security"] == "max-age=31536000"


def test_a_form_of_another_site_is_refused_also_one_that_lacks_only_the_encryption(site: Site) -> None:
    assert sign_in(site, **{"sec-fetch-site": "cross-site", "origin": "https://evil.test"}).status_code == 403
    without = {"origin": site.url.replace("https", "http")}
    assert site.http.post("/login", data={"email": EMAIL}, headers=without).status_code == 403


def test_a_refusal_before_the_body_has_come_leaves_the_connection_good_for_the_next(site: Site) -> None:
    """Proxies keep connections: one that our server closed without a word would answer the next request with 502."""
    with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=30)) as proxy:
        proxy.connect()
        kept = proxy.sock
        for _ in range(3):
            proxy.putrequest("POST", "/login")
            proxy.putheader("origin", "https://evil.test")
            proxy.putheader("content-length", "10")
            proxy.endheaders()
            answered_early, _, _ = select.select([kept], [], [], 0.02)
            assert not answered_early
            proxy.send(b"email=dona")
            answer = proxy.getresponse()
            assert (answer.status, bool(answer.read())) == (403, True)
            assert proxy.sock is kept


def test_the_log_names_the_caller_and_not_the_proxy_nor_what_the_caller_made_up(site: Site) -> None:
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2", verify=site.trust)
    with httpx.Client(base_url=site.url, transport=elsewhere) as caller:
        caller.get("/login", headers={"x-forwarded-for": "203.0.113.9", "x-request-id": "of-this-very-test"})
    lines = eventually(lambda: [line for line in site.said.read_text().splitlines() if "of-this-very-test" in line])
    assert json.loads(lines[0])["source"] == "127.0.0.2"


def test_events_arrive_while_the_page_is_open(site: Site) -> None:
    assert sign_in(site).status_code == 303
    with site.http.stream("GET", "/events/orders") as live:
        assert live.headers["content-type"].startswith("text/event-stream")
        pieces = live.iter_text()
        assert "event: here" in next(pieces)
        placed = httpx.post(
            f"{site.url}/v1/orders",
            verify=site.trust,
            headers={"authorization": f"Bearer {site.key}"},
            json={
                "channel": "web", "external_id": "live", "customer": {"name": "Maria"},
                "ship_to": {"postal_code": "01310100", "city": "São Paulo", "state": "SP", "street": "Av. Paulista", "number": "1"},
                "lines": [{"sku": "SKU1", "quantity": 1, "unit_price": 1990}],
            },
        )  # fmt: skip
        assert placed.status_code == 201, placed.text
        # A proxy that gathers the answer would keep this one until the stream ends, minutes later.
        heard = ""
        while "event: orders" not in heard:
            heard += next(pieces)


def test_a_body_that_is_too_large_is_refused_with_malhas_own_sentence(site: Site) -> None:
    refused = site.http.post(
        "/v1/orders", content=b"x" * (1024 * 1024 + 1), headers={"authorization": f"Bearer {site.key}"}
    )
    assert refused.status_code == 413
    assert refused.json()["code"] == OWN_SENTENCE


def test_metrics_are_not_for_the_world(site: Site) -> None:
    assert site.http.get("/metrics").status_code == 404
    with psycopg.connect(site.database) as connection:
        assert connection.execute("SELECT count(*) FROM malha.person").fetchone() == (1,)


def test_plain_http_is_sent_to_tls(site: Site) -> None:
    sent = httpx.get(f"{site.plain}/orders?page=2")
    assert sent.status_code == 308
    assert sent.headers["location"].startswith("https://localhost")
    assert sent.headers["location"].endswith("/orders?page=2")
