"""A visitor without a browser, who speaks Streamlit's own protocol and so can send what no browser would."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.e2e.conftest import Server
from transfer_core.classroom.visitor import COOKIE

_PATIENCE = 60  # seconds until a test gives up
_STREAM = "/_stcore/stream"


class Visit:
    """One page that is open.

    Args:
        server: Of the page.
        cookie: Of the class.
        session_id: Of an earlier visit, to be taken up again.
    """

    def __init__(self, server: Server, cookie: str, session_id: str = "") -> None:
        self.received: list[ForwardMsg] = []
        self._num_before = 0
        protocols = ["streamlit", "PLACEHOLDER_AUTH_TOKEN", *([session_id] if session_id else [])]
        connecting = connect(
            f"ws{server.url.removeprefix('http')}{_STREAM}",
            origin=Origin(server.url),
            additional_headers={"Cookie": f"{COOKIE}={cookie}"},
            subprotocols=[Subprotocol(protocol) for protocol in protocols],
            max_size=None,
        )
        self._open = ExitStack()
        self._connection = self._open.enter_context(connecting)

    def __enter__(self) -> Visit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def session_id(self) -> str:
        return next(
            one.new_session.initialize.session_id for one in self.received if one.HasField("new_session")
        )

    @property
    def text(self) -> str:
        """Everything that was sent since the page was asked for."""
        return "\n".join(map(str, self.received))

    @property
    def elements(self) -> list[Element]:
        """The elements of the last script run."""
        drawn = self.received[self._num_before :]
        return [one.delta.new_element for one in drawn if one.HasField("delta")]

    def elements_of(self, kind: str) -> list[Any]:
        found = [element for element in self.elements if element.WhichOneof("type") == kind]
        return [getattr(element, kind) for element in found]

    def draw(self, page_name: str = "", query: str = "", pressed: tuple[str, ...] = ()) -> None:
        """Let the page be drawn, with some widgets pressed."""
        message = BackMsg()
        message.rerun_script.page_name = page_name
        message.rerun_script.query_string = query
        for widget_id in pressed:
            message.rerun_script.widget_states.widgets.add(id=widget_id, trigger_value=True)
        self.received, self._num_before = [], 0
        self.send(message)
        # A page that calls `st.rerun` is sent twice, and the ids of its first version are no longer valid.
        while self.wait_for("script_finished").script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self._num_before = len(self.received)

    def send(self, message: BackMsg) -> None:
        self._connection.send(message.SerializeToString())

    def wait_for(self, kind: str) -> ForwardMsg:
        """Read on until a kind of message comes."""
        while True:
            data = self._connection.recv(timeout=_PATIENCE)
            assert isinstance(data, bytes)
            self.received.append(ForwardMsg.FromString(data))
            if self.received[-1].WhichOneof("type") == kind:
                return self.received[-1]
