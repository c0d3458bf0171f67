"""Locations from a table, one row each, and back into one.

A row names its establishment by code, or by CNPJ: one that is not there is then made of `cnpj`, `legal_name` and
`state_registration`, with the establishment's code or the location's. What a row leaves empty stays as it is; what a
new location leaves empty its CEP tells.
"""

import re
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import time

import msgspec

from malha.network import reads, rules, service, sites
from malha.network.model import (
    Establishment,
    EstablishmentDraft,
    Hours,
    Location,
    LocationDraft,
    LocationKind,
    LocationStatus,
)
from malha.platform.address import Address
from malha.platform.brazil import format_cnpj, normalise_cnpj
from malha.platform.db import Database, Tx
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.imports import TOUCHED, Left, Outcome, Trace, combine
from malha.platform.tabular import (
    BadCell,
    Column,
    Row,
    centavos,
    decimal_text,
    one_of,
    parse_cep,
    parse_state,
    scaled,
    whole,
    yes_no,
)

_KINDS = {
    **{kind.value: kind for kind in LocationKind},
    "loja": LocationKind.STORE,
    "cd": LocationKind.DISTRIBUTION_CENTRE,
    "centro de distribuicao": LocationKind.DISTRIBUTION_CENTRE,
    "distribution centre": LocationKind.DISTRIBUTION_CENTRE,
    "distribution center": LocationKind.DISTRIBUTION_CENTRE,
    "fabrica": LocationKind.FACTORY,
    "operador": LocationKind.THIRD_PARTY,
    "3pl": LocationKind.THIRD_PARTY,
    "fornecedor": LocationKind.VENDOR,
    "ponto de retirada": LocationKind.PICKUP_POINT,
}
_STATUSES = {
    **{status.value: status for status in LocationStatus},
    "ativo": LocationStatus.ACTIVE,
    "ativa": LocationStatus.ACTIVE,
    "pausado": LocationStatus.PAUSED,
    "pausada": LocationStatus.PAUSED,
    "fechado": LocationStatus.CLOSED,
    "fechada": LocationStatus.CLOSED,
}


def _kind(text: str) -> LocationKind:
    kind: LocationKind = one_of(_KINDS, text)
    return kind


def _status(text: str) -> LocationStatus:
    status: LocationStatus = one_of(_STATUSES, text)
    return status


def _cnpj(text: str) -> str:
    found = normalise_cnpj(text, restore_zeros=True)
    if found is None:
        raise BadCell(
            N_("{value} is no CNPJ."),
            N_("Check it against the company's registration: its last two digits prove the others."),
        )
    return found


