"""Progress of a whole run: the share that is done, and the displayed time left."""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from transfer_core.events.kinds import Phase, Stage

# How many seconds of work the estimates count for beside what is measured in this run.
_SECONDS_OF_TRUST = 3.0
# An estimate from assumed rates may be wrong by a multiple; it is shown once this much work was measured.
_SECONDS_UNTIL_SHOWN = 2.0
_MOST_RISE = 1.2
_MOST_BEFORE_THE_END = 0.99


class MeasuredStage(Struct, frozen=True):
    """A phase that is over.

    Args:
        phase: Its kind.
        planned_seconds: The estimate for the part of it that was done.
        seconds: How long that took.
        share: The part of it that was done, 0-1.
    """

    phase: Phase
    planned_seconds: float
    seconds: float
    share: float


class RunProgress(Struct, frozen=True, eq=False):
    """The bar of a run. The share never falls; the time left never rises by more than a fifth.

    Args:
        stages: The phases of the run with their estimates.
        place: Index of the present one in `stages`; that of the last one before an unforeseen phase; -1 at first.
        phase: The present phase; None before the first.
        planned_seconds: Estimate for what the present phase has to do; 0 for an unforeseen phase.
        measured: The phases that are over.
        share: Of the whole run, 0-1.
        seconds_left: As shown; None before it is known well enough.
        lowest_left: The lowest that was shown.
    """

    stages: tuple[Stage, ...] = ()
    place: int = -1
    phase: Phase | None = None
    planned_seconds: float = 0.0
    measured: tuple[MeasuredStage, ...] = ()
    # These depend on how many events at once a reader has followed, so they make no difference between two.
    share: float = 0.0
    seconds_left: float | None = None
    lowest_left: float = math.inf

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunProgress) and self._compared == other._compared

    def __hash__(self) -> int:
        return hash(self._compared)

    @property
    def _compared(self) -> tuple[object, ...]:
        return self.stages, self.place, self.phase, self.planned_seconds, self.measured

    def with_stages(self, stages: tuple[Stage, ...]) -> RunProgress:
        """Return the progress of a run whose phases to come are these."""
        return replace(self, stages=stages, place=-1, phase=None, planned_seconds=0.0)

    def phase_started(self, phase: Phase, share_to_do: float) -> RunProgress:
        """Return the progress as a phase begins. Planned phases may be skipped, and others may come between.

        Args:
            phase: The new phase.
            share_to_do: The part of it that was not done before, 0-1.
        """
        later = [place for place in range(self.place + 1, len(self.stages)) if self.stages[place][0] == phase]
        earlier = [place for place in range(self.place + 1) if self.stages[place][0] == phase]
        found = later[:1] or earlier[-1:]
        if not found:
            return replace(self, phase=phase, planned_seconds=0.0)
        planned = self.stages[found[0]][1] * share_to_do
        return replace(self, phase=phase, place=found[0], planned_seconds=planned)

    def phase_ended(self, seconds: float, share: float) -> RunProgress:
        """Return the progress as the present phase is over, which took `seconds` for a `share` of its work."""
        if self.phase is None:
            return self
        ended = MeasuredStage(self.phase, self.planned_seconds * share, seconds, share)
        return replace(self, phase=None, planned_seconds=0.0, measured=(*self.measured, ended))

    def moved(
        self, run_seconds: float, phase_seconds: float, seconds_since_step: float, share: float
    ) -> RunProgress:
        """Return the progress at a later time.

        Args:
            run_seconds: Time at work in this run so far.
            phase_seconds: Time at work in the present phase until its last step.
            seconds_since_step: Time at work since then, or since the phase began.
            share: The part that is done of what the present phase had to do, 0-1.
        """
        left = self._estimate(phase_seconds, seconds_since_step, share)
        if left is None:
            return self
        total = run_seconds + left
        done = min(run_seconds / total, _MOST_BEFORE_THE_END) if total > 0 else 0.0
        moved = replace(self, share=max(self.share, done))
        is_known = all(is_measured for _phase, _seconds, is_measured in self.stages)
        measured_seconds = self._measured_seconds + phase_seconds
        if self.seconds_left is None and not is_known and measured_seconds < _SECONDS_UNTIL_SHOWN:
            return moved
        shown = min(left, self.lowest_left * _MOST_RISE)
        return replace(moved, seconds_left=shown, lowest_left=min(self.lowest_left, shown))

    def ended(self, *, is_finished: bool) -> RunProgress:
        """Return the progress of a run that is over."""
        return replace(self, share=1.0 if is_finished else self.share, seconds_left=None)

    @property
    def _measured_seconds(self) -> float:
        return sum(stage.seconds for stage in self.measured if stage.planned_seconds)

    def _estimate(self, phase_seconds: float, seconds_since_step: float, share: float) -> float | None:
        """Estimate the seconds left, or None without a plan.

        In the present phase the measured rate counts the more, the more of it is done: its first steps are slow,
        because graphs are built in them.
        """
        if not self.stages:
            return None
        planned = sum(stage.planned_seconds for stage in self.measured) + self.planned_seconds * share
        taken = self._measured_seconds + (phase_seconds if self.planned_seconds and share else 0.0)
        pace = (taken + _SECONDS_OF_TRUST) / (planned + _SECONDS_OF_TRUST)
        later = pace * sum(seconds for _phase, seconds, _known in self.stages[self.place + 1 :])
        worked = phase_seconds if share else 0.0
        present = (1 - share) * ((1 - share) * self.planned_seconds * pace + worked)
        return max(present - seconds_since_step, 0.0) + later
