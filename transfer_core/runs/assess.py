"""How good a run is on the images it learned from, was validated with, or has never met."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from transfer_core.data.damage import leave_out_damaged
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.similarity import are_alike
from transfer_core.data.records import ImageRecord, Split
from transfer_core.errors import IngestError, WorkspaceError
from transfer_core.evaluation.evaluation import (
    Evaluation,
    LabelledImage,
    check_classes,
    evaluate,
    evaluation_of,
)
from transfer_core.inference.cached_outputs import cached_outputs
from transfer_core.inference.calibration import fit_temperature
from transfer_core.inference.certainty import Certainty
from transfer_core.inference.predictor import Predictor, read_signature
from transfer_core.inference.rejection import MAX_BANK_SIZE, Rejection, fit_rejection
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun

Progress = Callable[[int], None]


def fit_certainty(run: TrainingRun, dataset: ImageDataset, cache_dir: Path) -> None:
    """Fit on the validation images how sure the model may be and what it should refuse; store it with the model.

    Args:
        run: A run with a model.
        dataset: The images it learned from.
        cache_dir: Where features are kept.

    Raises:
        TransferStudioError: Whatever `cached_outputs` raises.
    """
    class_names = model_class_names(run)
    checked = images_of(run, dataset, "validation", class_names)
    learned = images_of(run, dataset, "train", class_names)
    # More would not be kept, and a network that learned as a whole has to look at each again.
    drawn = np.random.default_rng([run.config.seed, 0, 6]).permutation(len(learned))[:MAX_BANK_SIZE]
    learned = [learned[place] for place in sorted(drawn)]
    if not checked or not learned:
        return
    images, outputs = leave_out_damaged(
        [*checked, *learned],
        lambda left: (left, cached_outputs(run.folder, run.config, dataset, left, cache_dir)),
    )
    readable = set(images)
    checked = [image for image in checked if image in readable]
    count = len(checked)
    if count in (0, len(images)):
        return
    calibration = fit_temperature(outputs.probabilities[:count], _places(checked, class_names))
    calibration.save(run.folder)
    assert outputs.features is not None
    fit_rejection(outputs.features[count:], outputs.features[:count], run.config.seed).save(run.folder)


def fit_familiarity(run: TrainingRun, evaluation: Evaluation) -> None:
    """Move the limit of familiarity to the validation images as the saved model sees them.

    `fit_certainty` sees them through the feature cache, whose rounding can push the image at the limit below it.

    Args:
        run: A run with a model.
        evaluation: On its validation images, from their files.

    Raises:
        WorkspaceError: If a file is damaged, or writing fails.
    """
    rejection = Rejection.load(run.folder)
    found = [outcome.familiarity for outcome in evaluation.outcomes if outcome.familiarity is not None]
    if rejection and rejection.familiar_share < 1 and found:
        rejection.with_familiar_share(rejection.familiar_share, found).save_thresholds(run.folder)


def evaluate_split(
    run: TrainingRun,
    dataset: ImageDataset,
    split: Split,
    cache_dir: Path,
    on_progress: Progress = lambda num_done: None,
) -> Evaluation:
    """Score images that a run learned from, was checked with, or has never met, by way of the feature cache.

    Args:
        run: A run with a model.
        dataset: Where the images are, with their present classes.
        split: `"test"` takes those that are for tests now and that the run has not met; those it has met are counted
            apart.
        cache_dir: Where features are kept.
        on_progress: Called with the number of images whose features are there.

    Raises:
        IngestError: If there are no such images.
        TransferStudioError: Whatever `cached_outputs` raises.
    """
    class_names = model_class_names(run)
    images = images_of(run, dataset, split, class_names)
    if not images:
        raise IngestError(none_left(split))
    evaluation = evaluate_records(run, dataset, images, cache_dir, on_progress)
    num_met = 0
    if split == "test":
        num_met = sum(image.class_name in class_names for image in dataset.images_in("test")) - len(images)
    return replace(evaluation, is_fitted_here=split == "validation", num_met=num_met)


def evaluate_new_images(
    run: TrainingRun, dataset: ImageDataset | None, predictor: Predictor, images: Sequence[LabelledImage]
) -> Evaluation:
    """Score images from outside; those that the run has met are counted apart.

    Args:
        run: A run with a model.
        dataset: The images it learned from, where they are still there.
        predictor: The model of the run.
        images: What they are known by counts: id and fingerprint.

    Raises:
        IngestError: If there are no images, one has a class that the model does not know, or the run has met all.
        UnreadableImageError: If a file is damaged.
    """
    check_classes(predictor.class_names, images)
    try:
        is_met = met_before(run, dataset, [(image.image_id, image.fingerprint) for image in images])
    except WorkspaceError:
        # Version 0.1 did not note what a run has met.
        is_met = [False] * len(images)
    new = [image for image, is_known in zip(images, is_met, strict=True) if not is_known]
    if not new:
        raise IngestError(all_met())
    return replace(evaluate(predictor, new), num_met=sum(is_met))


def met_before(
    run: TrainingRun, dataset: ImageDataset | None, pictures: Sequence[tuple[str, str]]
) -> list[bool]:
    """Return for each picture whether a run has met it: it learned from it, or was validated with it.

    Args:
        run: It knows which images it has met.
        dataset: Where these images are, so that near-duplicates of them count too. Without it, or where images were
            deleted since, only the very same pixels count.
        pictures: Id and fingerprint of each, as an `ImageRecord` has them.

    Raises:
        WorkspaceError: If it is not known which images the run has met.
    """
    met = run.train_ids() | run.validation_ids()
    images = (*dataset.images, *dataset.excluded) if dataset else ()
    known = tuple(image.fingerprint for image in images if image.id in met and image.fingerprint)
    alike = are_alike(tuple(likeness for _id, likeness in pictures), known)
    return [
        identifier in met or is_alike
        for (identifier, _likeness), is_alike in zip(pictures, alike, strict=True)
    ]


def all_met() -> str:
    """Say that photos cannot test a run, because it has met every one of them."""
    return _(
        "The model has met all of these photos in its training, or photos that look the same, so they cannot test "
        "it. Bring photos that it has never seen."
    )


def evaluate_records(
    run: TrainingRun,
    dataset: ImageDataset,
    images: Sequence[ImageRecord],
    cache_dir: Path,
    on_progress: Progress = lambda num_done: None,
) -> Evaluation:
    """Score any images of a dataset whose classes the model knows, by way of the feature cache.

    Photos that are damaged or missing are left out.

    Args:
        run: A run with a model.
        dataset: Where the images are.
        images: Which of them.
        cache_dir: Where features are kept.
        on_progress: Called with the number of images whose features are there.

    Raises:
        TransferStudioError: Whatever `cached_outputs` raises.
    """
    images, outputs = leave_out_damaged(
        images,
        lambda left: (left, cached_outputs(run.folder, run.config, dataset, left, cache_dir, on_progress)),
    )
    assert outputs.features is not None
    certainty = Certainty.load(run.folder, outputs.features.shape[1])
    return evaluation_of(
        model_class_names(run),
        [labelled(dataset, image) for image in images],
        outputs,
        certainty.calibration,
        certainty.rejection,
    )


def images_of(
    run: TrainingRun, dataset: ImageDataset, split: Split, class_names: Sequence[str]
) -> list[ImageRecord]:
    """Return the images that played a part in a run, whatever the split of the dataset is by now.

    Args:
        run: It knows which images it learned from and which it was checked with.
        dataset: Where these images are, with their present classes.
        split: Which part.
        class_names: What the model knows; images of other classes are passed over.

    Raises:
        WorkspaceError: If it is not known which images these were.
    """
    if split == "test":
        for_tests = dataset.images_in("test")
        is_met = met_before(run, dataset, [(image.id, image.fingerprint) for image in for_tests])
        found = [image for image, is_known in zip(for_tests, is_met, strict=True) if not is_known]
    else:
        ids = run.train_ids() if split == "train" else run.validation_ids()
        found = [image for image in dataset.images if image.id in ids]
    return [image for image in found if image.class_name in class_names]


def labelled(dataset: ImageDataset, image: ImageRecord) -> LabelledImage:
    """Return an image of a dataset as one to score."""
    return LabelledImage(dataset.image_path(image), image.name, image.class_name, image.id, image.group)


def model_class_names(run: TrainingRun) -> tuple[str, ...]:
    """Return the classes of a model, in the order of its outputs.

    Raises:
        WorkspaceError: If the file beside the model is missing or damaged.
    """
    return read_signature(run.folder)[0]


def none_left(split: Split) -> str:
    """Say that there are no images to score a run on."""
    if split == "test":
        return _(
            "There are no photos to test with that this run has never met. Bring some in a folder named test, or "
            "score it on a folder of new photos."
        )
    return _(
        "None of the photos that this run was checked with is left, so it cannot be scored on them. Score "
        "it on a folder of new photos, or train again."
    )


def _places(
    images: Sequence[ImageRecord], class_names: Sequence[str]
) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.array([class_names.index(image.class_name) for image in images])
