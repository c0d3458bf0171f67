"""Customers and locations from messy files, and back."""

import io
from typing import Any

import psycopg
import pytest

from malha.customers import imports as customer_imports
from malha.customers import reads as customers
from malha.network import imports as location_imports
from malha.network import reads as network
from malha.network.model import Establishment
from malha.platform.db import Database, Tx
from malha.platform.imports import Mode, Report, run_import
from malha.platform.tabular import as_csv
from malha.testing.builders import a_network

CUSTOMERS = """Nome;CPF/CNPJ;E-mail;Celular;CEP;Endereço;Número;Cidade;UF
Ana Conceição;111.444.777-35;ANA@x.com;(11) 98765-4321;1310100;Av. Paulista;1000;São Paulo;sp
Ana C.;11144477735;;;;;;;
Mercado Sol;11222333000181;sol@x.com;;;;;;
Zero;1234567890;;;;;;;
Rui;;rui@x;999;;;;;
;;;;;;;;
Bia;111.444.777-36;bia@x.com;;;;;;
Sem nada;;;;;;;;
Bia;;bia@x.com;;;;;;
"""

LOCATIONS = """Código;Nome;Tipo;Filial;CNPJ;Razão social;CEP;UF;Horário;Corte;Capacidade;Custo por pacote;Retirada
SP01;Paulista;loja;;12.ABC.345/01DE-35;Malha Ltda.;01310-100;;seg-sex 09:00-18:00; 14h30;50;2,50;sim
CD01;Cajamar;CD;SP01;;;07750-000;;;;;;
AM01;Manaus;loja;;11.222.333/0001-81;;69005-010;;;;;;
XX01;Torto;castelo;;11.222.333/0001-80;;123;;sempre;25h;muitos;abc;talvez
XX02;Sem dono;loja;;;;01310-100;;;;;;
XX03;CEP de outro estado;loja;SP01;;;01310-100;RJ;;;;;
SP01;De novo;loja;SP01;;;;;;;;;
"""


async def people(database: Database, text: str | bytes, mode: Mode) -> Report:
    data = text if isinstance(text, bytes) else text.encode()
    return await run_import(database, customer_imports.CustomerImport(), io.BytesIO(data), mode=mode)


async def places(database: Database, text: str | bytes, mode: Mode) -> Report:
    data = text if isinstance(text, bytes) else text.encode()
    return await run_import(database, location_imports.LocationImport(), io.BytesIO(data), mode=mode)


async def test_customers_are_matched_and_not_doubled_however_often_they_are_imported(database: Database) -> None:
    preview = await people(database, CUSTOMERS, Mode.PREVIEW)
    bad = {(3, "Nome"), (6, "E-mail"), (6, "Celular"), (8, "CPF/CNPJ")}
    assert {(p.line, p.column) for p in preview.problems if not p.warning} == bad
    assert [p.line for p in preview.problems if p.warning] == [9]
    assert (preview.rows, preview.bad, preview.created) == (8, 3, 5)
    report = await people(database, CUSTOMERS, Mode.VALID)
    assert (report.created, report.changed, report.unchanged) == (5, 0, 0)
    async with database.transaction() as tx:
        everyone = {c.name: c for c in await customers.walk(tx)}
    ana = everyone["Ana Conceição"]  # the later row of the same CPF calls her otherwise: it is refused
    assert (ana.document, ana.email, ana.phone) == ("11144477735", "ana@x.com", "+5511987654321")
    assert (ana.address.postal_code, ana.address.state) == ("01310100", "SP")
    assert everyone["Zero"].document == "01234567890"  # its leading zero was lost in a spreadsheet
    again = await people(database, CUSTOMERS.replace("Sem nada;;;;;;;;\n", ""), Mode.VALID)
    assert (again.created, again.changed) == (0, 0)


async def test_exported_customers_read_back(database: Database) -> None:
    await people(database, CUSTOMERS.replace("Sem nada;;;;;;;;\n", ""), Mode.VALID)
    exported = b"".join([piece async for piece in as_csv(customer_imports.customer_pages(database))])
    report = await people(database, exported, Mode.ALL)
    assert (report.problems, report.created, report.changed, report.unchanged) == ([], 0, 0, 4)


async def test_locations_come_with_their_establishments_and_what_the_cep_tells(database: Database) -> None:
    preview = await places(database, LOCATIONS, Mode.PREVIEW)
    told = {(p.line, p.column) for p in preview.problems}
    assert told == {
        (5, "Tipo"), (5, "CNPJ"), (5, "CEP"), (5, "Horário"), (5, "Corte"), (5, "Capacidade"), (5, "Custo por pacote"),
        (5, "Retirada"), (6, "Filial"), (7, "CEP"), (8, "Código"),
    }  # fmt: skip
    assert (preview.rows, preview.bad, preview.created) == (7, 4, 3)
    report = await places(database, LOCATIONS, Mode.VALID)
    assert (report.created, report.bad) == (3, 4)
    async with database.transaction() as tx:
        found = await network.snapshot(tx)
    paulista, cajamar, manaus = (found.location(code) for code in ("SP01", "CD01", "AM01"))
    assert paulista
    assert cajamar
    assert manaus
    assert (paulista.handling_cost, paulista.daily_capacity, f"{paulista.cut_off:%H:%M}") == (250, 50, "14:30")
    assert paulista.opening_hours["fri"] == [("09:00", "18:00")]
    assert found.establishment_of(paulista.id).legal_name == "Malha Ltda."
    assert cajamar.establishment_id == paulista.establishment_id
    assert (manaus.address.city, manaus.timezone) == ("Manaus", "America/Manaus")


