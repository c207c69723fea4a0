"""The files of Streamlit's front end: kept in memory, compressed once."""

from __future__ import annotations

import gzip

import pytest
from starlette.types import Receive, Scope, Send

from pages.ui.server.front_end import FrontEndFiles
from tests.asgi import ask

BODY = b"const a = 1;\n" * 500


class Files:
    """Answers as Streamlit does: files for ever, and the first page for what it does not know."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        self.asked.append(path)
        is_known = path in ("/static/js/a.js", "/static/media/a.woff2")
        kind = "text/javascript" if path.endswith(".js") else "font/woff2"
        headers = {
            "content-type": kind if is_known else "text/html",
            "content-length": str(len(BODY)),
            "etag": '"1"',
            "cache-control": "public, immutable, max-age=31536000" if is_known else "no-cache",
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": BODY[:100], "more_body": True})
        await send({"type": "http.response.body", "body": BODY[100:]})


@pytest.fixture
def files() -> Files:
    return Files()


def test_script_is_compressed_once_and_kept(files: Files) -> None:
    # Each call has an event loop of its own; the task that made the file is over by then.
    front = FrontEndFiles(files)
    for _time in range(3):
        answer = ask(front, "/static/js/a.js", accept_encoding="gzip, br")
        assert gzip.decompress(answer.body) == BODY and len(answer.body) < len(BODY) / 5
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-length"] == str(len(answer.body))
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["vary"] == "Accept-Encoding" and "etag" not in answer.headers
    assert files.asked == ["/static/js/a.js"]
    plain = ask(front, "/static/js/a.js")
    assert plain.body == BODY and "content-encoding" not in plain.headers


def test_font_is_kept_as_it_is(files: Files) -> None:
    front = FrontEndFiles(files)
    for _time in range(2):
        answer = ask(front, "/static/media/a.woff2", accept_encoding="gzip")
        assert answer.body == BODY and "content-encoding" not in answer.headers
    assert len(files.asked) == 1


def test_names_that_somebody_makes_up_are_not_kept(files: Files) -> None:
    front = FrontEndFiles(files)
    for number in range(3):
        assert ask(front, f"/static/js/x{number}.js", accept_encoding="gzip").body == BODY
    assert not front._making


@pytest.mark.parametrize("options", [{"method": "HEAD"}, {"range": "bytes=0-9"}])
def test_parts_of_files_are_left_to_streamlit(files: Files, options: dict[str, str]) -> None:
    front = FrontEndFiles(files)
    for _time in range(2):
        ask(front, "/static/js/a.js", **options)
    assert len(files.asked) == 2


def test_a_file_that_could_not_be_read_is_read_again(files: Files) -> None:
    are_broken = True

    async def broken_at_first(scope: Scope, receive: Receive, send: Send) -> None:
        if are_broken:
            raise OSError("too many open files")
        await files(scope, receive, send)

    front = FrontEndFiles(broken_at_first)
    with pytest.raises(OSError, match="too many"):
        ask(front, "/static/js/a.js")
    are_broken = False
    assert ask(front, "/static/js/a.js").body == BODY
