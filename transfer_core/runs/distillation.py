"""A small model taught by a large one: what the large one says of the images, and how the two compare."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import bundled_backbones
from transfer_core.config import TrainingConfig
from transfer_core.data.damage import leave_out_damaged
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import InvalidConfigError, NotFoundError, WorkspaceError
from transfer_core.evaluation.evaluation import Evaluation, evaluate
from transfer_core.files import read_json, write_json
from transfer_core.inference.cached_outputs import cached_outputs
from transfer_core.inference.predictor import Predictor
from transfer_core.language import _
from transfer_core.runs.assess import images_of, labelled, model_class_names
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.schema import fits
from transfer_core.training.advice import recommend
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import Array, ShouldStop
from transfer_core.workspace import Workspace

DISTILLATION_FILE = "distillation.json"
_NUM_TIMED = 15
# A network with a few computations less is not felt to be quicker.
_QUICKER = 0.9
_SECONDS_OF_A_DAY = 86_400


@dataclass(frozen=True)
class ModelFacts:
    """What a model costs and reaches.

    Args:
        accuracy: Share of the photos that the small model was checked with that it has right, 0-1.
        num_bytes: Size of its file.
        seconds_per_image: From the bytes of one photo to its probabilities, the median of a few.
    """

    accuracy: float
    num_bytes: int
    seconds_per_image: float


@dataclass(frozen=True)
class Distillation:
    """A large model and the small one it taught, measured one after the other on the same machine and photos.

    Args:
        teacher: The large one.
        student: The small one.
        num_images: Photos that both were checked with.
    """

    teacher: ModelFacts
    student: ModelFacts
    num_images: int

    @classmethod
    def load(cls, run: TrainingRun) -> Distillation | None:
        """Read what was measured when a run with a teacher ended; None where there is nothing, or only damage."""
        with suppress(WorkspaceError, KeyError, TypeError):
            facts = read_json(run.folder / DISTILLATION_FILE)
            found = cls(ModelFacts(**facts["teacher"]), ModelFacts(**facts["student"]), facts["num_images"])
            return found if found.is_possible else None
        return None

    @property
    def is_possible(self) -> bool:
        """Whether all numbers are of their kind and in their range."""
        return (
            fits(self, Distillation)
            and self.num_images > 0
            and all(
                0 <= model.accuracy <= 1
                and model.num_bytes > 0
                and 0 < model.seconds_per_image < _SECONDS_OF_A_DAY
                for model in (self.teacher, self.student)
            )
        )


def smaller_backbones(run: TrainingRun) -> list[Backbone]:
    """Return the networks that come with the app, smaller and quicker than that of a run, the smallest first."""
    own = run.backbone
    fitting = [
        backbone
        for backbone in bundled_backbones()
        if backbone.num_parameters < own.num_parameters
        and backbone.num_multiplications < _QUICKER * own.num_multiplications
    ]
    return sorted(fitting, key=lambda backbone: backbone.num_parameters)


def student_config(run: TrainingRun, dataset: ImageDataset, backbone: Backbone) -> TrainingConfig:
    """Return what is recommended for a small model that a run is to teach.

    Args:
        run: The teacher.
        dataset: Its images.
        backbone: Of the small model.

    Raises:
        InvalidConfigError: If these images cannot be used to teach.
        NotFoundError: If the teacher has no model.
    """
    check_teacher(run, dataset)
    return recommend(dataset, backbone).config.with_changes(teacher=run.id, seed=run.config.seed)


def students_of(workspace: Workspace, teacher: TrainingRun) -> list[TrainingRun]:
    """Return the runs that a run has taught or is teaching, the newest first."""
    return [run for run in runs_of(workspace) if run.config.teacher == teacher.id]


def check_teacher(teacher: TrainingRun, dataset: ImageDataset) -> None:
    """Make sure that a run can teach another one which is then checked honestly.

    Args:
        teacher: The run.
        dataset: What the other one learns from.

    Raises:
        InvalidConfigError: If it knows other classes, or has learned from photos that the other is checked with.
        NotFoundError: If it has no model.
    """
    if not teacher.has_model:
        raise NotFoundError(_("The run {id} has no model that could teach.").format(id=teacher.id))
    if set(model_class_names(teacher)) != set(dataset.class_names):
        raise InvalidConfigError(
            _(
                "The teaching model knows other classes than these images have. Train it on these images first."
            )
        )
    if teacher.train_ids() & {image.id for image in dataset.images_in("validation")}:
        raise InvalidConfigError(
            _(
                "The teaching model has learned from photos that the small one would be checked with, so its accuracy "
                "would look better than it is. Train the large model once more on the images as they are now."
            )
        )


def teacher_answers(
    workspace: Workspace,
    config: TrainingConfig,
    dataset: ImageDataset,
    on_progress: Callable[[int], None],
    should_stop: ShouldStop,
) -> dict[str, Array]:
    """Ask the teacher of a config about every training image.

    Args:
        workspace: Where its run is, and the features that are known already.
        config: It names the teacher.
        dataset: The images.
        on_progress: Called with the number of images that the teacher's frozen layers have looked at.
        should_stop: Asked at each batch.

    Returns:
        Probabilities in the order of the dataset's classes, by the id of the image.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        InvalidConfigError: If the teacher does not fit these images.
        NotFoundError: If the teacher is gone.
        TransferStudioError: Whatever `cached_outputs` raises.
    """
    teacher = TrainingRun.load(workspace, config.teacher)
    check_teacher(teacher, dataset)
    images = dataset.images_in("train")
    outputs = cached_outputs(
        teacher.folder, teacher.config, dataset, images, workspace.cache_dir, on_progress, should_stop
    )
    names = model_class_names(teacher)
    columns = [names.index(name) for name in dataset.class_names]
    return {image.id: row for image, row in zip(images, outputs.probabilities[:, columns], strict=True)}


def measure_both(
    workspace: Workspace, run: TrainingRun, dataset: ImageDataset, evaluation: Evaluation
) -> None:
    """Measure a small model beside its teacher and keep the numbers in the folder of the run.

    Args:
        workspace: Where the teacher is.
        run: The small model, which has been trained.
        dataset: The images.
        evaluation: What the small model reached.

    Raises:
        TransferStudioError: If the teacher or an image is gone or damaged, or the disk refuses.
    """
    teacher = TrainingRun.load(workspace, run.config.teacher)
    predictor = Predictor.load(teacher.folder)
    images = images_of(run, dataset, "validation", predictor.class_names)
    images, accuracy = leave_out_damaged(
        images,
        lambda left: (left, evaluate(predictor, [labelled(dataset, image) for image in left]).accuracy),
    )
    facts = Distillation(
        _facts(predictor, teacher.folder, accuracy, dataset, images),
        _facts(Predictor.load(run.folder), run.folder, evaluation.accuracy, dataset, images),
        len(images),
    )
    write_json(run.folder / DISTILLATION_FILE, asdict(facts))


def _facts(
    predictor: Predictor, folder: Path, accuracy: float, dataset: ImageDataset, images: list[ImageRecord]
) -> ModelFacts:
    seconds = []
    for image in images[:_NUM_TIMED]:
        content = dataset.image_path(image).read_bytes()
        started_at = time.perf_counter()
        predictor.predict(content)
        seconds.append(time.perf_counter() - started_at)
    return ModelFacts(accuracy, (folder / MODEL_FILE).stat().st_size, median(seconds))
