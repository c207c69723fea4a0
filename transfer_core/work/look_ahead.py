"""Look-ahead: extract the features of new photos while nothing else runs, so that a training finds them on disk."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.backbones.runtime import is_keras_loaded, load_keras
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import DamagedPhotosError, TransferStudioError
from transfer_core.locks import is_held
from transfer_core.training.features.feature_cache import FeaturesStoppedError, pooled_features
from transfer_core.training.features.frozen_network import frozen_body
from transfer_core.training.machine import free_disk
from transfer_core.training.variants import careful_variants, compare_variants, stored_choice
from transfer_core.work.executor import EXECUTOR_VARIABLE
from transfer_core.work.task import Priority, Task, TaskProgress
from transfer_core.work.worker import num_threads_beside_an_app
from transfer_core.workspace import Workspace

LOOK_AHEAD_VARIABLE = "TRANSFER_STUDIO_LOOK_AHEAD"
# Below that, a training would delete other features to make room for its own.
_LEAST_FREE_BYTES = 10**9
# The browser needs the processor first: it has a page to draw.
_SECONDS_FOR_THE_FIRST_PAINT = 2.0
# Checking 300 runs takes a twentieth of a second.
SECONDS_BETWEEN_LOCK_CHECKS = 3.0
_POLL_SECONDS = 0.05
# Between two photos, while somebody waits for something else.
_MOST_SECONDS_OF_A_PAUSE = 0.2

_logger = logging.getLogger(__name__)


def has_look_ahead() -> bool:
    """Return whether this app looks ahead.

    It does not with TRANSFER_STUDIO_LOOK_AHEAD=off, nor where trainings run in a process of their own, as in
    classrooms: many people then share the processor, and this process shall not load a model. On a cluster the features
    would be on the wrong computer: each node keeps those that it has made.
    """
    is_off = os.environ.get(LOOK_AHEAD_VARIABLE) == "off"
    return not is_off and os.environ.get(EXECUTOR_VARIABLE) not in ("process", "ray")


def backbones_to_read_with(workspace: Workspace, dataset: ImageDataset, chosen: str) -> list[str]:
    """Return the names of the available backbones whose features a training needs, the chosen one first.

    The last are its careful versions, which the recommended training takes if they pay.

    Args:
        workspace: Where own models are.
        dataset: The photos. The search for series among new ones takes features of the default backbone.
        chosen: Name of the backbone of the training.

    Raises:
        NotFoundError: If there is no such backbone.
    """
    backbones = [get_backbone(chosen, workspace)]
    is_for_tests = get_backbone(backbones[0].network).hidden
    if chosen != DEFAULT_BACKBONE and not dataset.is_examined and not is_for_tests:
        backbones.append(get_backbone(DEFAULT_BACKBONE))
    available = [backbone.name for backbone in backbones if backbone.weights.are_available]
    return [*available, *careful_variants(backbones[0])] if chosen in available else available


def look_ahead_task(
    workspace: Workspace,
    dataset_id: str,
    backbone_names: Sequence[str],
    is_anybody_waiting: Callable[[], bool] = lambda: False,
) -> Task[int]:
    """Extract pooled features of all photos of a dataset, also of those that arrive meanwhile.

    The result is the version of the dataset that was read last. A problem ends the work early and is logged: whoever
    needs the features later computes the rest and reports it then.

    Args:
        workspace: Its cache keeps the features.
        dataset_id: Id of a saved dataset.
        backbone_names: At least one, with available weights, the most important first. The progress counts photos that
            were read with the first, which then is kept in memory and compared with its careful versions.
        is_anybody_waiting: Whether something else is under way that a person waits for. The work pauses meanwhile.
    """

    def work(task: Task[int]) -> int:
        versions = dict.fromkeys(backbone_names, 0)
        try:
            while True:
                dataset = ImageDataset.load(workspace, dataset_id)
                behind = [name for name, version in versions.items() if version != dataset.version]
                if not behind:
                    chosen = get_backbone(backbone_names[0], workspace)
                    if not stored_choice(dataset, chosen, workspace.cache_dir):
                        compare_variants(dataset, chosen, workspace.cache_dir, should_stop=task.should_stop)
                    break
                versions[behind[0]] = dataset.version
                if free_disk(workspace.cache_dir) < _LEAST_FREE_BYTES:
                    _logger.info("No look-ahead for %s: too little space on the disk", dataset_id)
                    break
                backbone = get_backbone(behind[0], workspace)
                is_first = behind[0] == backbone_names[0]
                _extract(task, workspace, dataset, backbone, is_anybody_waiting, is_reported=is_first)
                if is_first:
                    # A training builds its classifier on it. All features may have been on disk before.
                    frozen_body(backbone)
        except TransferStudioError as error:
            _logger.info("The look-ahead for %s ended early: %s", dataset_id, error)
        except FeaturesStoppedError:
            raise
        except Exception:
            # As with any problem, it is tried again once the dataset has another version.
            _logger.exception("The look-ahead for %s failed", dataset_id)
        return max(versions.values())

    key = (dataset_id, *backbone_names)
    return Task(
        "look-ahead",
        key,
        work,
        preparation=_load_keras,
        priority=Priority.IDLE,
        owner=workspace.owner,
    )


def _load_keras(task: Task[int]) -> None:
    until = time.monotonic() + _SECONDS_FOR_THE_FIRST_PAINT
    while not is_keras_loaded() and time.monotonic() < until:
        if task.should_stop():
            raise FeaturesStoppedError
        time.sleep(_POLL_SECONDS)
    load_keras(num_threads_beside_an_app())


def _extract(
    task: Task[int],
    workspace: Workspace,
    dataset: ImageDataset,
    backbone: Backbone,
    is_anybody_waiting: Callable[[], bool],
    *,
    is_reported: bool,
) -> None:
    """Put the features of a dataset into the cache; wait while another process trains.

    Raises:
        FeaturesStoppedError: If the task is to end or to step aside.
    """
    others = _OtherProcesses(workspace)

    def report(num_done: int) -> None:
        if is_reported:
            task.report(TaskProgress("", num_done, len(dataset.images)))

    def should_stop() -> bool:
        until = time.monotonic() + _MOST_SECONDS_OF_A_PAUSE
        while is_anybody_waiting() and not task.should_stop() and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        return task.should_stop() or others.are_training()

    while True:
        others.wait_for_trainings(task)
        try:
            pooled_features(
                dataset,
                backbone,
                workspace.cache_dir,
                on_progress=report,
                should_stop=should_stop,
            )
            return
        except DamagedPhotosError:
            # The features of all other photos are in the cache by now.
            return
        except FeaturesStoppedError:
            if task.should_stop():
                raise


class _OtherProcesses:
    """Knows whether another process trains in a workspace. A training of this one has a look-ahead step aside."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._checked_at = float("-inf")
        self._are_training = False

    def are_training(self) -> bool:
        """Whether any run is locked, as of some seconds ago at most."""
        now = time.monotonic()
        if now - self._checked_at >= SECONDS_BETWEEN_LOCK_CHECKS:
            folders = map(self._workspace.run_dir, self._workspace.run_ids())
            self._are_training = any(is_held(folder) for folder in folders)
            self._checked_at = now
        return self._are_training

    def wait_for_trainings(self, task: Task[int]) -> None:
        """Block until no other process trains.

        Raises:
            FeaturesStoppedError: If the task is to end or to step aside.
        """
        while self.are_training():
            if task.should_stop():
                raise FeaturesStoppedError
            time.sleep(_POLL_SECONDS)