def _degrees(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise BadCell(N_("{value} is no number."), N_("Use degrees like -23,5505.")) from None


_CLOCK = re.compile(r"(\d{1,2})(?:[:h](\d{1,2})?)?(?::\d{1,2}(?:[.,]\d+)?)?\s*h?\s*(?:([ap])\.?\s?m\.?)?")


def _clock(text: str) -> time:
    """Read a time of day as people and spreadsheets write it: `14:00`, `14h`, `14:00:00`, `02:00:00 PM`.

    One whose half of the day was passed over would be twelve hours wrong, and look right.
    """
    found = _CLOCK.fullmatch(text.strip().lower())
    hours, half = (int(found[1]), found[3]) if found else (-1, None)
    if half:
        hours = hours % 12 + (12 if half == "p" else 0) if 1 <= hours <= 12 else -1
    try:
        return time(hours, int(found[2] or 0) if found else 0)
    except ValueError:
        raise BadCell(N_("{value} is no time of day."), N_("Write it like 14:00.")) from None


def _hours(text: str) -> Hours:
    found = rules.parse_hours(text)
    if found is None:
        raise BadCell(N_("{value} are no hours."), N_("Write them like mon-fri 09:00-18:00; sat 09:00-13:00."))
    return found


_ADDRESS = ("postal_code", "street", "number", "complement", "district", "city", "state")
_STATED = (
    "name", "kind", "status", "latitude", "longitude", "timezone", "opening_hours", "holiday_calendar", "can_ship",
    "can_pickup", "can_curbside", "can_return", "cut_off", "daily_capacity", "handling_cost", "line_cost", "priority",
    "pickup_days", "site",
)  # fmt: skip

COLUMNS = (
    Column("code", ("código", "código da loja", "número da loja", "store", "store_no", "store code"), required=True),
    Column("name", ("nome", "nome da loja", "loja")),
    Column("kind", ("tipo",), parse=_kind),
    Column("establishment", ("estabelecimento", "filial")),
    Column("cnpj", (), parse=_cnpj),
    Column("legal_name", ("razão social",)),
    Column("state_registration", ("inscrição estadual", "ie")),
    Column("status", ("situação",), parse=_status),
    Column("postal_code", ("cep",), parse=parse_cep),
    Column("street", ("rua", "logradouro", "endereço")),
    Column("number", ("número", "nº")),
    Column("complement", ("complemento",)),
    Column("district", ("bairro",)),
    Column("city", ("cidade", "município")),
    Column("state", ("uf", "estado"), parse=parse_state),
    Column("latitude", ("lat",), parse=_degrees),
    Column("longitude", ("lng", "lon"), parse=_degrees),
    Column("timezone", ("fuso", "fuso horário", "time zone")),
    Column("opening_hours", ("horário", "horário de funcionamento"), parse=_hours),
    Column("holiday_calendar", ("feriados",)),
    Column("can_ship", ("envia", "ship from store"), parse=yes_no),
    Column("can_pickup", ("retirada", "pickup"), parse=yes_no),
    Column("can_curbside", ("retirada no carro", "curbside"), parse=yes_no),
    Column("can_return", ("devolução", "returns"), parse=yes_no),
    Column("cut_off", ("corte", "horário de corte"), parse=_clock),
    Column("daily_capacity", ("capacidade", "capacidade diária"), parse=whole),
    Column("handling_cost", ("custo por pacote",), parse=centavos),
    Column("line_cost", ("custo por linha",), parse=centavos),
    Column("priority", ("prioridade",), parse=lambda text: scaled(text, 0)),
    Column("pickup_days", ("dias para retirada", "prazo de retirada"), parse=whole),
    Column("site", ("no endereço de", "at the site of")),
)


class LocationImport:
    """Rows of locations; a `malha.platform.imports.Target`."""

    entity = "location"
    columns = COLUMNS
    families: Mapping[str, Sequence[str]] = {}
    passes = 1

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}
        self._promised: dict[str, EstablishmentDraft] = {}  # made by earlier rows, not written in a preview
        self._places: dict[str, LocationDraft] = {}  # the same

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:  # noqa: ARG002
        """Check or write a chunk."""
        outcome = Outcome()
        if apply:  # before they are read: what a row does not state is written as it was read
            named = {row.values[name] for row in rows for name in ("code", "site") if name in row.values}
            await service.lock_locations(tx, sorted(named))
        old = await reads.locations_by_code(tx, [row.values["code"] for row in rows])
        owners = _Owners(await _named(tx, rows, old), {} if apply else self._promised)
        drafts: dict[str, tuple[Row, LocationDraft]] = {}
        for row in rows:
            code = row.values["code"]
            first = self._lines.setdefault(code, row.line)
            if first != row.line:
                says = N_("The code {value} is in line {line} already.")
                combine(
                    outcome, row.line, [Flaw("code", says, N_("Keep one of them."), {"value": code, "line": first})]
                )
                continue
            before = old.get(code)
            owner, flaws = owners.of(row, before)
            if owner is None or flaws:
                combine(outcome, row.line, flaws)
                continue
            draft = _draft(row, before, owner.code)
            drafts[code] = row, draft if draft.site else rules.complete_location(draft, owner.state)
        placed = await sites.place(tx, [draft for _, draft in drafts.values()], {} if apply else self._places)
        refused: set[str] = set()
        for draft in sorted(placed.drafts, key=lambda d: d.site is not None):
            code, row = draft.code, drafts[draft.code][0]
            found = list(placed.flaws.get(code) or rules.check_location(draft))
            if draft.site in refused:
                says, mend = N_("The row of the site {value} cannot be saved."), N_("Correct that row first.")
                found.append(Flaw("site", says, mend, {"value": draft.site}))
            if found:
                refused.add(code)
                combine(outcome, row.line, [Flaw(_column_of(f.at), f.says, f.mend, f.facts) for f in found])
                del drafts[code]
                continue
            drafts[code] = row, draft
            before = old.get(code)
            same = before is not None and draft == owners.stated(before)
            outcome.created += before is None
            outcome.unchanged += same
            outcome.changed += before is not None and not same
        self._promised |= owners.made
        self._places |= {code: draft for code, (_, draft) in drafts.items()}
        if apply and drafts:
            needed = {draft.establishment for _, draft in drafts.values()}
            made = [draft for code, draft in owners.made.items() if code in needed]
            outcome.traces = await _write(tx, drafts, made, old)
        return outcome

    async def recall(self, tx: Tx, rows: Sequence[Row]) -> None:
        """Remember what rows said that were handled before."""
        await self.handle(tx, rows, apply=False, turn=0)

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:  # noqa: ARG002
        """Put locations back that nobody changed since; those that were not there are closed, and finish their work."""
        codes = [trace.key for trace in traces]
        await service.lock_locations(tx, codes)
        stored = await reads.locations_by_code(tx, codes)
        owners = await _owners_of(tx, stored.values())
        now = {code: owners.stated(found) for code, found in stored.items()}
        left: Left = {}
        drafts = []
        for trace in traces:
            if now.get(trace.key) != msgspec.convert(trace.after, LocationDraft):
                left[trace.key] = TOUCHED
            elif trace.before is None:
                drafts.append(msgspec.structs.replace(now[trace.key], status=LocationStatus.CLOSED))
            else:
                drafts.append(msgspec.convert(trace.before, LocationDraft))
        return left | await service.put_back(tx, drafts)


