"""Evaluate a run on its training, validation or test images, or on photos from outside, and fit its certainty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from transfer_core.data.damage import leave_out_damaged
from transfer_core.data.dataset import ImageDataset
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
from transfer_core.inference.predictor import Predictor
from transfer_core.inference.rejection import (
    DEFAULT_SHARE,
    MAX_BANK_SIZE,
    MIN_IMAGES,
    Rejection,
    fit_rejection,
)
from transfer_core.language import _
from transfer_core.runs.leakage import all_seen, seen_in_training
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.out_of_fold import OutOfFold

Progress = Callable[[int], None]


def fit_certainty(
    run: TrainingRun, dataset: ImageDataset, cache_dir: Path, out_of_fold: OutOfFold | None = None
) -> dict[str, float]:
    """Fit temperature and rejection on images that the model has not learned from, and store them with the model.

    Args:
        run: A run with a model.
        dataset: The images it was trained on.
        cache_dir: Where features are kept.
        out_of_fold: Predictions for the images of a model that has learned from all; None fits on validation images.

    Returns:
        Familiarity of these images by their ids, each measured by other images.

    Raises:
        TransferStudioError: Whatever `cached_outputs` raises.
    """
    if out_of_fold is None:
        return _fit_on_validation(run, dataset, cache_dir)
    images, groups, features = out_of_fold.images, out_of_fold.groups, out_of_fold.features
    fit_temperature(out_of_fold.probabilities, out_of_fold.labels, groups).save(run.folder)
    if features is None:
        features = cached_outputs(run.folder, run.config, dataset, list(images), cache_dir).features
        assert features is not None
    rejection, familiarities = fit_rejection(features, groups, run.config.seed)
    rejection.save(run.folder)
    return {image.id: float(value) for image, value in zip(images, familiarities, strict=True)}


def _fit_on_validation(run: TrainingRun, dataset: ImageDataset, cache_dir: Path) -> dict[str, float]:
    validation = split_images(run, dataset, "validation")
    train = split_images(run, dataset, "train")
    # More would not be kept, and each costs a forward pass where no layer is frozen.
    drawn = np.random.default_rng([run.config.seed, 0, 6]).permutation(len(train))[:MAX_BANK_SIZE]
    train = [train[place] for place in sorted(drawn)]
    if not validation or not train:
        return {}
    images, outputs = leave_out_damaged(
        [*validation, *train],
        lambda left: (left, cached_outputs(run.folder, run.config, dataset, left, cache_dir)),
    )
    readable = set(images)
    validation = [image for image in validation if image in readable]
    count = len(validation)
    if count in (0, len(images)):
        return {}
    class_names = run.signature.class_names
    labels = np.array([class_names.index(image.class_name) for image in validation])
    groups = [image.group or image.id for image in images]
    fit_temperature(outputs.probabilities[:count], labels, groups[:count]).save(run.folder)
    assert outputs.features is not None
    # Unfrozen layers have drawn the training images closer together than new ones: only validation sets the threshold.
    rejection, _familiarities = fit_rejection(outputs.features[count:], groups[count:], run.config.seed)
    familiarities = rejection.familiarity(outputs.features[:count])
    share = DEFAULT_SHARE if count >= MIN_IMAGES else 1.0
    rejection.with_familiar_share(share, familiarities).save(run.folder)
    return {image.id: float(value) for image, value in zip(validation, familiarities, strict=True)}


def fit_familiarity(run: TrainingRun, evaluation: Evaluation) -> None:
    """Fit the lowest familiarity again to the validation images, read from their files.

    `fit_certainty` reads them through the feature cache, whose rounding can push the image at the threshold below it.

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
    """Evaluate a run on one of its splits, through the feature cache.

    Args:
        run: A run with a model.
        dataset: Where the images are, with their present classes.
        split: `"test"` takes the present test images that the run has not seen in training, and counts the others.
        cache_dir: Where features are kept.
        on_progress: Called with the number of images whose features are ready.

    Raises:
        IngestError: If there are no such images.
        TransferStudioError: Whatever `cached_outputs` raises.
    """
    images = split_images(run, dataset, split)
    if not images:
        raise IngestError(none_left(split))
    evaluation = evaluate_records(run, dataset, images, cache_dir, on_progress)
    num_seen = 0
    if split == "test":
        class_names = run.signature.class_names
        num_seen = sum(image.class_name in class_names for image in dataset.images_in("test")) - len(images)
    return replace(evaluation, is_fitted_here=split == "validation", num_seen_in_training=num_seen)


