"""The websocket between a browser and Streamlit, as far as a class and its teacher have a say in it."""

from __future__ import annotations

from google.protobuf.message import DecodeError
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from pages.ui.server.ownership import Ownership, without_folder
from pages.ui.server.service import service
from transfer_core.classroom.visitor import visitor_of
from transfer_core.errors import TransferStudioError

_PROTOCOLS = "sec-websocket-protocol"
_DRAW_AGAIN = BackMsg(rerun_script=ClientState()).SerializeToString()


class Conversation:
    """Both directions of one websocket.

    Args:
        scope: Of the websocket.
        owner: Who opened it; empty without a class.
        ownership: Learns what is sent to them.
        receive: Of the server.
        send: Of the server.
    """

    def __init__(self, scope: Scope, owner: str, ownership: Ownership, receive: Receive, send: Send) -> None:
        self.scope = dict(scope)
        self._owner = owner
        self._ownership = ownership
        self._receive = receive
        self._send = send
        self._cookies = HTTPConnection(scope).cookies
        if owner:
            self._leave_session_of_others()

    async def receive(self) -> Message:
        """Return the next message from the browser that its person may send."""
        while True:
            message = await self._receive()
            data = message.get("bytes")
            if not self._owner or message["type"] != "websocket.receive" or not data:
                return message
            if self._is_shut_out():
                # The page is drawn once more and says why it cannot go on. No click and no fragment gets through.
                return {**message, "bytes": _DRAW_AGAIN}
            try:
                if self._ownership.may_send(self._owner, BackMsg.FromString(data)):
                    return message
            except DecodeError:
                # Streamlit closes the connection.
                return message

    async def send(self, message: Message) -> None:
        """Send a message to the browser, without the place of this app on the disk."""
        data = message.get("bytes")
        if message["type"] == "websocket.send" and data:
            parsed = ForwardMsg.FromString(data)
            if self._owner:
                self._ownership.learn(self._owner, parsed)
            if without_folder(parsed):
                message = {**message, "bytes": parsed.SerializeToString()}
        await self._send(message)

    def _is_shut_out(self) -> bool:
        try:
            visitor = visitor_of(service().workspace, self._cookies)
            return visitor is None or visitor.is_shut_out
        except TransferStudioError:
            return True

    def _leave_session_of_others(self) -> None:
        """Take the id of a session out of the request unless the same person began it. Streamlit begins a new one."""
        headers = MutableHeaders(scope=self.scope)
        protocol, token, session_id, *_rest = (*headers.get(_PROTOCOLS, "").split(","), "", "", "")
        if session_id.strip() and not self._ownership.owns_session(self._owner, session_id.strip()):
            headers[_PROTOCOLS] = f"{protocol},{token}"
