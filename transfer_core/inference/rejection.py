"""Rejection: the answer "I don't know" for out-of-distribution images and for predictions of low confidence.

Out of distribution: a low cosine similarity of the pooled features to the nearest training images (Sun, Ming, Zhu and
Li, 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors"). Low confidence: a low maximum softmax
probability (Hendrycks and Gimpel, 2017). docs/rejection.md explains the choice. Scoring needs only NumPy, so that
exported models reject the same images.
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
METHOD = "nearest_neighbors_cosine"
# With fewer validation images, the 5 % to reject would be less than one image.
MIN_IMAGES = 20
DEFAULT_SHARE = 0.95
_NUM_NEIGHBORS = 3
# Runtimes that sum in another order differ by less. Keep equal to the exported predict.py and model.js.
TOLERANCE = 1e-5
# A minimum probability that rejects every prediction.
NO_ANSWER = 1.01
MAX_BANK_SIZE = 2000
_MAX_FEATURES = 2**16
# Rounding to half precision can make a unit vector slightly longer than 1.
_MAX_SIMILARITY = 1.01
_Limit = Annotated[float, msgspec.Meta(ge=-_MAX_SIMILARITY, le=_MAX_SIMILARITY)]


@dataclass(frozen=True, eq=False)
class Rejection:
    """Thresholds and reference features that decide whether a prediction is given or rejected.

    Args:
        bank: L2-normalised features of training images, `[num_images, num_features]`.
        min_familiarity: Lowest accepted mean cosine similarity to the nearest bank images; -1 accepts every image.
        familiar_share: Share of the validation images that reach `min_familiarity`, 0-1.
        min_probability: Lowest accepted probability of the predicted class, 0-1; above 1 rejects every prediction.
        num_neighbors: Number of nearest bank images that are averaged.
    """

    bank: Array
    min_familiarity: float = -1.0
    familiar_share: float = 1.0
    min_probability: float = 0.0
    num_neighbors: int = _NUM_NEIGHBORS

    def familiarity(self, features: Array) -> Array:
        """Return the mean cosine similarity to the nearest training images, -1 to 1, `[num_images]`.

        Args:
            features: Pooled features, `[num_images, num_features]`.
        """
        similarities = _unit(features) @ self.bank.T
        count = min(self.num_neighbors, self.bank.shape[0])
        nearest: Array = np.sort(similarities, axis=1)[:, -count:].mean(axis=1)
        return nearest

    def is_known(self, probability: float, familiarity: float | None) -> bool:
        """Return whether a prediction passes both thresholds.

        Args:
            probability: Calibrated probability of the predicted class, 0-1.
            familiarity: Value of `familiarity`; None skips that threshold.
        """
        is_familiar = familiarity is None or familiarity + TOLERANCE >= self.min_familiarity
        return is_familiar and probability + TOLERANCE >= self.min_probability

    def with_familiar_share(self, share: float, familiarities: Sequence[float] | Array) -> Rejection:
        """Return a copy whose familiarity threshold accepts at least `share` of the given images.

        Args:
            share: 0-1; 1 or more removes the threshold.
            familiarities: Familiarity of each validation image.
        """
        if share >= 1:
            return replace(self, min_familiarity=-1.0, familiar_share=1.0)
        return replace(self, min_familiarity=threshold_for_share(share, familiarities), familiar_share=share)

    def with_min_probability(self, min_probability: float) -> Rejection:
        """Return a copy that rejects predictions below `min_probability`."""
        return replace(self, min_probability=min_probability)

    def save(self, folder: Path) -> None:
        """Write the feature bank (half precision) and the thresholds into a run folder.

        Raises:
            WorkspaceError: If writing fails.
        """
        try:
            with replacing(folder / BANK_FILE) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, bank=self.bank.astype(np.float16))
        except OSError as error:
            raise WorkspaceError(
                _("{file} could not be written: {reason}.").format(
                    file=BANK_FILE, reason=error.strerror or error
                )
            ) from error
        self.save_thresholds(folder)

    def save_thresholds(self, folder: Path) -> None:
        """Write only the thresholds, which a person may change after the training.

        Raises:
            WorkspaceError: If writing fails.
        """
        thresholds = _Thresholds(
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
        bank = _read_bank(folder / BANK_FILE, _cost())
        if num_features not in (None, bank.shape[1]):
            raise damaged_file(folder / BANK_FILE, _("it is of another model"), _cost())
        return cls(
            bank, found.min_familiarity, found.familiar_share, found.min_probability, found.num_neighbors
        )


class _Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    method: Any = METHOD
    min_familiarity: _Limit
    familiar_share: _Limit
    min_probability: _Limit
    num_neighbors: Annotated[int, msgspec.Meta(ge=1, le=MAX_BANK_SIZE)]


def _cost() -> str:
    return _("The model no longer says “I don't know”; its answers stay. Train again to get that back.")


_FILE = FactsFile(REJECTION_FILE, _Thresholds, _cost, lambda: _("a limit is out of range"))


def fit_rejection(train_features: Array, validation_features: Array, seed: int = 0) -> Rejection:
    """Fit the familiarity threshold so that it accepts 95 % of the validation images.

    With fewer than 20 validation images, the result accepts every image.

    Args:
        train_features: Pooled features of training images, `[num_images, num_features]`; the bank holds at most 2,000.
        validation_features: Pooled features of validation images, `[num_images, num_features]`.
        seed: Seed of the draw when there are more than 2,000 training images.
    """
    drawn = np.random.default_rng([seed, 0, 6]).permutation(len(train_features))[:MAX_BANK_SIZE]
    # Round as `save` does, so that the threshold fits the stored features.
    bank = _unit(train_features[np.sort(drawn)]).astype(np.float16).astype(np.float32)
    rejection = Rejection(bank)
    if len(validation_features) < MIN_IMAGES:
        return rejection
    return rejection.with_familiar_share(DEFAULT_SHARE, rejection.familiarity(validation_features))


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


def _read_bank(path: Path, cost: str) -> Array:
    if not path.is_file():
        raise damaged_file(path, _("it is missing"), cost)
    try:
        # Check the declared shape first: a damaged header could ask for more memory than there is.
        kinds = kinds_of_arrays(path)
        shape, dtype = kinds.get("bank", ((), np.dtype(np.float16)))
        is_sound = len(shape) == 2 and 1 <= shape[0] <= MAX_BANK_SIZE and 1 <= shape[1] <= _MAX_FEATURES
        if len(kinds) != 1 or not is_sound or dtype != np.float16:
            raise ValueError("other arrays")
        # Pass an open file: given a path, NumPy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            bank: Array = arrays["bank"].astype(np.float32)
    except NOT_ARRAYS as error:
        check_shortage(error)
        raise damaged_file(path, _("it is no whole file of arrays"), cost) from error
    if not np.isfinite(bank).all():
        raise damaged_file(path, _("it holds infinity or NaN"), cost)
    return bank


def _unit(features: Array) -> Array:
    rows = np.asarray(features, np.float32)
    units: Array = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return units
