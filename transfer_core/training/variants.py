"""Compare a backbone with its careful versions on a dataset, and recommend the most accurate."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.published.careful import CombinedWeights
from transfer_core.backbones.registry import get_backbone
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.facts_file import FactsFile
from transfer_core.language import _, percent, plural
from transfer_core.schema import Text
from transfer_core.training.features.feature_cache import FeaturesStoppedError, pooled_features
from transfer_core.training.head_choice import choose_head
from transfer_core.training.out_of_fold import NUM_FOLDS, stratified_folds
from transfer_core.types import Array, ShouldStop

# Mean and spread of the gain in accuracy of each careful version on other photo sets (docs/backbones.md). Lite0 beside
# Lite2 gained +0.3 to +3.3 points on six sets; the spread is rather large, since other sets may differ more. Regions
# gained nothing on photos of things anywhere in them, and 9 points on handwriting.
_PRIORS = {"efficientnet_lite0_lite2": (0.023, 0.015), "efficientnet_lite0_regions": (0.0, 0.04)}
# An answer takes four times as long; less is not worth it.
_LEAST_GAIN = 0.01
_MOST_CHANCE = 0.05
_SEED = 0


class VariantChoice(msgspec.Struct, frozen=True):
    """The result of comparing a backbone with its careful versions.

    Args:
        dataset_version: Of the photos that were compared.
        backbone: Name of the backbone to train with: the plain one, or a careful version that pays.
        accuracies: Cross-validated accuracy, 0-1, by name of the backbone.
        gains: Expected gain in accuracy over the plain backbone, -1 to 1, by name of the careful version.
    """

    dataset_version: int
    backbone: Text
    accuracies: dict[str, float]
    gains: dict[str, float]


_CHOICE = FactsFile("variant.json", VariantChoice)


def careful_variants(backbone: Backbone) -> tuple[str, ...]:
    """Return the names of the available careful versions of a backbone: with its networks, alone or beside others.

    None of them mirrors photos: mirroring gained nothing beside a second network, and hides left from right.
    """
    networks = _networks(backbone)
    return tuple(
        other.name
        for other in map(get_backbone, _PRIORS)
        if other.weights.are_available and networks <= _networks(other) and other.name != backbone.name
    )


def compare_variants(
    dataset: ImageDataset,
    backbone: Backbone,
    cache_dir: Path,
    *,
    should_stop: ShouldStop = lambda: False,
) -> VariantChoice | None:
    """Cross-validate a backbone and its careful versions on all photos for training, and store the result.

    Features that are not in the cache are computed first.

    Args:
        dataset: The photos.
        backbone: The plain backbone.
        cache_dir: Where features are, and where the result is stored.
        should_stop: Called while features are read and after each fold.

    Returns:
        None if there is nothing to compare: no careful version, or too few photos for folds.

    Raises:
        FeaturesStoppedError: If `should_stop` returned true.
        TransferStudioError: Whatever the feature extraction raises.
    """
    variants = careful_variants(backbone)
    images = [image for image in dataset.images if image.split != "test"]
    _classes, labels = np.unique([dataset.class_index(image) for image in images], return_inverse=True)
    groups = [image.group or image.id for image in images]
    folds = stratified_folds(labels, groups, _SEED, NUM_FOLDS) if images else None

    def stop_between_folds(_num_done: int, _num_folds: int) -> None:
        if should_stop():
            raise FeaturesStoppedError

    is_right: dict[str, Array] = {}
    for entry in (backbone, *map(get_backbone, variants)) if variants and folds is not None else ():
        features = pooled_features(dataset, entry, cache_dir, images=images, should_stop=should_stop)
        chosen = choose_head(
            features, labels, folds, kinds=("average", "lda"), on_progress=stop_between_folds
        )
        assert chosen.out_of_fold is not None and folds is not None
        scored = folds >= 0
        is_right[entry.name] = chosen.out_of_fold[scored].argmax(axis=1) == labels[scored]
    if not is_right:
        return None
    accuracies = {name: float(right.mean()) for name, right in is_right.items()}
    gains = {
        name: expected_gain(is_right[name], is_right[backbone.name], *_PRIORS[name]) for name in variants
    }
    best = max(gains, key=gains.__getitem__)
    chosen_name = best if gains[best] >= _LEAST_GAIN else backbone.name
    choice = VariantChoice(dataset.version, chosen_name, accuracies, gains)
    folder = _folder(cache_dir, dataset, backbone)
    folder.mkdir(parents=True, exist_ok=True)
    _CHOICE.write(folder, choice)
    return choice


def expected_gain(is_right: Array, is_plain_right: Array, prior_gain: float, prior_spread: float) -> float:
    """Return the expected gain in accuracy of a careful version, -1 to 1.

    It is the mean of the gain measured here and the gain on other photo sets, weighted by their precisions (normal
    prior and likelihood): few photos, on which a gain is mostly chance, count less than many. Where it is worse here
    and chance would do that in less than 5 % of cases (exact McNemar test: McNemar, 1947), only these photos count.

    Args:
        is_right: Whether each photo was classified correctly in cross-validation, `[num_images]`.
        is_plain_right: The same with the plain backbone, on the same folds.
        prior_gain: Mean gain on other photo sets, -1 to 1.
        prior_spread: Standard deviation of the gain over photo sets.
    """
    from scipy.stats import binomtest

    gains = is_right.astype(float) - is_plain_right
    num_won, num_lost = int(np.count_nonzero(gains > 0)), int(np.count_nonzero(gains < 0))
    if num_won < num_lost and binomtest(num_won, num_won + num_lost).pvalue < _MOST_CHANCE:
        return float(gains.mean())
    # One differing photo more, since no difference in a few photos is not certainty.
    variance = (np.count_nonzero(gains) + 1) / len(gains) ** 2
    weight = prior_spread**2 / (prior_spread**2 + variance)
    return float(weight * gains.mean() + (1 - weight) * prior_gain)


def stored_choice(dataset: ImageDataset, backbone: Backbone, cache_dir: Path) -> VariantChoice | None:
    """Return what `compare_variants` stored for the present photos and series; None without it. Quick."""
    try:
        choice = _CHOICE.read(_folder(cache_dir, dataset, backbone))
    except WorkspaceError:
        return None
    # Another version of the app may have other careful versions.
    is_known = choice.accuracies.keys() == {backbone.name, *careful_variants(backbone)}
    # The version after a search for series has the same photos, but other groups and so other folds.
    return choice if is_known and choice.dataset_version == dataset.version else None


def recommended_variant(dataset: ImageDataset, backbone: Backbone, cache_dir: Path) -> tuple[Backbone, str]:
    """Return the backbone to train with by the stored comparison, and the reason as a sentence on screen.

    The reason is empty where the backbone itself is to be used. Quick.
    """
    choice = stored_choice(dataset, backbone, cache_dir)
    if choice is None or choice.backbone == backbone.name:
        return backbone, ""
    variant = get_backbone(choice.backbone)
    num_points = round(100 * choice.gains[variant.name])
    factor = round(variant.num_multiplications / backbone.num_multiplications)
    cost = (
        plural(
            "Two models look at each photo: about {count} point more accurate, {factor} times slower.",
            "Two models look at each photo: about {count} points more accurate, {factor} times slower.",
            num_points,
            factor=factor,
        )
        if factor > 1
        else plural(
            "It also learns where things are in a photo: about {count} point more accurate.",
            "It also learns where things are in a photo: about {count} points more accurate.",
            num_points,
        )
    )
    found = _("Cross-validation on your photos: {accuracy} instead of {plain_accuracy}.").format(
        accuracy=percent(choice.accuracies[variant.name], 1),
        plain_accuracy=percent(choice.accuracies[backbone.name], 1),
    )
    return variant, f"{cost} {found}"


def _networks(backbone: Backbone) -> set[object]:
    weights = backbone.weights
    return {part for _name, part in weights.parts} if isinstance(weights, CombinedWeights) else {weights}


def _folder(cache_dir: Path, dataset: ImageDataset, backbone: Backbone) -> Path:
    return cache_dir / "variants" / dataset.id / backbone.name
