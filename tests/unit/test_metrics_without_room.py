"""Values of metrics where the disk has no room for them: they are kept in memory, and nobody stumbles over the rest."""

import subprocess
import sys
from pathlib import Path

# A limit on the size of files stands for a disk that is full. What it forbids is refused like it, not cut short.
COUNTED = """
import resource
import sys
from malha.platform import metrics
shared = metrics.share()
from prometheus_client import Counter, Histogram
before = Counter("before", "b.", ["what"])
before.labels("x").inc(3)
resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))
for n in range({many}):
    before.labels(f"{{n:0100}}").inc()
before.labels("x").inc(4)
other = Histogram("other", "o.")
other.observe(1)
assert before.labels("x")._value.get() == 7
assert before.labels(f"{{{many} - 1:0100}}")._value.get() == 1
sys.stdout.write(metrics.render().decode())
"""


def page(room: int, many: int, tmp_path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COUNTED.format(room=room, many=many)],
        env={"TMPDIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_with_room_all_that_was_counted_is_on_the_page(tmp_path: Path) -> None:
    said = page(-1, 2_000, tmp_path)
    assert 'before_total{what="x"} 7.0' in said
    assert said.count("before_total{") == 2_001
    assert "other_count 1.0" in said


def test_without_room_for_more_what_was_in_the_file_stays_on_the_page(tmp_path: Path) -> None:
    said = page(1 << 17, 2_000, tmp_path)
    assert 'before_total{what="x"}' in said
    assert 1 < said.count("before_total{") < 2_001


def test_without_room_for_a_file_the_page_lacks_it_and_comes(tmp_path: Path) -> None:
    said = page(1_000, 1, tmp_path)
    assert 'before_total{what="x"} 7.0' in said
    assert "other_count" not in said
