"""Message catalogues: compile each `.po` that is newer than its `.mo`, and refuse one whose entries are malformed."""

import argparse
import sys
from pathlib import Path

from babel.messages import mofile, pofile

ROOT = Path(__file__).resolve().parent.parent
LOCALE = ROOT / "src" / "malha" / "locale"


def compile_catalogues(*, quiet: bool) -> int:
    """Compile every catalogue that changed; return how many were wrong."""
    wrong = 0
    for source in sorted(LOCALE.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        with source.open("rb") as text:
            catalogue = pofile.read_po(text, locale=source.parent.parent.name, abort_invalid=True)
        for message, errors in catalogue.check():
            for error in errors:
                wrong += 1
                print(f"{source.relative_to(ROOT)}:{message.lineno}: {error}", file=sys.stderr)
        unfinished = target.with_suffix(".mo.new")
        with unfinished.open("wb") as binary:
            mofile.write_mo(binary, catalogue)
        unfinished.replace(target)
        if not quiet:
            print(f"messages: {target.relative_to(ROOT)}")
    return wrong


def main() -> None:
    """Run the asked command."""
    arguments = argparse.ArgumentParser(description="Message catalogues of Malha.")
    arguments.add_argument("command", choices=("compile",))
    arguments.add_argument("--quiet", action="store_true")
    sys.exit(1 if compile_catalogues(quiet=arguments.parse_args().quiet) else 0)


if __name__ == "__main__":
    main()
