"""The distillation loss: computed by hand, and at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import InvalidConfigError
from transfer_core.training.batches import LabelledFeatures
from transfer_core.training.soft_targets import accuracy, distillation_loss, labels_of, soft_targets
from transfer_core.training.train import train

LABELS = np.array([0, 2])
ANSWERS = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
MINE = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]], np.float32)


def softened(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    powers = probabilities ** (1 / temperature)
    return powers / powers.sum(axis=1, keepdims=True)


def loss_of(temperature: float, share: float, smoothing: float = 0.0, mine: np.ndarray = MINE) -> np.ndarray:
    loss = distillation_loss(temperature, share, smoothing)
    return np.asarray(loss(soft_targets(LABELS, ANSWERS), mine))


def test_targets_hold_labels_and_answers() -> None:
    targets = soft_targets(LABELS, ANSWERS)
    assert targets.shape == (2, 6)
    assert targets.dtype == np.float32
    assert labels_of(targets).tolist() == LABELS.tolist()
    assert labels_of(LABELS) is LABELS


@pytest.mark.usefixtures("keras_module")
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_teachers_part_is_the_divergence_from_its_softened_answers(temperature: float) -> None:
    theirs, mine = softened(ANSWERS, temperature), softened(MINE, temperature)
    divergence = (theirs * np.log(theirs / mine)).sum(axis=1)
    assert loss_of(temperature, share=1.0) == pytest.approx(divergence * temperature**2, abs=1e-5)


@pytest.mark.usefixtures("keras_module")
def test_loss_is_zero_for_the_outputs_of_the_teacher() -> None:
    assert loss_of(2.0, share=1.0, mine=ANSWERS.astype(np.float32)) == pytest.approx([0, 0], abs=1e-6)


def test_without_a_share_the_labels_alone_count(keras_module) -> None:
    expected = keras_module.losses.CategoricalCrossentropy(label_smoothing=0.1, reduction=None)
    one_hot = np.eye(3, dtype=np.float32)[LABELS]
    assert loss_of(3.0, share=0.0, smoothing=0.1) == pytest.approx(
        np.asarray(expected(one_hot, MINE)), abs=1e-5
    )


@pytest.mark.usefixtures("keras_module")
def test_accuracy_is_by_the_labels() -> None:
    assert np.asarray(accuracy(soft_targets(LABELS, ANSWERS), MINE)).tolist() == [1.0, 0.0]


def test_batches_bring_each_image_its_own_answers() -> None:
    features = np.arange(4, dtype=np.float32).reshape(4, 1)
    answers = np.eye(4)[[3, 2, 1, 0]]
    labelled = LabelledFeatures(features, np.arange(4), np.arange(4), teacher_outputs=answers)
    batches = list(labelled.shuffled_batches(3, seed=1, epoch=1))
    for rows, targets in batches:
        assert targets[:, :4].argmax(axis=1).tolist() == rows[:, 0].astype(int).tolist()
        assert targets[:, 4:].argmax(axis=1).tolist() == (3 - rows[:, 0]).astype(int).tolist()


def test_a_teacher_without_answers_is_refused(color_dataset: ImageDataset, even_config, tmp_path) -> None:
    with pytest.raises(InvalidConfigError, match="teacher large-one is not available"):
        train(color_dataset, even_config.with_changes(teacher="large-one"), tmp_path, tmp_path)


@pytest.mark.parametrize("live", [False, True], ids=["views", "live"])
def test_a_student_follows_its_teacher_against_the_labels(
    color_dataset: ImageDataset, even_config: TrainingConfig, tmp_path, live: bool
) -> None:
    """Taught by one that takes each class for the next, a student is hardly ever right by the labels."""
    images = color_dataset.images_in("train")
    answers = {image.id: np.eye(3)[(color_dataset.class_index(image) + 1) % 3] for image in images}
    config = even_config.with_changes(
        teacher="large-one",
        teacher_share=1.0,
        epochs=20,
        learning_rate=0.05,
        dropout=0.0,
        augmentation="light",
        num_views=2,
        live_augmentation=live,
    )
    result = train(
        color_dataset,
        config,
        tmp_path,
        tmp_path / "cache",
        teacher_outputs=lambda dataset, on_progress: answers,
    )
    assert result.epochs[-1].accuracy < 0.2
