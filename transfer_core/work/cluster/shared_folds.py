"""The folds of a cross-validation that is shared with other nodes, on the node of the run."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import TypedDict

from transfer_core.types import ShouldStop

# Starting a worker, loading TensorFlow and sending what it lacks.
_SECONDS_TO_BEGIN = 15.0
_SECONDS_BETWEEN_STOP_CHECKS = 0.1


class ClaimedFold(TypedDict):
    """What another node has to know of a fold.

    Args:
        key: What `training_key` gives for it: with other photos or choices its accuracy would be another.
        left_out: Ids of the damaged photos that the training left out.
    """

    key: str
    left_out: list[str]


class SharedFolds:
    """Which fold is trained where. The run's own node goes from the first to the last, others begin at the end.

    A fold is given away only where that pays: the other node has to start a worker and to read the photos, and
    meanwhile this one may reach the fold itself. Heads on cached features take seconds each, so they stay here.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._keys: dict[int, str] = {}
        self._left_out: list[str] = []
        self._seconds_of_fold = 0.0
        self._seconds_of_features = 0.0
        self._present = 1
        self._elsewhere: set[int] = set()
        self._accuracies: dict[int, float] = {}

    def offer(
        self,
        keys: Sequence[str],
        left_out: Collection[str],
        seconds_of_fold: float,
        seconds_of_features: float,
    ) -> None:
        """Let other nodes claim folds.

        Args:
            keys: Of the folds after the first.
            left_out: Ids of damaged photos.
            seconds_of_fold: That training one takes.
            seconds_of_features: That another node needs to read all photos.
        """
        with self._changed:
            self._keys = dict(enumerate(keys, 2))
            self._left_out = sorted(left_out)
            self._seconds_of_fold, self._seconds_of_features = seconds_of_fold, seconds_of_features

    def claim(self, number: int) -> ClaimedFold | None:
        """Give a fold to another node; return None where it has begun here, or that would not pay."""
        with self._changed:
            is_open = number in self._keys and number > self._present and number not in self._elsewhere
            num_before = sum(self._present <= other < number for other in self._keys.keys() - self._elsewhere)
            here = num_before * self._seconds_of_fold
            if not is_open or here <= _SECONDS_TO_BEGIN + self._seconds_of_features:
                return None
            self._elsewhere.add(number)
            return {"key": self._keys[number], "left_out": self._left_out}

    def end(self, number: int, accuracy: float | None) -> None:
        """Take what another node has reached; None gives the fold back."""
        with self._changed:
            if accuracy is not None:
                self._accuracies[number] = accuracy
            self._elsewhere.discard(number)
            self._changed.notify_all()

    def accuracy_of(self, number: int, should_stop: ShouldStop) -> float | None:
        """Return the accuracy of a fold, once another node that has claimed it has it; None where it is to be trained.

        Args:
            number: Of the fold, from 2. Those before it have been trained.
            should_stop: Ends the wait.
        """
        with self._changed:
            while number in self._elsewhere and not should_stop():
                self._changed.wait(_SECONDS_BETWEEN_STOP_CHECKS)
            self._present = number
            return self._accuracies.get(number)
