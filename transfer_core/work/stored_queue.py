"""The trainings that wait or run, on disk: a server that is started again goes on with them in their order."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from transfer_core.errors import TransferStudioError, WorkspaceError
from transfer_core.facts_file import FactsFile
from transfer_core.language import _
from transfer_core.locks import changing, is_held
from transfer_core.schema import Count, Text
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)


class StoredTraining(msgspec.Struct, frozen=True):
    """A training that waits or runs.

    Args:
        owner: Id of the pupil; empty for the server's own.
        run_id: Id of the run in their workspace.
        is_running: Whether the server was training it, itself or in its worker process.
        num_deaths: How often the server has died while it did.
    """

    owner: Text
    run_id: Text
    is_running: bool = False
    num_deaths: Count = 0

    def workspace_in(self, server: Workspace) -> Workspace:
        """Return the workspace of the run.

        Raises:
            NotFoundError: If the owner's id is not one this app gives.
        """
        return server.person(self.owner) if self.owner else server


class _Trainings(msgspec.Struct, frozen=True):
    trainings: tuple[StoredTraining, ...] = ()


# Written at each change of a queue in which thousands may wait.
_FACTS = FactsFile(
    "queue.json", _Trainings, lambda: _("Trainings that waited can be continued by hand."), indent=None
)


def read_queue(server: Workspace) -> tuple[StoredTraining, ...]:
    """Return the stored trainings, the next first; none where the file is missing or damaged."""
    if not _FACTS.exists(server.root):
        return ()
    try:
        return _FACTS.read(server.root).trainings
    except WorkspaceError as error:
        _logger.warning("The stored queue was not read: %s", error)
        return ()


def write_queue(server: Workspace, trainings: Sequence[StoredTraining]) -> None:
    """Store the trainings of this process, beside those of another process that serves the same workspace.

    Args:
        server: Its workspace gets the file.
        trainings: In the order of their turns.

    Raises:
        WorkspaceError: If writing fails.
    """
    # People may hold copies of the same run.
    own = {(training.owner, training.run_id) for training in trainings}
    with changing(server.root / _FACTS.name):
        others = [
            other
            for other in read_queue(server)
            if (other.owner, other.run_id) not in own and _is_held(server, other)
        ]
        _FACTS.write(server.root, _Trainings((*others, *trainings)))


def _is_held(server: Workspace, training: StoredTraining) -> bool:
    with suppress(TransferStudioError):
        workspace = training.workspace_in(server)
        # Looked up, the folders of a person who was removed would be there again.
        return workspace.root.is_dir() and is_held(workspace.run_dir(training.run_id))
    return False
