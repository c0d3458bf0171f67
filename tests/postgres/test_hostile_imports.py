"""Damaged tables and batches against a real database: written whole, or refused whole, and never a fault."""

import asyncio
import io
import json
import random
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from malha.app import create_app
from malha.doctor import examine
from malha.exchange import kinds
from malha.exchange.model import Kind
from malha.identity import service as identity
from malha.inventory.allotments import service as fences
from malha.inventory.allotments.model import AllotmentDraft, FenceRow
from malha.inventory.allotments.model import Kind as Fencing
from malha.platform.db import Database
from malha.platform.errors import MalhaError
from malha.platform.imports import Mode, run_import
from malha.platform.settings import Settings
from malha.testing.builders import a_network, a_product

FINGERPRINT = """
SELECT md5(concat((SELECT string_agg(t::text, '|' ORDER BY id) FROM product t),
                  (SELECT string_agg(t::text, '|' ORDER BY id) FROM variant t),
                  (SELECT string_agg(t::text, '|' ORDER BY sku_id, location_id) FROM balance t),
                  (SELECT count(*) FROM movement),
                  (SELECT string_agg(concat_ws(' ', sku_id, location_id, wanted), '|' ORDER BY sku_id, location_id)
                   FROM fence_stock),
                  (SELECT string_agg(t::text, '|' ORDER BY id) FROM location t),
                  (SELECT string_agg(t::text, '|' ORDER BY id) FROM establishment t),
                  (SELECT string_agg(t::text, '|' ORDER BY id) FROM safety_rule t),
                  (SELECT string_agg(t::text, '|' ORDER BY id) FROM ahead_policy t),
                  (SELECT string_agg(t::text, '|' ORDER BY id) FROM customer t)))
"""
SEEDS = {
    Kind.PRODUCTS: "sku;produto;nome;preço;ncm;ean;option:Cor;categoria;components\nA-1;A;Blusa;12,90;61091000;7891000315507;Azul;Moda > Blusas;\nA-2;A;Blusa;12,90;61091000;;Verde;;\nK-1;;Kit;99,00;;;;;G-1:2\n",
    Kind.PRICES: "sku;preço\nG-1;12,90\nG-2;1.234,50\n",
    Kind.STOCK: "sku;local;quantidade\nG-1;DC;10\nG-2;S1;3\n",
    Kind.LOCATIONS: "código;nome;cnpj;cep;uf;latitude\nSP09;Paulista;12.ABC.345/01DE-35;01310-100;SP;-23,5\n",
    Kind.ALLOTMENTS: "allotment;sku;local;quantidade\nAPP;G-1;DC;10\nAPP;G-2;DC;3\n",
    Kind.SAFETY_RULES: "código;nome;medida;quantidade;local;uf;sku;fim\nR-1;Reserva;percent;10;DC;;G-1;27/11/2026\nR-2;Outra;;2;;SP;;\n",
    Kind.AHEAD_POLICIES: "produto;sku;canal;modo;lançamento;limite;horizonte\nA;;;backorder;;10;30\n;G-1;web;preorder;27/11/2026;;\n",
    Kind.LISTINGS: "conexão;sku;campo;valor\nloja;G-1;title;Só na loja\nloja;G-2;images;https://a.example/1\n",
    Kind.CUSTOMERS: "nome;cpf;email;telefone\nAna;111.444.777-35;ana@example.com;11 98765-4321\nBia;529.982.247-25;;\n",
}
NASTY = ["\x00", '"', ";;;;", "9" * 400, "-1", "2147483648", "9223372036854775808", "'", "=1+1", "ﷺ", "\u202e", "\n", "\r", "NaN", "\ufffd", " " * 300,
         "G-1", "DC", "%s", "\\", "1e5", "{}", "\U0001f600", "a" * 3_000, "01/01/0000", "0,0000001", ":", ">", "|"]  # fmt: skip


def damaged(text: str, seed: int) -> str:
    rng = random.Random(seed)
    made = text
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(4):
            case 0:
                made = made[:at] + rng.choice(NASTY) + made[at:]
            case 1:
                made = made[:at] + made[at + rng.randint(1, 12) :]
            case 2:
                lines = made.splitlines(keepends=True)
                rng.shuffle(lines)
                made = "".join(lines[: rng.randint(1, len(lines))]) if lines else ""
            case _:
                cells = made.split(";")
                cells[rng.randrange(len(cells))] = rng.choice(NASTY)
                made = ";".join(cells)
    return made


class Desk:
    """One retailer, its application, and a loop of their own, for all examples of a test."""

    def __init__(self, runner: asyncio.Runner, database: Database, http: httpx.AsyncClient) -> None:
        self.run: Callable[..., Any] = runner.run
        self.database = database
        self.http = http


