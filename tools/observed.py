"""What Malha measures and logs, read from its source: every metric it declares and every line it can write."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parent.parent / "src" / "malha"
KINDS = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}
LEVELS = ("debug", "info", "warning", "error", "exception")
_TOOLS = ("bench", "testing", "demo")  # parts that are not what an operator watches


class Metric(NamedTuple):
    """One metric: its name, what kind it is, what it says, its labels, and the names of its series."""

    name: str
    kind: str
    says: str
    labels: list[str]

    @property
    def series(self) -> list[str]:
        """Return the names as Prometheus stores them."""
        return [self.name + suffix for suffix in KINDS[self.kind]]


class Line(NamedTuple):
    """One log line: its event, its level, its facts, and the module that writes it."""

    event: str
    level: str
    facts: list[str]
    module: str


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[0] in _TOOLS:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield ".".join(parts), node


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def metrics() -> list[Metric]:
    """Return every metric, by name."""
    found = []
    for _, call in _calls():
        if isinstance(call.func, ast.Name) and call.func.id in KINDS and len(call.args) > 1:
            name, says = _text(call.args[0]), _text(call.args[1])
            if name and says and name.startswith("malha_"):
                labels = call.args[2] if len(call.args) > 2 else None
                names = [str(_text(item)) for item in labels.elts] if isinstance(labels, ast.Tuple | ast.List) else []
                found.append(Metric(name, call.func.id, says, names))
    return sorted(found)


def _of_rounds(call: ast.Call) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield the lines that `platform.rounds` writes for whoever calls it: event, level, facts."""
    if not isinstance(call.func, ast.Name) or call.func.id not in {"Rounds", "tell"}:
        return
    said = {str(keyword.arg): _text(keyword.value) for keyword in call.keywords}
    facts = tuple(name for name in said if name not in {"waits", "failed", "also"})
    if call.func.id == "Rounds" and said.get("waits") and said.get("failed"):
        yield str(said["waits"]), "warning", ("error", *facts)
        yield str(said["failed"]), "error", (*facts, "exception")
    elif call.func.id == "tell" and len(call.args) > 1 and (event := _text(call.args[1])):
        yield event, "warning", ("error", *facts)
        yield event, "error", (*facts, "exception")


def lines() -> list[Line]:
    """Return every line of the log, by event."""
    found = set()
    for module, call in _calls():
        function = call.func
        if (
            isinstance(function, ast.Attribute)
            and function.attr in LEVELS
            and isinstance(function.value, ast.Name)
            and function.value.id in {"log", "_log", "logger"}
            and call.args
            and (event := _text(call.args[0]))
        ):
            level = "error" if function.attr == "exception" else function.attr
            facts = [str(keyword.arg) for keyword in call.keywords if keyword.arg and keyword.arg != "exc_info"]
            found.add((event, level, tuple(facts + ["exception"] * (function.attr == "exception")), module))
        found.update((event, level, facts, module) for event, level, facts in _of_rounds(call))
    return [Line(event, level, list(facts), module) for event, level, facts, module in sorted(found)]


def metrics_page(generated: str) -> str:
    """Return docs/reference/metrics.md."""
    page = [
        "# Metrics",
        "",
        "What `/metrics` answers, in Prometheus' text format: summed over the web processes and the worker of one",
        f"machine, and over those that were replaced. Switched off by `MALHA_METRICS=false`. {generated}",
        "",
        "Rules that alert are in [deploy/prometheus](../../deploy/prometheus/malha-rules.yml); what to do then is in",
        "[Run it day by day](../how-to/operate.md).",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in metrics():
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
        shown = metric.series[0] if metric.kind == "Counter" else metric.name
        page.append(f"| `{shown}` | {metric.kind.lower()} | {labels} | {metric.says} |")
    return "\n".join(page) + "\n"


def logs_page(generated: str) -> str:
    """Return docs/reference/logs.md."""
    page = [
        "# Log lines",
        "",
        "On standard error, one JSON object a line (`MALHA_LOG_FORMAT=json`) or readable lines on a terminal. Each has",
        "`timestamp`, `level`, `event` and `role` (`main`, `web:1`, `worker` ...), and within a request `request_id`,",
        "which the answer carried as `X-Request-Id`. Passwords, keys and personal data are taken out before anything",
        f"is written. {generated}",
        "",
        "A request is one line, `request`: `method`, `route`, `path`, `status`, `ms`, `source`, `actor`, `problem`.",
        "",
        "| event | level | facts | written by |",
        "|---|---|---|---|",
    ]
    for line in lines():
        facts = ", ".join(f"`{fact}`" for fact in line.facts) or "none"
        page.append(f"| `{line.event}` | {line.level} | {facts} | `{line.module}` |")
    return "\n".join(page) + "\n"
