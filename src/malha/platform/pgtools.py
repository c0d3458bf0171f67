"""PostgreSQL's own programs (pg_dump, pg_restore): which ones fit a server, and running one without showing a password.

The wheel's programs are the first choice; they are built without TLS, and too old for a server newer than the wheel.
For such a server the system's are used, of the server's major version or a newer one.
"""

import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from malha.platform.db import patient
from malha.platform.embedded import version_of, wheel_install
from malha.platform.errors import MalhaError

SYSTEM = (Path("/usr/lib/postgresql"), Path("/usr/pgsql"))
_LAST_LINES = 40
# What a newer pg_restore says first to an older server, which does not know it and does not need it.
_HARMLESS = re.compile(r'unrecognized configuration parameter "transaction_timeout"')
_FAILED_QUERY = re.compile(r"^pg_restore: error: (?!could not execute query: )|ERROR: ")


class ToolsMissing(MalhaError):
    """No pg_dump of this machine fits the server."""

    status = 500
    code = "postgres_tools_missing"
    says = "No {tool} on this machine fits a PostgreSQL {major} server{how}."
    mend = "Install PostgreSQL's client programs of version {major} or newer (Debian: postgresql-client-{major})."


class ToolFailed(MalhaError):
    """PostgreSQL's program ended with an error; its last words are told."""

    status = 500
    code = "postgres_tool_failed"
    says = "{tool} failed: {words}"


def needs_tls(url: str) -> bool:
    """Tell whether a connection by this URL must be encrypted; a socket never is."""
    parts = conninfo_to_dict(url)
    mode = str(parts.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer")
    return mode in {"require", "verify-ca", "verify-full"} and not str(parts.get("host") or "").startswith("/")


def find_tool(tool: str, major: int, *, tls: bool = False) -> Path:
    """Return the program `tool` that can speak to a server of this major version, over TLS if need be.

    Raises:
        ToolsMissing: neither the wheel nor the system has one.
    """
    for candidate in _candidates(tool, tls=tls):
        if candidate.exists() and _major_of(candidate) >= major:
            return candidate
    raise ToolsMissing(tool=tool, major=major, how=" over TLS" if tls else "")


def _candidates(tool: str, *, tls: bool) -> Iterable[Path]:
    if not tls:
        yield wheel_install() / "bin" / tool
    found = [place / "bin" / tool for base in SYSTEM for place in sorted(base.parent.glob(f"{base.name}*/[0-9]*"))]
    yield from sorted(found, key=lambda path: _number(path.parent.parent.name))
    on_path = shutil.which(tool)
    if on_path:
        yield Path(on_path)


def _number(name: str) -> int:
    digits = re.match(r"\d+", name)
    return int(digits[0]) if digits else 0


def _major_of(program: Path) -> int:
    return int(version_of(program).split(".")[0])


def run_tool(
    program: Path,
    arguments: Sequence[str],
    url: str,
    *,
    on_line: Callable[[str], None] = lambda _line: None,
    during: Callable[[], None] = lambda: None,
) -> None:
    """Run a program against the database of `url`, giving each line it says to `on_line`; `during` runs beside it.

    The password travels in the environment, never in the arguments, which every user of the machine can list. What the
    program writes is readable by its owner only.

    Raises:
        ToolFailed: it ended with an error, or said one that is not harmless.
    """
    parts: dict[str, Any] = conninfo_to_dict(patient(url))
    password = parts.pop("password", None)
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PGAPPNAME": f"malha {program.name}"}
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    last: deque[str] = deque(maxlen=_LAST_LINES)
    errors: list[str] = []
    harmless = 0
    with subprocess.Popen(  # noqa: S603 -- PostgreSQL's own program, no shell
        [str(program), "--dbname", make_conninfo(**parts), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        umask=0o077,
        text=True,
        errors="replace",
    ) as process:

        def listen() -> None:
            nonlocal harmless
            for line in process.stderr or ():
                said = line.rstrip()
                if _HARMLESS.search(said):
                    harmless += 1
                elif _FAILED_QUERY.search(said):
                    errors.append(said)
                last.append(said)
                on_line(said)

        listener = threading.Thread(target=listen, name="malha tool")
        listener.start()
        try:
            during()
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
            listener.join()
    if errors or (process.returncode != 0 and not harmless):
        raise ToolFailed(tool=program.name, words="\n".join(errors[:5] or list(last)[-5:]))
