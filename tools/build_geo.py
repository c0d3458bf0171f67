"""Build `src/malha/network/data/places.csv.gz` from public tables of Brazilian municipalities and CEP ranges.

    python tools/build_geo.py DIRECTORY

DIRECTORY holds `municipios.csv` and `estados.csv` (kelvins/municipios-brasileiros, MIT) and
`cep_ranges_municipios.parquet` (BrasilAPI, MIT; the ranges of Correios, February 2022). Run it again when they
change; the output is deterministic.

One line per municipality: `ibge;name;state;latitude;longitude;zone;ranges`, where ranges are `start-end` in eight
digits, joined by spaces, and zone is empty where the state's own zone holds.
"""

import csv
import gzip
import io
import sys
from collections import defaultdict
from difflib import get_close_matches
from pathlib import Path

import pyarrow.parquet as pq

from malha.platform.text import fold

TARGET = Path(__file__).parent.parent / "src/malha/network/data/places.csv.gz"

# The source has one zone per offset of today; these municipalities differ from their state's zone.
ODD_ZONES = {("AM", "America/Rio_Branco"): "America/Eirunepe", ("PE", "America/Noronha"): "America/Noronha"}
# Names the postal service spells so differently that no similarity finds them.
RENAMED = {
    ("GO", "bom jesus"): "bom jesus de goias",
    ("RN", "boa saude"): "januario cicco (boa saude)",
    ("RN", "campo grande"): "augusto severo (campo grande)",
    ("TO", "sao valerio da natividade"): "sao valerio",
    ("TO", "tabocao"): "fortaleza do tabocao",
}


def build(source: Path) -> str:
    """Return the text of the table."""
    with (source / "estados.csv").open(encoding="utf-8-sig") as file:
        states = {row["codigo_uf"]: row["uf"] for row in csv.DictReader(file)}
    with (source / "municipios.csv").open(encoding="utf-8-sig") as file:
        municipalities = {row["codigo_ibge"]: row for row in csv.DictReader(file)}
    by_name: dict[str, dict[str, str]] = defaultdict(dict)
    for code, row in municipalities.items():
        by_name[states[row["codigo_uf"]]][fold(row["nome"])] = code
    ranges: dict[str, list[str]] = defaultdict(list)
    unmatched = []
    for row in pq.read_table(source / "cep_ranges_municipios.parquet").to_pylist():
        if row["range_type"] != "Total do município":
            continue
        if row["codigo_ibge"]:
            code = str(row["codigo_ibge"])
        else:
            state, name = row["state"], fold(row["locality"])
            near = get_close_matches(RENAMED.get((state, name), name), by_name[state], n=1, cutoff=0.75)
            unmatched.append((state, row["locality"], near))
            if not near:
                continue
            code = by_name[state][near[0]]
        ranges[code].append(f"{row['cep_start']}-{row['cep_end']}")
    for state, name, near in unmatched:
        print(f"{state} {name}: taken as {near[0] if near else 'nothing, left out'}")
    lines = []
    for code, row in sorted(municipalities.items()):
        state = states[row["codigo_uf"]]
        zone = ODD_ZONES.get((state, row["fuso_horario"]), "")
        place = (code, row["nome"], state, row["latitude"], row["longitude"], zone, " ".join(sorted(ranges[code])))
        lines.append(";".join(place))
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    text = build(Path(sys.argv[1]))
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(text.encode())
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(buffer.getvalue())
    print(f"{TARGET.name}: {text.count(chr(10))} municipalities, {len(buffer.getvalue())} bytes")


if __name__ == "__main__":
    main()
