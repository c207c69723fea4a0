"""The data doctor: what is wrong with a dataset, in plain words, and what one click can do about it.

How the thresholds were chosen is in docs/photo-check.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from transfer_core.data.checks.classes import check_classes
from transfer_core.data.checks.left_out import check_files
from transfer_core.data.checks.photos import check_copies, check_labels, check_quality
from transfer_core.data.checks.problems import Fix, Problem, Severity, Suspicion
from transfer_core.data.dataset import ImageDataset

__all__ = ["Fix", "Problem", "Severity", "Suspicion", "examine"]

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


def examine(dataset: ImageDataset, suspects: Sequence[Suspicion] = ()) -> list[Problem]:
    """Return what is wrong with a dataset, the gravest first, at most one problem of each kind.

    Nothing is changed: each problem carries its fix, for the person to choose.

    Args:
        dataset: The images, their split, and the files that were left out.
        suspects: Labels that are likely wrong, from `suspicious_labels`.
    """
    problems = [
        *check_classes(dataset),
        *check_copies(dataset),
        *check_labels(dataset, suspects),
        *check_quality(dataset),
        *check_files(dataset),
    ]
    return sorted(problems, key=lambda problem: _SEVERITIES.index(problem.severity))
