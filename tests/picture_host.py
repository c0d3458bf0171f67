"""A server of pictures: what stands at a path is what a test says, and who asked how often is known."""

import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image


def picture(colour: str = "teal", size: tuple[int, int] = (800, 800)) -> bytes:
    """Return a JPEG of one colour."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


class PictureHost:
    """`files` are served by path; `moved` paths lead elsewhere."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.files: dict[str, bytes] = {}
        self.moved: dict[str, str] = {}
        self.asked: Counter[str] = Counter()

    def put(self, path: str, data: bytes) -> str:
        """Serve something, and return its address."""
        self.files[path] = data
        return self.url + path


@contextmanager
def picture_host() -> Iterator[PictureHost]:
    """Serve on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host.asked[self.path] += 1
            body = host.files.get(self.path)
            status = 302 if self.path in host.moved else 404 if body is None else 200
            self.send_response(status)
            if status == 302:
                self.send_header("Location", host.moved[self.path])
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host = PictureHost(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