async def _named(tx: Tx, rows: Sequence[Row], old: Mapping[str, Location]) -> list[Establishment]:
    """Return the establishments that some rows name, or would make again; as they are now, others change them too."""
    codes = {row.values[name] for row in rows for name in ("code", "establishment") if name in row.values}
    cnpjs = {row.values["cnpj"] for row in rows if "cnpj" in row.values}
    ids = {place.establishment_id for place in old.values()}
    return await reads.establishments_named(tx, ids=ids, codes=codes, cnpjs=cnpjs)


async def _owners_of(tx: Tx, places: Iterable[Location]) -> "_Owners":
    found = await reads.establishments_named(tx, ids={place.establishment_id for place in places})
    return _Owners(found, {})


async def _write(
    tx: Tx,
    drafts: Mapping[str, tuple[Row, LocationDraft]],
    made: Sequence[EstablishmentDraft],
    old: Mapping[str, Location],
) -> list[Trace]:
    """Write locations, and the establishments that rows make; return what each location was and what it became."""
    if made:
        await service.put_establishments(tx, made)
    await service.put_locations(tx, [draft for _, draft in drafts.values()])
    lines = {code: row.line for code, (row, _) in drafts.items()}
    written = await service.note_places(tx, [draft.code for draft in made], old, lines)
    owners = await _owners_of(tx, [*old.values(), *written])
    return [
        Trace(
            key=after.code,
            label=f"{after.code} {after.name}",
            before=msgspec.to_builtins(owners.stated(old[after.code])) if after.code in old else None,
            after=msgspec.to_builtins(owners.stated(after)),
        )
        for after in written
    ]


