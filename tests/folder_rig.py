"""What the conformance kit needs of a peer that speaks by files: a folder in place of its server."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from malha.testing.connectors import Fault, FolderFiles, Operation


class FolderRig:
    """A peer whose files are in a folder; `faults` are what of it can be made to fail."""

    page = 1
    webhook_secret = ""
    allowed: Sequence[str] = ()
    faults: ClassVar[frozenset[Operation]]

    def __init__(self, root: Path) -> None:
        self.files = FolderFiles(root)
        self.root = root
        (root / "in").mkdir()
        self.config = {"host": "sftp.example", "user": "malha"}
        self.secrets = {"password": "of-the-tests-only"}

    def fail(self, operation: Operation, fault: Fault) -> None:
        assert operation in self.faults
        self.files.fail(fault)
