"""The folder of a run: the names and contents of its files, their typed reads and writes, and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.facts_file import FactsFile
from transfer_core.files import file_version
from transfer_core.inference.calibration import CALIBRATION_FILE
from transfer_core.inference.rejection import BANK_FILE, REJECTION_FILE
from transfer_core.language import _
from transfer_core.locks import changing
from transfer_core.runs.notes import NOTES, RunNotes
from transfer_core.runs.sweep_plan import SWEEP, SweepPlan
from transfer_core.schema import Text
from transfer_core.training.checkpoint import CHECKPOINTS_DIR
from transfer_core.training.signature import SIGNATURE_FILE, ModelSignature
from transfer_core.training.train import MODEL_FILE

EVENTS_FILE = "events.jsonl"

_SECONDS_OF_A_DAY = 86_400
_Count = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class RunDataset(msgspec.Struct, frozen=True):
    """The images of a run, as they were called when it was made or began."""

    id: Text
    version: _Count
    name: Text


class RunFacts(msgspec.Struct, frozen=True):
    """The choices of a run and its dataset.

    Args:
        config: Every choice, as `TrainingConfig.to_dict` gives it.
        dataset: The images.
        class_names: The classes of these images. The classes of a trained model are in its signature.
    """

    config: dict[str, Any]
    dataset: RunDataset
    class_names: tuple[Text, ...]


class RunSplit(msgspec.Struct, frozen=True):
    """The images that the curves of a run are trained and validated on, by their ids.

    None where an earlier version kept none. Whether the kept model has learned from all of them is in its signature.
    """

    train: tuple[Text, ...] | None = None
    validation: tuple[Text, ...] | None = None
    dataset_version: _Count = 0


class ModelCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accuracy, size and speed of a model.

    Args:
        accuracy: On the validation photos of the small model, 0-1.
        num_bytes: Size of its file.
        seconds_per_image: From the bytes of one photo to its probabilities, the median of a few.
    """

    accuracy: _Share
    num_bytes: _Positive
    seconds_per_image: Annotated[float, msgspec.Meta(gt=0, lt=_SECONDS_OF_A_DAY)]


class Distillation(msgspec.Struct, frozen=True):
    """A large model and the small one it taught, measured one after the other on the same machine and photos.

    Args:
        teacher: The large one.
        student: The small one.
        num_images: Photos that both were measured on.
        is_out_of_fold: Whether the large one has learned from these photos as well. Its accuracy is then that of
            models that had not, and the accuracy of the small one may be slightly too high.
    """

    teacher: ModelCost
    student: ModelCost
    num_images: _Positive
    is_out_of_fold: bool = False


RUN = FactsFile(
    "config.json",
    RunFacts,
    lambda: _("Without its choices the run cannot be used. Delete the run or restore the file from a copy."),
)
SPLIT = FactsFile(
    "split.json",
    RunSplit,
    lambda: _("So nobody knows which photos it learned from. Test it on new photos, or train again."),
)
EVALUATION = FactsFile(
    "evaluation.json",
    Evaluation,
    lambda: _("The results are lost; the model itself still works."),
    from_dict=Evaluation.from_dict,
    to_dict=Evaluation.to_dict,
)
DISTILLATION = FactsFile("distillation.json", Distillation)

# The files that go along with a run, but for its model.
PORTABLE_FILES = (
    RUN.name,
    EVENTS_FILE,
    SPLIT.name,
    SIGNATURE_FILE,
    EVALUATION.name,
    CALIBRATION_FILE,
    REJECTION_FILE,
    BANK_FILE,
    NOTES.name,
    SWEEP.name,
    DISTILLATION.name,
)


