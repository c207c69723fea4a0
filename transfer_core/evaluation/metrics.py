"""The usual metrics of a classifier, from scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

from transfer_core.types import Array

_MEASURES = ("precision", "recall", "f1", "support")


@dataclass(frozen=True)
class Curve:
    """A line for one class against all others.

    Args:
        x: False positive rate of an ROC curve, recall of a precision-recall curve; 0-1.
        y: True positive rate, or precision; 0-1.
        area: Area under the ROC curve, or average precision; 0-1.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    area: float


def measures_by_class(truth: Array, said: Array, class_names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 (each 0-1) and number of images (`support`) by class.

    Args:
        truth: The true class of each image, from 0.
        said: The predicted one.
        class_names: In the order of these numbers.
    """
    from sklearn.metrics import precision_recall_fscore_support

    labels = list(range(len(class_names)))
    columns = precision_recall_fscore_support(truth, said, labels=labels, zero_division=0)
    return {
        name: {measure: float(column[label]) for measure, column in zip(_MEASURES, columns, strict=True)}
        for label, name in enumerate(class_names)
    }


def mean_measures(truth: Array, said: Array, num_classes: int, average: str) -> dict[str, float]:
    """Return precision, recall and F1 of all classes together.

    Args:
        truth: The true class of each image, from 0.
        said: The predicted one.
        num_classes: How many the model knows.
        average: `"macro"` counts each class once, `"weighted"` each image.
    """
    from sklearn.metrics import precision_recall_fscore_support

    values = precision_recall_fscore_support(
        truth, said, labels=list(range(num_classes)), average=average, zero_division=0
    )
    return {measure: float(value) for measure, value in zip(_MEASURES[:3], values[:3], strict=True)}


def confusion(truth: Array, said: Array, num_classes: int) -> tuple[tuple[int, ...], ...]:
    """Return counts; row is the true class, column the predicted one."""
    from sklearn.metrics import confusion_matrix

    matrix = confusion_matrix(truth, said, labels=list(range(num_classes)))
    return tuple(tuple(map(int, row)) for row in matrix)


def log_loss_of(truth: Array, probabilities: Array) -> float:
    """Return the mean negative logarithm of the probability of the true class."""
    from sklearn.metrics import log_loss

    # Rounded rows add up to 1 within 1e-6 only, and log_loss warns about that.
    exact = probabilities / probabilities.sum(axis=1, keepdims=True)
    return float(log_loss(truth, exact, labels=list(range(probabilities.shape[1]))))


def top2_accuracy(truth: Array, probabilities: Array) -> float:
    """Return the share of images whose true class is among the two most probable ones."""
    from sklearn.metrics import top_k_accuracy_score

    if probabilities.shape[1] < 3:
        # With two classes it is always there, and scikit-learn warns that this says nothing.
        return 1.0
    # Of equally probable classes scikit-learn takes the last, a prediction takes the first: so in reverse.
    num_classes = probabilities.shape[1]
    last_first = num_classes - 1 - truth
    return float(top_k_accuracy_score(last_first, probabilities[:, ::-1], k=2, labels=range(num_classes)))


def roc_curves(truth: Array, probabilities: Array, class_names: tuple[str, ...]) -> dict[str, Curve]:
    """Return the ROC curve of each class against all others, where there are images of both sides."""
    from sklearn.metrics import roc_auc_score, roc_curve

    curves = {}
    for label, name in enumerate(class_names):
        is_class = truth == label
        if is_class.any() and not is_class.all():
            x, y, _thresholds = roc_curve(is_class, probabilities[:, label])
            area = roc_auc_score(is_class, probabilities[:, label])
            curves[name] = Curve(tuple(map(float, x)), tuple(map(float, y)), float(area))
    return curves


def precision_recall_curves(
    truth: Array, probabilities: Array, class_names: tuple[str, ...]
) -> dict[str, Curve]:
    """Return the precision-recall curve of each class that has images."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    curves = {}
    for label, name in enumerate(class_names):
        is_class = truth == label
        if is_class.any():
            y, x, _thresholds = precision_recall_curve(is_class, probabilities[:, label])
            area = average_precision_score(is_class, probabilities[:, label])
            curves[name] = Curve(tuple(map(float, x)), tuple(map(float, y)), float(area))
    return curves
