"""Which sessions, photos and downloads of Streamlit belong to whom, learned from the messages it sends.

Streamlit hands out a photo or an upload address to whoever knows it, and lets whoever knows the id of a session take it
over. Everything that a person may name was sent to that person before, so that the messages themselves say whose it is.
Nothing is kept on disk: after a restart Streamlit has forgotten these sessions and files, too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

_MEDIA = "/media/"
_UPLOADS = "/_stcore/upload_file/"
_MAX_SESSIONS = 2_000
_MAX_FILES_EACH = 10_000
# Asked for by Streamlit's menu or by hand: it would slow everyone down, or write into the folder of this app.
_FOR_DEVELOPERS = ("clear_cache", "load_git_info", "set_run_on_save")


class Ownership:
    """Remembers what was sent to whom. For the thread that serves all visitors."""

    def __init__(self) -> None:
        self._owner_of_session: OrderedDict[str, str] = OrderedDict()
        self._files_of: dict[str, OrderedDict[str, None]] = {}

    def owns_session(self, owner: str, session_id: str) -> bool:
        """Whether a session of Streamlit was begun by a person."""
        return self._owner_of_session.get(session_id) == owner

    def owns_path(self, owner: str, path: str) -> bool:
        """Whether the file at the path of a request is a person's own; True for what is no photo and no upload."""
        if path.startswith(_UPLOADS):
            return self.owns_session(owner, path.removeprefix(_UPLOADS).partition("/")[0])
        return not path.startswith(_MEDIA) or self._owns_file(owner, path)

    def may_send(self, owner: str, message: BackMsg) -> bool:
        """Whether a person in a class may send a message to the server."""
        kind = message.WhichOneof("type")
        if kind == "backend_operation_request":
            request = message.backend_operation_request
            operation = request.WhichOneof("payload")
            if operation == "deferred_file":
                return self._owns_file(owner, request.deferred_file.file_id)
            return operation == "dataframe_chunk"
        return kind not in _FOR_DEVELOPERS

    def learn(self, owner: str, message: ForwardMsg) -> None:
        """Remember what a message to a person names."""
        if message.HasField("new_session"):
            session_id = message.new_session.initialize.session_id
            self._owner_of_session[session_id] = owner
            self._owner_of_session.move_to_end(session_id)
            _shorten(self._owner_of_session, _MAX_SESSIONS)
        files = self._files_of.setdefault(owner, OrderedDict())
        for name in filter(None, _files_in(message)):
            files[name] = None
            files.move_to_end(name)
        _shorten(files, _MAX_FILES_EACH)

    def _owns_file(self, owner: str, name: str) -> bool:
        files = self._files_of.get(owner, OrderedDict())
        is_own = name in files
        if is_own:
            files.move_to_end(name)
        return is_own


def without_folder(message: ForwardMsg) -> bool:
    """Take the folder of this app out of a message that begins a run, and return whether it was in it."""
    if not message.HasField("new_session"):
        return False
    message.new_session.main_script_path = Path(message.new_session.main_script_path).name
    return True


def _files_in(message: ForwardMsg) -> Iterator[str]:
    """Return the addresses of files in a message, and the ids of files that are made on request.

    Only fields that Streamlit fills are read. Texts that people write are in others, so that nobody can write down the
    address of a file and so become its owner.
    """
    if message.HasField("backend_operation_response"):
        yield message.backend_operation_response.deferred_file.url
    if not message.HasField("delta"):
        return
    element = message.delta.new_element
    kind = element.WhichOneof("type")
    if kind == "imgs":
        yield from (image.url for image in element.imgs.imgs)
    elif kind == "download_button":
        yield from (element.download_button.url, element.download_button.deferred_file_id)
    elif kind in ("audio", "video"):
        yield getattr(element, kind).url


def _shorten(remembered: OrderedDict[str, Any], most: int) -> None:
    while len(remembered) > most:
        remembered.popitem(last=False)
