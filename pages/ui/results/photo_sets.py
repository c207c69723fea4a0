"""The sets of photos that a run can be scored on: validation, training, test folder, and new test photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from pages.ui.app.process import stored_evaluation, workspace
from pages.ui.app.task_progress import result_of
from pages.ui.app.tasks import new_photos_scoring, split_scoring
from pages.ui.app.words import plain
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import Split
from transfer_core.errors import NotFoundError, TransferStudioError, WorkspaceError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.language import _
from transfer_core.runs.new_photos import new_photos_of
from transfer_core.runs.run_evaluation import split_images
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.task import Task


@dataclass(frozen=True)
class PhotoSet:
    """Photos that a run can be scored on.

    Args:
        name: `"validation"`, `"train"`, `"test"` or `"new"`.
        title: On screen.
        evaluation: Returns the scores, or draws the progress of the scoring and ends this part of the page.
        dataset: The current version of the photos; None if they were deleted.
    """

    name: str
    title: str
    evaluation: Callable[[], Evaluation]
    dataset: ImageDataset | None


def photo_sets(run: TrainingRun) -> dict[str, PhotoSet]:
    """Return the sets that a run can be scored on, by name, without scoring them."""
    dataset = dataset_of(run)
    sets = {}
    stored = None
    try:
        stored = stored_evaluation(run.id)
    except WorkspaceError as error:
        st.warning(plain(str(error)), icon=":material/warning:")
    if stored is not None and (stored.has_probabilities or dataset is None):
        title = _("Cross-validation") if stored.num_folds > 1 else _("Validation")
        sets["validation"] = PhotoSet("validation", title, lambda: stored, dataset)
    elif dataset is not None:
        sets["validation"] = _split_set(run, dataset, "validation", _("Validation"))
    if dataset is not None:
        try:
            if split_images(run, dataset, "train"):
                sets["train"] = _split_set(run, dataset, "train", _("Training"))
            if split_images(run, dataset, "test"):
                # What the model never met says most, so it is shown first.
                sets = {"test": _split_set(run, dataset, "test", _("Test folder")), **sets}
        except WorkspaceError:
            # A run of version 0.1, which did not note what it learned from.
            sets.pop("train", None)
    with_new_photos(run, sets, dataset)
    return sets


def with_new_photos(run: TrainingRun, sets: dict[str, PhotoSet], learned_from: ImageDataset | None) -> None:
    """Add the labelled test photos of a run, if there are any."""
    try:
        photos = new_photos_of(run, learned_from)
    except TransferStudioError:
        return
    if photos is not None and photos.images:
        dataset = photos.dataset
        sets["new"] = PhotoSet(
            "new",
            _("Your test photos"),
            lambda: _scores(
                "new",
                new_photos_scoring(
                    run.id, dataset.id, dataset.version, learned_from.version if learned_from else 0
                ),
            ),
            dataset,
        )


def choose_set(sets: dict[str, PhotoSet]) -> PhotoSet:
    """Let the person pick a set; the first is picked at the start."""
    names = list(sets)
    chosen = names[0]
    if len(names) > 1:
        chosen = (
            st.segmented_control(
                _("On which photos"),
                names,
                default=names[0],
                required=True,
                format_func=lambda name: sets[name].title,
                key="results-set",
            )
            or names[0]
        )
    return sets[chosen]


def dataset_of(run: TrainingRun) -> ImageDataset | None:
    """Load the dataset of a run; None if it was deleted."""
    try:
        return ImageDataset.load(workspace(), run.dataset_id)
    except NotFoundError:
        return None


def _split_set(run: TrainingRun, dataset: ImageDataset, name: Split, title: str) -> PhotoSet:
    return PhotoSet(name, title, lambda: _scores(name, split_scoring(run.id, name, dataset.version)), dataset)


def _scores(name: str, task: Task[Evaluation]) -> Evaluation:
    return result_of(task, _("Looking at the photos …"), name=f"score-{name}")
