"""Score labelled images with a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.data.batches import pixel_batches
from transfer_core.errors import IngestError
from transfer_core.language import _
from transfer_core.predictor import Predictor


@dataclass(frozen=True)
class LabelledImage:
    """A file with its true class.

    Args:
        path: The image file.
        name: What to call it in the outcome.
        class_name: Its true class.
        image_id: Its id, where it is an image of a dataset.
    """

    path: Path
    name: str
    class_name: str
    image_id: str = ""


@dataclass(frozen=True)
class ImageOutcome:
    """What became of one image.

    Args:
        name: The image.
        class_name: Its true class.
        predicted_class_name: What the model says.
        probability: How sure the model is of that, 0-1.
        true_probability: The probability it gives the true class, 0-1.
        image_id: Its id, where it is an image of a dataset.
    """

    name: str
    class_name: str
    predicted_class_name: str
    probability: float
    true_probability: float
    image_id: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the model says its true class."""
        return self.predicted_class_name == self.class_name


@dataclass(frozen=True)
class Evaluation:
    """The numbers of one run on one set of images. They are scikit-learn's.

    Args:
        accuracy: Share of images whose class is right, 0-1.
        loss: Mean negative logarithm of the probability of the true class.
        class_names: In the order of the rows and columns of the matrix.
        confusion_matrix: Counts; row is the true class, column the predicted one.
        per_class: Precision, recall, F1 (each 0-1) and number of images (`support`) by class.
        outcomes: Every image.
    """

    accuracy: float
    loss: float
    class_names: tuple[str, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    per_class: dict[str, dict[str, float]]
    outcomes: tuple[ImageOutcome, ...]

    @property
    def num_images(self) -> int:
        """How many images were scored."""
        return len(self.outcomes)

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the accuracy (Wilson, 1927)."""
        from scipy.stats import binomtest

        interval = binomtest(round(self.accuracy * self.num_images), self.num_images).proportion_ci(
            method="wilson"
        )
        return float(interval.low), float(interval.high)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values, ready for JSON."""
        return {"num_images": self.num_images, "accuracy_interval": self.accuracy_interval, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Evaluation:
        """Rebuild what `to_dict` gave.

        Raises:
            KeyError: If something is missing.
        """
        return cls(
            accuracy=values["accuracy"],
            loss=values["loss"],
            class_names=tuple(values["class_names"]),
            confusion_matrix=tuple(tuple(row) for row in values["confusion_matrix"]),
            per_class=values["per_class"],
            outcomes=tuple(ImageOutcome(**outcome) for outcome in values["outcomes"]),
        )


def evaluate(predictor: Predictor, images: Sequence[LabelledImage]) -> Evaluation:
    """Score images from their files, through the saved model, as a person would.

    Args:
        predictor: A finished run.
        images: Files with their true classes.

    Returns:
        The numbers, with the outcomes in the order of the images.

    Raises:
        IngestError: If there are no images, or one has a class that the model does not know.
        UnreadableImageError: If a file is damaged.
    """
    unknown = sorted({image.class_name for image in images} - set(predictor.class_names))
    if unknown or not images:
        raise IngestError(
            _("The model does not know the class {name}. It knows: {known}.").format(
                name=unknown[0], known=", ".join(predictor.class_names)
            )
            if unknown
            else _("There are no images to evaluate.")
        )
    batches = pixel_batches([image.path for image in images], predictor.image_size)
    return _measure(
        predictor.class_names, images, np.concatenate([predictor.score(batch) for batch in batches])
    )


def _measure(
    class_names: tuple[str, ...], images: Sequence[LabelledImage], scores: np.ndarray[Any, Any]
) -> Evaluation:
    from sklearn import metrics

    labels = list(range(len(class_names)))
    truth = np.array([class_names.index(image.class_name) for image in images])
    predicted = scores.argmax(axis=1)
    # float32 rows add up to 1 within 1e-6 only, and log_loss warns about that.
    exact = scores.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    columns = metrics.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    measures = ("precision", "recall", "f1", "support")
    return Evaluation(
        accuracy=float(metrics.accuracy_score(truth, predicted)),
        loss=float(metrics.log_loss(truth, exact, labels=labels)),
        class_names=class_names,
        confusion_matrix=tuple(
            tuple(map(int, row)) for row in metrics.confusion_matrix(truth, predicted, labels=labels)
        ),
        per_class={
            name: {measure: float(column[label]) for measure, column in zip(measures, columns, strict=True)}
            for label, name in enumerate(class_names)
        },
        outcomes=tuple(
            ImageOutcome(
                image.name,
                image.class_name,
                class_names[guess],
                float(row[guess]),
                float(row[label]),
                image.image_id,
            )
            for image, row, guess, label in zip(images, scores, predicted, truth, strict=True)
        ),
    )
