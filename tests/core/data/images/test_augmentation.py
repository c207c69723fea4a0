"""Varied views: the same for the same draw, never far from the picture, and never broken."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from transfer_core.config import AugmentationKind, AugmentationStrength, TrainingConfig
from transfer_core.data.images.augmentation import Augmentation

KINDS = get_args(AugmentationKind)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """A bright square left of the middle on a dark ground with a soft slope."""
    picture = np.tile(np.linspace(20, 80, 64, dtype=np.uint8)[:, np.newaxis, np.newaxis], (1, 64, 3))
    picture[20:44, 8:28] = (200, 120, 40)
    return picture


@pytest.mark.parametrize("strength", get_args(AugmentationStrength))
def test_shape_and_dtype_are_kept(strength, pixels: np.ndarray) -> None:
    view = Augmentation(strength, KINDS).view(pixels, "a", 1)
    assert (view.shape, view.dtype) == (pixels.shape, np.uint8)


def test_same_draw_gives_the_same_view_and_another_another(pixels: np.ndarray) -> None:
    augmentation = Augmentation("medium", KINDS)
    first = augmentation.view(pixels, "a", 1)
    np.testing.assert_array_equal(first, augmentation.view(pixels, "a", 1))
    for image_id, draw in (("a", (2,)), ("b", (1,)), ("a", (1, 1))):
        assert not np.array_equal(first, augmentation.view(pixels, image_id, *draw))


@pytest.mark.parametrize("augmentation", [Augmentation("off", KINDS), Augmentation("strong", ())])
def test_without_strength_or_kinds_nothing_changes(augmentation: Augmentation, pixels: np.ndarray) -> None:
    for draw in range(8):
        np.testing.assert_array_equal(augmentation.view(pixels, "a", draw), pixels)


def test_stronger_views_are_further_from_the_picture(pixels: np.ndarray) -> None:
    def distance(strength: AugmentationStrength, kind: AugmentationKind) -> float:
        views = [Augmentation(strength, (kind,)).view(pixels, "a", n) for n in range(20)]
        return float(np.mean([np.abs(view.astype(float) - pixels).mean() for view in views]))

    for kind in ("rotation", "zoom", "color"):
        assert 0 < distance("light", kind) < distance("medium", kind) < distance("strong", kind), kind


def test_mirroring_mirrors_about_half_of_the_views(pixels: np.ndarray) -> None:
    views = [Augmentation("light", ("flip",)).view(pixels, "a", n) for n in range(40)]
    num_mirrored = sum(np.array_equal(view, pixels[:, ::-1]) for view in views)
    num_same = sum(np.array_equal(view, pixels) for view in views)
    assert num_mirrored + num_same == 40
    assert 10 < num_mirrored < 30


def test_turning_and_zooming_leave_no_black_corners(pixels: np.ndarray) -> None:
    for number in range(10):
        view = Augmentation("strong", ("rotation", "zoom")).view(pixels, "a", number)
        assert view.min() >= 10
        # The square is still there, and not far away.
        rows, _columns = np.nonzero(view[:, :, 0] > 150)
        assert len(rows) > 100
        assert 12 < rows.mean() < 52


def test_leaving_out_a_kind_leaves_the_others_as_they_were(pixels: np.ndarray) -> None:
    turned = Augmentation("strong", ("rotation",))
    both = Augmentation("strong", ("rotation", "flip"))
    for number in range(6):
        views = [turned.view(some, "a", number) for some in (pixels, pixels[:, ::-1])]
        assert any(np.array_equal(both.view(pixels, "a", number), view) for view in views)


def test_key_names_every_choice() -> None:
    assert Augmentation("light", ("zoom", "flip")).key == Augmentation("light", ("flip", "zoom")).key
    keys = {Augmentation(s, k).key for s in ("light", "strong") for k in (("flip",), ("flip", "zoom"))}
    assert len(keys) == 4


def test_choices_of_a_run() -> None:
    config = TrainingConfig(augmentation="strong", augmentation_kinds=("flip",))
    assert Augmentation.of(config) == Augmentation("strong", ("flip",))
