"""Rejection: the answer "I don't know" for out-of-distribution images and for predictions of low confidence.

Out of distribution: a low cosine similarity of the pooled features to the nearest training images (Sun, Ming, Zhu and
Li, 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors"), measured against how close these images are to
their own neighbors (Breunig, Kriegel, Ng and Sander, 2000, "LOF: Identifying Density-Based Local Outliers"). Low
confidence: a low maximum softmax probability (Hendrycks and Gimpel, 2017). docs/rejection.md explains the choice.
Scoring needs only NumPy, so that exported models reject the same images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from transfer_core.backbones.own.source_model import NOT_ARRAYS, kinds_of_arrays
from transfer_core.errors import WorkspaceError
from transfer_core.facts_file import FactsFile
from transfer_core.files import check_shortage, damaged_file, replacing
from transfer_core.language import _
from transfer_core.types import Array

REJECTION_FILE = "rejection.json"
BANK_FILE = "rejection.npz"
METHOD = "nearest_neighbors_local_scale"
# Without weights; runs before version 0.4 have it.
_PLAIN_METHOD = "nearest_neighbors_cosine"
# With fewer images, the 8 % to reject would be less than two images.
MIN_IMAGES = 20
# Two points above the 90 % that a person may expect: a threshold set by 50 images varies by four.
DEFAULT_SHARE = 0.92
_NUM_NEIGHBORS = 3
# Runtimes that sum in another order differ by less. Keep equal to the exported predict.py and model.js.
TOLERANCE = 1e-5
# A minimum probability that rejects every prediction.
NO_ANSWER = 1.01
MAX_BANK_SIZE = 2000
_MAX_FEATURES = 2**16
# Rounding to half precision can make a unit vector slightly longer than 1.
_MAX_SIMILARITY = 1.01
_MIN_WEIGHT, _MAX_WEIGHT = 0.4, 2.5
_Limit = Annotated[float, msgspec.Meta(ge=-_MAX_SIMILARITY, le=_MAX_SIMILARITY)]


@dataclass(frozen=True, eq=False)
class Rejection:
    """Thresholds and reference features that decide whether a prediction is given or rejected.

    Args:
        bank: L2-normalised features of training images, `[num_images, num_features]`.
        min_familiarity: Lowest accepted familiarity; -1 accepts every image.
        familiar_share: Share of new familiar images that reach `min_familiarity`, 0-1.
        min_probability: Lowest accepted probability of the predicted class, 0-1; above 1 rejects every prediction.
        num_neighbors: Number of nearest bank images that are averaged.
        weights: Factor of the cosine distance to each bank image, 0.4-2.5, `[num_images]`: above 1 where images lie
            close together. None counts every distance alike.
    """

    bank: Array
    min_familiarity: float = -1.0
    familiar_share: float = 1.0
    min_probability: float = 0.0
    num_neighbors: int = _NUM_NEIGHBORS
    weights: Array | None = None

    def familiarity(self, features: Array) -> Array:
        """Return the mean weighted cosine similarity to the nearest training images, -1 to 1, `[num_images]`.

        Args:
            features: Pooled features, `[num_images, num_features]`.
        """
        return self._familiarity(_unit(features) @ self.bank.T)

    def _familiarity(self, similarities: Array) -> Array:
        if self.weights is not None:
            similarities = 1 - self.weights * (1 - similarities)
        return np.maximum(_nearest_mean(similarities, self.num_neighbors), -1.0)

    def is_known(self, probability: float, familiarity: float | None) -> bool:
        """Return whether a prediction passes both thresholds.

        Args:
            probability: Calibrated probability of the predicted class, 0-1.
            familiarity: Value of `familiarity`; None skips that threshold.
        """
        is_familiar = familiarity is None or familiarity + TOLERANCE >= self.min_familiarity
        return is_familiar and probability + TOLERANCE >= self.min_probability

    def with_familiar_share(self, share: float, familiarities: Sequence[float] | Array) -> Rejection:
        """Return a copy whose familiarity threshold accepts at least `share` of new images like the given ones.

        Of n images, the threshold is the one at place (1 - share) (n + 1) from below, rounded down: a new image reaches
        it with a probability of at least `share` (Vovk, Gammerman and Shafer, 2005; Angelopoulos and Bates, 2021).

        Args:
            share: 0-1; 1 or more removes the threshold.
            familiarities: Familiarity of each image, measured by other images than itself.
        """
        if share >= 1:
            return replace(self, min_familiarity=-1.0, familiar_share=1.0)
        # Without the tolerance, 10 % of 50 would be rounded down to 4.
        num_below = int((1 - share) * (len(familiarities) + 1) + 1e-9)
        lowest = np.sort(np.asarray(familiarities, float))[num_below - 1] if num_below else -1.0
        thresholds = distinct_thresholds([-1.0, *familiarities])
        threshold = float(thresholds[thresholds <= lowest].max())
        return replace(self, min_familiarity=threshold, familiar_share=share)

    def with_min_probability(self, min_probability: float) -> Rejection:
        """Return a copy that rejects predictions below `min_probability`."""
        return replace(self, min_probability=min_probability)

    def arrays(self) -> dict[str, Any]:
        """Return the bank and, if there are any, its weights by their names in files, as float16."""
        arrays = {"bank": self.bank} if self.weights is None else {"bank": self.bank, "weights": self.weights}
        return {name: values.astype(np.float16) for name, values in arrays.items()}

    def save(self, folder: Path) -> None:
        """Write the feature bank (half precision) and the thresholds into a run folder.

        Raises:
            WorkspaceError: If writing fails.
        """
        try:
            with replacing(folder / BANK_FILE) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, **self.arrays())
        except OSError as error:
            raise WorkspaceError(
                _("{file} could not be written: {reason}.").format(file=BANK_FILE, reason=error)
            ) from error
        self.save_thresholds(folder)

    def save_thresholds(self, folder: Path) -> None:
        """Write only the thresholds, which a person may change after the training.

        Raises:
            WorkspaceError: If writing fails.
        """
        thresholds = _Thresholds(
            method=_PLAIN_METHOD if self.weights is None else METHOD,
            min_familiarity=self.min_familiarity,
            familiar_share=self.familiar_share,
            min_probability=self.min_probability,
            num_neighbors=self.num_neighbors,
        )
        _FILE.write(folder, thresholds)

    @classmethod
    def load(cls, folder: Path, num_features: int | None = None) -> Rejection | None:
        """Read the rejection of a run, or return None if the run has none.

        Args:
            folder: Run folder.
            num_features: Width of the model's pooled features; a bank of another width is damaged.

        Raises:
            WorkspaceError: If a file is damaged.
        """
        if not _FILE.exists(folder):
            return None
        found = _FILE.read(folder)
        bank, weights = _read_bank(folder / BANK_FILE, _cost())
        if num_features not in (None, bank.shape[1]):
            raise damaged_file(folder / BANK_FILE, _("it belongs to another model"), _cost())
        if (weights is None) == (found.method == METHOD):
            raise damaged_file(folder / BANK_FILE, _("it belongs to another model"), _cost())
        return cls(
            bank,
            found.min_familiarity,
            found.familiar_share,
            found.min_probability,
            found.num_neighbors,
            weights,
        )


class _Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    method: Any = _PLAIN_METHOD
    min_familiarity: _Limit
    familiar_share: _Limit
    min_probability: _Limit
    num_neighbors: Annotated[int, msgspec.Meta(ge=1, le=MAX_BANK_SIZE)]


def _cost() -> str:
    return _(
        "The model no longer says “I don't know”; its answers do not change. Train again to get that back."
    )


_FILE = FactsFile(REJECTION_FILE, _Thresholds, _cost, lambda: _("a limit is out of range"))


def fit_rejection(features: Array, groups: Sequence[str], seed: int = 0) -> tuple[Rejection, Array]:
    """Fit the weights and the familiarity threshold on the images that the model has learned from.

    Each image is measured by the images of other groups only, as a new photo would be: the jackknife of Barber,
    Candes, Ramdas and Tibshirani, 2021. With fewer than 20 images, the result accepts every image.

    Args:
        features: Pooled features, `[num_images, num_features]`; the bank holds at most 2,000 of them.
        groups: Group of each image, such as its near-duplicates.
        seed: Seed of the draw when there are more than 2,000 images.

    Returns:
        The rejection, and the familiarity of each image by the images of other groups, `[num_images]`.
    """
    drawn = np.sort(np.random.default_rng([seed, 0, 6]).permutation(len(features))[:MAX_BANK_SIZE])
    _names, numbers = np.unique(np.asarray(groups), return_inverse=True)
    # Round as `save` does, so that the threshold fits the stored features.
    bank = _rounded(_unit(features[drawn]))
    similarities = _unit(features) @ bank.T
    similarities[numbers[:, np.newaxis] == numbers[drawn]] = -1.0
    rejection = Rejection(bank, weights=_weights(similarities[drawn]))
    familiarities = rejection._familiarity(similarities)
    if len(features) < MIN_IMAGES:
        return rejection, familiarities
    return rejection.with_familiar_share(DEFAULT_SHARE, familiarities), familiarities


def _weights(similarities: Array) -> Array:
    """Return the weight of each bank image: the root of the mean distance to neighbors over the distance to its own.

    Args:
        similarities: Cosine similarities of the bank images, -1 within a group, `[num_images, num_images]`.
    """
    distances = np.maximum(1 - _nearest_mean(similarities, _NUM_NEIGHBORS), 1e-6)
    return _rounded(np.clip(np.sqrt(distances.mean() / distances), _MIN_WEIGHT, _MAX_WEIGHT))


def _nearest_mean(similarities: Array, count: int) -> Array:
    count = min(count, similarities.shape[1])
    means: Array = np.sort(similarities, axis=1)[:, -count:].mean(axis=1)
    return means


def _rounded(values: Array) -> Array:
    return values.astype(np.float16).astype(np.float32)


def distinct_thresholds(values: Sequence[float] | Array) -> Array:
    """Return, in rising order, the thresholds that separate groups of equal values: the lowest value of each group.

    Args:
        values: Probabilities or familiarities, at least one. Neighbours within twice `TOLERANCE` count as equal,
            since rounding could put both on either side of a threshold between them.
    """
    ranked = np.sort(np.asarray(values, float))
    thresholds: Array = ranked[np.diff(ranked, prepend=-np.inf) > 2 * TOLERANCE]
    return thresholds


def threshold_for_share(share: float, values: Sequence[float] | Array) -> float:
    """Return the highest threshold that at least `share` of the values reach.

    Args:
        share: 0-1.
        values: Probabilities or familiarities, at least one.
    """
    lowest = np.quantile(np.asarray(values, float), 1 - share, method="lower")
    thresholds = distinct_thresholds(values)
    return float(thresholds[thresholds <= lowest].max())


def _read_bank(path: Path, cost: str) -> tuple[Array, Array | None]:
    try:
        # Check the declared shapes first: a damaged header could ask for more memory than there is.
        kinds = kinds_of_arrays(path)
        half = np.dtype(np.float16)
        shape, _dtype = kinds.get("bank", ((), half))
        is_sound = len(shape) == 2 and 1 <= shape[0] <= MAX_BANK_SIZE and 1 <= shape[1] <= _MAX_FEATURES
        expected = {"bank": shape, "weights": shape[:1]}
        is_sound &= kinds.keys() <= expected.keys()
        is_sound &= all(kind == (expected.get(name), half) for name, kind in kinds.items())
        if not is_sound:
            raise ValueError("other arrays")
        # Pass an open file: given a path, NumPy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name].astype(np.float32) for name in arrays}
    except NOT_ARRAYS as error:
        check_shortage(error)
        reason = _("it is not a complete file of arrays") if path.is_file() else _("it is missing")
        raise damaged_file(path, reason, cost) from error
    if not all(np.isfinite(values).all() for values in found.values()):
        raise damaged_file(path, _("it holds infinity or NaN"), cost)
    return found["bank"], found.get("weights")


def _unit(features: Array) -> Array:
    rows = np.asarray(features, np.float32)
    units: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return units
