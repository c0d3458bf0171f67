"""`malha serve` where the secret key has no place: one sentence, before anything is started."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ports import free_port
from traffic import malha

from malha.platform.embedded import EmbeddedPostgres

NOWHERE = Path("/proc/no-directory-can-be-made-here")  # by nobody, root included


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="malha-k-") as made:
        Path(made).chmod(0o755)  # as root the server's user must reach what is in it
        yield Path(made)


def test_a_data_directory_that_cannot_be_written_is_refused_at_the_start(place: Path) -> None:
    with EmbeddedPostgres(place / "database") as of_others:
        refused = malha(NOWHERE, "serve", "--port", str(free_port()), "--web-workers", "1", DATABASE_URL=of_others.url)
    assert refused.returncode == 2, refused.stderr
    assert "secret.key cannot be written" in refused.stderr
    assert "or set MALHA_SECRET_KEY." in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "child_died" not in refused.stderr
