"""The sets of photos that a run can be scored on: validation, training, test folder, and new test photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
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
        score: Returns the scores, or draws the progress of the scoring and ends this part of the page. It takes the
            name that begins the keys of the progress.
        dataset: The current version of the photos; None if they were deleted.
    """

    name: str
    title: str
    score: Callable[[str], Evaluation]
    dataset: ImageDataset | None

    def evaluation(self, name: str = "") -> Evaluation:
        """Return the scores, or draw the progress of the scoring and end this part of the page.

        Args:
            name: Begins the keys of the progress, which may be drawn once for each name.
        """
        return self.score(name or f"score-{self.name}")


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
        title = _("Cross-validation") if stored.num_folds > 1 else _("Validation photos")
        sets["validation"] = PhotoSet("validation", title, lambda _name: stored, dataset)
    elif dataset is not None:
        sets["validation"] = _split_set(run, dataset, "validation", _("Validation photos"))
    if dataset is not None:
        # A run of version 0.1 did not record what it learned from.
        with suppress(WorkspaceError):
            if split_images(run, dataset, "test"):
                sets["test"] = _split_set(run, dataset, "test", _("Test folder"))
            if split_images(run, dataset, "train"):
                sets["train"] = _split_set(run, dataset, "train", _("Training photos"))
    with_new_photos(run, sets, dataset)
    return sets


def show_not_evaluated() -> None:
    """Draw that a run has no scores and no photos to score it on."""
    st.info(_("There are no photos to evaluate this model on."), icon=":material/info:")


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
            lambda name: _scores(
                name,
                new_photos_scoring(
                    run.id, dataset.id, dataset.version, learned_from.version if learned_from else 0
                ),
            ),
            dataset,
        )


def choose_set(sets: Mapping[str, PhotoSet], key: str) -> PhotoSet:
    """Let the person pick a set; the first is picked at the start.

    Args:
        sets: By name.
        key: Of the control.
    """
    names = list(sets)
    if len(names) == 1:
        return sets[names[0]]
    chosen = st.selectbox(
        _("Photos"),
        names,
        format_func=lambda name: sets[name].title,
        key=key,
        label_visibility="collapsed",
        width=180,
    )
    return sets[str(chosen)]


def dataset_of(run: TrainingRun) -> ImageDataset | None:
    """Load the dataset of a run; None if it was deleted."""
    try:
        return ImageDataset.load(workspace(), run.dataset_id)
    except NotFoundError:
        return None


def _split_set(run: TrainingRun, dataset: ImageDataset, name: Split, title: str) -> PhotoSet:
    return PhotoSet(
        name, title, lambda key: _scores(key, split_scoring(run.id, name, dataset.version)), dataset
    )


def _scores(key: str, task: Task[Evaluation]) -> Evaluation:
    return result_of(task, _("Scoring the photos …"), name=key)
