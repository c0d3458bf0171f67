"""Load from a separate process: wrk with a script of ours, and pgbench."""

import re
import shutil
import subprocess
from pathlib import Path

import msgspec

SCRIPT = """
local threads = 0
function setup(thread) thread:set("tid", threads); threads = threads + 1 end
local n = 0
local hot = {hot}
function init(args)
  math.randomseed({seed} + tid * 7919)
  prefix = "{prefix}-" .. tid .. "-"
  headers = {{ ["Content-Type"] = "application/json", ["Authorization"] = "Bearer {key}" }}
end
local states = {{ "SP", "RJ", "MG", "BA", "PE", "CE", "PR", "RS", "GO", "AM" }}
local ceps = {{ "01310100", "20040002", "30130100", "40020000", "50030230", "60025060", "80010000", "90010000",
  "74003010", "69005010" }}
function request()
  n = n + 1
  local lines
  if hot then
    lines = '{{"sku":"{hot_sku}","quantity":1,"unit_price":1990}}'
  else
    lines = string.format(
      '{{"sku":"SKU%d","quantity":1,"unit_price":1990}},{{"sku":"SKU%d","quantity":2,"unit_price":4990}}',
      math.random(1, {skus}), math.random(1, {skus}))
  end
  local to = math.random(1, 10)
  local body = string.format(
    '{{"channel":"web","external_id":"%s%d","customer":{{"name":"Maria da Silva","email":"m%d@example.com"}},' ..
    '"ship_to":{{"postal_code":"%s","city":"Sao Paulo","state":"%s","street":"Av Paulista","number":"1000"}},' ..
    '"lines":[%s]}}', prefix, n, n, ceps[to], states[to], lines)
  return wrk.format("POST", "/v1/orders", headers, body)
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d\\n",
    summary.requests, summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout, summary.duration, latency:percentile(50), latency:percentile(95),
    latency:percentile(99), latency.max))
end
"""


class LoadResult(msgspec.Struct, frozen=True):
    """What the load generator saw. Latencies in milliseconds."""

    answered: int
    refused: int  # answered with a status of 400 or more
    broken: int  # connection errors and time-outs
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def accepted(self) -> int:
        """How many orders were acknowledged."""
        return self.answered - self.refused

    @property
    def per_second(self) -> float:
        """Acknowledged orders a second."""
        return self.accepted / self.seconds


class LoadMissing(RuntimeError):
    """The load generator is not installed."""


def orders(
    url: str,
    key: str,
    work: Path,
    *,
    prefix: str,
    seconds: int,
    connections: int,
    skus: int,
    hot_sku: str | None = None,
) -> LoadResult:
    """Run `connections` closed-loop buyers for `seconds`.

    Raises:
        LoadMissing: wrk is not installed.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadMissing("The benchmark needs wrk. Install it: apt-get install wrk")
    script = work / f"{prefix}.lua"
    script.write_text(
        SCRIPT.format(
            hot="true" if hot_sku else "false",
            hot_sku=hot_sku or "",
            seed=len(prefix) * 7,
            prefix=prefix,
            key=key,
            skus=skus,
        )
    )
    done = subprocess.run(  # noqa: S603 - our own arguments
        [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), url],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"RESULT (.+)", done.stdout)
    if found is None:
        raise RuntimeError(done.stdout + done.stderr)
    requests, status, broken, duration, p50, p95, p99, _ = map(int, found[1].split())
    return LoadResult(requests, status, broken, duration / 1e6, p50 / 1e3, p95 / 1e3, p99 / 1e3)


def pgbench_init(binary: Path, url: str, scale: int) -> None:
    """Make pgbench's TPC-B tables at a scale (100,000 accounts each)."""
    subprocess.run([binary, "-i", "-q", "-s", str(scale), url], check=True, capture_output=True)  # noqa: S603


def pgbench(binary: Path, url: str, *, seconds: int, clients: int, protocol: str = "prepared") -> float:
    """Run TPC-B by a protocol of pgbench's (`simple` is its default); return transactions a second."""
    done = subprocess.run(  # noqa: S603 - our own arguments
        [binary, "-n", "-M", protocol, "-c", str(clients), "-j", "2", "-T", str(seconds), url],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"tps = ([0-9.]+) \(without initial", done.stdout)
    if found is None:
        raise RuntimeError(done.stdout + done.stderr)
    return float(found[1])
