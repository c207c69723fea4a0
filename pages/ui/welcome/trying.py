"""Column 3 of the quick start: the model answers, live or for a photo, as soon as its training has ended."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import workspace
from pages.ui.app.run_choice import wanted_run_id
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.components.live_camera import show_live_camera
from pages.ui.results.photo_sets import dataset_of
from pages.ui.test.answer import load_models
from pages.ui.test.photos import choose_photo, show_photo_answer
from transfer_core.data.limits import limits
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.unseen_photos import unseen_photos

_MOST_ASIDE = 8
_GHOST_BARS = ("72%", "22%", "12%")


def show_trying(session: Session) -> None:
    """Draw what the model answers, or before its training a quiet picture of it."""
    st.subheader(_("3 Try it"), anchor=False)
    run_id = session.picked_run_id or session.run_id
    if run_id is None or wanted_run_id(session) != run_id:
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
        f'<span class="bars-track"><span class="bars-fill" style="display:block;width:{width}"></span></span>'
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
    stage = st.container()
    strip = st.container()
    dropped = st.file_uploader(
        _("Drop a photo"),
        max_upload_size=limits().file_mb,
        key=f"try-photo-{run.id}",
        label_visibility="collapsed" if aside else "visible",
    )
    if dropped:
        with stage:
            show_photo_answer(run, dropped.getvalue(), dropped.name)
    elif aside:
        with strip:
            st.caption(_("Photos it has never seen. Click one."))
            photo = choose_photo(run, aside, key=f"try-aside-{run.id}")
        with stage:
            show_photo_answer(run, photo.read(), photo.path)
