"""Knowledge distillation: the outputs of a teacher for a student's training images, and how both compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import bundled_backbones
from transfer_core.config import TrainingConfig
from transfer_core.data.damage import leave_out_damaged
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import IngestError, InvalidConfigError, NotFoundError
from transfer_core.evaluation.evaluation import Evaluation, evaluate
from transfer_core.inference.cached_outputs import cached_outputs
from transfer_core.inference.predictor import Predictor
from transfer_core.language import _
from transfer_core.runs.run_evaluation import labelled, none_left, split_images
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
    """Make sure that a run can teach another one, and that its accuracy on their validation photos is known.

    Args:
        teacher: The run.
        dataset: The images of the other run.

    Raises:
        InvalidConfigError: If it knows other classes, or was trained on validation photos of the other run without
            predictions of them by models that had not learned from them.
        NotFoundError: If it has no model.
    """
    if not teacher.has_model:
        raise NotFoundError(_("The run {id} has no model that could teach.").format(id=teacher.id))
    if set(teacher.signature.class_names) != set(dataset.class_names):
        raise InvalidConfigError(
            _("The teacher knows other classes than these photos have. Train it on these photos first.")
        )
    if not teacher.is_trained_on_all and _has_learned_from(teacher, dataset.images_in("validation")):
        raise InvalidConfigError(
            _(
                "The teacher has learned from some validation photos of the small model. Its accuracy would "
                "look too good. Train the large model again on the present photos."
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

    A teacher that has learned from the validation images as well is measured by its stored out-of-fold predictions, and
    both models by the images that have one.

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
    is_out_of_fold = _has_learned_from(teacher, images)
    if is_out_of_fold:
        evaluated = teacher.evaluation()
    else:
        evaluated = leave_out_damaged(
            images, lambda left: evaluate(predictor, [labelled(dataset, image) for image in left])
        )
    answers, own_answers = (
        {outcome.image_id: outcome.predicted_class_name for outcome in found.outcomes} if found else {}
        for found in (evaluated, evaluation)
    )
    images = [image for image in images if image.id in answers and image.id in own_answers]
    if not images:
        raise IngestError(none_left("validation"))
    facts = Distillation(
        _facts(predictor, teacher.folder, answers, dataset, images),
        _facts(Predictor.load(run.folder), run.folder, own_answers, dataset, images),
        len(images),
        is_out_of_fold,
    )
    run.files.write_distillation(facts)


def _has_learned_from(teacher: TrainingRun, images: Sequence[ImageRecord]) -> bool:
    return not teacher.learned_ids().isdisjoint(image.id for image in images)


def _facts(
    predictor: Predictor,
    folder: Path,
    answers: Mapping[str, str],
    dataset: ImageDataset,
    images: list[ImageRecord],
) -> ModelCost:
    seconds = []
    for image in images[:_NUM_TIMED]:
        content = dataset.image_path(image).read_bytes()
        started_at = time.perf_counter()
        predictor.predict(content)
        seconds.append(time.perf_counter() - started_at)
    accuracy = fmean(answers[image.id] == image.class_name for image in images)
    return ModelCost(accuracy, (folder / MODEL_FILE).stat().st_size, median(seconds))
