"""Rows of customers: an address changes part by part, an export comes back as it went, no two rows contradict one another."""

import io
import random

import pytest
from psycopg.errors import UniqueViolation

from malha.customers import lines, reads, service
from malha.customers.imports import CustomerImport, customer_pages
from malha.customers.model import Buyer, Customer, CustomerDraft
from malha.network.places import locate
from malha.platform.address import Address
from malha.platform.brazil import cpf_check_digits
from malha.platform.db import Database, Tx
from malha.platform.imports import CHUNK_ROWS, Mode, Problem, Report, run_import
from malha.platform.tabular import as_csv


def cpf(n: int) -> str:
    base = f"{n:09}"
    return base + cpf_check_digits(base)


CPF = "11144477735"
HOME = Address(
    postal_code="01310100", street="Avenida Paulista", number="1578", complement="Apto 32", district="Bela Vista",
    city="São Paulo", state="SP", ibge="3550308",
)  # fmt: skip


async def brought(database: Database, text: str | bytes, mode: Mode = Mode.ALL) -> Report:
    data = text if isinstance(text, bytes) else text.encode()
    return await run_import(database, CustomerImport(), io.BytesIO(data), mode=mode)


async def everyone(database: Database) -> list[Customer]:
    async with database.transaction() as tx:
        return await reads.walk(tx)


async def taken_out(database: Database) -> bytes:
    return b"".join([piece async for piece in as_csv(customer_pages(database))])


@pytest.fixture
async def ana(database: Database) -> None:
    async with database.transaction() as tx:
        await service.create_customer(tx, CustomerDraft(name="Ana", document=CPF, email="ana@x.com", address=HOME))


def changed(**parts: str) -> Address:
    return Address(**{**{name: getattr(HOME, name) for name in HOME.__struct_fields__}, **parts})


# What a row says, and what the address is afterwards.
PARTS = [
    ("uf\nSP", HOME),
    ("uf\nsão paulo", HOME),
    ("complemento\nApto 41", changed(complement="Apto 41")),
    ("complemento;bairro\n;", HOME),  # an empty cell leaves what is there
    ("cep;uf\n1310-100;", HOME),
    ("cep\n01311-000", changed(postal_code="01311000")),
    # Another CEP tells city and state unless the row does; the municipality's code follows them.
    ("cep\n20040-002", changed(postal_code="20040002", city="Rio de Janeiro", state="RJ", ibge="3304557")),
    ("cep;cidade;uf\n20040-002;rio de janeiro;RJ", changed(postal_code="20040002", city="rio de janeiro", state="RJ", ibge="3304557")),
    ("cidade\nGuarulhos", changed(city="Guarulhos", ibge="3518800")),
    ("cidade\nVila Nenhures", changed(city="Vila Nenhures", ibge="")),
    ("número;rua\n2000;Avenida Paulista", changed(number="2000")),
]  # fmt: skip


@pytest.mark.usefixtures("ana")
@pytest.mark.parametrize(("table", "address"), PARTS)
async def test_a_row_changes_the_parts_of_an_address_that_it_states(
    database: Database, table: str, address: Address
) -> None:
    head, cells = table.split("\n")
    report = await brought(database, f"nome;cpf;{head}\nAna;{CPF};{cells}\n")
    assert (report.problems, report.changed, report.unchanged) == ([], int(address != HOME), int(address == HOME))
    (found,) = await everyone(database)
    assert (found.address, found.email) == (address, "ana@x.com")


WRONG = [
    ("uf\nRJ", "uf", "The CEP that is stored lies in SP, not in RJ. Give the CEP too, or correct the state."),
    ("cep;uf\n20040-002;SP", "cep", "The CEP 20040002 lies in Rio de Janeiro (RJ), not in SP. Correct the CEP or the state."),
    ("cep\n123", "cep", "123 is no CEP. A CEP has eight digits."),
    ("uf\nXX", "uf", "XX is no Brazilian state. Use the two letters of the state, like SP."),
    (f"rua\n{'x' * 201}", "rua", "The text has 201 characters. Use at most 200."),
]  # fmt: skip


@pytest.mark.usefixtures("ana")
@pytest.mark.parametrize(("table", "column", "says"), WRONG)
async def test_a_part_that_cannot_be_is_told_and_nothing_is_lost(
    database: Database, table: str, column: str, says: str
) -> None:
    head, cells = table.split("\n")
    report = await brought(database, f"nome;cpf;{head}\nAna Maria;{CPF};{cells}\n", Mode.VALID)
    (problem,) = report.problems
    assert (problem.line, problem.column, problem.warning, problem.text("en")) == (2, column, False, says)
    (found,) = await everyone(database)
    assert (found.name, found.address, found.version) == ("Ana", HOME, 1)