class _Owners:
    """Establishments by code and CNPJ, and those that rows make."""

    def __init__(self, known: Sequence[Establishment], promised: Mapping[str, EstablishmentDraft]) -> None:
        self._code_by_id = {e.id: e.code for e in known}
        drafts = [*(reads.establishment_draft(e) for e in known), *promised.values()]
        self._by_code = {d.code: d for d in drafts}
        self._by_cnpj = {d.cnpj: d for d in drafts}
        self.made: dict[str, EstablishmentDraft] = {}

    def code_of(self, location: Location) -> str:
        return self._code_by_id[location.establishment_id]

    def stated(self, location: Location) -> LocationDraft:
        return reads.location_draft(location, self.code_of(location))

    def of(self, row: Row, before: Location | None) -> tuple[EstablishmentDraft | None, list[Flaw]]:
        """Return the establishment of a row, or what is wrong."""
        code, cnpj = row.values.get("establishment"), row.values.get("cnpj")
        if cnpj is not None:
            found = self._by_cnpj.get(cnpj)
            if found is None:
                return self._make(row, code or row.values["code"], cnpj)
            if code is None or code == found.code:
                return found, []
            says, mend = N_("The CNPJ {cnpj} belongs to the establishment {owner}."), N_("Correct one of the two.")
            return None, [Flaw("cnpj", says, mend, {"cnpj": format_cnpj(cnpj), "owner": found.code})]
        if code is None and before is not None:
            code = self.code_of(before)
        if code is None:
            says, mend = N_("The location has no establishment."), N_("Give its code or its CNPJ.")
            return None, [Flaw("establishment", says, mend)]
        found = self._by_code.get(code)
        if found is None:
            says, mend = N_("There is no establishment {value}."), N_("Give its CNPJ too, and it is made.")
            return None, [Flaw("establishment", says, mend, {"value": code})]
        return found, []

    def _make(self, row: Row, code: str, cnpj: str) -> tuple[EstablishmentDraft | None, list[Flaw]]:
        if code in self._by_code:
            says, mend = N_("The establishment {value} has another CNPJ."), N_("Correct one of the two.")
            return None, [Flaw("cnpj", says, mend, {"value": code})]
        address = rules.complete_location(_draft(row, None, code)).address
        draft = rules.tidy_establishment(
            EstablishmentDraft(
                code=code,
                name=row.values.get("name", code),
                cnpj=cnpj,
                state=address.state,
                state_registration=row.values.get("state_registration"),
                legal_name=row.values.get("legal_name"),
            )
        )
        flaws = [
            Flaw({"name": "name", "state": "state"}.get(f.at, f.at), f.says, f.mend, f.facts)
            for f in rules.check_establishment(draft)
        ]
        if flaws:
            return None, flaws
        self.made[code] = self._by_code[code] = self._by_cnpj[cnpj] = draft
        return draft, []


def _draft(row: Row, before: Location | None, establishment: str) -> LocationDraft:
    values = row.values
    parts = {part: values[part] for part in _ADDRESS if part in values}
    stated = {name: values[name] for name in _STATED if name in values}
    if before is None:
        base = LocationDraft(code=values["code"], name="", kind=LocationKind.STORE, establishment=establishment)
        return msgspec.structs.replace(base, **stated, address=Address(**parts))
    base = reads.location_draft(before, establishment)
    address = msgspec.structs.replace(base.address, **parts)
    if address.postal_code != base.address.postal_code:
        # Elsewhere: the new CEP tells city and coordinates unless the row does.
        address = msgspec.structs.replace(address, **{p: parts.get(p, "") for p in ("city", "state")}, ibge="")
        base = msgspec.structs.replace(base, latitude=None, longitude=None, timezone=None, holiday_calendar=None)
    return msgspec.structs.replace(base, **stated, address=address)


def _column_of(at: str) -> str:
    parts = at.split("/")
    return parts[1] if parts[0] == "address" else parts[0]


async def location_pages(
    database: Database, within: Collection[int] | None = None
) -> AsyncIterator[list[list[object]]]:
    """Yield all locations, or those `within`, header first, as rows that `LocationImport` reads back unchanged."""
    async with database.snapshot() as tx:
        owners = {e.id: e for e in await reads.establishments(tx)}
        locations = [x for x in await reads.locations(tx) if within is None or x.id in within]
    yield location_rows(locations, owners)


def location_rows(locations: Iterable[Location], owners: Mapping[int, Establishment]) -> list[list[object]]:
    """Return some locations, header first, as rows that `LocationImport` reads back unchanged."""
    sites_first = sorted(locations, key=lambda x: x.site is not None)
    return [[c.name for c in COLUMNS], *(_exported(x, owners[x.establishment_id]) for x in sites_first)]


def _exported(x: Location, owner: Establishment) -> list[object]:
    cells: dict[str, object] = {name: getattr(x, name) for name in ("code", *_STATED)}
    cells |= {name: "sim" if value else "não" for name, value in cells.items() if isinstance(value, bool)}
    cells |= {part: getattr(x.address, part) for part in _ADDRESS}
    cells |= {
        "establishment": owner.code,
        "cnpj": format_cnpj(owner.cnpj),
        "legal_name": owner.legal_name,
        "state_registration": owner.state_registration,
        "opening_hours": rules.write_hours(x.opening_hours),
        "cut_off": f"{x.cut_off:%H:%M}",
        "handling_cost": decimal_text(x.handling_cost, 2),
        "line_cost": decimal_text(x.line_cost, 2),
        "latitude": _shown_degrees(x.latitude),
        "longitude": _shown_degrees(x.longitude),
    }
    return [cells[column.name] for column in COLUMNS]


def _shown_degrees(value: float | None) -> str:
    return "" if value is None else str(value).replace(".", ",")
