"""Column 3 of the quick start: the model answers, live or for a photo, as soon as its training has ended."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import answer_version, workspace
from pages.ui.app.run_choice import shown_run_id
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import plain
from pages.ui.components.live_camera import show_live_camera
from pages.ui.results.photo_sets import dataset_of
from pages.ui.test.add_test_photos import as_file
from pages.ui.test.answer import load_models, prediction_of, show_answer
from pages.ui.test.photo_choice import choose_photo, small_copy
from transfer_core.data.limits import limits
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import UnreadableImageError
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.unseen_photos import unseen_photos

_MOST_ASIDE = 8
_SHOWN_SIDE = 640  # pixels
_GHOST_BARS = ("72%", "22%", "12%")


def show_trying(session: Session) -> None:
    """Draw what the model answers, or before its training a quiet picture of it."""
    st.header(_("3 Try it"), anchor=False)
    run_id = shown_run_id(session)
    if run_id is None:
        _show_placeholder(session)
        return
    run = TrainingRun.load(workspace(), run_id)
    load_models((run,))
    _show_model(session, run)
    st.page_link(
        Step.TEST.page, label=_("Test it further"), icon=Step.TEST.icon, query_params=session.query()
    )


def _show_placeholder(session: Session) -> None:
    """Draw an empty stage with the bars of the classes so far."""
    names = session.dataset.class_names if session.dataset else ()
    rows = [
        f'<span class="bars-name">{escape(names[row]) if row < len(names) else "&nbsp;"}</span>'
        f'<span class="bars-track"><span class="bars-fill" style="width:{width}"></span></span>'
        '<span class="bars-number">&nbsp;</span>'
        for row, width in enumerate(_GHOST_BARS)
    ]
    text = escape(_("Your model answers here as soon as it is trained."))
    st.html(
        f'<div class="ghost"><div class="ghost-stage"><span class="ghost-icon" aria-hidden="true">photo_camera'
        f"</span><p>{text}</p></div>"
        f'<div class="bars ghost-bars" aria-hidden="true">{"".join(rows)}</div></div>'
    )


@st.fragment
def _show_model(session: Session, run: TrainingRun) -> None:
    aside = unseen_photos(run, dataset_of(run))[:_MOST_ASIDE]
    starts_with_camera = session.has_camera and not aside
    control = f"try-way-{run.id}-{starts_with_camera}"
    ways = {"camera": _("Camera"), "photos": _("Photos")}
    way = st.segmented_control(
        _("How to try it"),
        list(ways) if starts_with_camera else list(reversed(ways)),
        default="camera" if starts_with_camera else "photos",
        required=True,
        format_func=ways.__getitem__,
        key=control,
        label_visibility="collapsed",
    )
    with st.container(key="trying"):
        if way == "camera":
            show_live_camera(session, (run,), control)
        else:
            guarded(_show_photos)(run, aside)


def _show_photos(run: TrainingRun, aside: list[ImportedFile]) -> None:
    """Draw the answer for the picked photo; a dropped one goes first."""
    stage, strip = st.container(), st.container()
    dropped = st.file_uploader(
        _("Drop a photo"),
        max_upload_size=limits().file_mb,
        key=f"try-photo-{run.id}",
        label_visibility="collapsed",
    )
    photos = {f"aside-{number}": photo for number, photo in enumerate(aside)}
    if dropped:
        photos = {dropped.file_id: as_file(dropped), **photos}
    if not photos:
        return
    with strip:
        picked = choose_photo(run, photos, _("Photos it has never seen. Pick one."))
    with stage:
        _show_photo_answer(run, photos[picked])


def _show_photo_answer(run: TrainingRun, photo: ImportedFile) -> None:
    version = answer_version(run.id)
    try:
        content = photo.read()
        prediction = prediction_of(run.id, version, content)
    except UnreadableImageError as error:
        st.error(_("{name} was left out: {reason}.").format(name=plain(photo.path), reason=error))
        return
    st.image(small_copy(run.id, version, content, _SHOWN_SIDE), alt=photo.name, width="stretch")
    show_answer(prediction)
