"""Customers from a table, one row each, and back.

Who is there already is changed, not doubled (`rules.best_match`). What a row leaves empty stays as it is, and so does
what the table has no column for; `lines` says what becomes of an address, and of two rows of one customer.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence

import msgspec

from malha.customers import lines, reads, rules, service
from malha.customers.model import Customer, CustomerDraft
from malha.platform.brazil import normalise_document
from malha.platform.db import Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.imports import IN_USE, TOUCHED, Left, Outcome, Trace, combine
from malha.platform.tabular import BadCell, Column, Row


def parse_document(text: str) -> str:
    """Read a CPF or CNPJ, also one whose leading zeros a spreadsheet took away.

    Raises:
        BadCell: it is neither.
    """
    found = normalise_document(text, restore_zeros=True)
    if found is None:
        raise BadCell(
            N_("{value} is neither a CPF nor a CNPJ."),
            N_("Compare it with the customer's papers: its last two digits prove the others."),
        )
    return found


COLUMNS = (
    Column("name", ("nome", "cliente", "nome completo", "razão social", "customer name"), required=True, blank=True),
    Column("document", ("cpf", "cnpj", "cpf/cnpj", "cpf ou cnpj", "documento"), parse=parse_document),
    Column("email", ("e-mail", "mail")),
    Column("phone", ("telefone", "celular", "fone", "whatsapp")),
    # Whether this and the state can be depends on the customer's country.
    Column("postal_code", ("cep", "código postal", "zip")),
    Column("street", ("rua", "logradouro", "endereço", "address")),
    Column("number", ("número", "nº")),
    Column("complement", ("complemento",)),
    Column("district", ("bairro",)),
    Column("city", ("cidade", "município")),
    Column("state", ("uf", "estado")),
)


class CustomerImport:
    """Rows of customers; a `malha.platform.imports.Target`. One per import: it remembers what earlier rows said."""

    entity = "customer"
    columns = COLUMNS
    families: Mapping[str, Sequence[str]] = {}
    passes = 1

    def __init__(self) -> None:
        self._seen = {False: lines.Seen(), True: lines.Seen()}

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:  # noqa: ARG002
        """Check or write a chunk."""
        outcome = Outcome()
        good = _good(rows, outcome)
        done = await service.merge_rows(tx, good, self._seen[apply], apply=apply)
        outcome.created, outcome.changed, outcome.unchanged = done.created, done.changed, done.unchanged
        for line, found in done.flaws.items():
            combine(outcome, line, found)
        for line, found in done.warnings.items():
            combine(outcome, line, found, warning=True)
        await service.note_customers(tx, done.written, done.lines)
        outcome.traces = [
            Trace(
                key=str(after.id),
                label=f"#{after.number}",
                before=None if before is None else msgspec.to_builtins(before),
                after={"version": after.version},
            )
            for before, after in done.written
        ]
        return outcome

    async def recall(self, tx: Tx, rows: Sequence[Row]) -> None:
        """Remember what rows said that were handled before, whether they were written or checked."""
        good = _good(rows, Outcome())
        for seen in self._seen.values():
            await service.merge_rows(tx, good, seen, apply=False)

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:
        """Put profiles back that nobody changed since; those that were not there go, unless they have orders."""
        wanted = {
            UUID(t.key): (t.after["version"], None if t.before is None else msgspec.convert(t.before, Customer))
            for t in traces
        }
        touched, clashing = await service.take_back(tx, wanted, {UUID(key) for key in in_use})
        says = N_("Another profile has its CPF, CNPJ or e-mail by now.")
        clash = Flaw("", says, N_("Put the two profiles together, or correct one of them."))
        left: Left = {str(id_): TOUCHED for id_ in touched} | {str(id_): clash for id_ in clashing}
        rests = {t.key for t in traces if t.before is None and t.key in in_use}
        return left | {key: IN_USE for key in rests if key not in left}


def _good(rows: Sequence[Row], outcome: Outcome) -> list[lines.Line]:
    """Return what rows say that can be said of a customer; what is wrong with the others is added to an outcome."""
    good: list[lines.Line] = []
    for row in rows:
        draft = rules.tidy_customer(_draft(row))
        flaws = [flaw for flaw in rules.check_customer(draft) if flaw is not rules.NAMELESS]
        if flaws:
            combine(outcome, row.line, flaws)
            continue
        if not (draft.document or draft.email or draft.phone):
            says = N_("Nothing identifies this customer: a repeated import would add them again.")
            combine(outcome, row.line, [Flaw("", says, N_("Give a document, e-mail or telephone."))], warning=True)
        said = {part: row.values[part] for part in lines.PARTS if part in row.values}
        good.append(lines.Line(row.line, draft, said))
    return good


def _draft(row: Row) -> CustomerDraft:
    values = row.values
    return CustomerDraft(
        name=values.get("name", ""),
        document=values.get("document"),
        email=values.get("email"),
        phone=values.get("phone"),
    )


async def customer_pages(
    database: Database,
    walk: Callable[[Tx, int], Awaitable[list[Customer]]] = lambda tx, after: reads.walk(tx, after=after),
) -> AsyncIterator[list[list[object]]]:
    """Yield all customers, or those of another `walk`, header first, as rows that `CustomerImport` reads, in pages.

    They hold personal data in full: edges ask for `customers:reveal` and write down who took them.
    """
    yield [[c.name for c in COLUMNS]]
    after = 0
    while True:
        async with database.transaction() as tx:
            customers = await walk(tx, after)
        if not customers:
            return
        after = customers[-1].number
        yield [
            [
                c.name,
                rules.shown_document(c.document),
                c.email,
                c.phone,
                *(getattr(c.address, part) for part in lines.PARTS),
            ]
            for c in customers
        ]