@dataclass(frozen=True)
class RunFolder:
    """The files of one run. Each is read once for each version of it, and written whole or not at all.

    Reading a file that the run needs raises a `WorkspaceError` if it is missing or damaged, and so does every write
    that fails.

    Args:
        path: The folder.
    """

    path: Path

    def check_exists(self) -> None:
        """Make sure that the run was not deleted.

        Raises:
            NotFoundError: If it was.
        """
        if not RUN.exists(self.path):
            raise NotFoundError(_("The run {id} does not exist any more.").format(id=self.path.name))

    def facts(self) -> RunFacts:
        """Read its choices and its dataset."""
        return RUN.read(self.path)

    def write_facts(self, facts: RunFacts) -> None:
        """Write its choices and its dataset."""
        RUN.write(self.path, facts)

    def train_ids(self) -> frozenset[str]:
        """Read the ids of the images that its curves are trained on; unknown, and so an error, in version 0.1."""
        return self._known(SPLIT.read(self.path).train)

    def validation_ids(self) -> frozenset[str]:
        """Read the ids of the images that its curves are validated on."""
        return self._known(SPLIT.read(self.path).validation)

    def _known(self, ids: tuple[str, ...] | None) -> frozenset[str]:
        if ids is None:
            raise SPLIT.damaged(self.path)
        return frozenset(ids)

    def write_split(self, split: RunSplit) -> None:
        """Write which images it is trained and validated on."""
        SPLIT.write(self.path, split)

    def signature(self) -> ModelSignature:
        """Read the signature of its model."""
        return ModelSignature.load(self.path)

    def evaluation(self) -> Evaluation | None:
        """Read its evaluation on images that its training had not learned from; None before there is one.

        Raises:
            WorkspaceError: If the file is damaged.
        """
        return EVALUATION.read(self.path) if EVALUATION.exists(self.path) else None

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Write its evaluation on images that its training had not learned from."""
        EVALUATION.write(self.path, evaluation)

    def notes(self) -> RunNotes:
        """Read the person's notes. A missing or damaged file counts as no notes."""
        with suppress(WorkspaceError):
            return NOTES.read(self.path) if NOTES.exists(self.path) else RunNotes()
        return RunNotes()

    def write_notes(self, notes: RunNotes) -> None:
        """Replace the person's notes."""
        NOTES.write(self.path, notes)

    def change_notes(self, seen: RunNotes, changes: Mapping[str, Any]) -> None:
        """Write some fields of the notes, and keep what another window has written into the others meanwhile.

        Args:
            seen: The notes that the person saw before.
            changes: The new values by the names of the fields.

        Raises:
            NotFoundError: If the run was deleted.
            WorkspaceError: If another window has changed one of these fields as well, or writing fails.
        """
        if not self.path.is_dir():
            raise NotFoundError(_("The run {id} does not exist any more.").format(id=self.path.name))
        with changing(self.path / NOTES.name):
            stored = self.notes()
            changed = msgspec.structs.replace(stored, **changes)
            for name in changes:
                if getattr(stored, name) not in (getattr(seen, name), getattr(changed, name)):
                    raise WorkspaceError(
                        _(
                            "Someone changed these notes in another window, so yours were not saved. Read them, then "
                            "make your change again."
                        )
                    )
            self.write_notes(changed)

    def sweep_plan(self) -> SweepPlan | None:
        """Read the plan of the sweep that it belongs to; None where there is none, or only a damaged one."""
        with suppress(WorkspaceError):
            return SWEEP.read(self.path) if SWEEP.exists(self.path) else None
        return None

    def distillation(self) -> Distillation | None:
        """Read the comparison with its teacher; None where there is none, or only a damaged one."""
        with suppress(WorkspaceError):
            return DISTILLATION.read(self.path) if DISTILLATION.exists(self.path) else None
        return None

    def write_distillation(self, distillation: Distillation) -> None:
        """Write the comparison with its teacher."""
        DISTILLATION.write(self.path, distillation)

    @property
    def has_model(self) -> bool:
        """Whether there is a trained model to test."""
        return (self.path / MODEL_FILE).is_file()

    @property
    def has_checkpoint(self) -> bool:
        """Whether a training that was cut off can go on from its last checkpoint."""
        return any((self.path / CHECKPOINTS_DIR).glob("[!.]*"))

    @property
    def model_version(self) -> tuple[int, ...]:
        """Numbers that change with its model or with what lies beside it; its thresholds alone change none.

        A training that ends writes the model first, then its calibration, then its rejection.
        """
        names = (MODEL_FILE, SIGNATURE_FILE, CALIBRATION_FILE, BANK_FILE)
        return (*self._versions(*names), int((self.path / REJECTION_FILE).is_file()))

    @property
    def thresholds_version(self) -> tuple[int, ...]:
        """Numbers that change with the thresholds below which its model gives no answer; zeros without any."""
        return self._versions(REJECTION_FILE)

    @property
    def rejection_version(self) -> tuple[int, ...]:
        """Numbers that change with these thresholds and with the features of the training images beside them."""
        return self._versions(REJECTION_FILE, BANK_FILE)

    def _versions(self, *names: str) -> tuple[int, ...]:
        return tuple(number for name in names for number in file_version(self.path / name))
