"""Evaluate a model on labelled images: the outcome of each image, and the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from transfer_core.data.damage import damaged_photos
from transfer_core.data.pixels import pixel_batches, readable_batches
from transfer_core.errors import IngestError
from transfer_core.evaluation import metrics
from transfer_core.evaluation.intervals import (
    cross_validated_interval,
    differ_beyond_chance,
    wilson_interval,
)
from transfer_core.inference.calibration import (
    Calibration,
    cross_fitted_temperatures,
    expected_calibration_error,
    with_temperatures,
)
from transfer_core.inference.predictor import ModelOutputs, Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.language import _, names_list, percent, plural, sentences
from transfer_core.schema import Count, Text, decoded
from transfer_core.types import Array

FORMAT_VERSION = 2
# As many as distinguish every float32.
_DIGITS = 9
# Rounding adds probabilities up to a little more than 1, and unit vectors to a little more than 1 in length.
_Share = Annotated[float, msgspec.Meta(ge=0, le=1 + 1e-6)]
_Familiarity = Annotated[float, msgspec.Meta(ge=-1.01, le=1.01)]


@dataclass(frozen=True)
class LabelledImage:
    """A file with its true class.

    Args:
        path: The image file.
        name: What to call it in the outcome.
        class_name: Its true class.
        image_id: Hash of its pixels, as of an image of a dataset; empty where it is not known.
        group: Shared by images that are near-duplicates or belong to one recording; empty when it is alone.
        fingerprint: Perceptual hash in hexadecimal digits, as of an image of a dataset.
    """

    path: Path
    name: str
    class_name: str
    image_id: str = ""
    group: str = ""
    fingerprint: str = ""


@dataclass(frozen=True)
class ImageOutcome:
    """The outcome of one image.

    Args:
        name: The image.
        class_name: Its true class.
        predicted_class_name: The most probable class.
        probability: Of the predicted class, 0-1.
        true_probability: Of the true class, 0-1.
        probabilities: Of all classes, in the order of the model; empty in files of version 0.1.
        image_id: Hash of its pixels, as of an image of a dataset; empty where it is not known.
        familiarity: Similarity to the training images, from -1 to 1. None where that is not known.
        group: Shared by images that are near-duplicates or belong to one recording; empty when it is alone.
    """

    name: Text
    class_name: Text
    predicted_class_name: Text
    probability: _Share
    true_probability: _Share
    probabilities: tuple[_Share, ...] = ()
    image_id: Text = ""
    familiarity: _Familiarity | None = None
    group: Text = ""

    @property
    def is_right(self) -> bool:
        """Whether the prediction is its true class."""
        return self.predicted_class_name == self.class_name


@dataclass(frozen=True)
class Evaluation:
    """One run on one set of images: the outcome of each, and scikit-learn's metrics.

    Args:
        class_names: In the order of the outputs of the model, and of the rows and columns of the matrix.
        outcomes: Every image.
        temperature: Of the outcomes' probabilities.
        is_fitted_here: Whether the temperature was fitted on these very images. Its effect is then measured by
            cross-fitting: each image gets a temperature that was fitted without it.
        num_seen_in_training: How many more images there were that are, or look like, images from the training of
            the model. They are in no other number.
        num_folds: Folds of a cross-validation: each outcome is from a model that had not learned from the image, while
            the model itself has learned from all of them. 0 if the outcomes are from the model itself.
    """

    class_names: tuple[Text, ...]
    outcomes: Annotated[tuple[ImageOutcome, ...], msgspec.Meta(min_length=1)]
    temperature: Annotated[float, msgspec.Meta(ge=0.1, le=100)] = 1.0
    is_fitted_here: bool = False
    num_seen_in_training: Count = 0
    num_folds: Count = 0

    @property
    def num_images(self) -> int:
        """How many images were scored."""
        return len(self.outcomes)

    @cached_property
    def accuracy(self) -> float:
        """Share of images whose class is right, 0-1."""
        return sum(outcome.is_right for outcome in self.outcomes) / self.num_images

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy on other photos of the same kind (Wilson, 1927), from `num_groups`."""
        interval = cross_validated_interval if self.num_folds > 1 else wilson_interval
        return interval(self.accuracy, self.num_groups)

    @cached_property
    def num_groups(self) -> int:
        """Number of images, with those of one group counted once: what is right for one is right for most of them."""
        alone = sum(not outcome.group for outcome in self.outcomes)
        return alone + len({outcome.group for outcome in self.outcomes if outcome.group})

    @cached_property
    def log_loss(self) -> float:
        """Mean negative logarithm of the probability of the true class, cross-fitted where that is needed."""
        if self.has_probabilities:
            return metrics.log_loss_of(self._truth, self._measured_probabilities)
        shares = np.array([outcome.true_probability for outcome in self.outcomes])
        return float(-np.log(np.maximum(shares, np.finfo(float).eps)).mean())

    @cached_property
    def confusion_matrix(self) -> tuple[tuple[int, ...], ...]:
        """Counts; row is the true class, column the predicted one."""
        return metrics.confusion(self._truth, self._said, len(self.class_names))

    @cached_property
    def per_class(self) -> dict[str, dict[str, float]]:
        """Precision, recall, F1 (each 0-1) and number of images (`support`) by class."""
        return metrics.measures_by_class(self._truth, self._said, self.class_names)

    @cached_property
    def macro(self) -> dict[str, float]:
        """Precision, recall and F1 with each class counted once."""
        return metrics.mean_measures(self._truth, self._said, len(self.class_names), "macro")

    @cached_property
    def weighted(self) -> dict[str, float]:
        """Precision, recall and F1 with each image counted once."""
        return metrics.mean_measures(self._truth, self._said, len(self.class_names), "weighted")

    @cached_property
    def has_probabilities(self) -> bool:
        """Whether the probabilities of all classes are known; version 0.1 did not keep them."""
        return all(len(outcome.probabilities) == len(self.class_names) for outcome in self.outcomes)

    @cached_property
    def top2_accuracy(self) -> float | None:
        """Share of images whose class is among the two most probable, 0-1."""
        return metrics.top2_accuracy(self._truth, self._probabilities) if self.has_probabilities else None

    @cached_property
    def roc_curves(self) -> dict[str, metrics.Curve]:
        """The ROC curve of each class against all others, where both sides have images."""
        if not self.has_probabilities:
            return {}
        return metrics.roc_curves(self._truth, self._probabilities, self.class_names)

    @cached_property
    def precision_recall_curves(self) -> dict[str, metrics.Curve]:
        """The precision-recall curve of each class that has images."""
        if not self.has_probabilities:
            return {}
        return metrics.precision_recall_curves(self._truth, self._probabilities, self.class_names)

    @property
    def roc_auc(self) -> float | None:
        """Mean area under the ROC curves, one class against all others, 0-1."""
        areas = [curve.area for curve in self.roc_curves.values()]
        return sum(areas) / len(areas) if areas else None

    @cached_property
    def confidences(self) -> list[float]:
        """The probability of the predicted class of each image, as shown to people."""
        return [outcome.probability for outcome in self.outcomes]

    @cached_property
    def measured_confidences(self) -> list[float]:
        """The confidences to measure calibration with: cross-fitted where that is needed."""
        if not self.is_cross_fitted:
            return self.confidences
        return [float(value) for value in self._measured_probabilities.max(axis=1)]

    @property
    def is_cross_fitted(self) -> bool:
        """Whether calibration is measured with temperatures that were each fitted on other images."""
        return self._other_temperatures is not None

    @cached_property
    def is_right(self) -> list[bool]:
        """Whether the model is right, for each image."""
        return [outcome.is_right for outcome in self.outcomes]

    @cached_property
    def ece(self) -> float:
        """Expected calibration error after temperature scaling, 0-1; cross-fitted where that is needed."""
        return expected_calibration_error(self.measured_confidences, self.is_right)

    @cached_property
    def uncalibrated_confidences(self) -> list[float]:
        """The confidences before temperature scaling."""
        if self.temperature == 1.0 or not self.has_probabilities:
            return self.confidences
        return [float(value) for value in self._uncalibrated_probabilities.max(axis=1)]

    @cached_property
    def uncalibrated_ece(self) -> float:
        """Expected calibration error before temperature scaling, 0-1."""
        return expected_calibration_error(self.uncalibrated_confidences, self.is_right)

    def to_dict(self) -> dict[str, Any]:
        """Return all numbers as plain values, ready for JSON."""
        return {
            "version": FORMAT_VERSION,
            "num_images": self.num_images,
            # The name in files and in the command line's JSON since version 0.2.
            "num_met": self.num_seen_in_training,
            "class_names": list(self.class_names),
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "per_class": self.per_class,
            "macro": self.macro,
            "macro_f1": self.macro["f1"],
            "weighted": self.weighted,
            "top2": self.top2_accuracy,
            "log_loss": self.log_loss,
            "roc_auc": self.roc_auc,
            "roc_auc_per_class": {name: curve.area for name, curve in self.roc_curves.items()},
            "average_precision_per_class": {
                name: curve.area for name, curve in self.precision_recall_curves.items()
            },
            "confusion_matrix": [list(row) for row in self.confusion_matrix],
            "ece": self.ece,
            "ece_uncalibrated": self.uncalibrated_ece,
            "temperature": self.temperature,
            "is_fitted_here": self.is_fitted_here,
            "is_cross_fitted": self.is_cross_fitted,
            "num_folds": self.num_folds,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Evaluation:
        """Rebuild what `to_dict` gave, also in earlier versions. Names that this one does not know are passed over.

        Earlier versions stored only evaluations of validation images.

        Raises:
            ValueError: If something is missing, of another kind or out of its range, or a class is not in the list.
        """
        earlier = {"is_fitted_here": True, "num_seen_in_training": values.get("num_met", 0)}
        evaluation = decoded({**earlier, **values}, cls)
        names = set(evaluation.class_names)
        if len(names) < len(evaluation.class_names):
            raise ValueError("a class is there twice")
        if not all(_fits_classes(outcome, names) for outcome in evaluation.outcomes):
            raise ValueError("an outcome is of other classes")
        return evaluation

    @cached_property
    def _truth(self) -> Array:
        return self._places(outcome.class_name for outcome in self.outcomes)

    @cached_property
    def _said(self) -> Array:
        return self._places(outcome.predicted_class_name for outcome in self.outcomes)

    @cached_property
    def _probabilities(self) -> Array:
        return np.array([outcome.probabilities for outcome in self.outcomes])

    @cached_property
    def _uncalibrated_probabilities(self) -> Array:
        # Scaling by the inverse takes it back.
        return Calibration(1 / self.temperature).apply(self._probabilities)

    @cached_property
    def _other_temperatures(self) -> Array | None:
        if not self.is_fitted_here or self.temperature == 1.0 or not self.has_probabilities:
            return None
        groups = [outcome.group or f"alone {number}" for number, outcome in enumerate(self.outcomes)]
        return cross_fitted_temperatures(self._uncalibrated_probabilities, self._truth, groups)

    @cached_property
    def _measured_probabilities(self) -> Array:
        if self._other_temperatures is None:
            return self._probabilities
        return with_temperatures(self._uncalibrated_probabilities, self._other_temperatures)

    def _places(self, names: Iterable[str]) -> Array:
        place = {name: number for number, name in enumerate(self.class_names)}
        return np.array([place[name] for name in names])


def seen_in_training_sentence(evaluation: Evaluation) -> str:
    """Say how many images do not count because the model saw them in training; empty where there were none."""
    if not evaluation.num_seen_in_training:
        return ""
    return plural(
        "{count} of {total} photos looks like a training photo. Without it accuracy is {accuracy}.",
        "{count} of {total} photos look like training photos. Without them accuracy is {accuracy}.",
        evaluation.num_seen_in_training,
        total=evaluation.num_seen_in_training + evaluation.num_images,
        accuracy=percent(evaluation.accuracy),
    )


def measured_sentence(evaluation: Evaluation) -> str:
    """Say how a model that has learned from all of its photos was measured; empty for any other model."""
    if not evaluation.num_folds:
        return ""
    parts = [
        _("Measured by {folds}-fold cross-validation on {count} photos.").format(
            folds=evaluation.num_folds, count=evaluation.num_images
        )
        if evaluation.num_folds > 1
        else _("Measured on {count} validation photos.").format(count=evaluation.num_images),
        _("The final model has learned from all photos."),
    ]
    if evaluation.num_groups < evaluation.num_images:
        parts.append(
            _("Photos that look alike count once: {count} in all.").format(count=evaluation.num_groups)
        )
    return sentences(*parts)


def occasion_sentence(measured: Evaluation, test: Evaluation) -> str:
    """Say that test photos differ from the others, if the accuracies differ by more than chance; empty otherwise.

    The level is 5 %: Fisher's exact test (Fisher, 1922) on the images of both, those of one group counted once.

    Args:
        measured: On photos of the training that the model of each had not learned from.
        test: On test photos.
    """
    counts = (measured.num_groups, test.num_groups)
    rights = [round(one.accuracy * count) for one, count in zip((measured, test), counts, strict=True)]
    if not differ_beyond_chance(rights, counts):
        return ""
    return _(
        "Your test photos come from another occasion: accuracy **{test}**, on the others **{measured}**. "
        "Expect the lower figure."
    ).format(test=percent(test.accuracy), measured=percent(measured.accuracy))


def _fits_classes(outcome: ImageOutcome, class_names: Set[str]) -> bool:
    return (
        len(outcome.probabilities) in (0, len(class_names))
        and outcome.class_name in class_names
        and outcome.predicted_class_name in class_names
    )


def evaluate(predictor: Predictor, images: Sequence[LabelledImage]) -> Evaluation:
    """Evaluate images from their files, through the saved model.

    Args:
        predictor: A finished run.
        images: Files with their true classes.

    Returns:
        The numbers, with the outcomes in the order of the images.

    Raises:
        IngestError: If there are no images, or one has a class that the model does not know.
        DamagedPhotosError: If photos of a dataset are damaged or missing.
        UnreadableImageError: If another file is damaged.
    """
    check_classes(predictor.class_names, images)
    outputs = outputs_of_files(predictor, images)
    return evaluation_of(predictor.class_names, images, outputs, predictor.calibration, predictor.rejection)


def outputs_of_files(predictor: Predictor, images: Sequence[LabelledImage]) -> ModelOutputs:
    """Return the raw model outputs for image files.

    Raises:
        DamagedPhotosError: If photos of a dataset are damaged or missing.
        UnreadableImageError: If another file is damaged.
    """
    paths = [image.path for image in images]
    if not all(image.image_id for image in images):
        return ModelOutputs.concatenate(
            [
                predictor.outputs(batch)
                for batch in pixel_batches(paths, predictor.image_size, ranges=predictor.grey_ranges)
            ]
        )
    damaged = {image.image_id: (image.name, image.class_name) for image in images}
    parts = []
    for positions, pixels in readable_batches(paths, predictor.image_size, ranges=predictor.grey_ranges):
        parts.append(predictor.outputs(pixels))
        for position in positions:
            del damaged[images[position].image_id]
    if damaged:
        raise damaged_photos(damaged)
    return ModelOutputs.concatenate(parts)


def check_classes(class_names: Sequence[str], images: Sequence[LabelledImage]) -> None:
    """Make sure that there are images, and that the model knows their classes.

    Raises:
        IngestError: If not.
    """
    unknown = sorted({image.class_name for image in images} - set(class_names))
    if unknown or not images:
        raise IngestError(
            _("The model does not know the class {name}. It knows: {known}.").format(
                name=unknown[0], known=names_list(class_names)
            )
            if unknown
            else _("There are no photos to evaluate.")
        )


def evaluation_of(
    class_names: tuple[str, ...],
    images: Sequence[LabelledImage],
    outputs: ModelOutputs,
    calibration: Calibration,
    rejection: Rejection | None,
) -> Evaluation:
    """Return the evaluation of raw model outputs.

    Args:
        class_names: In the order of the outputs.
        images: Files with their true classes, in the order of the outputs.
        outputs: Of the model for these images.
        calibration: Applied to the probabilities.
        rejection: Gives the familiarity of the images; None where it was not fitted.
    """
    probabilities = calibration.apply(outputs.probabilities)
    familiarity = None
    if rejection and outputs.features is not None:
        familiarity = rejection.familiarity(outputs.features)
    outcomes = []
    for number, (image, row) in enumerate(zip(images, probabilities, strict=True)):
        shares = tuple(float(f"{share:.{_DIGITS}g}") for share in row)
        said = int(np.argmax(row))
        outcomes.append(
            ImageOutcome(
                image.name,
                image.class_name,
                class_names[said],
                shares[said],
                shares[class_names.index(image.class_name)],
                shares,
                image.image_id,
                None if familiarity is None else float(f"{familiarity[number]:.{_DIGITS}g}"),
                image.group,
            )
        )
    return Evaluation(class_names, tuple(outcomes), calibration.temperature)
