"""The key by which other programs may use the model of a run. Only its hash is stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from contextlib import suppress
from typing import Annotated

import msgspec

from transfer_core.errors import NotFoundError, TransferStudioError, WorkspaceError
from transfer_core.facts_file import FactsFile
from transfer_core.files import remove
from transfer_core.language import _
from transfer_core.runs.run_folder import RUN
from transfer_core.schema import Positive
from transfer_core.workspace import Workspace

# A key has a pupil's id before its secret; the one of the server's own workspace has none.
_MARK = "."
_LONGEST_KEY = 200
_NOTHING = "0" * 64


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is stored of a key.

    Args:
        sha256: Of the key.
        made_at: Seconds since 1970.
    """

    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    made_at: Positive


API_KEY = FactsFile("api_key.json", ApiKey)


def make_key(workspace: Workspace, run_id: str) -> str:
    """Return a new key for the model of a run. Any earlier key stops working.

    Raises:
        NotFoundError: If there is no such run.
        WorkspaceError: If writing fails.
    """
    folder = workspace.run_dir(run_id)
    if not RUN.exists(folder):
        raise NotFoundError(_("The run {id} does not exist any more.").format(id=run_id))
    key = f"{workspace.owner}{_MARK if workspace.owner else ''}{secrets.token_urlsafe(24)}"
    API_KEY.write(folder, ApiKey(_hash(key), time.time()))
    return key


def withdraw_key(workspace: Workspace, run_id: str) -> None:
    """Let no program use the model of a run any more.

    Raises:
        NotFoundError: If the id is not one this app gives.
        WorkspaceError: If the key cannot be deleted.
    """
    try:
        remove(workspace.run_dir(run_id) / API_KEY.name)
    except OSError as error:
        raise WorkspaceError(
            _("The key could not be withdrawn: {reason}. Try again.").format(reason=error)
        ) from error


def key_of(workspace: Workspace, run_id: str) -> ApiKey | None:
    """Return what is stored of the key of a run; None if no program may use its model.

    Raises:
        NotFoundError: If the id is not one this app gives.
    """
    folder = workspace.run_dir(run_id)
    with suppress(WorkspaceError):
        return API_KEY.read(folder) if API_KEY.exists(folder) else None
    return None


def workspace_of_key(server: Workspace, run_id: str, key: str) -> Workspace | None:
    """Return the workspace with the run that a key is for; None if it is not the key of this run.

    Args:
        server: The workspace of the server.
        run_id: From the address, unchecked.
        key: From the request, unchecked.
    """
    owner, mark, _secret = key[:_LONGEST_KEY].rpartition(_MARK)
    stored = None
    workspace = server
    with suppress(TransferStudioError):
        workspace = server.person(owner) if mark else server
        # Looking for a run creates the folder of runs, also of a person who was removed or never there.
        if workspace.root.is_dir():
            stored = key_of(workspace, run_id)
    # The comparison takes the same time with and without a key.
    is_right = hmac.compare_digest(_hash(key[:_LONGEST_KEY]), stored.sha256 if stored else _NOTHING)
    return workspace if is_right and stored else None


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
