"""Build `src/malha/catalog/data/ncm.txt.gz`, the codes of eight digits of the Mercosur nomenclature (NCM).

    python tools/build_ncm.py ncm.parquet

The table is BrasilAPI's (MIT), which has it from Siscomex. One code a line.
"""

import gzip
import io
import sys
from pathlib import Path

import pyarrow.parquet as pq

TARGET = Path(__file__).parent.parent / "src/malha/catalog/data/ncm.txt.gz"


def main() -> None:
    """Write the list."""
    rows = pq.read_table(sys.argv[1], columns=["Codigo"]).to_pylist()
    codes = sorted({code for row in rows if len(code := row["Codigo"].replace(".", "")) == 8})
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(("\n".join(codes) + "\n").encode())
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(buffer.getvalue())
    print(f"{TARGET.name}: {len(codes)} codes, {len(buffer.getvalue())} bytes")


if __name__ == "__main__":
    main()
