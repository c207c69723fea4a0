"""Limits of each pupil of a class: photos, space on the disk, models and waiting trainings."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from transfer_core.data.dataset import IMAGES_FOLDER
from transfer_core.errors import IngestError, TrainingError, WorkspaceError
from transfer_core.facts_file import FactsFile
from transfer_core.language import _, plural
from transfer_core.schema import Count
from transfer_core.workspace import Workspace

CLASS_FILE = "class.json"
_ROOMS_WITH_PHOTOS = ("datasets", "runs")
_MEGABYTE = 1024**2
# Measuring 2,000 photos takes about ten milliseconds.
_SECONDS_MEASURED = 60.0


class PersonLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each pupil may have at most.

    Args:
        photos: In all their photo sets.
        megabytes: On the disk, features and models included.
        runs: Models.
        waiting: Trainings that wait in the queue.
    """

    photos: Count = 2_000
    megabytes: Count = 2_048
    runs: Count = 40
    waiting: Count = 10


class _ClassLimits(msgspec.Struct, frozen=True):
    """The part of the facts of a class that this module needs."""

    limits: PersonLimits = PersonLimits()


_FACTS = FactsFile(CLASS_FILE, _ClassLimits)


@dataclass
class Usage:
    """What is in the workspace of a pupil, as it was measured last, and what has come in since.

    Args:
        photos: Stored, also those without labels and those that test a model.
        num_bytes: Of all files.
        measured_at: A time of `time.monotonic`.
    """

    photos: int
    num_bytes: int
    measured_at: float


def limits_of(workspace: Workspace) -> PersonLimits | None:
    """Return the limits of a pupil; None for the server's own workspace."""
    if not workspace.owner:
        return None
    server = workspace.server.root
    try:
        return _FACTS.read(server).limits if _FACTS.exists(server) else PersonLimits()
    except WorkspaceError:
        return PersonLimits()


def check_photos(workspace: Workspace, num_new: int, num_bytes: int = 0) -> None:
    """Make sure that a person may add photos.

    Args:
        workspace: Of the person, or a folder in it that holds datasets of its own.
        num_new: How many photos at most are about to be added.
        num_bytes: Their size, where it is known.

    Raises:
        IngestError: If they would have more than they may.
    """
    pupil = Workspace.of_pupil(workspace.root)
    limits = limits_of(pupil) if pupil else None
    if pupil is None or limits is None:
        return
    usage = _usage(pupil.root, _SECONDS_MEASURED)
    if problem := _problem(usage, limits, num_new, num_bytes):
        # They may have deleted something meanwhile.
        usage = _usage(pupil.root, 0.0)
        problem = _problem(usage, limits, num_new, num_bytes)
    if problem:
        raise IngestError(problem)
    usage.photos += num_new
    usage.num_bytes += num_bytes


def check_space(workspace: Workspace) -> None:
    """Make sure that a person's part of the disk is not full, before something large is written that is no photo.

    Args:
        workspace: Of the person.

    Raises:
        IngestError: If it is full.
    """
    limits = limits_of(workspace)
    # What was written since the last measurement may have been large, and photos that come in count in that one.
    if limits and (problem := _problem(_measure(workspace.root), limits, 0, 0)):
        raise IngestError(problem)


def check_runs(workspace: Workspace, num_new: int = 1) -> None:
    """Make sure that a person may have more models.

    Args:
        workspace: Of the person.
        num_new: How many trainings are about to be started.

    Raises:
        TrainingError: If they would have more than they may, or their part of the disk is full.
    """
    limits = limits_of(workspace)
    if limits is None:
        return
    if len(workspace.run_ids()) + num_new > limits.runs:
        raise TrainingError(
            plural(
                "You may have {count} model. Delete it before you train another.",
                "You may have {count} models. Delete some before you train more.",
                limits.runs,
            )
        )
    try:
        check_photos(workspace, 0)
    except IngestError as error:
        raise TrainingError(str(error)) from error


def check_waiting(workspace: Workspace, num_waiting: int, num_new: int = 1) -> None:
    """Make sure that a person may put more trainings into the queue.

    Args:
        workspace: Of the person.
        num_waiting: How many of theirs wait.
        num_new: How many are about to be started.

    Raises:
        TrainingError: If more would wait than may.
    """
    limits = limits_of(workspace)
    if limits and num_waiting + num_new > limits.waiting:
        raise TrainingError(
            plural(
                "Only {count} of your trainings may wait. Start this one later.",
                "Only {count} of your trainings may wait. Start fewer, or start them later.",
                limits.waiting,
            )
        )


def _problem(usage: Usage, limits: PersonLimits, num_new: int, num_bytes: int) -> str:
    if num_new and usage.photos + num_new > limits.photos:
        return plural(
            "You may have {count} photo. Delete it before you add another.",
            "You may have {count} photos. Delete some before you add more.",
            limits.photos,
        )
    if usage.num_bytes + num_bytes > limits.megabytes * _MEGABYTE:
        return _("Your part of the disk is full. Delete photos or models for good first.")
    return ""


def _usage(root: Path, max_seconds: float) -> Usage:
    known = _measured.get(root)
    if known is None or time.monotonic() - known.measured_at > max_seconds:
        known = _measured[root] = _measure(root)
    return known


def _measure(root: Path) -> Usage:
    usage = Usage(0, 0, time.monotonic())
    for folder, _folders, names in os.walk(root):
        place = Path(folder)
        holds_photos = place.name == IMAGES_FOLDER and place.relative_to(root).parts[0] in _ROOMS_WITH_PHOTOS
        for name in names:
            try:
                usage.num_bytes += (place / name).stat().st_size
            except OSError:  # deleted meanwhile
                continue
            usage.photos += holds_photos and name.endswith(".jpg") and not name.startswith(".")
    return usage


_measured: dict[Path, Usage] = {}
