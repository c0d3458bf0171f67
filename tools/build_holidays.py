"""Build `src/malha/network/data/holidays.txt.gz`: Brazil's public holidays by state, from the `holidays` package.

    python tools/build_holidays.py

Importing that package costs a second and 20 MB in every process that asks for a day. A test compares the table with the
package, so an update of the package that knows a new law asks for a new table.
"""

import gzip
import io
from pathlib import Path

import holidays

from malha.network.calendar import TABLE_YEARS
from malha.platform.brazil import STATES

TARGET = Path(__file__).parent.parent / "src/malha/network/data/holidays.txt.gz"


def build() -> str:
    """Return the table: one line per calendar, the national days first, for a state only what it adds."""
    national = set(holidays.country_holidays("BR", years=TABLE_YEARS))
    lines = [("BR", national)]
    for state in sorted(STATES):
        days = set(holidays.country_holidays("BR", subdiv=state, years=TABLE_YEARS))
        if not days >= national:
            raise ValueError(f"{state} does not observe a national holiday: the table's form cannot say that")
        lines.append((f"BR-{state}", days - national))
    return "".join(f"{name} {' '.join(f'{day:%Y%m%d}' for day in sorted(days))}\n" for name, days in lines)


def main() -> None:
    """Write the table."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(build().encode())
    TARGET.write_bytes(buffer.getvalue())
    print(f"{TARGET.name}: {len(buffer.getvalue())} bytes")


if __name__ == "__main__":
    main()
