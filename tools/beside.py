"""Run two commands at the same time: `beside.py pytest tests/scenarios :: pytest tests/browser`.

The first speaks as it goes; what the second says is shown when both have ended. The exit status is the first that is a
failure; 5, pytest's word for "nothing to run", counts only where nothing worse is to be told. A signal that asks this
program to end is passed on to both, and it waits for them: what they have started is theirs to clear away.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from types import FrameType

NOTHING_TO_RUN = 5


def main(arguments: list[str]) -> int:
    """Run both to their end; return the exit status."""
    cut = arguments.index("::")
    running: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        asked.append(number)
        if len(running) == 2:  # else they are told when both are there
            for process in running:
                process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal's goes to both as well
    with tempfile.TemporaryFile() as kept:
        running.append(subprocess.Popen(arguments[:cut]))
        running.append(subprocess.Popen(arguments[cut + 1 :], stdout=kept, stderr=subprocess.STDOUT))
        for number in asked[:1]:
            for process in running:
                process.send_signal(number)
        codes = [process.wait() for process in running]
        kept.seek(0)
        sys.stdout.flush()
        shutil.copyfileobj(kept, sys.stdout.buffer)
    told = [1 if code < 0 else code for code in codes if code]
    return next((code for code in told if code != NOTHING_TO_RUN), told[0] if told else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
