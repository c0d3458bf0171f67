"""Logs: JSON lines with the request's id, and nothing secret or personal in them."""

import io
import json
import logging
import subprocess
import sys

import pytest
import structlog
from structlog.contextvars import clear_contextvars

from malha.platform import logs


@pytest.fixture
def lines():
    written = io.StringIO()
    logs.configure("info", "json", role="web", stream=written)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if not isinstance(handler, logs._Handler)]
    root.setLevel(logging.WARNING)
    structlog.reset_defaults()
    clear_contextvars()


def test_a_line_says_what_when_how_bad_who_and_for_which_request(lines) -> None:
    logs.bind_request("r-1", route="/v1/orders")
    structlog.get_logger("malha.x").info("order_placed", order_id="0190", lines=2)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "order_placed", "level": "info", "role": "web", "request_id": "r-1", "route": "/v1/orders", "order_id": "0190", "lines": 2,
    }  # fmt: skip


def test_other_libraries_write_the_same_lines(lines) -> None:
    logging.getLogger("granian").warning("slow %s", "start")
    logging.getLogger("granian").info("token=abcdef went by", extra={"password": "x"})
    first, second = lines()
    assert (first["event"], first["level"], first["logger"]) == ("slow start", "warning", "granian")
    assert (second["event"], second["password"]) == ("token=[redacted] went by", "[redacted]")


def test_what_is_below_the_level_is_not_written(lines) -> None:
    structlog.get_logger().debug("noise")
    assert lines() == []


def test_an_exception_is_one_line_with_its_traceback(lines) -> None:
    try:
        [].index("no such thing")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines()
    assert "ValueError: 'no such thing' is not in list" in line["exception"]


@pytest.mark.parametrize(
    "facts",
    [
        {"password": "hunter2"},
        {"buyer_name": "hunter2"},
        {"headers": {"Authorization": "hunter2", "X-Api-Key": "hunter2", "cookie": "hunter2"}},
        {"order": {"buyer": {"name": "hunter2"}}},
        {"customers": [{"email": "hunter2"}]},
        {"address": {"street": "hunter2", "postal_code": "hunter2"}},
        {"cpf": "hunter2"},
        {"error": "connection to postgresql://malha:hunter2@db/malha failed"},
        {"error": "Authorization: Bearer hunter2hunter2"},
        {"error": "secret=hunter2"},
        {"pickup_code": "hunter2"},
    ],
)
def test_secrets_are_taken_out_by_name_and_by_shape(lines, facts: dict) -> None:
    structlog.get_logger().info("x", **facts)
    (line,) = lines()
    assert "hunter2" not in json.dumps(line)
    assert logs.REDACTED in json.dumps(line)


@pytest.mark.parametrize(
    "text", ["maria.silva@example.com.br", "529.982.247-25", "12.ABC.345/01DE-35", "+5511987654321"]
)
def test_personal_data_is_recognised_inside_texts(lines, text: str) -> None:
    structlog.get_logger().warning(f"could not reach {text} today", cause=f"bounced: {text}")
    (line,) = lines()
    assert text not in json.dumps(line)


def test_ids_and_numbers_stay(lines) -> None:
    facts = {
        "order_id": "01900000-0000-7000-8000-000000000000",
        "number": 10_345,
        "document_id": "7",
        "sku": "CAM-001",
        "total": 12_990,
    }
    structlog.get_logger().info("x", **facts)
    (line,) = lines()
    assert {name: line[name] for name in facts} == facts


def test_a_terminal_gets_readable_lines() -> None:
    script = "import structlog; from malha.platform import logs; logs.configure('info', 'console'); structlog.get_logger().info('hello', n=1)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
    assert "hello" in said
    assert not said.startswith("{")


def test_a_terminal_is_shown_where_it_failed_but_no_variable_and_nothing_secret() -> None:
    script = """
import structlog
from malha.platform import logs
logs.configure("info", "console")

def log_in(password):
    raise ValueError("no session for ana@loja.example")

try:
    log_in("".join(["azul", "ejado"]))
except ValueError:
    structlog.get_logger().exception("failed")
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
    assert "in log_in" in said
    assert "ValueError: no session for [redacted]" in said
    assert "azulejado" not in said
