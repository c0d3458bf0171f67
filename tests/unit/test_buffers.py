"""What the embedded database keeps of its pages: little while a shop is small, more as its data grows, never too much."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.platform import buffers

MB, GB = 1 << 20, 1 << 30
sizes = st.integers(0, 1 << 44)


@pytest.mark.parametrize(
    ("data", "memory", "kept"),
    [
        (0, 8 * GB, 96 * MB),
        (1023 * MB, 64 * GB, 96 * MB),
        (1 * GB, 64 * GB, 256 * MB),
        (8 * GB, 64 * GB, 2 * GB),
        (20 * GB, 64 * GB, 4 * GB),
        (20 * GB, 8 * GB, 2 * GB),
        (20 * GB, 256 * MB, 96 * MB),
    ],
)
def test_a_quarter_of_the_data_at_most_a_quarter_of_the_machine(data: int, memory: int, kept: int) -> None:
    assert buffers.fitting(data, memory) == kept


@given(sizes, sizes, sizes)
def test_more_data_or_memory_never_keeps_less(data: int, more: int, memory: int) -> None:
    assert buffers.fitting(data, memory) <= buffers.fitting(data + more, memory)
    assert buffers.fitting(data, memory) <= buffers.fitting(data, memory + more)
    assert buffers.LEAST <= buffers.fitting(data, memory) <= buffers.MOST


def test_data_is_what_the_tables_of_all_databases_take(tmp_path: Path) -> None:
    assert buffers.data_bytes(tmp_path) == 0
    for name, size in (("1/1259", 8192), ("5/1259", 8192), ("5/2600", 16384)):
        file = tmp_path / "base" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
    (tmp_path / "base" / "pgsql_tmp_stray").write_bytes(b"x")
    assert buffers.data_bytes(tmp_path) == 32768


def test_a_container_has_what_its_limit_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = buffers.memory_bytes()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(buffers, "_LIMITS", (tmp_path / "none", limit))
    limit.write_text("max\n")
    assert buffers.memory_bytes() >= machine
    limit.write_text(f"{512 * MB}\n")
    assert buffers.memory_bytes() == 512 * MB
