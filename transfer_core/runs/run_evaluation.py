"""Evaluate a run on its training, validation or test images, or on photos from outside, and fit its certainty."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np

from transfer_core.data.damage import damaged_photos, leave_out_damaged
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.similarity import are_alike, fingerprint
from transfer_core.data.records import ImageRecord, Split
from transfer_core.errors import IngestError, TrainingError, WorkspaceError
from transfer_core.evaluation.evaluation import (
    Evaluation,
    LabelledImage,
    check_classes,
    evaluate,
    evaluation_of,
    outputs_of_files,
)
from transfer_core.inference.cached_outputs import cached_outputs
from transfer_core.inference.calibration import fit_temperature
from transfer_core.inference.certainty import Certainty
from transfer_core.inference.predictor import ModelOutputs, Predictor
from transfer_core.inference.rejection import (
    DEFAULT_SHARE,
    MAX_BANK_SIZE,
    MIN_IMAGES,
    Rejection,
    fit_rejection,
)
from transfer_core.language import _, percent
from transfer_core.runs.leakage import all_seen, seen_in_training
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.out_of_fold import OutOfFold
from transfer_core.types import Array

Progress = Callable[[int], None]


# Features kept in half precision and another order of sums move a probability by a few thousandths. Another model, or
# other preprocessing, moves most of them by far more.
_MOST_DIFFERENCE = 0.1
# As many photos as prove it: the whole network computes each of them again.
_MOST_PROVEN = 16
_MOST_SECONDS = 0.5
_NUM_AT_ONCE = 8
REFUSED_MODEL_FILE = "refused.keras"


def fit_certainty(
    run: TrainingRun, dataset: ImageDataset, cache_dir: Path, predicted: OutOfFold
) -> dict[str, float]:
    """Fit temperature and rejection on images that the model has not learned from, and store them with the model.

    Args:
        run: A run with a model.
        dataset: The images it was trained on, without damaged ones.
        cache_dir: Where features are kept.
        predicted: By models that had not learned from the image.

    Returns:
        Familiarity of the images by their ids, each measured by other images.

    Raises:
        TransferStudioError: Whatever `cached_outputs` raises.
    """
    fit_temperature(predicted.probabilities, predicted.labels, predicted.groups).save(run.folder)
    if run.is_trained_on_all:
        return _fit_on_all(run, dataset, cache_dir, predicted)
    return _fit_on_validation(run, dataset, cache_dir)


def _fit_on_all(
    run: TrainingRun, dataset: ImageDataset, cache_dir: Path, predicted: OutOfFold
) -> dict[str, float]:
    images, features = list(predicted.images), predicted.features
    if features is None:
        images = [image for image in images if image.id in dataset.by_id]
        features = cached_outputs(run.folder, run.config, dataset, images, cache_dir).features
        assert features is not None
    rejection, familiarities = fit_rejection(
        features, [image.group or image.id for image in images], run.config.seed
    )
    rejection.save(run.folder)
    return {image.id: float(value) for image, value in zip(images, familiarities, strict=True)}


def _fit_on_validation(run: TrainingRun, dataset: ImageDataset, cache_dir: Path) -> dict[str, float]:
    validation, train = dataset.images_in("validation"), dataset.images_in("train")
    # More would not be kept, and each costs a forward pass where no layer is frozen.
    drawn = np.random.default_rng([run.config.seed, 0, 6]).permutation(len(train))[:MAX_BANK_SIZE]
    images, outputs = leave_out_damaged(
        [*validation, *(train[place] for place in sorted(drawn))],
        lambda left: (left, cached_outputs(run.folder, run.config, dataset, left, cache_dir)),
    )
    readable = {image.id for image in images}
    validation = [image for image in validation if image.id in readable]
    count = len(validation)
    if count in (0, len(images)):
        return {}
    assert outputs.features is not None
    groups = [image.group or image.id for image in images[count:]]
    rejection, _others = fit_rejection(outputs.features[count:], groups, run.config.seed)
    # Unfrozen layers have drawn the training images closer together than new ones: only validation sets the threshold.
    familiarities = rejection.familiarity(outputs.features[:count])
    share = DEFAULT_SHARE if count >= MIN_IMAGES else 1.0
    rejection.with_familiar_share(share, familiarities).save(run.folder)
    return {image.id: float(value) for image, value in zip(validation, familiarities, strict=True)}


def fit_familiarity(run: TrainingRun, evaluation: Evaluation) -> None:
    """Fit the lowest familiarity again to the outcomes, so that rounding them puts no image below the threshold.

    Args:
        run: A run with a model.
        evaluation: The stored outcomes.

    Raises:
        WorkspaceError: If a file is damaged, or writing fails.
    """
    rejection = Rejection.load(run.folder)
    found = [outcome.familiarity for outcome in evaluation.outcomes if outcome.familiarity is not None]
    if rejection and rejection.familiar_share < 1 and found:
        rejection.with_familiar_share(rejection.familiar_share, found).save_thresholds(run.folder)


def evaluation_of_training(
    run: TrainingRun, dataset: ImageDataset, predicted: OutOfFold, familiarities: Mapping[str, float]
) -> Evaluation:
    """Evaluate a run on the predictions of its training.

    Args:
        run: A run with a model and its calibration.
        dataset: The images that it was trained on, without damaged ones.
        predicted: By models that had not learned from the image.
        familiarities: Of these images by their ids, from `fit_certainty`.

    Raises:
        IngestError: If none of the images is left.
    """
    rows = [row for row, image in enumerate(predicted.images) if image.id in dataset.by_id]
    if not rows:
        raise IngestError(none_left("validation"))
    evaluation = evaluation_of(
        run.signature.class_names,
        [labelled(dataset, predicted.images[row]) for row in rows],
        ModelOutputs(None, predicted.probabilities[rows]),
        Certainty.load(run.folder).calibration,
        None,
    )
    found = {image_id: float(f"{value:.9g}") for image_id, value in familiarities.items()}
    outcomes = tuple(
        replace(outcome, familiarity=found.get(outcome.image_id)) for outcome in evaluation.outcomes
    )
    num_folds = predicted.num_folds if run.is_trained_on_all else 0
    return replace(evaluation, outcomes=outcomes, is_fitted_here=True, num_folds=num_folds)


def proof_images(images: Sequence[ImageRecord]) -> list[ImageRecord]:
    """Return at most 16 of the images, spread over their classes."""
    by_class: dict[str, list[ImageRecord]] = {}
    for image in images:
        by_class.setdefault(image.class_name, []).append(image)
    in_turn = (image for turn in zip_longest(*by_class.values()) for image in turn if image is not None)
    return list(islice(in_turn, _MOST_PROVEN))


def check_saved_model(
    dataset: ImageDataset,
    predictor: Predictor,
    expected: Mapping[str, Array],
    on_progress: Progress = lambda num_done: None,
    on_left_out: Callable[[list[ImageRecord]], None] = lambda images: None,
) -> None:
    """Make sure that a saved model answers image files as the training did from their features.

    It takes at most 16 images, and begins none after half a second: a person waits for the answer. An image file
    that was exchanged after its features were kept proves nothing, and counts as damaged.

    Args:
        dataset: The images.
        predictor: The saved model.
        expected: Softmax outputs of the trained model by the id of the image.
        on_progress: Called with the number of images done.
        on_left_out: Called with photos that are damaged; they are left out.

    Raises:
        TrainingError: If a probability differs by more than 0.1.
        IngestError: If none of the images can be read.
    """
    began = time.monotonic()

    def prove(images: list[ImageRecord]) -> None:
        for start in range(0, len(images), _NUM_AT_ONCE):
            if start and time.monotonic() - began > _MOST_SECONDS:
                return
            batch = images[start : start + _NUM_AT_ONCE]
            outputs = outputs_of_files(predictor, [labelled(dataset, image) for image in batch])
            rows = np.array([expected[image.id] for image in batch])
            differences = np.abs(outputs.probabilities - rows).max(axis=1)
            differing = [batch[row] for row in np.flatnonzero(~(differences <= _MOST_DIFFERENCE))]
            exchanged = [image for image in differing if _is_exchanged(dataset, image)]
            if exchanged:
                raise damaged_photos({image.id: (image.name, image.class_name) for image in exchanged})
            if differing:
                raise TrainingError(
                    _(
                        "The saved model answers differently: a probability differs by {difference}. It was set "
                        "aside as {file} in the folder of the run. Train again."
                    ).format(difference=percent(float(differences.max())), file=REFUSED_MODEL_FILE)
                )
            on_progress(start + len(batch))

    images = proof_images([image for image in dataset.images if image.id in expected])
    leave_out_damaged(images, prove, on_left_out)


def _is_exchanged(dataset: ImageDataset, image: ImageRecord) -> bool:
    """Return whether a stored file shows another picture than it did."""
    # Compare fingerprints, because most photos were compressed again after their id was computed.
    found = fingerprint(decode_image(dataset.image_path(image).read_bytes(), dataset.grey_ranges))
    return bool(image.fingerprint) and not are_alike((found,), (image.fingerprint,))[0]


def evaluate_split(
    run: TrainingRun,
    dataset: ImageDataset,
    split: Split,
    cache_dir: Path,
    on_progress: Progress = lambda num_done: None,
) -> Evaluation:
    """Evaluate a run on one of its splits, through the feature cache.

    A model that has learned from its validation images as well has only the stored evaluation of its training.

    Args:
        run: A run with a model.
        dataset: Where the images are, with their present classes.
        split: `"test"` takes the present test images that the run has not seen in training, and counts the others.
        cache_dir: Where features are kept.
        on_progress: Called with the number of images whose features are ready.

    Raises:
        IngestError: If there are no such images, or the model has learned from its validation images.
        TransferStudioError: Whatever `cached_outputs` raises.
    """
    if split == "validation" and run.is_trained_on_all:
        stored = run.evaluation()
        if stored:
            return stored
        raise IngestError(
            _(
                "The stored results are missing, and the model has learned from all of its photos. Test it on new "
                "photos, or train again."
            )
        )
    images = split_images(run, dataset, split)
    if not images:
        raise IngestError(none_left(split))
    evaluation = evaluate_records(run, dataset, images, cache_dir, on_progress)
    num_seen = 0
    if split == "test":
        class_names = run.signature.class_names
        num_seen = sum(image.class_name in class_names for image in dataset.images_in("test")) - len(images)
    return replace(evaluation, is_fitted_here=split == "validation", num_seen_in_training=num_seen)


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
        split: `"train"` takes those that the model has learned from, `"test"` the present test images that the run has
            not seen in training.

    Raises:
        WorkspaceError: If it is not known which images these were.
    """
    class_names = run.signature.class_names
    if split == "test":
        test = dataset.images_in("test")
        is_seen = seen_in_training(run, dataset, [(image.id, image.fingerprint) for image in test])
        found = [image for image, was_there in zip(test, is_seen, strict=True) if not was_there]
    else:
        ids = run.learned_ids() if split == "train" else run.validation_ids()
        found = [image for image in dataset.images if image.id in ids]
    return [image for image in found if image.class_name in class_names]


def labelled(dataset: ImageDataset, image: ImageRecord) -> LabelledImage:
    """Return an image of a dataset with its file and its label."""
    return LabelledImage(dataset.image_path(image), image.name, image.class_name, image.id, image.group)


def none_left(split: Split) -> str:
    """Say that there are no images to evaluate a run on."""
    if split == "test":
        return _(
            "There are no test photos that this model has never seen. Add some in a folder named test, "
            "or test on a folder of new photos."
        )
    return _(
        "All validation photos of this model were deleted. Test it on a folder of new photos, or train again."
    )
