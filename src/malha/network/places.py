"""Where a CEP or a city is: municipality, coordinates and time zone, from a table carried with the program.

The table (`data/places.csv.gz`) knows every Brazilian municipality and the CEP ranges the postal service gave it. It
is read on first use and never again. Coordinates are the municipality's seat: good for choosing among
cities, silent within one.
"""

import gzip
from array import array
from bisect import bisect_left, bisect_right
from functools import lru_cache
from importlib.resources import files
from sys import intern
from zoneinfo import ZoneInfo

import msgspec

from malha.platform.brazil import normalise_cep
from malha.platform.i18n import DEFAULT_ZONE
from malha.platform.text import fold, whole_in

# IANA zones by state. Their offsets agree today, but not in the years of daylight saving, and old orders keep their
# times.
STATE_ZONES = {
    "AC": "America/Rio_Branco", "AL": "America/Maceio", "AM": "America/Manaus", "AP": "America/Belem",
    "BA": "America/Bahia", "CE": "America/Fortaleza", "DF": "America/Sao_Paulo", "ES": "America/Sao_Paulo",
    "GO": "America/Sao_Paulo", "MA": "America/Fortaleza", "MG": "America/Sao_Paulo", "MS": "America/Campo_Grande",
    "MT": "America/Cuiaba", "PA": "America/Belem", "PB": "America/Fortaleza", "PE": "America/Recife",
    "PI": "America/Fortaleza", "PR": "America/Sao_Paulo", "RJ": "America/Sao_Paulo", "RN": "America/Fortaleza",
    "RO": "America/Porto_Velho", "RR": "America/Boa_Vista", "RS": "America/Sao_Paulo", "SC": "America/Sao_Paulo",
    "SE": "America/Maceio", "SP": "America/Sao_Paulo", "TO": "America/Araguaina",
}  # fmt: skip


def zone_of(state: str | None, otherwise: str = DEFAULT_ZONE) -> ZoneInfo:
    """Return the time zone of a state; another where it is none of Brazil."""
    return ZoneInfo(STATE_ZONES.get(state or "", otherwise))


class Place(msgspec.Struct, frozen=True):
    """A municipality."""

    ibge: str
    city: str
    state: str
    latitude: float
    longitude: float
    timezone: str


class _Table(msgspec.Struct, frozen=True):
    """The file as it is, and where in it to look: five thousand municipalities as objects take ten times as much."""

    raw: bytes
    lines: "array[int]"  # where each line begins, and where the one after the last would; by IBGE code
    codes: "array[int]"  # the IBGE code of each line
    starts: "array[int]"  # first and last CEP of each range, by the first, and the line that has it
    ends: "array[int]"
    owners: "array[int]"

    def place(self, line: int) -> Place:
        text = self.raw[self.lines[line] : self.lines[line + 1]].decode()
        ibge, city, state, latitude, longitude, zone, _spans = text.split(";")
        return Place(ibge, city, state, float(latitude), float(longitude), zone or STATE_ZONES[state])


@lru_cache(maxsize=1)
def _table() -> _Table:
    raw = gzip.decompress((files("malha.network") / "data" / "places.csv.gz").read_bytes())
    lines, codes, at = array("I"), array("I"), 0
    ranges: list[tuple[int, int, int]] = []
    for number, line in enumerate(raw.splitlines(keepends=True)):
        lines.append(at)
        at += len(line)
        codes.append(int(line[: line.index(b";")]))
        ranges.extend((int(span[:8]), int(span[9:]), number) for span in line[line.rindex(b";") + 1 :].split())
    lines.append(at)
    ranges.sort(key=lambda r: r[0])
    starts, ends, owners = (array("I", (r[part] for r in ranges)) for part in range(3))
    return _Table(raw, lines, codes, starts, ends, owners)


@lru_cache(maxsize=1)
def _by_name() -> dict[tuple[str, str], int]:
    table = _table()
    found: dict[tuple[str, str], int] = {}
    for line in range(len(table.codes)):
        place = table.place(line)
        found[intern(place.state), _key(place.city)] = line
    return found


@lru_cache(maxsize=1024)
def _place(line: int) -> Place:
    return _table().place(line)


def _key(city: str) -> str:
    return fold(city).replace("'", "").replace("-", " ")


def locate(cep: str) -> Place | None:
    """Return the municipality a CEP lies in, or None when no municipality has it.

    Five digits are taken as a prefix: the municipality of the first CEP that begins with it and is in use.
    """
    text = cep.strip()
    prefix = len(text) == 5 and text.isascii() and text.isdigit()
    full = f"{text}999" if prefix else normalise_cep(text)
    if full is None:
        return None
    table = _table()
    last = int(full)
    first = last - 999 if prefix else last
    i = bisect_right(table.starts, last) - 1
    while i > 0 and table.starts[i] > first and table.ends[i - 1] >= first:
        i -= 1
    return _place(table.owners[i]) if i >= 0 and table.ends[i] >= first else None


def state_beside(cep: str, state: str) -> str | None:
    """Return the state that a CEP lies in where it is another than the one stated; None where they agree, or may."""
    place = locate(cep) if cep else None
    return None if place is None or place.state == state else place.state


def locate_city(name: str, state: str) -> Place | None:
    """Return the municipality of this name (accents, case and hyphens do not matter) in a state, or None."""
    line = _by_name().get((state.strip().upper(), _key(name)))
    return None if line is None else _place(line)


def place_of(ibge: str) -> Place | None:
    """Return the municipality with this IBGE code of seven digits, or None."""
    code = whole_in(ibge, 7)
    if code is None or len(ibge) != 7:
        return None
    codes = _table().codes
    line = bisect_left(codes, code)
    return _place(line) if line < len(codes) and codes[line] == code else None


def places() -> list[Place]:
    """Return all municipalities, by IBGE code."""
    table = _table()
    return [table.place(line) for line in range(len(table.codes))]
