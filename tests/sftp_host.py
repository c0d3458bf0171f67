"""A real SFTP server in a process of its own, that can be killed, also in the middle of what it does.

python tests/sftp_host.py FOLDER PORT   # 0: any; prints the port

The folder holds `files` (what clients see), `host_key`, `authorized` (public keys), `password`; and, when a test wants
the server to die, `die` with one of: `write` (when the next file is half written), `rename` (asked to rename, not done),
`renamed` (done, not answered). It dies like a machine that loses its power: nothing is said, nothing is cleaned up.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh

USER, PASSWORD = "malha", "s3cret-of-the-partner"


class _Guest(asyncssh.SSHServer):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        known = self._folder / "authorized"
        return username == USER and known.exists() and key.get_fingerprint() in known.read_text().split()


class _Files(asyncssh.SFTPServer):
    def __init__(self, chan: Any, folder: Path) -> None:
        self._folder = folder
        super().__init__(chan, chroot=str(folder / "files").encode())

    def _dies(self, when: str) -> bool:
        die = self._folder / "die"
        if die.exists() and die.read_text().strip() == when:
            die.unlink()
            return True
        return False

    def write(self, file_obj: Any, offset: int, data: bytes) -> Any:
        if self._dies("write"):
            super().write(file_obj, offset, data[: len(data) // 2])
            file_obj.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().write(file_obj, offset, data)

    def rename(self, oldpath: bytes, newpath: bytes) -> Any:
        if self._dies("rename"):
            os.kill(os.getpid(), signal.SIGKILL)
        done = super().rename(oldpath, newpath)
        if self._dies("renamed"):
            os.kill(os.getpid(), signal.SIGKILL)
        return done


async def serve(folder: Path, port: int) -> None:
    key = folder / "host_key"
    if not key.exists():
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(key))
    server = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[str(key)],
        server_factory=lambda: _Guest(folder),
        sftp_factory=lambda chan: _Files(chan, folder),
        allow_scp=False,
    )
    print(server.get_port(), flush=True)
    await server.wait_closed()


class SftpHost:
    """The server as a test sees it: its folder on disk, and its process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        (self.files / "in").mkdir(parents=True)
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, __file__, str(self.folder), str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        """Kill it, as the machine would be switched off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def wait(self) -> None:
        """Wait until it has died by itself."""
        assert self._process is not None
        self._process.wait(30)
        self.stop()

    def die_at(self, when: str) -> None:
        (self.folder / "die").write_text(when)

    def new_host_key(self) -> None:
        (self.folder / "host_key").unlink()

    def trusts(self, key: asyncssh.SSHKey) -> None:
        (self.folder / "authorized").write_text(key.get_fingerprint())

    def put(self, name: str, text: str, encoding: str = "utf-8", at: int | None = None) -> None:
        """Write a file as a partner does: under another name first. `at` is when it says that was, in seconds."""
        incoming = self.files / "in"
        (incoming / f".{name}.tmp").write_bytes(text.encode(encoding))
        if at is not None:
            os.utime(incoming / f".{name}.tmp", (at, at))
        (incoming / f".{name}.tmp").rename(incoming / name)

    def names(self, folder: str) -> list[str]:
        """The files of a folder that a partner sees."""
        found = self.files / folder
        return sorted(p.name for p in found.iterdir() if not p.name.startswith(".")) if found.exists() else []

    def text(self, folder: str, name: str) -> str:
        return (self.files / folder / name).read_bytes().decode()


@asynccontextmanager
async def sftp_host(folder: Path) -> AsyncIterator[SftpHost]:
    """Serve for the block."""
    host = SftpHost(folder)
    await asyncio.to_thread(host.start)
    try:
        yield host
    finally:
        host.stop()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
