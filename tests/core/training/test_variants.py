"""The recommended training takes a careful version where cross-validation and other sets say that it pays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from transfer_core.backbones.registry import get_backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.training import variants
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.variants import (
    VariantChoice,
    careful_variants,
    compare_variants,
    expected_gain,
    recommended_variant,
    stored_choice,
)
from transfer_core.types import Array

LITE0, BOTH = get_backbone("efficientnet_lite0"), get_backbone("efficientnet_lite0_lite2")
REGIONS = get_backbone("efficientnet_lite0_regions")


def test_variants_have_all_networks_of_the_backbone_and_do_not_mirror() -> None:
    assert careful_variants(LITE0) == (BOTH.name, REGIONS.name)
    assert careful_variants(get_backbone("efficientnet_lite2")) == (BOTH.name,)
    # A person who chose mirroring gets a comparison that shows whether left and right matter.
    assert careful_variants(get_backbone("efficientnet_lite0_careful")) == (BOTH.name, REGIONS.name)
    for name in ("efficientnet_lite1", BOTH.name, "tiny_random", "mobilenet_v2"):
        assert careful_variants(get_backbone(name)) == ()


def test_few_photos_count_less_than_many() -> None:
    wrong = np.repeat([True, False], [19, 1])
    few, many = (
        expected_gain(np.tile(wrong, count), np.ones(20 * count, bool), 0.023, 0.015) for count in (1, 100)
    )
    assert many < few
    assert many == pytest.approx(-0.05, abs=0.01)
    assert few == pytest.approx(0.02, abs=0.01)


def _features(noise: dict[str, float]) -> Callable[..., Array]:
    """Return a stand-in for `pooled_features`: the classes, more or less hidden in noise."""

    def features(dataset: ImageDataset, backbone, cache_dir: Path, *, images, should_stop) -> Array:
        labels = np.array([dataset.class_index(image) for image in images])
        draws = np.random.default_rng(0).normal(0, noise[backbone.name], (len(images), 8))
        return (np.eye(8)[labels] + draws).astype(np.float32)

    return features


@pytest.mark.parametrize(
    ("expected", "words"), [(BOTH, "4 times slower"), (REGIONS, "where things are"), (LITE0, "")]
)
def test_stored_comparison_decides(
    expected, words: str, color_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recommended_variant(color_dataset, LITE0, tmp_path) == (LITE0, "")
    noise = {LITE0.name: 0.1 if expected is LITE0 else 0.6, BOTH.name: 2.0, REGIONS.name: 2.0}
    features = _features({**noise, expected.name: 0.1})
    monkeypatch.setattr(variants, "pooled_features", features)
    choice = compare_variants(color_dataset, LITE0, tmp_path)
    assert choice is not None
    assert choice.backbone == expected.name
    assert stored_choice(color_dataset, LITE0, tmp_path) == choice
    variant, reason = recommended_variant(color_dataset, LITE0, tmp_path)
    assert variant is expected
    assert words in reason and bool(words) == bool(reason)


def test_a_comparison_ends_between_folds(
    color_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        variants, "pooled_features", _features({LITE0.name: 0.1, BOTH.name: 0.1, REGIONS.name: 0.1})
    )
    with pytest.raises(FeaturesStoppedError):
        compare_variants(color_dataset, LITE0, tmp_path, should_stop=lambda: True)
    assert stored_choice(color_dataset, LITE0, tmp_path) is None


def test_other_photos_and_unknown_variants_need_a_new_comparison(
    color_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        variants, "pooled_features", _features({LITE0.name: 0.1, BOTH.name: 0.1, REGIONS.name: 0.1})
    )
    assert isinstance(compare_variants(color_dataset, LITE0, tmp_path), VariantChoice)
    changed = replace(color_dataset, version=color_dataset.version + 2)
    assert stored_choice(changed, LITE0, tmp_path) is None
    monkeypatch.setattr(variants, "careful_variants", lambda backbone: ("another",))
    assert stored_choice(color_dataset, LITE0, tmp_path) is None


def test_series_need_a_new_comparison(
    color_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        variants, "pooled_features", _features({LITE0.name: 0.1, BOTH.name: 0.1, REGIONS.name: 0.1})
    )
    compare_variants(color_dataset, LITE0, tmp_path)
    examined = color_dataset.with_series({})
    examined = replace(examined, version=color_dataset.version + 1)
    assert examined.has_photos_of(color_dataset.version)
    assert stored_choice(examined, LITE0, tmp_path) is None


def test_too_few_photos_or_no_variant_compare_nothing(
    color_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compare_variants(color_dataset, get_backbone("tiny_random"), tmp_path) is None
    monkeypatch.setattr(
        variants, "pooled_features", _features({LITE0.name: 0.1, BOTH.name: 0.1, REGIONS.name: 0.1})
    )
    blue = [image for image in color_dataset.images if image.class_name == "blue"]
    single = color_dataset.with_images(blue, ())
    assert compare_variants(single, LITE0, tmp_path) is None
    assert stored_choice(single, LITE0, tmp_path) is None
