"""The executor of a cluster: reserves room for runs, and follows each one on its node."""

from __future__ import annotations

from collections.abc import Callable

from transfer_core.errors import InvalidConfigError
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.types import ShouldStop
from transfer_core.work.cluster.nodes import Need, Node
from transfer_core.work.cluster.placement import Placement
from transfer_core.work.execute import Emit
from transfer_core.workspace import Workspace


class ClusterExecutor:
    """Carries out runs on the nodes of a Ray cluster, as many at once as it holds."""

    def __init__(self) -> None:
        self._placement = Placement()
        self._needs: dict[tuple[Workspace, str], Need] = {}
        self._on_room: list[Callable[[], None]] = []

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive, refused ones too."""
        return self._placement.nodes

    def prepare(self, workspace: Workspace, run: TrainingRun) -> None:
        """Estimate what a run needs, before it is queued. May take a second."""
        self._needs[workspace, run.id] = Need()

    def reserve(self, workspace: Workspace, run: TrainingRun) -> bool:
        """Reserve room for a prepared run; return False where there is none now. Returns at once."""
        key = workspace, run.id
        return self._placement.reserve(key, self._needs[key], (workspace, run.dataset_id)) is not None

    def release(self, workspace: Workspace, run: TrainingRun) -> None:
        """Give back the room of a run that was never carried out."""
        self._placement.release((workspace, run.id))

    def on_room(self, callback: Callable[[], None]) -> None:
        """Call something, from any thread, whenever there may be more room than before."""
        self._on_room.append(callback)

    def close(self) -> None:
        """End the driver process."""

    def __call__(self, workspace: Workspace, run: TrainingRun, emit: Emit, should_stop: ShouldStop) -> None:
        """Carry out one run on its node."""
        raise InvalidConfigError(_("Trainings on a cluster are not there yet."))
