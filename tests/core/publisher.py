"""A server on this machine that publishes one file, well or badly, as a test wants."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Publisher:
    """Answers as a test wants, with a pause in the middle when it is to be slow."""

    content: bytes
    status: int = 200
    num_sent: int | None = None
    tells_length: bool = True
    is_half_sent: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def num_requests(self) -> int:
        return len(self.paths)


@contextmanager
def publishing(content: bytes) -> Iterator[Publisher]:
    """Publish some bytes under every path."""
    found = Publisher(content)
    found.may_go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.paths.append(self.path)
            self.send_response(found.status)
            if found.tells_length:
                self.send_header("Content-Length", str(len(found.content)))
            self.end_headers()
            half = len(found.content) // 2
            self.wfile.write(found.content[:half])
            self.wfile.flush()
            found.is_half_sent.set()
            found.may_go_on.wait(60)
            # A client that was asked to stop has gone.
            with suppress(ConnectionError):
                self.wfile.write(found.content[half : found.num_sent])

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    found.may_go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()
