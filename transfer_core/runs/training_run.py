"""One training on disk: its choices, its events, its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from transfer_core.backbones.backbone import Backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import (
    InvalidConfigError,
    NotFoundError,
    TrainingError,
    TransferStudioError,
    WorkspaceError,
)
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.events import Outcome, RunSnapshot, TrainingEvent
from transfer_core.file_cache import FileCache
from transfer_core.files import damaged_file, move, read_json, write_json
from transfer_core.language import _
from transfer_core.runs.event_log import events_of, followed_snapshot, last_outcome
from transfer_core.schema import fits
from transfer_core.training.checkpoint import (
    CHECKPOINTS_DIR,
    load_checkpoint,
    resumed_dataset,
    training_key,
)
from transfer_core.training.signature import finished_backbone
from transfer_core.training.train import MODEL_FILE
from transfer_core.workspace import Workspace, new_id

CONFIG_FILE = "config.json"
EVENTS_FILE = "events.jsonl"
EVALUATION_FILE = "evaluation.json"
SPLIT_FILE = "split.json"


@dataclass(frozen=True)
class TrainingRun:
    """The facts of a run, and where the rest is. Once its training has begun they never change.

    Args:
        id: Names its folder in the workspace.
        folder: Where everything lies.
        config: Every choice.
        dataset_id: The images it learns from.
        dataset_version: Which version of them.
        dataset_name: Their name at that time.
        class_names: Their classes at that time.
    """

    id: str
    folder: Path
    config: TrainingConfig
    dataset_id: str
    dataset_version: int
    dataset_name: str
    class_names: tuple[str, ...]

    @classmethod
    def create(
        cls,
        workspace: Workspace,
        dataset: ImageDataset,
        config: TrainingConfig,
        marks: Mapping[str, dict[str, Any]] | None = None,
    ) -> TrainingRun:
        """Put a new run on disk, with all its files or not at all.

        Args:
            workspace: Where its folder will lie.
            dataset: The images it is to learn from.
            config: Every choice.
            marks: Other facts of the run, as JSON files by their names.

        Returns:
            The run, with an id of its own.

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
                for name, facts in {**(marks or {}), CONFIG_FILE: run._to_dict()}.items():
                    write_json(scratch / name, facts)
                move(scratch, workspace.runs_dir / run_id)
        except OSError as error:
            raise WorkspaceError(
                _("The run could not be saved: {reason}. Free some space, then try again.").format(
                    reason=error.strerror or error
                )
            ) from error
        return run

    @classmethod
    def load(cls, workspace: Workspace, run_id: str) -> TrainingRun:
        """Return a run, read once for each version of its file.

        Args:
            workspace: Where its folder lies.
            run_id: What `create` named it.

        Returns:
            The run with the facts on disk.

        Raises:
            NotFoundError: If the workspace has no such run.
            WorkspaceError: If its file is damaged.
        """
        folder = workspace.run_dir(run_id)
        return _loaded.get(folder / CONFIG_FILE, lambda: cls._read(folder))

    @classmethod
    def _read(cls, folder: Path) -> TrainingRun:
        _check_is_there(folder)
        cost = _(
            "Without its choices the run cannot be used. Delete the run or restore the file from a copy."
        )
        facts = read_json(folder / CONFIG_FILE, cost)
        try:
            dataset = facts["dataset"]
            run = cls(
                folder.name,
                folder,
                TrainingConfig.from_dict(facts["config"]),
                dataset["id"],
                dataset["version"],
                dataset["name"],
                tuple(facts["class_names"]),
            )
        except InvalidConfigError as error:
            raise damaged_file(folder / CONFIG_FILE, str(error).rstrip("."), cost) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise damaged_file(folder / CONFIG_FILE, _not_as_expected(), cost) from error
        if not fits(run, cls):
            raise damaged_file(folder / CONFIG_FILE, _not_as_expected(), cost)
        return run

    def begin(self, dataset: ImageDataset) -> TrainingRun:
        """Write down what it learns from and what it is checked with, now that its training begins.

        A person may have changed the images while the run was waiting, and may change them later on.

        Args:
            dataset: The images as they are now.

        Returns:
            The run with the facts of these images.

        Raises:
            NotFoundError: If its folder was deleted while it was waiting.
            TrainingError: If it has a checkpoint, and the images have changed since.
            WorkspaceError: If writing fails.
        """
        _check_is_there(self.folder)
        self.check_resumable(dataset)
        run = replace(
            self,
            dataset_version=dataset.version,
            dataset_name=dataset.name,
            class_names=dataset.class_names,
        )
        if run != self:
            write_json(self.folder / CONFIG_FILE, run._to_dict())
        self.write_split(dataset)
        return run

    def write_split(self, dataset: ImageDataset) -> None:
        """Write down which images it learns from and which it is validated on.

        Args:
            dataset: The images, without those that are damaged.

        Raises:
            WorkspaceError: If writing fails.
        """
        split = {
            "dataset_version": dataset.version,
            "class_names": list(dataset.class_names),
            "train": [image.id for image in dataset.images_in("train")],
            "validation": [image.id for image in dataset.images_in("validation")],
        }
        write_json(self.folder / SPLIT_FILE, split)

    def check_resumable(self, dataset: ImageDataset) -> None:
        """Make sure that an interrupted training can go on with these images.

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
                    "The photos have changed since this training began, so it cannot go on where it was. Run it "
                    "again with the photos as they are now."
                )
            )

    def validation_ids(self) -> frozenset[str]:
        """Read the ids of the images that it is checked with and has not learned from.

        Raises:
            WorkspaceError: If they are not known, because the file is missing or damaged.
        """
        return self._ids("validation")

    def train_ids(self) -> frozenset[str]:
        """Read the ids of the images that it learned from.

        Raises:
            WorkspaceError: If they are not known: version 0.1 did not note them.
        """
        return self._ids("train")

    def _ids(self, split: Literal["train", "validation"]) -> frozenset[str]:
        cost = _(
            "So it is unknown which photos the run learned from. Test it on new photos, or train again to score it on "
            "its own."
        )
        path = self.folder / SPLIT_FILE
        ids = _splits.get(path, lambda: read_json(path, cost)).get(split)
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise damaged_file(path, _not_as_expected(), cost)
        return frozenset(ids)

    @cached_property
    def created_at(self) -> datetime:
        """When it was made, in local time."""
        return datetime.strptime(self.id[:15], "%Y%m%d-%H%M%S")

    @property
    def has_model(self) -> bool:
        """Whether there is a trained model to test."""
        return (self.folder / MODEL_FILE).is_file()

    @property
    def backbone(self) -> Backbone:
        """The facts of its network as they were when it was trained; today's where they were not recorded.

        Raises:
            NotFoundError: If they were not recorded and the network has been deleted.
        """
        return finished_backbone(self.folder, self.config.backbone)

    @property
    def outcome(self) -> Outcome | None:
        """How its training ended; None where it has not, or went on since."""
        return last_outcome(self.folder / EVENTS_FILE)

    @property
    def has_checkpoint(self) -> bool:
        """Whether a training that was cut off can go on from where it was."""
        return any((self.folder / CHECKPOINTS_DIR).glob("[!.]*"))

    def events(self) -> list[TrainingEvent]:
        """Read its events. Lines that are cut off or damaged are passed over.

        Raises:
            WorkspaceError: If the file cannot be read.
        """
        return list(events_of(self.folder / EVENTS_FILE))

    def snapshot(self) -> RunSnapshot:
        """Fold its events; only those are read that have been added since the last call.

        Raises:
            WorkspaceError: If the file cannot be read.
        """
        return followed_snapshot(self.folder / EVENTS_FILE)

    def evaluation(self) -> Evaluation | None:
        """Read how it did on its validation images, or None when that is not known.

        Raises:
            WorkspaceError: If the file is damaged.
        """
        path = self.folder / EVALUATION_FILE
        if not path.is_file():
            return None
        cost = _("The results on the validation photos are lost; the model itself still works.")
        try:
            return Evaluation.from_dict(read_json(path, cost))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise damaged_file(path, _not_as_expected(), cost) from error

    def _to_dict(self) -> dict[str, Any]:
        return {
            "config": self.config.to_dict(),
            "dataset": {
                "id": self.dataset_id,
                "version": self.dataset_version,
                "name": self.dataset_name,
            },
            "class_names": list(self.class_names),
        }


def runs_of(workspace: Workspace) -> Iterator[TrainingRun]:
    """Yield all runs of a workspace, newest first. One that cannot be read is passed over.

    Args:
        workspace: Where they are.
    """
    for run_id in workspace.run_ids():
        with suppress(TransferStudioError):
            yield TrainingRun.load(workspace, run_id)


def _not_as_expected() -> str:
    return _("it does not hold what was expected")


def _check_is_there(folder: Path) -> None:
    if not (folder / CONFIG_FILE).is_file():
        raise NotFoundError(_("There is no run with the id {id} any more.").format(id=folder.name))


# A few thousand runs.
_loaded: FileCache[TrainingRun] = FileCache(max_bytes=8 * 1024**2)
# Of the runs that are looked at: a split of 10,000 photos takes half a megabyte.
_splits: FileCache[dict[str, Any]] = FileCache(max_bytes=16 * 1024**2)