@pytest.fixture(scope="module")
def desk(template_url: str, retailer_on, tmp_path_factory) -> Iterator[Desk]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        yield runner.run(_open(stack, runner, template_url, retailer_on, tmp_path_factory.mktemp("home")))
        runner.run(stack.aclose())


async def _open(stack: AsyncExitStack, runner: asyncio.Runner, url: str, retailer_on, home: Path) -> Desk:
    database = await stack.enter_async_context(retailer_on(url))
    async with database.transaction() as tx:
        world = await a_network(tx)
        for sku in ("G-1", "G-2"):
            await a_product(tx, world, sku, stock={"DC": 1_000_000})
        stock = (FenceRow("G-1", "DC", 2),)
        await fences.put(
            tx, AllotmentDraft(code="APP", name="App", kind=Fencing.FENCE, channels=("web",), stock=stock), None
        )
        key = await identity.create_key(tx, name="batch", permissions=["intake:submit"])
    app = create_app(Settings(database_url=database.url, data_dir=home, log_level="error"))
    await stack.enter_async_context(app.lifespan())
    headers = {"authorization": f"Bearer {key.secret}", "accept-language": "en"}
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test", headers=headers)
    return Desk(runner, database, await stack.enter_async_context(http))


fuzzed = settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


@fuzzed
@given(
    kind=st.sampled_from(list(Kind)),
    seed=st.integers(0, 2**32),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16"]),
)
def test_a_damaged_table_is_written_whole_or_not_at_all(desk: Desk, kind: Kind, seed: int, encoding: str) -> None:
    data = damaged(SEEDS[kind], seed).encode(encoding, "replace")

    async def bring() -> None:
        async with desk.database.transaction() as tx:
            before = await tx.value(FINGERPRINT)
        try:
            report = await run_import(desk.database, kinds.target_of(kind), io.BytesIO(data), mode=Mode.ALL)
        except MalhaError:
            applied = 0
        else:
            assert report.applied == (report.bad == 0)
            applied = report.created + report.changed if report.applied else 0
            assert all(problem.text("pt-BR") for problem in report.problems)
        async with desk.database.transaction() as tx:
            after = await tx.value(FINGERPRINT)
        assert (before == after) == (applied == 0), data

    desk.run(bring())


def test_what_damaged_tables_wrote_agrees_with_the_ledger(desk: Desk) -> None:
    report = desk.run(examine(desk.database))
    assert not [finding for finding in report.findings if finding.drifts]


ORDER = '{"channel":"mall","external_id":"%s","lines":[{"sku":"G-1","quantity":1,"unit_price":100}],"customer":{"name":"Zé"}}'


@fuzzed
@given(seed=st.integers(0, 2**32))
def test_a_damaged_order_in_a_batch_harms_no_other(desk: Desk, seed: int) -> None:
    rng = random.Random(seed)
    good = [ORDER % f"{seed}-{n}" for n in range(3)]
    bad = damaged(ORDER % f"{seed}-bad", seed).replace("\n", " ").replace("\r", " ").encode("utf-8", "surrogatepass")
    if rng.random() < 0.3:
        bad += bytes(rng.randrange(14, 256) for _ in range(rng.randint(1, 6)))
    lines = [line.encode() for line in good]
    lines.insert(rng.randrange(4), bad or b"{")

    async def send() -> None:
        answer = await desk.http.post("/v1/orders:batch", content=b"\n".join(lines))
        assert answer.status_code == 200, answer.text
        results = answer.json()["results"]
        assert len(results) == len([line for line in b"\n".join(lines).splitlines() if line.strip()])
        taken = {r["order"]["external_id"] for r in results if r["status"] < 400}
        assert {json.loads(line)["external_id"] for line in good} <= taken
        for result in results:
            assert result["status"] in {200, 201, 400, 404, 409, 422}, result
            assert (result["status"] < 400) == ("order" in result)

    desk.run(send())


@pytest.mark.parametrize(
    "body",
    [b"", b"  \n \r\n", b"[", b"[]", b"[1", b"\xff\xfe", b"\x00", b"[" * 20_000, b"{" * 20_000, b"nul", b"[null]", b'"\\ud800"', b"[{}]", b"1e999"],
)  # fmt: skip
def test_what_is_no_batch_is_refused_or_each_line_of_it(desk: Desk, body: bytes) -> None:
    async def send() -> None:
        answer = await desk.http.post("/v1/orders:batch", content=body)
        assert answer.status_code in {200, 400, 422}, answer.text
        if answer.status_code == 200:
            assert answer.json()["refused"] == len(answer.json()["results"]) > 0
        else:
            assert answer.json()["detail"]

    desk.run(send())


def test_orders_of_damaged_batches_agree_with_the_ledger(desk: Desk) -> None:
    report = desk.run(examine(desk.database))
    assert not [finding for finding in report.findings if finding.drifts]