async def test_exported_locations_read_back_and_a_moved_one_is_found_again(database: Database) -> None:
    await places(database, LOCATIONS, Mode.VALID)
    exported = b"".join([piece async for piece in as_csv(location_imports.location_pages(database))])
    report = await places(database, exported, Mode.ALL)
    assert (report.problems, report.changed, report.unchanged) == ([], 0, 3)
    moved = await places(database, "code;cep\nSP01;69005-010\n", Mode.ALL)
    assert moved.changed == 1
    async with database.transaction() as tx:
        location = await network.location_by_code(tx, "SP01")
    assert location
    assert (location.state, location.timezone, location.daily_capacity) == ("AM", "America/Manaus", 50)


async def test_a_cut_off_may_be_written_as_spreadsheets_write_times(database: Database) -> None:
    head, rows = "código;nome;cnpj;cep;corte", ";Loja;11.222.333/0001-81;01310-100;"
    said = {"A": "14:00:00", "B": "9:30", "C": "17h", "D": "8h15"}
    text = "\n".join([head, *(f"{code}{rows}{cut}" for code, cut in said.items())])
    assert (await places(database, text, Mode.ALL)).problems == []
    async with database.transaction() as tx:
        found = {x.code: f"{x.cut_off:%H:%M}" for x in await network.locations(tx)}
    assert found == {"A": "14:00", "B": "09:30", "C": "17:00", "D": "08:15"}
    refused = await places(database, f"{head}\nE{rows}14:xx\nF{rows}25:00\nG{rows}:", Mode.PREVIEW)
    assert [p.line for p in refused.problems] == [2, 3, 4]


async def test_a_cut_off_after_noon_stays_there_when_a_spreadsheet_counts_hours_to_twelve(database: Database) -> None:
    """LibreOffice in English saves 14:00 as `02:00:00 PM`: it was read as two at night."""
    head, rows = "code;name;cnpj;cep;cut_off", ";Loja;11.222.333/0001-81;01310-100;"
    said = {"A": "02:00:00 PM", "B": "12:00 AM", "C": "2 p.m.", "D": "12:30:00\u202fPM", "E": "9:05 am"}
    text = "\n".join([head, *(f"{code}{rows}{cut}" for code, cut in said.items())])
    assert (await places(database, text, Mode.ALL)).problems == []
    async with database.transaction() as tx:
        found = {x.code: f"{x.cut_off:%H:%M}" for x in await network.locations(tx)}
    assert found == {"A": "14:00", "B": "00:00", "C": "14:00", "D": "12:30", "E": "09:05"}
    refused = await places(database, f"{head}\nF{rows}14:00 PM\nG{rows}0:30 AM\nH{rows}14:00:zz", Mode.PREVIEW)
    assert [p.line for p in refused.problems] == [2, 3, 4]


async def test_a_table_of_locations_reads_the_companies_it_names_as_they_are_when_it_comes_to_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that somebody else adds meanwhile is known to the rows that come then; what no row names is not read."""
    async with database.transaction() as tx:
        await a_network(tx)

    def added(rows: int) -> None:
        if rows > 500:
            return
        with psycopg.connect(database.url, options="-c search_path=malha", autocommit=True) as beside:
            beside.execute(
                "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state, tax_regime, document_policy) "
                "SELECT legal_entity_id, 'NEW', 'Nova', '11444777000161', state, tax_regime, document_policy "
                "FROM establishment WHERE code = 'SP1'"
            )

    asked: list[set[str]] = []
    named = network.establishments_named

    async def told(tx: Tx, **asks: Any) -> list[Establishment]:
        found = await named(tx, **asks)
        asked.append({e.code for e in found})
        return found

    monkeypatch.setattr(network, "establishments_named", told)
    rows = [f"N{n};Loja {n};{'SP1' if n < 500 else 'NEW'};01310-100;1" for n in range(600)]
    text = "\n".join(["code;name;establishment;cep;number", *rows])
    report = await run_import(
        database, location_imports.LocationImport(), io.BytesIO(text.encode()), mode=Mode.VALID, progress=added
    )
    assert (report.created, report.bad) == (600, 0), report.problems[:1]
    assert asked == [{"SP1"}, {"SP1"}, {"NEW"}, {"NEW"}]  # before and after each chunk is written
