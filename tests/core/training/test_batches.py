"""Batches of features: each row once, with its own label, in an order that only seed and epoch decide."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.events import MOST_SCORED_PHOTOS, BatchEnded, ImagesSeen, PhaseStarted, snapshot_of
from transfer_core.training.batches import Batch, LabelledFeatures, epoch_order, photos_at, scored_positions


@pytest.fixture
def labelled() -> LabelledFeatures:
    """Seven of twelve rows. Each row holds its own number, and its label is a hundred more."""
    features = np.repeat(np.arange(12, dtype=np.float16)[:, np.newaxis], 3, axis=1)
    rows = np.array([1, 2, 4, 5, 7, 9, 11])
    return LabelledFeatures(features, rows, rows + 100)


def rows_of(batches: list[Batch]) -> list[int]:
    return [int(row[0]) for features, _labels in batches for row in features]


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (32, [7])])
def test_every_row_comes_once_in_order_with_its_label(
    batch_size: int, sizes: list[int], labelled: LabelledFeatures
) -> None:
    batches = list(labelled.batches(batch_size))
    assert [len(labels) for _features, labels in batches] == sizes
    assert labelled.num_batches(batch_size) == len(sizes)
    assert rows_of(batches) == list(labelled.rows)
    for features, labels in batches:
        np.testing.assert_array_equal(features[:, 0] + 100, labels)


def test_features_are_float32(labelled: LabelledFeatures) -> None:
    assert all(features.dtype == np.float32 for features, _labels in labelled.batches(3))


def test_pixels_keep_their_values() -> None:
    pixels = np.full((2, 4, 4, 3), 255, np.uint8)
    ((features, _labels),) = LabelledFeatures(pixels, np.arange(2), np.zeros(2)).batches(8)
    assert features.dtype == np.float32
    assert features.max() == features.min() == 255


def test_order_is_followed(labelled: LabelledFeatures) -> None:
    assert rows_of(list(labelled.batches(2, np.array([6, 0, 3])))) == [11, 1, 5]


def test_shuffled_batches_hold_every_row_once_with_its_label(labelled: LabelledFeatures) -> None:
    batches = list(labelled.shuffled_batches(3, seed=1, epoch=1))
    assert sorted(rows_of(batches)) == list(labelled.rows)
    assert rows_of(batches) != list(labelled.rows)
    for features, labels in batches:
        np.testing.assert_array_equal(features[:, 0] + 100, labels)


def test_order_depends_on_seed_and_epoch_alone(labelled: LabelledFeatures) -> None:
    first = rows_of(list(labelled.shuffled_batches(3, seed=1, epoch=2)))
    np.random.default_rng().random()
    np.random.seed(99)
    assert rows_of(list(labelled.shuffled_batches(3, seed=1, epoch=2))) == first
    assert rows_of(list(labelled.shuffled_batches(3, seed=1, epoch=3))) != first
    assert rows_of(list(labelled.shuffled_batches(3, seed=2, epoch=2))) != first


def test_scored_positions_are_all_or_evenly_spread() -> None:
    assert scored_positions(3).tolist() == [0, 1, 2]
    many = scored_positions(1001)
    assert len(set(many.tolist())) == MOST_SCORED_PHOTOS
    assert (many[0], many[-1]) == (0, 1000)


def test_photos_that_are_read_now(color_dataset: ImageDataset) -> None:
    train = color_dataset.images_in("train")
    everything = [*train, *color_dataset.images_in("validation")]
    config = TrainingConfig(batch_size=8, seed=3)

    def read(*events) -> list:
        return photos_at(color_dataset, config, snapshot_of(events), 4)

    assert read() == everything[::6]
    reading = PhaseStarted(1.0, "features", len(everything))
    assert read(reading, ImagesSeen(2.0, 10)) == everything[6:10]
    assert read(reading, ImagesSeen(2.0, 1)) == everything[:4]
    assert read(reading, ImagesSeen(2.0, len(everything))) == everything[-4:]
    assert read(PhaseStarted(3.0, "saving", 0)) == everything[-4:]

    # 18 images are three batches: step 5 is the second batch of the second epoch.
    order = epoch_order(np.array([color_dataset.class_index(image) for image in train]), False, 3, 2)
    training = (PhaseStarted(3.0, "head", 9), BatchEnded(4.0, 2, 5, 1.0, 0.5, 40))
    assert read(*training) == [train[place] for place in order[12:16]]
