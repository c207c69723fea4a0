"""The photo check: all problems of a dataset in plain sentences, each with a fix where there is one.

How the thresholds were chosen is in docs/photo-check.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from transfer_core.data.checks.classes import check_classes
from transfer_core.data.checks.left_out import check_files
from transfer_core.data.checks.notices import check_notices
from transfer_core.data.checks.photos import check_copies, check_labels, check_quality
from transfer_core.data.checks.problems import Fix, Problem, Severity, Suspicion
from transfer_core.data.checks.series_check import check_series
from transfer_core.data.dataset import ImageDataset

__all__ = ["Fix", "Problem", "Severity", "Suspicion", "examine"]

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


def examine(dataset: ImageDataset, suspects: Sequence[Suspicion] = ()) -> list[Problem]:
    """Return the problems of a dataset, errors first, at most one of each kind. The dataset is not changed.

    Args:
        dataset: The images, their split, and the files that were left out.
        suspects: Labels that are likely wrong, from `suspicious_labels`.
    """
    problems = [
        *check_classes(dataset),
        *check_copies(dataset),
        *check_series(dataset),
        *check_labels(dataset, suspects),
        *check_quality(dataset),
        *check_files(dataset),
        *check_notices(dataset),
    ]
    return sorted(problems, key=lambda problem: _SEVERITIES.index(problem.severity))
