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


@pytest.mark.parametrize(
    ("said", "files", "kept"),
    [
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/\n", {"memory.max": f"{512 * MB}\n"}, 512 * MB),
        # A unit of systemd, and the slice it is part of.
        (
            "0::/system.slice/malha.service\n",
            {"system.slice/malha.service/memory.max": f"{512 * MB}", "system.slice/memory.max": f"{256 * MB}"},
            256 * MB,
        ),
        ("0::/docker/of/the/host\n", {"memory.max": f"{128 * MB}"}, 128 * MB),
        ("11:cpu:/\n4:memory:/app\n0::/\n", {"memory/app/memory.limit_in_bytes": f"{512 * MB}"}, 512 * MB),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
)
def test_a_container_or_a_unit_has_what_its_limit_says(
    said: str, files: dict[str, str], kept: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "_GROUP", tmp_path / "none")
    machine = buffers.memory_bytes()
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "cgroup").write_text(said)
    monkeypatch.setattr(buffers, "_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(buffers, "_GROUPS", tmp_path)
    monkeypatch.setattr(buffers, "_GROUPS_1", tmp_path / "memory")
    assert buffers.memory_bytes() == (machine if kept is None else kept)
