"""When the honest answer is "I don't know": pictures unlike all that was learned, and answers that are not sure.

Unlike what was learned: a low cosine similarity to the nearest training images in the space of the pooled features
(Sun, Ming, Zhu and Li, 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors"). Not sure: a low
probability of the class that is said (Hendrycks and Gimpel, 2017). How they were chosen: docs/i-dont-know.md.
Scoring needs NumPy alone, so that exported models can do the same.
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
# With fewer validation images a share of 95 % means nothing.
MIN_IMAGES = 20
DEFAULT_SHARE = 0.95
_NUM_NEIGHBORS = 3
# A runtime that adds up in another order moves values by less. The exported predict.py and model.js allow the same.
TOLERANCE = 1e-5
# Above every probability: no answer is given.
NO_ANSWER = 1.01
MOST_IN_BANK = 2000
_MOST_FEATURES = 2**16
# An unit vector may be a little longer than 1 in half precision.
_MOST_SIMILARITY = 1.01
_Limit = Annotated[float, msgspec.Meta(ge=-_MOST_SIMILARITY, le=_MOST_SIMILARITY)]


@dataclass(frozen=True, eq=False)
class Rejection:
    """Tells pictures that a model can judge from those that it should not.

    Args:
        bank: Features of training images, each of length 1, `[num_images, num_features]`.
        min_familiarity: Mean cosine similarity to the nearest of them below which a picture is not known; -1
            knows every picture.
        familiar_share: Share of the validation images that this keeps, 0-1.
        min_probability: Probability of the most probable class below which the answer is not given, 0-1.
        num_neighbors: How many nearest ones count.
    """

    bank: Array
    min_familiarity: float = -1.0
    familiar_share: float = 1.0
    min_probability: float = 0.0
    num_neighbors: int = _NUM_NEIGHBORS

    def familiarity(self, features: Array) -> Array:
        """Return how much pictures are like what was learned, from -1 to 1.

        Args:
            features: Pooled features, `[num_images, num_features]`.
        """
        similarities = _unit(features) @ self.bank.T
        count = min(self.num_neighbors, self.bank.shape[0])
        nearest: Array = np.sort(similarities, axis=1)[:, -count:].mean(axis=1)
        return nearest

    def is_known(self, probability: float, familiarity: float | None) -> bool:
        """Whether an answer can be given.

        Args:
            probability: Of the most probable class, calibrated, 0-1.
            familiarity: What `familiarity` gave, or None where it is not known.
        """
        is_familiar = familiarity is None or familiarity + TOLERANCE >= self.min_familiarity
        return is_familiar and probability + TOLERANCE >= self.min_probability

    def keeping(self, share: float, familiarities: Sequence[float] | Array) -> Rejection:
        """Return one that finds at least this share of images familiar.

        Args:
            share: 0-1; 1 or more refuses no picture for being unlike the others.
            familiarities: Of the validation images.
        """
        if share >= 1:
            return replace(self, min_familiarity=-1.0, familiar_share=1.0)
        return replace(self, min_familiarity=limit_that_keeps(share, familiarities), familiar_share=share)

    def sure_above(self, min_probability: float) -> Rejection:
        """Return one that gives an answer only from a probability on."""
        return replace(self, min_probability=min_probability)

    def save(self, folder: Path) -> None:
        """Write it beside the model.

        Raises:
            WorkspaceError: If writing fails.
        """
        try:
            with replacing(folder / BANK_FILE) as beside, beside.open("wb") as file:
                np.savez_compressed(file, bank=self.bank.astype(np.float16))
        except OSError as error:
            raise WorkspaceError(
                _("{file} could not be written: {reason}.").format(
                    file=BANK_FILE, reason=error.strerror or error
                )
            ) from error
        self.save_thresholds(folder)

    def save_thresholds(self, folder: Path) -> None:
        """Write only what a person may change.

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
        """Read what lies beside a model, or None where there is nothing.

        Args:
            folder: Of the run.
            num_features: Pooled features of the model, where they are known.

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
    num_neighbors: Annotated[int, msgspec.Meta(ge=1, le=MOST_IN_BANK)]


def _cost() -> str:
    return _("The model no longer says “I don't know”; its answers stay. Train again to get that back.")


_FILE = FactsFile(REJECTION_FILE, _Thresholds, _cost, lambda: _("a limit is out of range"))


def fit_rejection(learned: Array, checked: Array, seed: int = 0) -> Rejection:
    """Return what tells pictures like the training images from others.

    Args:
        learned: Pooled features of training images, `[num_images, num_features]`; at most 2,000 are kept.
        checked: Those of the validation images, of which it keeps 95 %; of fewer than 20 all.
        seed: Draws those that are kept.
    """
    drawn = np.random.default_rng([seed, 0, 6]).permutation(len(learned))[:MOST_IN_BANK]
    # As it is read back later: stored thresholds must fit the stored features.
    bank = _unit(learned[np.sort(drawn)]).astype(np.float16).astype(np.float32)
    rejection = Rejection(bank)
    if len(checked) < MIN_IMAGES:
        return rejection
    return rejection.keeping(DEFAULT_SHARE, rejection.familiarity(checked))


def possible_limits(values: Sequence[float] | Array) -> Array:
    """Return the limits that separate values without splitting a group of equal ones: the lowest of each group.

    Args:
        values: Probabilities or familiarities, at least one. Those within twice `TOLERANCE` of the next one are
            equal, since a limit between them could fall on either side of both.

    Returns:
        From low to high.
    """
    ranked = np.sort(np.asarray(values, float))
    limits: Array = ranked[np.diff(ranked, prepend=-np.inf) > 2 * TOLERANCE]
    return limits


def limit_that_keeps(share: float, values: Sequence[float] | Array) -> float:
    """Return the highest limit that at least a share of values reaches.

    Args:
        share: 0-1.
        values: Probabilities or familiarities, at least one.
    """
    lowest = np.quantile(np.asarray(values, float), 1 - share, method="lower")
    limits = possible_limits(values)
    return float(limits[limits <= lowest].max())


def _read_bank(path: Path, cost: str) -> Array:
    if not path.is_file():
        raise damaged_file(path, _("it is missing"), cost)
    try:
        # The file says how many numbers it holds before any is read.
        kinds = kinds_of_arrays(path)
        shape, dtype = kinds.get("bank", ((), np.dtype(np.float16)))
        is_sound = len(shape) == 2 and 1 <= shape[0] <= MOST_IN_BANK and 1 <= shape[1] <= _MOST_FEATURES
        if len(kinds) != 1 or not is_sound or dtype != np.float16:
            raise ValueError("other arrays")
        # Opened here: NumPy leaves a damaged file open.
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
