"""Traces reach a collector by OTLP over HTTP: a request, its batch, its statements, and what the worker did of it."""

import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest
from traffic import Serving, a_retailer_in, buyers, drained, environment, eventually, url_of

proto = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")


class Collector:
    """An OTLP receiver of its own, on a port of its own."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, object]] = []  # role, span
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                collector.took(self.path, body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})

    def took(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        for resource in proto.ExportTraceServiceRequest.FromString(body).resource_spans:
            role = next(a.value.string_value for a in resource.resource.attributes if a.key == "malha.role")
            self.spans += [(role, span) for scope in resource.scope_spans for span in scope.spans]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def named(self, start: str) -> list:
        return [span for _, span in self.spans if span.name.startswith(start)]


@pytest.fixture
def home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="malha-t-"))
    place.chmod(0o755)  # as root the server's user must reach what is in it
    yield place
    shutil.rmtree(place, ignore_errors=True)


def test_an_order_is_followed_from_its_request_through_the_batch_to_the_statements_and_the_worker(home: Path) -> None:
    key = a_retailer_in(home)
    with Collector() as collector:
        variables = {"MALHA_OTLP_ENDPOINT": collector.url, "MALHA_TRACE_PERCENT": "100"}
        with Serving(home, "--web-workers", "1", **variables) as server:
            with buyers(3, server.port, key) as at_work:
                eventually(lambda: all(len(buyer.acknowledged) > 3 for buyer in at_work))
            drained(url_of(home))
            server.stop()  # what is not sent yet is sent now
        assert [failure for buyer in at_work for failure in buyer.failures] == []
        placed = sum(len(buyer.acknowledged) for buyer in at_work)
        requests = collector.named("POST /v1/orders")
        assert len(requests) == placed
        by_id = {span.span_id: span for _, span in collector.spans}
        batches = collector.named("gate batch")
        parents = {batch.parent_span_id for batch in batches} | {link.span_id for b in batches for link in b.links}
        assert parents == {span.span_id for span in requests}  # every request leads to its batch
        statements = [span for span in collector.named("sql ") if by_id.get(span.parent_span_id) in batches]
        assert {"sql inventory.writes"} <= {".".join(span.name.split(".")[:2]) for span in statements}
        assert collector.named("subscriber ")
        assert {role for role, _ in collector.spans} == {"web:1", "worker"}
        said = "".join(str(span) for _, span in collector.spans)
        assert "Maria" not in said
        assert "01310100" not in said
        assert key not in said


def test_a_collector_that_is_not_there_stops_nothing(home: Path) -> None:
    key = a_retailer_in(home)
    with Serving(
        home, "--web-workers", "1", MALHA_OTLP_ENDPOINT="http://127.0.0.1:9", MALHA_TRACE_PERCENT="100"
    ) as server:
        with buyers(1, server.port, key) as at_work:
            eventually(lambda: len(at_work[0].acknowledged) > 3)
        assert server.stop() == 0
    assert at_work[0].failures == []


def test_without_an_endpoint_nothing_of_it_is_even_imported(home: Path) -> None:
    script = (
        "import sys, malha.cli.serve, malha.cli.worker, malha.app, malha.worker\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry') or m == 'malha.cli.instruments'])"
    )
    asked = [sys.executable, "-W", "ignore", "-c", script]
    said = subprocess.run(asked, env=environment(home), capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