async def test_a_state_without_the_stored_city_is_told_where_no_cep_says_it(database: Database) -> None:
    await brought(database, f"nome;cpf;cidade;uf\nAna;{CPF};Campinas;SP\n")
    report = await brought(database, f"nome;cpf;uf\nAna;{CPF};RJ\n", Mode.PREVIEW)
    says = "The city that is stored, Campinas, is not in RJ. Give the city too, or correct the state."
    assert [(p.column, p.text("en")) for p in report.problems] == [("uf", says)]
    report = await brought(database, f"nome;cpf;cidade;uf\nAna;{CPF};Niterói;RJ\n", Mode.PREVIEW)
    assert (report.problems, report.changed) == ([], 1)


@pytest.mark.usefixtures("ana")
async def test_another_street_without_its_number_is_taken_with_a_warning(database: Database) -> None:
    report = await brought(database, f"nome;cpf;rua;número;complemento\nAna;{CPF};Rua Augusta;10;\n")
    assert [(p.column, p.warning) for p in report.problems] == [("rua", True)]
    (found,) = await everyone(database)
    assert found.address == changed(street="Rua Augusta", number="10")
    again = await brought(database, f"nome;cpf;rua;número;complemento\nAna;{CPF};RUA AUGUSTA;10;\n", Mode.PREVIEW)
    assert not again.problems


@pytest.mark.usefixtures("ana")
async def test_a_row_without_a_name_is_of_someone_who_is_there(database: Database) -> None:
    report = await brought(database, f"nome;cpf;telefone\n;{CPF};11987654321\n;{cpf(2)};\n", Mode.VALID)
    assert [(p.line, p.column, p.says) for p in report.problems] == [(3, "nome", "This field is empty.")]
    (found,) = await everyone(database)
    assert (found.name, found.phone) == ("Ana", "+5511987654321")


ODD = [
    Buyer(name="Ana", document=cpf(1), email="a@x.com", address=HOME),
    # As channels send them: nobody tidied these.
    Buyer(name="Bia", document=cpf(2), address=Address(postal_code="01310-100", street=" Av.  Paulista", number="s/n",
                                                       complement='Apto "32"; bloco B', city="sao paulo", state="sp")),
    Buyer(name="Caio", document=cpf(3), address=Address(postal_code="20040002", city="São Paulo", state="SP")),
    Buyer(name="Davi", document=cpf(4), address=Address(postal_code="123", city="Longe", state="XX", ibge="3550308")),
    Buyer(name="Eva", document=cpf(5), address=Address(street="x" * 300, complement="-12", number="=1+1", district="'=x")),
    Buyer(name="Finn", email="f@x.com", phone="+14155552671", address=Address(postal_code="90210", city="Beverly Hills", state="CA", country="US")),
    Buyer(name="Go", email="g@x.com", phone="+81312345678", address=Address(postal_code="1000001", city="Tóquio", country="JP", ibge="1")),
    Buyer(name="=Loja+Boa Ltda", document="11222333000181", email="compras@loja.com.br", address=Address(city="Recife")),
    Buyer(name="Nova S/A", document="12.ABC.345/01DE-35"),
    Buyer(name="João", document="123", email="joao@x.com", phone="999"),  # mistyped: left out of the profile
    Buyer(name="Zero", document=cpf(70)),
    Buyer(email="ninguem@x.com", phone="11987650000"),
    Buyer(name="Casa 1", document=cpf(6), email="casa@x.com", phone="11987651111"),
    Buyer(name="Casa 2", document=cpf(7), email="casa@x.com", phone="11987651111"),
    Buyer(name="Rui", phone="11987652222", address=Address(postal_code="01310100", ibge="3550308")),
    Buyer(name="Rute", phone="11987652222"),
]  # fmt: skip


async def test_an_export_comes_back_without_a_change(database: Database) -> None:
    async with database.transaction() as tx:
        for buyer in ODD:
            await service.link(tx, [buyer])
        # An e-mail that somebody without a document has, and an older profile with one.
        old = await service.create_customer(tx, CustomerDraft(name="Lia", document=cpf(8)))
        await service.create_customer(tx, CustomerDraft(name="Lino", email="li@x.com"))
        await service.update_customer(
            tx, old.id, CustomerDraft(name="Lia", document=cpf(8), email="li@x.com"), old.version
        )
    before = await everyone(database)
    assert len(before) == len(ODD) + 2
    exported = await taken_out(database)
    preview = await brought(database, exported, Mode.PREVIEW)
    assert (preview.problems, preview.created, preview.changed, preview.unchanged) == ([], 0, 0, len(before))
    # As a spreadsheet leaves it: zeros at the beginning of numbers are gone.
    text = exported.decode().replace(";01310100;", ";1310100;")
    assert text != exported.decode()
    assert (await brought(database, text)).changed == 0
    assert await everyone(database) == before


