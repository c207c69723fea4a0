"""Knowledge distillation: the outputs of a teacher for a student's training images, and how both compare."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import bundled_backbones
from transfer_core.config import TrainingConfig
from transfer_core.data.damage import leave_out_damaged
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import InvalidConfigError, NotFoundError
from transfer_core.evaluation.evaluation import Evaluation, evaluate
from transfer_core.inference.cached_outputs import cached_outputs
from transfer_core.inference.predictor import Predictor
from transfer_core.language import _
from transfer_core.runs.run_evaluation import labelled, split_images
from transfer_core.runs.run_folder import Distillation, ModelCost
from transfer_core.runs.training_run import TrainingRun, runs_of
from transfer_core.training.advice import recommend
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import Array, ShouldStop
from transfer_core.workspace import Workspace

_NUM_TIMED = 15
# With only a few computations less nobody notices that a model is quicker.
_QUICKER = 0.9


def smaller_backbones(run: TrainingRun) -> list[Backbone]:
    """Return the bundled backbones that are smaller and quicker than that of a run, the smallest first."""
    own = run.backbone
    fitting = [
        backbone
        for backbone in bundled_backbones()
        if backbone.num_parameters < own.num_parameters
        and backbone.num_multiplications < _QUICKER * own.num_multiplications
    ]
    return sorted(fitting, key=lambda backbone: backbone.num_parameters)


def student_config(run: TrainingRun, dataset: ImageDataset, backbone: Backbone) -> TrainingConfig:
    """Return the recommended choices for a small model that a run is to teach.

    Args:
        run: The teacher.
        dataset: Its images.
        backbone: Of the small model.

    Raises:
        InvalidConfigError: If these images do not fit the teacher.
        NotFoundError: If the teacher has no model.
    """
    check_teacher(run, dataset)
    # With a teacher the head has no closed form, so it needs more epochs than is recommended.
    return recommend(dataset, backbone).config.with_changes(
        teacher=run.id,
        seed=run.config.seed,
        train_on_all=False,
        epochs=50,
        early_stopping_patience=20,
    )


def students_of(workspace: Workspace, teacher: TrainingRun) -> list[TrainingRun]:
    """Return the runs that a run has taught or is teaching, the newest first."""
    return [run for run in runs_of(workspace) if run.config.teacher == teacher.id]


def check_teacher(teacher: TrainingRun, dataset: ImageDataset) -> None:
    """Make sure that a run can teach another one whose validation stays fair.

    Args:
        teacher: The run.
        dataset: The images of the other run.

    Raises:
        InvalidConfigError: If it knows other classes, or was trained on validation photos of the other run.
        NotFoundError: If it has no model.
    """
    if not teacher.has_model:
        raise NotFoundError(_("The run {id} has no model that could teach.").format(id=teacher.id))
    if set(teacher.signature.class_names) != set(dataset.class_names):
        raise InvalidConfigError(
            _(
                "The teaching model knows other classes than these images have. Train it on these images first."
            )
        )
    if teacher.learned_ids() & {image.id for image in dataset.images_in("validation")}:
        if teacher.is_trained_on_all:
            raise InvalidConfigError(
                _(
                    "The teaching model has learned from all photos, so none is left to validate the small one. Train "
                    "it once more with “Train on all photos at the end” switched off."
                )
            )
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
    """Return the teacher's probabilities for every training image.

    Args:
        workspace: Where the teacher is, and the feature cache.
        config: It names the teacher.
        dataset: The images.
        on_progress: Called with the number of images whose features are ready.
        should_stop: Called at each batch.

    Returns:
        Probabilities in the order of the dataset's classes, by the id of the image.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        InvalidConfigError: If the teacher does not fit these images.
        NotFoundError: If the teacher was deleted.
        TransferStudioError: Whatever `cached_outputs` raises.
    """
    teacher = TrainingRun.load(workspace, config.teacher)
    check_teacher(teacher, dataset)
    images = dataset.images_in("train")
    outputs = cached_outputs(
        teacher.folder, teacher.config, dataset, images, workspace.cache_dir, on_progress, should_stop
    )
    names = teacher.signature.class_names
    columns = [names.index(name) for name in dataset.class_names]
    return {image.id: row for image, row in zip(images, outputs.probabilities[:, columns], strict=True)}


def measure_both(
    workspace: Workspace, run: TrainingRun, dataset: ImageDataset, evaluation: Evaluation
) -> None:
    """Measure a small model and its teacher, and store the numbers in the folder of the run.

    Args:
        workspace: Where the teacher is.
        run: The trained small model.
        dataset: The images.
        evaluation: Of the small model.

    Raises:
        TransferStudioError: If the teacher or an image was deleted or is damaged, or writing fails.
    """
    teacher = TrainingRun.load(workspace, run.config.teacher)
    predictor = Predictor.load(teacher.folder)
    images = split_images(run, dataset, "validation")
    images, accuracy = leave_out_damaged(
        images,
        lambda left: (left, evaluate(predictor, [labelled(dataset, image) for image in left]).accuracy),
    )
    facts = Distillation(
        _facts(predictor, teacher.folder, accuracy, dataset, images),
        _facts(Predictor.load(run.folder), run.folder, evaluation.accuracy, dataset, images),
        len(images),
    )
    run.files.write_distillation(facts)


def _facts(
    predictor: Predictor, folder: Path, accuracy: float, dataset: ImageDataset, images: list[ImageRecord]
) -> ModelCost:
    seconds = []
    for image in images[:_NUM_TIMED]:
        content = dataset.image_path(image).read_bytes()
        started_at = time.perf_counter()
        predictor.predict(content)
        seconds.append(time.perf_counter() - started_at)
    return ModelCost(accuracy, (folder / MODEL_FILE).stat().st_size, median(seconds))
