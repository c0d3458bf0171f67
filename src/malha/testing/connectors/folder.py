"""Files of a partner for a connector's tests: a folder of this machine in place of its server, which fails on cue."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from malha.channels.contract import AuthExpired, Invalid, Missing, RemoteFile, Retryable, Unsure
from malha.testing.connectors.rig import Fault

LOST = frozenset({Fault.LOST, Fault.SILENT, Fault.TRUNCATED, Fault.DRIP})


class FolderFiles:
    """`contract.Files` on a folder. `fail` has the next write fail: done, or not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written: list[str] = []  # every file that was given its name, though somebody took it away since
        self._faults: list[Fault] = []

    def fail(self, fault: Fault) -> None:
        """Fail the next write like this."""
        self._faults.append(fault)

    async def list(self, folder: str) -> Sequence[RemoteFile]:
        """Return the plain files of a folder by name."""
        if not (self.root / folder).is_dir():
            raise Missing(folder)
        found = sorted(each for each in (self.root / folder).glob("*") if each.is_file())
        return [RemoteFile(each.name, each.stat().st_size, int(each.stat().st_mtime)) for each in found]

    async def read(self, path: str, into: BinaryIO, *, most: int) -> None:
        """Read a file into another one."""
        if not (self.root / path).is_file():
            raise Missing(path)
        if (self.root / path).stat().st_size > most:
            raise Invalid(path, code="too_large")
        into.write((self.root / path).read_bytes())

    async def write(self, folder: str, name: str, body: bytes) -> None:
        """Write a file; one that is there already is left as it is."""
        fault = self._faults.pop(0) if self._faults else None
        if fault is Fault.UNKNOWN_US:
            raise AuthExpired("the server does not know us")
        if fault is not None and fault not in LOST:
            raise Retryable("the server is away")
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        if not (self.root / folder / name).exists():
            (self.root / folder / name).write_bytes(body)
            self.written.append(f"{folder}/{name}")
        if fault is not None:
            raise Unsure("the server went away")

    async def wrote(self, folder: str, name: str) -> bool:
        """Tell whether `write` gave a file its name."""
        return f"{folder}/{name}" in self.written

    async def move(self, path: str, to: str) -> None:
        """Give a file another place; one that is gone is gone."""
        if (self.root / path).exists():
            (self.root / to).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).replace(self.root / to)

    async def remove(self, path: str) -> None:
        """Remove a file; one that is gone is gone."""
        (self.root / path).unlink(missing_ok=True)
