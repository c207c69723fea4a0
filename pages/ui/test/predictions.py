"""One photo, large, with the answer of each model beside it, the explanation over it, and the correction."""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import guarded
from pages.ui.app.pictures import data_url
from pages.ui.app.process import answer_version, model_version, predictor, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import UnfinishedTaskError
from pages.ui.app.words import duration_words, model_name, plain
from pages.ui.components.heat import SHOWN_SIDE, choose_class, explained_photo, show_heat
from pages.ui.results.photo_sets import dataset_of
from pages.ui.test.answer import Runs, prediction_of, show_answer
from pages.ui.test.correction import show_correction
from pages.ui.test.photo_choice import small_copy
from transfer_core.data.images.decoding import image_id
from transfer_core.data.images.similarity import fingerprint
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import UnreadableImageError, WorkspaceError
from transfer_core.inference.predictor import Prediction
from transfer_core.language import _
from transfer_core.runs.leakage import seen_in_training
from transfer_core.runs.training_run import TrainingRun


def show_card(
    session: Session, runs: Runs, photo: ImportedFile, key: str, class_name: str | None = None
) -> None:
    """Draw a photo with the answer of each run beside it, its explanation, and the form to correct it.

    Args:
        session: Keeps the corrections.
        runs: The run to test, and optionally a second one to compare it with.
        photo: The file.
        key: Unique for each photo of the page.
        class_name: Its true class, if it is known. Such a photo tests the model, so it cannot be corrected.
    """
    try:
        content = photo.read()
        predictions = [prediction_of(run.id, answer_version(run.id), content) for run in runs]
    except UnreadableImageError as error:
        st.error(_("{name} was left out: {reason}.").format(name=plain(photo.path), reason=error))
        return
    stage, answers = st.columns([5, 4], gap="medium")
    with answers:
        for run, prediction in zip(runs, predictions, strict=True):
            if len(runs) > 1:
                st.caption(plain(model_name(run)))
            show_answer(prediction)
        name, time = plain(photo.path), duration_words(predictions[0].seconds)
        st.caption(_("{name} · {time}").format(name=name, time=time))
        if class_name is None:
            _show_whether_known(runs[0], content)
        else:
            _show_truth(predictions[0], class_name)
        explained = _show_explanation(runs[0], content, predictions[0].best_guess, key)
        if class_name is None:
            said = predictions[0].class_name
            guarded(show_correction)(session, runs[0], photo.path, content, said, key)
    with stage:
        copy = small_copy(runs[0].id, answer_version(runs[0].id), content, SHOWN_SIDE)
        shown = {"photo": data_url(copy), "heat": "", "alt": photo.path}
        show_heat([{**(explained or shown), "title": "", "caption": ""}], "shown-photo")


def _show_truth(prediction: Prediction, class_name: str) -> None:
    """Draw whether the best guess for a photo of a known class is right."""
    if prediction.best_guess == class_name:
        st.success(
            _("Right. The class is {name}.").format(name=plain(class_name)), icon=":material/check_circle:"
        )
    else:
        st.warning(_("Wrong. The class is {name}.").format(name=plain(class_name)), icon=":material/cancel:")


def _show_whether_known(run: TrainingRun, content: bytes) -> None:
    dataset = dataset_of(run)
    if _is_known(run.id, answer_version(run.id), dataset.version if dataset else 0, content):
        st.info(
            _("This photo was used in the training, or looks like one. So it is no test."),
            icon=":material/info:",
        )


@st.cache_data(show_spinner=False, max_entries=200)
def _is_known(run_id: str, version: tuple[int, ...], dataset_version: int, content: bytes) -> bool:
    run = TrainingRun.load(workspace(), run_id)
    photo = predictor(run_id).decode(content)
    # Runs of version 0.1 did not store which images they were trained on.
    with suppress(WorkspaceError):
        return seen_in_training(run, dataset_of(run), [(image_id(photo), fingerprint(photo))])[0]
    return False


def _show_explanation(run: TrainingRun, content: bytes, said: str, key: str) -> dict[str, str] | None:
    """Draw the switch of the explanation, and return the photo with its heat map once that is there."""
    # One switch for all photos: it stays on while a person goes through them.
    if not st.toggle(_("Explain the answer"), key="explain-answer", help=explain("grad-cam")):
        return None
    class_name = choose_class(run, said, key)
    try:
        return explained_photo(run.id, model_version(run.id), content, class_name)
    except UnfinishedTaskError:
        return None
