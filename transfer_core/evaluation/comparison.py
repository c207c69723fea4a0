"""Compare two runs on the same photos: which changed sides, and whether that may be chance."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from transfer_core.evaluation.evaluation import Evaluation, ImageOutcome
from transfer_core.language import _, plural, sentences

# The usual level: one comparison in twenty of equally good models is as uneven as this.
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class ChangedPhoto:
    """The outcomes of one photo in the first and in the second run."""

    before: ImageOutcome
    after: ImageOutcome


@dataclass(frozen=True)
class ClassChange:
    """Right answers for one class in both runs, on the photos that both were measured on.

    Args:
        class_name: The class.
        num_images: Its photos among them.
        num_right_before: How many the first run has right.
        num_right_after: How many the second has.
    """

    class_name: str
    num_images: int
    num_right_before: int
    num_right_after: int


@dataclass(frozen=True)
class Comparison:
    """Two runs on the photos that both were measured on.

    Args:
        both_right: Photos on which both are right.
        both_wrong: Photos on which both are wrong.
        lost: Photos on which only the first is right.
        won: Photos on which only the second is right.
        num_left_out: Photos that only one of them was validated on, or whose label differs.
    """

    both_right: tuple[ChangedPhoto, ...]
    both_wrong: tuple[ChangedPhoto, ...]
    lost: tuple[ChangedPhoto, ...]
    won: tuple[ChangedPhoto, ...]
    num_left_out: int

    @property
    def photos(self) -> tuple[ChangedPhoto, ...]:
        """All photos that count."""
        return self.both_right + self.both_wrong + self.lost + self.won

    @property
    def accuracies(self) -> tuple[float, float] | None:
        """Accuracy of both on these photos, 0-1; None where there are none."""
        count = len(self.photos)
        if not count:
            return None
        right = len(self.both_right)
        return (right + len(self.lost)) / count, (right + len(self.won)) / count

    @property
    def p_value(self) -> float:
        """Probability that two equally good models differ at least as much, 0-1.

        Two-sided exact test of McNemar (1947) on the photos that changed sides.
        """
        from scipy.stats import binomtest

        num_changed = len(self.won) + len(self.lost)
        return float(binomtest(len(self.won), num_changed).pvalue) if num_changed else 1.0

    @property
    def is_beyond_chance(self) -> bool:
        """Whether the difference is significant."""
        return self.p_value < SIGNIFICANCE

    @property
    def per_class(self) -> list[ClassChange]:
        """The change of each class, in the order of the names."""
        totals = Counter(photo.before.class_name for photo in self.photos)
        before = Counter(photo.before.class_name for photo in self.both_right + self.lost)
        after = Counter(photo.before.class_name for photo in self.both_right + self.won)
        return [ClassChange(name, totals[name], before[name], after[name]) for name in sorted(totals)]

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values, ready for JSON."""
        accuracies = self.accuracies or (None, None)
        return {
            "num_images": len(self.photos),
            "num_left_out": self.num_left_out,
            "accuracy_before": accuracies[0],
            "accuracy_after": accuracies[1],
            "num_both_right": len(self.both_right),
            "num_both_wrong": len(self.both_wrong),
            "num_lost": len(self.lost),
            "num_won": len(self.won),
            "mcnemar_p_value": self.p_value,
            "is_beyond_chance": self.is_beyond_chance,
            "verdict": verdict(self),
            "reasoning": reasoning(self),
            "per_class": [asdict(change) for change in self.per_class],
            "lost": [asdict(photo) for photo in self.lost],
            "won": [asdict(photo) for photo in self.won],
        }


def compare(before: Evaluation, after: Evaluation) -> Comparison:
    """Compare two evaluations on the photos that are in both under the same label.

    Args:
        before: The first run.
        after: The second run.
    """
    earlier = {_key(outcome): outcome for outcome in before.outcomes}
    later = {_key(outcome): outcome for outcome in after.outcomes}
    shared = [ChangedPhoto(earlier[key], later[key]) for key in earlier if key in later]
    shared = [photo for photo in shared if photo.before.class_name == photo.after.class_name]

    def those(is_right_before: bool, is_right_after: bool) -> tuple[ChangedPhoto, ...]:
        wanted = (is_right_before, is_right_after)
        return tuple(photo for photo in shared if (photo.before.is_right, photo.after.is_right) == wanted)

    return Comparison(
        both_right=those(True, True),
        both_wrong=those(False, False),
        lost=those(True, False),
        won=those(False, True),
        num_left_out=len(earlier.keys() | later.keys()) - len(shared),
    )


def verdict(comparison: Comparison, before: str = "", after: str = "") -> str:
    """Return which run is better, by how many photos, and whether that may be chance.

    Args:
        comparison: The two runs.
        before: Name of the first run; by default "The first run".
        after: Name of the second; by default "The second run".
    """
    before, after = before or _("The first run"), after or _("The second run")
    won, lost, count = len(comparison.won), len(comparison.lost), len(comparison.photos)
    if not comparison.photos:
        return _(
            "They share no validation photos, so they cannot be compared. Train both on the same photos."
        )
    if not won + lost:
        return _("There is no difference. Both are right and wrong on the very same photos.")
    if won == lost:
        return _("They are equally good. Each is right on {count} of {all} photos.").format(
            count=len(comparison.both_right) + won, all=count
        )
    better = plural(
        "{which} is better by {count} photo of {all}.",
        "{which} is better by {count} photos of {all}.",
        abs(won - lost),
        which=after if won > lost else before,
        all=count,
    )
    chance = _("That is hardly chance.") if comparison.is_beyond_chance else _("That may be chance.")
    return sentences(better, chance)


def reasoning(comparison: Comparison) -> str:
    """Return in words how McNemar's test comes to the verdict; empty where no photo changed sides."""
    won, lost = len(comparison.won), len(comparison.lost)
    if not won + lost:
        return ""
    share = comparison.p_value
    often = _("fewer than 1 in 100") if share < 0.01 else _("{count} in 100").format(count=round(share * 100))
    return _(
        "{won} photos became right, and {lost} became wrong. Two equally good models differ this much in {often} "
        "comparisons (McNemar's exact test)."
    ).format(won=won, lost=lost, often=often)


def _key(outcome: ImageOutcome) -> str:
    # Runs of version 0.1 knew the name alone.
    return outcome.image_id or f"{outcome.class_name}/{outcome.name}"