async def test_whatever_parts_rows_name_the_others_stay(database: Database) -> None:
    rng = random.Random(7)
    parts = {
        "street": ["Rua A", "Rua B", ""], "number": ["1", "s/n", ""], "complement": ["Casa 2", ""],
        "district": ["Centro", ""], "city": ["Campinas", "Santos", ""], "state": ["SP", ""],
    }  # fmt: skip
    await brought(database, f"nome;cpf\nAna;{CPF}\n")
    expected: dict[str, str] = {}
    for _ in range(25):
        named = rng.sample(sorted(parts), rng.randint(1, len(parts)))
        cells = [rng.choice(parts[name]) for name in named]
        await brought(database, f"name;document;{';'.join(named)}\nAna;{CPF};{';'.join(cells)}\n")
        expected |= {name: cell for name, cell in zip(named, cells, strict=True) if cell}
        (ana,) = await everyone(database)
        assert {name: getattr(ana.address, name) for name in parts} == {name: expected.get(name, "") for name in parts}


TWICE = f"""nome;cpf;email;telefone;cidade
Ana;{CPF};;11987654321;
ANA;111.444.777-35;ana@x.com;;Santos
Ana;{CPF};ana@y.com;;
Ana;{CPF};;;Campinas
Bia;;bia@x.com;;
Rui;;bia@x.com;;
Bia;;BIA@x.com;;
"""


def told(report: Report) -> list[tuple[int, str, str]]:
    return [(p.line, p.column, said(p)) for p in report.problems]


def said(problem: Problem) -> str:
    return problem.text("en").partition(".")[0]


@pytest.mark.parametrize("known", [False, True])
async def test_rows_of_one_customer_that_contradict_one_another_are_told(database: Database, known: bool) -> None:
    if known:
        await brought(database, f"nome;cpf;email\nAna;{CPF};\nBia;;bia@x.com\n")
    expected = [
        (4, "email", "Line 3 says something else of the same customer"),
        (5, "cidade", "Line 3 says something else of the same customer"),
        (7, "nome", "Line 6 says something else of the same customer"),
    ]
    preview = await brought(database, TWICE, Mode.PREVIEW)
    assert told(preview) == expected
    nothing = await brought(database, TWICE, Mode.ALL)
    assert (told(nothing), nothing.applied) == (expected, False)
    report = await brought(database, TWICE, Mode.VALID)
    assert told(report) == expected
    assert (report.created, report.changed, report.unchanged) == ((0, 1, 3) if known else (2, 0, 2))
    ana, bia = await everyone(database)
    assert (ana.email, ana.phone, ana.address.city) == ("ana@x.com", "+5511987654321", "Santos")
    assert bia.name == "Bia"
    assert (await brought(database, TWICE, Mode.VALID)).changed == 0


async def test_the_other_row_may_stand_far_above(database: Database) -> None:
    rows = [f"P{i};{cpf(i)};p{i}@x.com" for i in range(1, CHUNK_ROWS + 20)]
    text = "\n".join(["nome;cpf;email", *rows, f"P1;{cpf(1)};p1@x.com", f"Outra;{cpf(2)};", "Mais uma;;p3@x.com", ""])
    last = len(rows) + 1
    expected = [(last + 2, "nome", 3), (last + 3, "nome", 4)]
    for mode in (Mode.PREVIEW, Mode.VALID):
        report = await brought(database, text, mode)
        assert [(p.line, p.column, p.facts["line"]) for p in report.problems] == expected
        assert (report.created, report.unchanged) == (len(rows), 1)


async def test_only_so_many_customers_of_a_file_are_remembered(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_SEEN", 1)
    rows = f"nome;cpf\nAna;{CPF}\nBia;{cpf(2)}\nRui;{cpf(2)}\nEva;{CPF}\n"
    report = await brought(database, rows, Mode.VALID)
    assert told(report) == [(5, "nome", "Line 2 says something else of the same customer")]
    assert [c.name for c in await everyone(database)] == ["Ana", "Rui"]


def test_the_places_of_these_tests_are_where_they_say() -> None:
    found = {cep: locate(cep) for cep in ("01310100", "20040002")}
    assert {cep: place.ibge for cep, place in found.items() if place} == {"01310100": "3550308", "20040002": "3304557"}


async def test_a_row_that_the_database_refuses_does_not_speak_against_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk is halved around it, so its good rows are read again: none is found to contradict one behind it."""
    kept = service.writes.set_all
    calls = 0

    async def refusing(tx: Tx, customers: list[Customer]) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise UniqueViolation
        return await kept(tx, customers)

    await brought(database, f"nome;cpf\nAna;{CPF}\n")
    monkeypatch.setattr(service.writes, "set_all", refusing)
    report = await brought(database, f"nome;cpf;email\nAna;{CPF};\nAna;{CPF};a@x.com\nAna;{CPF};b@x.com\n", Mode.VALID)
    assert told(report) == [(4, "email", "Line 3 says something else of the same customer")]
    assert [c.email for c in await everyone(database)] == ["a@x.com"]
