"""The simulated WooCommerce as a process of its own: killed at any moment, started again with what it had written down.

    shop = KeptShop(home)
    await shop.start()
    shop.dies("PUT", after=True)      # does the next PUT, and is killed before it says so
    await shop.died()
    await shop.start()                # on the same port, with the same orders

What a request changed is on disk before it is answered, and a killed process keeps its pages: so it is with the database
of a shop. `python -m tests.woocommerce_kept HOME PORT` serves one.
"""

import asyncio
import json
import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
from tests.ports import free_port
from tests.woocommerce_sim import WooSim

READY_S = 60.0
BY_HAND = "/by-hand"  # what its staff, its shoppers and the test do


class KeptSim(WooSim):
    """A simulator that writes its state down, and dies where it is told to."""

    def __init__(self, home: Path, port: int) -> None:
        super().__init__()
        self._file = home / "shop.pickle"
        if self._file.exists():
            self.__dict__ |= pickle.loads(self._file.read_bytes())  # noqa: S301 -- our own
        self.port = port
        self.dying: list[tuple[str, bool]] = []  # method, and whether it does what it is asked first

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        if target == BY_HAND:
            said = json.loads(body)
            made = getattr(self, said["do"])(*said["with"], **said["and"])
            self._keep()
            return 200, made, {}
        dies = next((each for each in self.dying if each[0] == method), None)
        if dies is not None and not dies[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return super().answer(method, target, headers, body)
        finally:  # a refusal is written down, too: its nonce is used up
            self._keep()
            if dies is not None:
                os.kill(os.getpid(), signal.SIGKILL)

    def _keep(self) -> None:
        state = {name: value for name, value in vars(self).items() if name not in {"port", "dying", "_file"}}
        new = self._file.with_suffix(".new")
        new.write_bytes(pickle.dumps(state))
        new.replace(self._file)

    # --- by hand ---

    def set_clock(self, clock: int, ahead: int) -> None:
        self.clock, self.ahead = clock, ahead

    def die_at(self, method: str, after: bool) -> None:
        self.dying.append((method, after))

    def shown(self, what: str, key: Any) -> Any:
        return getattr(self, what)[key]

    def give_back(self, id_: int, sent: dict[str, Any]) -> Any:
        return self.refund(self.orders[id_], sent)

    def sent_of(self, id_: str, topic: str) -> tuple[dict[str, str], str]:
        headers, body = self.hook(id_, topic)
        return headers, body.decode()

    def questions(self) -> list[tuple[str, str, str]]:
        return [(method, target, body.decode()) for method, target, body in self.asked]


class KeptShop:
    """The process and what the test does to it. `start` and `kill` may be called again and again."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._http = httpx.AsyncClient(base_url=self.url, timeout=60.0, trust_env=False)

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.allowed}"

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.woocommerce_kept", str(self._home), str(self.port),
            stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1],
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_S):
            assert (await self._process.stdout.readline()).strip() == b"ready"

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self.died()

    async def died(self) -> None:
        """Wait until it is gone; that it was killed."""
        if self._process is not None:
            async with asyncio.timeout(READY_S):
                assert await self._process.wait() == -signal.SIGKILL
        self._process = None

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        await self._http.aclose()

    async def do(self, what: str, *args: Any, **more: Any) -> Any:
        """Do something in the shop by hand."""
        answer = await self._http.post(BY_HAND, json={"do": what, "with": args, "and": more})
        assert answer.status_code == 200, answer.text
        return answer.json()


async def serve(home: Path, port: int) -> None:
    """Serve until somebody kills it."""
    shop = KeptSim(home, port)
    server = await asyncio.start_server(shop.talk, "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
