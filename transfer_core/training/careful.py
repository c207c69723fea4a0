"""Compare a backbone with its careful versions on a dataset, so that the recommended training takes one that pays."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.published.careful import CombinedWeights
from transfer_core.backbones.registry import get_backbone, list_backbones
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.facts_file import FactsFile
from transfer_core.language import plural
from transfer_core.schema import Text
from transfer_core.training.features.feature_cache import pooled_features
from transfer_core.training.heads import choose_head
from transfer_core.types import Array, ShouldStop

# True gains of Lite0 beside Lite2 over Lite0 alone on the photo sets of docs/benchmarks.md: their mean and spread.
_PRIOR_GAIN, _PRIOR_SPREAD = 0.022, 0.018
# An answer takes four times as long; less is not worth it.
_LEAST_GAIN = 0.01
_SEED = 0


class VariantChoice(msgspec.Struct, frozen=True):
    """The result of comparing a backbone with its careful versions.

    Args:
        dataset_version: Of the photos that were compared.
        backbone: Name of the backbone to train with: the plain one, or a careful version that pays.
        accuracies: Cross-validated accuracy, 0-1, by name of the backbone, the plain one first.
    """

    dataset_version: int
    backbone: Text
    accuracies: dict[str, float]

    @property
    def gain(self) -> float:
        """Cross-validated gain in accuracy over the plain backbone, -1 to 1."""
        return self.accuracies[self.backbone] - next(iter(self.accuracies.values()))


_CHOICE = FactsFile("variant.json", VariantChoice)


def careful_variants(backbone: Backbone) -> tuple[str, ...]:
    """Return the names of the available careful versions of a backbone: those with its networks and others.

    None of them mirrors photos: mirroring gained nothing beside a second network, and hides left from right.
    """
    networks = _networks(backbone)
    return tuple(
        other.name
        for other in list_backbones()
        if other.is_frozen_only and other.weights.are_available and networks and networks < _networks(other)
    )


def compare_variants(
    dataset: ImageDataset,
    backbone: Backbone,
    cache_dir: Path,
    *,
    should_stop: ShouldStop = lambda: False,
) -> VariantChoice:
    """Cross-validate a backbone and its careful versions on all photos for training, and store the result.

    Features that are not in the cache are computed first.

    Args:
        dataset: The photos.
        backbone: The plain backbone.
        cache_dir: Where features are, and where the result is stored.
        should_stop: Called while features are read.

    Raises:
        FeaturesStoppedError: If `should_stop` returned true.
        TransferStudioError: Whatever the feature extraction raises.
    """
    images = [image for image in dataset.images if image.split != "test"]
    labels = np.array([dataset.class_index(image) for image in images])
    groups = [image.group or image.id for image in images]
    names = (backbone.name, *careful_variants(backbone))
    is_right = {}
    for name in names:
        entry = backbone if name == backbone.name else get_backbone(name)
        features = pooled_features(dataset, entry, cache_dir, images=images, should_stop=should_stop)
        chosen = choose_head(features, labels, groups, _SEED, kinds=("average",))
        if chosen.out_of_fold is not None and chosen.folds is not None:
            scored = chosen.folds >= 0
            is_right[name] = chosen.out_of_fold[scored].argmax(axis=1) == labels[scored]
    choice = VariantChoice(
        dataset.version,
        better_variant(is_right) if is_right else backbone.name,
        {name: float(right.mean()) for name, right in is_right.items()} or {backbone.name: 0.0},
    )
    folder = _folder(cache_dir, dataset, backbone)
    folder.mkdir(parents=True, exist_ok=True)
    _CHOICE.write(folder, choice)
    return choice


def better_variant(is_right: dict[str, Array]) -> str:
    """Return the name of the backbone to take.

    A careful version is taken if it was right more often and its expected gain is at least one point: the mean of the
    gain measured here and the gains on other photo sets, each weighted by its precision (normal prior and likelihood).
    Few photos thus count less than many.

    Args:
        is_right: Whether each photo was classified correctly in cross-validation, `[num_images]`, by name of the
            backbone; the plain one first. All on the same folds.
    """
    plain, *others = is_right
    expected = {}
    for name in others:
        gains = is_right[name].astype(float) - is_right[plain]
        num_images = len(gains)
        # One differing photo more, since no difference in a few photos is not certainty.
        variance = (np.count_nonzero(gains) + 1) / num_images**2
        weight = _PRIOR_SPREAD**2 / (_PRIOR_SPREAD**2 + variance)
        gain = weight * gains.mean() + (1 - weight) * _PRIOR_GAIN
        if gains.mean() > 0 and gain >= _LEAST_GAIN:
            expected[name] = gain
    return max(expected, key=expected.__getitem__, default=plain)


def stored_choice(dataset: ImageDataset, backbone: Backbone, cache_dir: Path) -> VariantChoice | None:
    """Return what `compare_variants` stored for the present photos; None without it. Quick."""
    try:
        choice = _CHOICE.read(_folder(cache_dir, dataset, backbone))
    except WorkspaceError:
        return None
    is_known = choice.backbone in choice.accuracies and choice.backbone in (
        backbone.name,
        *careful_variants(backbone),
    )
    return choice if is_known and dataset.has_photos_of(choice.dataset_version) else None


def recommended_variant(dataset: ImageDataset, backbone: Backbone, cache_dir: Path) -> tuple[Backbone, str]:
    """Return the backbone to train with by the stored comparison, and the reason as a sentence on screen.

    The reason is empty where the backbone itself is to be used. Quick.
    """
    choice = stored_choice(dataset, backbone, cache_dir)
    if choice is None or choice.backbone == backbone.name:
        return backbone, ""
    variant = get_backbone(choice.backbone)
    reason = plural(
        "Two models look at each photo: {count} point more accurate in cross-validation, {factor} times slower to "
        "answer.",
        "Two models look at each photo: {count} points more accurate in cross-validation, {factor} times slower to "
        "answer.",
        max(round(100 * choice.gain), 1),
        factor=round(variant.num_multiplications / backbone.num_multiplications),
    )
    return variant, reason


def _networks(backbone: Backbone) -> set[object]:
    weights = backbone.weights
    return set(weights.parts.values()) if isinstance(weights, CombinedWeights) else {weights}


def _folder(cache_dir: Path, dataset: ImageDataset, backbone: Backbone) -> Path:
    return cache_dir / "variants" / dataset.id / backbone.name
