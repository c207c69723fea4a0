"""Recommendations follow from the images, with reasons."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from transfer_core.backbones.registry import get_backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.training.advice import depth_advice, recommend
from transfer_core.training.freezing import FreezePlan

LITE0 = get_backbone("efficientnet_lite0")


@pytest.fixture
def dataset_of(color_dataset: ImageDataset):
    """`dataset_of(blue=10, red=40)` has that many training images of each class."""

    def make(**counts: int) -> ImageDataset:
        images = [
            ImageRecord(f"{name}{number}", name, f"{number}.jpg")
            for name, count in counts.items()
            for number in range(count)
        ]
        return replace(color_dataset, class_names=tuple(counts), images=tuple(images))

    return make


def test_recommendation_is_the_measured_best(dataset_of) -> None:
    config = recommend(dataset_of(blue=50, red=50), LITE0).config
    assert (config.backbone, config.head, config.optimizer) == ("efficientnet_lite0", "auto", "adamw")
    assert config.weight_decay > 0
    assert (config.epochs, config.early_stopping_patience) == (20, 0)
    assert (config.num_unfrozen_blocks, config.fine_tune_epochs) == (0, 5)


def test_every_reason_is_a_sentence(dataset_of) -> None:
    reasons = recommend(dataset_of(blue=50, red=50), LITE0).reasons
    assert len(reasons) == len(set(reasons)) >= 4
    assert all(reason.endswith(".") and "{" not in reason for reason in reasons)


def test_uneven_classes_are_named_with_their_ratio(dataset_of) -> None:
    uneven = " ".join(recommend(dataset_of(blue=20, red=60), LITE0).reasons)
    assert "3.0 times" in uneven
    even = " ".join(recommend(dataset_of(blue=50, red=60), LITE0).reasons)
    assert "about equally large" in even


@pytest.mark.parametrize(
    ("num_images", "depth", "fits"),
    [
        (79, 0, True),
        (79, 1, False),
        (100, 2, True),
        (100, 4, False),
        (1000, 3, True),
        (1000, 4, False),
        (5000, 9, True),
    ],
)
def test_depth_suits_the_number_of_images(num_images: int, depth: int, fits: bool) -> None:
    advice = depth_advice(FreezePlan(LITE0, depth), num_images)
    assert advice.fits == fits
    assert f"{num_images:,}" in advice.text
    assert ("memorize" in advice.text) != fits


@pytest.mark.parametrize("backbone_name", ["efficientnet_lite0", "vgg16", "tiny_random"])
@pytest.mark.parametrize("num_images", [1, 79, 80, 160, 1999, 2000, 50_000])
def test_hint_and_reasons_name_the_depth_of_the_recommended_config(
    dataset_of, backbone_name: str, num_images: int
) -> None:
    backbone = get_backbone(backbone_name)
    recommended = recommend(dataset_of(blue=num_images), backbone)
    assert recommended.config.num_unfrozen_blocks == 0
    assert "All blocks are frozen:" in recommended.reasons[0]
    advice = depth_advice(FreezePlan.of(recommended.config, backbone), num_images)
    assert advice.fits
    assert "keep all blocks frozen" in advice.text or "Start with 0." in advice.text
