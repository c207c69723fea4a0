"""A tab of a browser that speaks Streamlit's own protocol over a websocket, timers included."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import anyio
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from benchmarks.classroom.screen import FRAGMENT_DRAWN, PAGE_DRAWN, Screen

# A page that takes longer than this has failed.
ANSWER_SECONDS = 60.0
_TICK_SECONDS = 0.1
# In place of a token, as the front end sends it.
_NO_TOKEN = "PLACEHOLDER_AUTH_TOKEN"


class LostAnswer(Exception):
    """A request to the server was not answered."""


class Tab:
    """A page that is open in a browser.

    Args:
        url: Of the server.
        cookie: The header of that name; empty for none.

    Attributes:
        screen: What the page shows.
        seconds: How long each answer took so far.
    """

    def __init__(self, url: str, cookie: str = "") -> None:
        self.url = url
        self.cookie = cookie
        self.screen = Screen()
        self.seconds: list[float] = []
        self._connection: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._finished: asyncio.Queue[int] = asyncio.Queue()
        self._file_answers: asyncio.Queue[ForwardMsg] = asyncio.Queue()

    async def open(self, page_name: str = "", query: str = "") -> float:
        """Open a page by its address. Returns the seconds until it was drawn."""
        self.screen = Screen()
        self.screen.address = query
        began_at = time.perf_counter()
        await self._connect("")
        return await self._answer(self.screen.request(page_name=page_name), began_at)

    async def come_back(self) -> float:
        """Connect again after the connection broke, as the front end does. Returns the seconds until it was drawn."""
        began_at = time.perf_counter()
        await self._connect(self.screen.session_id)
        return await self._answer(self.screen.request(), began_at)

    async def act(self, request: BackMsg) -> float:
        """Send the request of a click and return the seconds until its answer was there.

        Raises:
            LostAnswer: If there was none within a minute, or the connection broke.
        """
        return await self._answer(request, time.perf_counter())

    async def go_to(self, label: str) -> float:
        """Follow a link to another page."""
        return await self.act(self.screen.follow_link(label))

    async def press(self, label: str) -> float:
        """Press a button."""
        return await self.act(self.screen.press(label))

    async def file_urls(self, name: str) -> ForwardMsg:
        """Return the server's answer to the request for a place to upload a file to."""
        message = BackMsg()
        message.file_urls_request.request_id = name
        message.file_urls_request.session_id = self.screen.session_id
        message.file_urls_request.file_names.append(name)
        await self._send(message)
        with anyio.fail_after(ANSWER_SECONDS):
            return await self._file_answers.get()

    async def close(self) -> None:
        """Close the connection as a browser does. The session is kept by the server for a while."""
        await self._end_tasks()
        if self._connection:
            await self._connection.close()
            self._connection = None

    async def cut_off(self) -> None:
        """Lose the connection without a word, as when the network fails."""
        await self._end_tasks()
        if self._connection:
            self._connection.transport.abort()
            self._connection = None

    async def _connect(self, session_id: str) -> None:
        await self.close()
        self._finished = asyncio.Queue()
        protocols = [Subprotocol("streamlit"), Subprotocol(_NO_TOKEN)]
        self._connection = await connect(
            self.url.replace("http", "ws", 1) + "/_stcore/stream",
            origin=Origin(self.url),
            additional_headers={"Cookie": self.cookie} if self.cookie else {},
            subprotocols=[*protocols, Subprotocol(session_id)] if session_id else protocols,
            max_size=None,
            open_timeout=ANSWER_SECONDS,
        )
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._tick())]

    async def _answer(self, request: BackMsg, began_at: float) -> float:
        wanted = {PAGE_DRAWN, FRAGMENT_DRAWN} if request.rerun_script.fragment_id else {PAGE_DRAWN}
        while not self._finished.empty():
            self._finished.get_nowait()
        await self._send(request)
        try:
            with anyio.fail_after(ANSWER_SECONDS):
                while await self._finished.get() not in wanted:
                    pass
        except TimeoutError as error:
            raise LostAnswer(f"A page was not drawn within {ANSWER_SECONDS:.0f} s.") from error
        seconds = time.perf_counter() - began_at
        if self._connection is None:
            raise LostAnswer("The server closed the connection.")
        self.seconds.append(seconds)
        return seconds

    async def _send(self, message: BackMsg) -> None:
        if self._connection is None:
            raise LostAnswer("The connection is closed.")
        try:
            await self._connection.send(message.SerializeToString())
        except ConnectionClosed as error:
            raise LostAnswer("The server closed the connection.") from error

    async def _read(self) -> None:
        connection = self._connection
        assert connection is not None
        with suppress(ConnectionClosed):
            async for data in connection:
                assert isinstance(data, bytes)
                message = ForwardMsg.FromString(data)
                if message.WhichOneof("type") == "file_urls_response":
                    self._file_answers.put_nowait(message)
                elif (status := self.screen.take(message)) is not None:
                    self._finished.put_nowait(status)
        # Whoever waits for an answer learns that none will come.
        self._connection = None
        self._finished.put_nowait(PAGE_DRAWN)

    async def _tick(self) -> None:
        """Redraw fragments by their timers, as the front end does."""
        due: dict[str, float] = {}
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.perf_counter()
            timers = self.screen.auto_reruns
            due = {name: due.get(name, now + seconds) for name, seconds in timers.items()}
            for name, seconds in timers.items():
                if due[name] <= now:
                    due[name] = now + seconds
                    with suppress(LostAnswer):
                        await self._send(self.screen.tick(name))

    async def _end_tasks(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
