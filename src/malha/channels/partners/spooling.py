"""Files of partners on their way: on disk, never whole in memory; kept in the database gzipped."""

import gzip
import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

IN_MEMORY = 1 << 20  # what is smaller never sees the disk
PIECE = 1 << 16


@contextmanager
def spool() -> Iterator[BinaryIO]:
    """Yield an empty file that is gone after the block."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        yield cast("BinaryIO", file)


@contextmanager
def opened(content: bytes) -> Iterator[BinaryIO]:
    """Yield what was kept gzipped, at its beginning."""
    with spool() as file:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as kept:
            shutil.copyfileobj(kept, file, PIECE)
        file.seek(0)
        yield file


def squeezed(file: BinaryIO) -> bytes:
    """Return a file as it is kept."""
    file.seek(0)
    out = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=5, mtime=0) as kept:
        shutil.copyfileobj(file, kept, PIECE)
    return out.getvalue()


def size_of(file: BinaryIO) -> int:
    """Return how many bytes a file has."""
    return file.seek(0, io.SEEK_END)


def fingerprint(name: str, file: BinaryIO, modified: int | None) -> bytes:
    """Return what makes a file this one; see `rules.fingerprint`."""
    found = hashlib.sha256(f"{name}\x00{'' if modified is None else modified}\x00".encode())
    file.seek(0)
    while piece := file.read(PIECE):
        found.update(piece)
    return found.digest()
