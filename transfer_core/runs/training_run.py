"""One training on disk: its choices, its events, its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import (
    InvalidConfigError,
    TrainingError,
    TransferStudioError,
    WorkspaceError,
)
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.events import Outcome, RunSnapshot, TrainingEvent
from transfer_core.file_cache import FileCache
from transfer_core.files import move, write_json
from transfer_core.language import _, sentences
from transfer_core.runs.event_log import events_of, followed_snapshot, last_outcome
from transfer_core.runs.run_folder import EVENTS_FILE, RUN, RunDataset, RunFacts, RunFolder, RunSplit
from transfer_core.training.checkpoint import load_checkpoint, resumed_dataset, training_key
from transfer_core.training.signature import ModelSignature, finished_backbone
from transfer_core.workspace import Workspace, new_id


@dataclass(frozen=True)
class TrainingRun:
    """A run and its choices, which never change once its training has begun.

    Args:
        id: Names its folder in the workspace.
        folder: Where its files are.
        config: Every choice.
        dataset_id: The dataset it is trained on.
        dataset_version: Of the dataset.
        dataset_name: At that version.
        dataset_class_names: At that version.
    """

    id: str
    folder: Path
    config: TrainingConfig
    dataset_id: str
    dataset_version: int
    dataset_name: str
    dataset_class_names: tuple[str, ...]

    @classmethod
    def create(
        cls,
        workspace: Workspace,
        dataset: ImageDataset,
        config: TrainingConfig,
        marks: Mapping[str, dict[str, Any]] | None = None,
    ) -> TrainingRun:
        """Create a run on disk, with all its files or not at all.

        Args:
            workspace: Where its folder will be.
            dataset: The images to train on.
            config: Every choice.
            marks: Further JSON files by their names.

        Raises:
            WorkspaceError: If writing fails.
        """
        run_id = new_id()
        run = cls(
            run_id,
            workspace.run_dir(run_id),
            config,
            dataset.id,
            dataset.version,
            dataset.name,
            dataset.class_names,
        )
        try:
            with workspace.scratch_folder() as scratch:
                for name, facts in (marks or {}).items():
                    write_json(scratch / name, facts)
                RunFolder(scratch).write_facts(run._facts())
                move(scratch, workspace.runs_dir / run_id)
        except OSError as error:
            raise WorkspaceError(
                _("The run could not be saved: {reason}. Free some space, then try again.").format(
                    reason=error
                )
            ) from error
        return run

    @classmethod
    def load(cls, workspace: Workspace, run_id: str) -> TrainingRun:
        """Return a run, read once for each version of its file.

        Raises:
            NotFoundError: If the workspace has no such run.
            WorkspaceError: If its file is damaged.
        """
        folder = workspace.run_dir(run_id)
        return _loaded.get(folder / RUN.name, lambda: cls.read(folder))

    @classmethod
    def read(cls, folder: Path) -> TrainingRun:
        """Return the run in a folder, as it is on disk now.

        Raises:
            NotFoundError: If there is none.
            WorkspaceError: If its file is damaged.
        """
        files = RunFolder(folder)
        files.check_exists()
        facts = files.facts()
        try:
            config = TrainingConfig.from_dict(facts.config)
        except InvalidConfigError as error:
            raise WorkspaceError(sentences(str(RUN.damaged(folder)), str(error))) from error
        dataset = facts.dataset
        return cls(folder.name, folder, config, dataset.id, dataset.version, dataset.name, facts.class_names)

    def begin(self, dataset: ImageDataset) -> TrainingRun:
        """Store the dataset version and the split that the training begins with.

        The dataset may have changed while the run was waiting, and may change again later.

        Args:
            dataset: In its present version.

        Returns:
            The run with the facts of this dataset.

        Raises:
            NotFoundError: If its folder was deleted while it was waiting.
            TrainingError: If it has a checkpoint, and the images have changed since.
            WorkspaceError: If writing fails.
        """
        self.files.check_exists()
        self.check_resumable(dataset)
        run = replace(
            self,
            dataset_version=dataset.version,
            dataset_name=dataset.name,
            dataset_class_names=dataset.class_names,
        )
        if run != self:
            self.files.write_facts(run._facts())
        self.write_split(dataset)
        return run

    def write_split(self, dataset: ImageDataset) -> None:
        """Store which images it is trained and validated on.

        Args:
            dataset: Without damaged images.

        Raises:
            WorkspaceError: If writing fails.
        """
        train = tuple(image.id for image in dataset.images_in("train"))
        validation = tuple(image.id for image in dataset.images_in("validation"))
        self.files.write_split(RunSplit(train, validation, dataset.version))

    def check_resumable(self, dataset: ImageDataset) -> None:
        """Make sure that an interrupted training can be resumed with these images.

        Raises:
            TrainingError: If it has a checkpoint, and the images have changed since.
            WorkspaceError: If the checkpoint cannot be opened now.
        """
        if not self.has_checkpoint or dataset.version == self.dataset_version:
            return
        # Another version may still hold the same images in the same classes.
        key = training_key(resumed_dataset(dataset, self.folder), self.config)
        if load_checkpoint(self.folder, key) is None:
            raise TrainingError(
                _(
                    "The photos have changed since this training began, so it cannot continue. Train again with "
                    "the present photos."
                )
            )

    @property
    def files(self) -> RunFolder:
        """Its files."""
        return RunFolder(self.folder)

    @property
    def signature(self) -> ModelSignature:
        """The signature of its model.

        Raises:
            WorkspaceError: If the file beside the model is missing or damaged.
        """
        return self.files.signature()

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of its model, in the order of the outputs; without a model those of its images."""
        try:
            return self.signature.class_names
        except WorkspaceError:
            return self.dataset_class_names

    def validation_ids(self) -> frozenset[str]:
        """Read the ids of the images that its curves are validated on.

        Raises:
            WorkspaceError: If they are not known, because the file is missing or damaged.
        """
        return self.files.validation_ids()

    def train_ids(self) -> frozenset[str]:
        """Read the ids of the images that its curves are trained on.

        Raises:
            WorkspaceError: If they are not known: version 0.1 did not store them.
        """
        return self.files.train_ids()

    def learned_ids(self) -> frozenset[str]:
        """Read the ids of the images that its model has learned from.

        Raises:
            WorkspaceError: If they are not known: version 0.1 did not store them.
        """
        return self.train_ids() | (self.validation_ids() if self.is_trained_on_all else frozenset())

    @property
    def is_trained_on_all(self) -> bool:
        """Whether its model has learned from the validation images as well; False without a model."""
        try:
            return self.signature.is_trained_on_all
        except WorkspaceError:
            return False

    @cached_property
    def created_at(self) -> datetime:
        """When it was created, in local time."""
        return datetime.strptime(self.id[:15], "%Y%m%d-%H%M%S")

    @property
    def has_model(self) -> bool:
        """Whether there is a trained model to test."""
        return self.files.has_model

    @property
    def backbone(self) -> Backbone:
        """The facts of its backbone as they were when it was trained; without a model those of the registry.

        Raises:
            NotFoundError: If they were not recorded and the backbone was deleted.
        """
        return finished_backbone(self.folder, self.config.backbone)

    @property
    def outcome(self) -> Outcome | None:
        """How its training ended; None if it has not, or was resumed since."""
        return last_outcome(self.folder / EVENTS_FILE)

    @property
    def has_checkpoint(self) -> bool:
        """Whether an interrupted training can be resumed from its last checkpoint."""
        return self.files.has_checkpoint

    def events(self) -> list[TrainingEvent]:
        """Read its events, without lines that are cut off or damaged.

        Raises:
            WorkspaceError: If the file cannot be read.
        """
        return list(events_of(self.folder / EVENTS_FILE))

    def snapshot(self) -> RunSnapshot:
        """Fold its events; only those added since the last call are read.

        Raises:
            WorkspaceError: If the file cannot be read.
        """
        return followed_snapshot(self.folder / EVENTS_FILE)

    def evaluation(self) -> Evaluation | None:
        """Read its evaluation on images that its training had not learned from; None before there is one.

        Raises:
            WorkspaceError: If the file is damaged.
        """
        return self.files.evaluation()

    def _facts(self) -> RunFacts:
        dataset = RunDataset(self.dataset_id, self.dataset_version, self.dataset_name)
        return RunFacts(self.config.to_dict(), dataset, self.dataset_class_names)


def runs_of(workspace: Workspace) -> Iterator[TrainingRun]:
    """Yield all runs of a workspace that can be read, newest first."""
    for run_id in workspace.run_ids():
        with suppress(TransferStudioError):
            yield TrainingRun.load(workspace, run_id)


# A few thousand runs.
_loaded: FileCache[TrainingRun] = FileCache(max_bytes=8 * 1024**2)
