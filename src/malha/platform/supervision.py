"""Child processes under one parent: forked, watched, started again, stopped in order.

The parent imports the application once and forks: children share its memory and stand at once. A child that dies is
started again, at first immediately, then with growing pauses; one that never lives long enough to work, many times in a
row, ends the whole, its last words in the log. However the parent ends, the kernel tells the children to end too.

The parent has one thread and only waits for signals; whatever runs an event loop runs in a child.
"""

import asyncio
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence

import structlog

from malha.platform.metrics import forget_process
from malha.platform.processes import die_with_parent, set_name

log = structlog.get_logger(__name__)

HEALTHY_AFTER_S = 5.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
GIVE_UP_AFTER = 8  # deaths in a row, each before HEALTHY_AFTER_S
ORPHAN_PATIENCE_S = 3.0
TICK_S = 0.5
EAGER_TICK_S = 0.02
_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}  # a closed terminal ends it; under nohup it never comes
_HANDLED = {*_ENDING, signal.SIGCHLD}


_parent: int | None = None  # of this process, when a supervisor forked it


def end_soon(loop: asyncio.AbstractEventLoop, patience_s: float) -> None:
    """Have a child that was told to end be gone within `patience_s`, or at once when nobody waits for it any more.

    Without its parent its database may be gone too, and it would wait for that in vain.
    """
    orphaned = _parent is not None and os.getppid() != _parent
    loop.call_later(min(patience_s, ORPHAN_PATIENCE_S) if orphaned else patience_s, os._exit, 1)


class Child:
    """One process to keep alive: what it runs, and how long it may take to end when told to."""

    def __init__(self, name: str, run: Callable[[], None], *, patience_s: float = 15.0) -> None:
        self.name = name
        self.run = run
        self.patience_s = patience_s
        self.pid: int | None = None
        self.started_at = 0.0
        self.start_at = 0.0  # not before, by the monotonic clock
        self.deaths = 0  # in a row, each too soon


class Supervisor:
    """Keeps children alive until a signal ends it; then stops them, kind by kind ("web:1", "web:2"), in their order.

    `tick` is called about every half second, more often until it returns True once: the place to watch over what is no
    child, and to say when all is ready. `before_stop` is called once, before the first child is told to end.
    """

    def __init__(
        self,
        children: Sequence[Child],
        tick: Callable[[], bool],
        *,
        before_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._children = list(children)
        self._tick = tick
        self._before_stop = before_stop

    def run(self) -> int:
        """Run until told to end; return the exit code: 0 when told to, 1 when a child cannot be kept alive."""
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        gc.collect()
        gc.freeze()  # what is there now is shared with the children and need not be walked by their collectors
        code, settled = 0, False
        try:
            while True:
                for child in self._children:
                    if child.pid is None and time.monotonic() >= child.start_at:
                        self._start(child)
                settled = self._tick() or settled
                got = signal.sigtimedwait(_HANDLED, TICK_S if settled else EAGER_TICK_S)
                if got is not None and got.si_signo in _ENDING:
                    log.info("stopping", signal=signal.Signals(got.si_signo).name)
                    break
                self._collect()
                doomed = next((child for child in self._children if child.deaths >= GIVE_UP_AFTER), None)
                if doomed is not None:
                    log.error("gave_up", child=doomed.name, deaths=doomed.deaths)
                    code = 1
                    break
        finally:
            self._before_stop()
            self._stop()
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        return code

    def _start(self, child: Child) -> None:
        attach = die_with_parent(signal.SIGTERM)
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            global _parent  # noqa: PLW0603 -- a fact of the new process
            _parent = parent
            code = 1
            try:
                attach()
                set_name(f"malha {child.name}")
                os.setpgid(0, 0)  # Ctrl-C at the terminal is for the parent, which stops its children in order
                for number in _HANDLED:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
                child.run()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
            except BaseException:  # noqa: BLE001 -- the end of a process: nothing may pass, everything is said
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        child.pid, child.started_at = pid, time.monotonic()
        log.debug("child_started", child=child.name, pid=pid)

    def _collect(self) -> None:
        for child in self._children:
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid == 0:
                continue
            lived = time.monotonic() - child.started_at
            child.deaths = 0 if lived >= HEALTHY_AFTER_S else child.deaths + 1
            pause = min(FIRST_PAUSE_S * 2 ** (child.deaths - 2), LONGEST_PAUSE_S) if child.deaths > 1 else 0.0
            child.start_at = time.monotonic() + pause
            log.warning(
                "child_died",
                child=child.name,
                pid=pid,
                code=os.waitstatus_to_exitcode(status),
                again_in_s=round(pause, 1),
            )
            forget_process(pid)
            child.pid = None

    def _stop(self) -> None:
        names = list(dict.fromkeys(child.name.partition(":")[0] for child in self._children))
        for name in names:  # all of one kind at the same time, the kinds one after the other
            self._stop_together([child for child in self._children if child.name.partition(":")[0] == name])

    @staticmethod
    def _stop_together(children: Sequence[Child]) -> None:
        living = [child for child in children if child.pid is not None]
        for child in living:
            os.kill(child.pid or 0, signal.SIGTERM)
        begun = time.monotonic()
        while living:
            for child in list(living):
                if os.waitpid(child.pid or 0, os.WNOHANG)[0]:
                    child.pid = None
                    living.remove(child)
                elif time.monotonic() - begun > child.patience_s:
                    log.warning("child_killed", child=child.name, pid=child.pid)
                    os.kill(child.pid or 0, signal.SIGKILL)
                    os.waitpid(child.pid or 0, 0)
                    child.pid = None
                    living.remove(child)
            if living:
                signal.sigtimedwait({signal.SIGCHLD}, 0.05)
