"""Have other workers train folds of a run: seek room for them while its cross-validation runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from transfer_core.work.cluster.messages import JobState

_SECONDS_BETWEEN_TRIES = 1.0


class Watch(Protocol):
    """Knows what a job is to do."""

    def state(self) -> JobState:
        """Return what it is to do now."""


class SpreadFolds:
    """Has folds trained wherever there is room, the last one first. The run's own worker takes the others.

    It waits for room, but leaves to waiting trainings what they could use.

    Args:
        train: Has a fold trained in room that is free now, and waits for its end. It returns None where there is no
            room, and otherwise whether the worker of the run gave the fold away.
        watch: Of the run.
    """

    def __init__(self, train: Callable[[int, Watch], bool | None], watch: Watch) -> None:
        self._train = train
        self._watch = watch
        self._over = threading.Event()

    def begin(self, num_folds: int) -> None:
        """Begin to look for room for all folds but the first two. Returns at once."""
        for number in range(num_folds, 2, -1):
            threading.Thread(target=self._try, args=(number,), daemon=True).start()

    def end(self) -> None:
        """Stop what is trained elsewhere: the run has ended, or has lost its node."""
        self._over.set()

    def state(self) -> JobState:
        """Return what the folds are to do now."""
        return "stop" if self._over.is_set() else self._watch.state()

    def _try(self, number: int) -> None:
        while self.state() != "stop":
            given = self._train(number, self)
            if given is not None:
                return
            self._over.wait(_SECONDS_BETWEEN_TRIES)
