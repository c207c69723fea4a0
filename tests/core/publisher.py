"""Local HTTP server that publishes one file, with errors and pauses that a test can set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Publisher:
    """Responses of the server: status, content, its truncation, and a pause after the first half."""

    content: bytes
    status: int = 200
    num_sent: int | None = None
    sends_length: bool = True
    is_half_sent: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def num_requests(self) -> int:
        return len(self.paths)


@contextmanager
def publishing(content: bytes) -> Iterator[Publisher]:
    """Serve the content under every path of a local server until the block ends."""
    publisher = Publisher(content)
    publisher.may_go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.paths.append(self.path)
            self.send_response(publisher.status)
            if publisher.sends_length:
                self.send_header("Content-Length", str(len(publisher.content)))
            self.end_headers()
            half = len(publisher.content) // 2
            self.wfile.write(publisher.content[:half])
            self.wfile.flush()
            publisher.is_half_sent.set()
            publisher.may_go_on.wait(60)
            # A stopped client has closed the connection.
            with suppress(ConnectionError):
                self.wfile.write(publisher.content[half : publisher.num_sent])

        def log_message(self, *_arguments: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    publisher.url = f"http://127.0.0.1:{server.server_port}"
    yield publisher
    publisher.may_go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()