def evaluate_validation(
    run: TrainingRun,
    dataset: ImageDataset,
    predictor: Predictor,
    on_left_out: Callable[[list[ImageRecord]], None] = lambda images: None,
) -> Evaluation:
    """Evaluate a run on its validation images, from their files, whatever the split of the dataset is by now.

    Args:
        run: It knows which images it was validated on.
        dataset: Where these images are, with their present classes.
        predictor: The model of the run.
        on_left_out: Called with photos that are damaged; they are left out.

    Raises:
        IngestError: If none is left, or none can be read.
        WorkspaceError: If it is not known which images the run was validated on.
    """
    images = split_images(run, dataset, "validation")
    if not images:
        raise IngestError(none_left("validation"))
    evaluation = leave_out_damaged(
        images,
        lambda left: evaluate(predictor, [labelled(dataset, image) for image in left]),
        on_left_out,
    )
    # `fit_certainty` fitted the temperature on the same images.
    return replace(evaluation, is_fitted_here=True)


def evaluate_new_images(
    run: TrainingRun, dataset: ImageDataset | None, predictor: Predictor, images: Sequence[LabelledImage]
) -> Evaluation:
    """Evaluate a run on images from outside, without those that it has seen in training, which are counted.

    Args:
        run: A run with a model.
        dataset: Its images, where they still exist.
        predictor: The model of the run.
        images: With id and fingerprint.

    Raises:
        IngestError: If there are no images, one has a class that the model does not know, or the run has seen all.
        UnreadableImageError: If a file is damaged.
    """
    check_classes(predictor.class_names, images)
    try:
        is_seen = seen_in_training(run, dataset, [(image.image_id, image.fingerprint) for image in images])
    except WorkspaceError:
        # Version 0.1 did not store which images a run was trained on.
        is_seen = [False] * len(images)
    new = [image for image, was_there in zip(images, is_seen, strict=True) if not was_there]
    if not new:
        raise IngestError(all_seen())
    return replace(evaluate(predictor, new), num_seen_in_training=sum(is_seen))


def evaluate_records(
    run: TrainingRun,
    dataset: ImageDataset,
    images: Sequence[ImageRecord],
    cache_dir: Path,
    on_progress: Progress = lambda num_done: None,
) -> Evaluation:
    """Evaluate a run on any images of a dataset whose classes the model knows, through the feature cache.

    Photos that are damaged or missing are left out.

    Args:
        run: A run with a model.
        dataset: Where the images are.
        images: Which of them.
        cache_dir: Where features are kept.
        on_progress: Called with the number of images whose features are ready.

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
        run.signature.class_names,
        [labelled(dataset, image) for image in images],
        outputs,
        certainty.calibration,
        certainty.rejection,
    )


def split_images(run: TrainingRun, dataset: ImageDataset, split: Split) -> list[ImageRecord]:
    """Return the images of a split of a run, whatever the split of the dataset is by now.

    Images of classes that the model does not know are left out.

    Args:
        run: It knows which images it was trained and validated on.
        dataset: Where these images are, with their present classes.
        split: `"test"` takes the present test images that the run has not seen in training.

    Raises:
        WorkspaceError: If it is not known which images these were.
    """
    class_names = run.signature.class_names
    if split == "test":
        test = dataset.images_in("test")
        is_seen = seen_in_training(run, dataset, [(image.id, image.fingerprint) for image in test])
        found = [image for image, was_there in zip(test, is_seen, strict=True) if not was_there]
    else:
        ids = run.train_ids() if split == "train" else run.validation_ids()
        found = [image for image in dataset.images if image.id in ids]
    return [image for image in found if image.class_name in class_names]


def labelled(dataset: ImageDataset, image: ImageRecord) -> LabelledImage:
    """Return an image of a dataset with its file and its label."""
    return LabelledImage(dataset.image_path(image), image.name, image.class_name, image.id, image.group)


def none_left(split: Split) -> str:
    """Say that there are no images to evaluate a run on."""
    if split == "test":
        return _(
            "There are no photos to test with that this run has never met. Bring some in a folder named test, or "
            "score it on a folder of new photos."
        )
    return _(
        "None of the photos that this run was checked with is left, so it cannot be scored on them. Score "
        "it on a folder of new photos, or train again."
    )
