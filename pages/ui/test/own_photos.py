"""Photos on the Test page: the person's own and test photos, one of them large with its answer."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.session import Session
from pages.ui.components.live_camera import show_live_camera
from pages.ui.results.photo_sets import dataset_of
from pages.ui.test.add_test_photos import UnlabelledPhotos, collect_photos
from pages.ui.test.answer import Runs
from pages.ui.test.many_photos import show_many_photos
from pages.ui.test.photo_choice import choose_photo
from pages.ui.test.predictions import show_card
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.language import _
from transfer_core.runs.unseen_photos import unseen_photos

_MOST_IN_A_STRIP = 48
_MOST_ASIDE = 10


def show_live(session: Session, runs: Runs, control: str) -> None:
    """Draw the live camera, and below it the photos that were kept from it.

    Args:
        session: Keeps the photos.
        runs: The run to test, and optionally a second one to compare it with.
        control: Key of the control whose other options leave the camera.
    """
    show_live_camera(session, runs, control, keeps_photos=True)
    if session.pasted:
        st.header(_("Kept photos"), anchor=False)
        kept = {photo_id: session.pasted[photo_id] for photo_id in reversed(session.pasted)}
        _show_one_of(session, runs, kept, {})


def show_photos(session: Session, runs: Runs) -> None:
    """Draw the ways to bring photos, all photos as thumbnails, and the picked one with its answer.

    Args:
        session: Keeps pasted photos and corrections.
        runs: The run to test, and optionally a second one to compare it with.
    """
    own = collect_photos(session)
    if len(own) > _MOST_IN_A_STRIP:
        show_many_photos(session, runs, UnlabelledPhotos(tuple(own), list(own.values())))
        return
    unseen = unseen_photos(runs[0], dataset_of(runs[0]))[:_MOST_ASIDE]
    aside = {f"aside-{number}": photo for number, photo in enumerate(unseen)}
    if own or aside:
        _show_one_of(session, runs, own, aside)
    else:
        st.caption(_("Your model answers each photo at once. It knows only its own classes."))


def _show_one_of(
    session: Session, runs: Runs, own: dict[str, ImportedFile], aside: dict[str, ImportedFile]
) -> None:
    """Draw thumbnails of photos, and the picked one large."""
    if own and aside:
        label = _("Your photos first, then photos your model has never seen")
    else:
        label = _("Your photos") if own else _("Photos your model has never seen")
    photos = {**own, **aside}
    picked = choose_photo(runs[0], photos, label)
    class_name = aside[picked].class_name if picked in aside else None
    show_card(session, runs, photos[picked], picked, class_name)
    st.caption(
        _("It knows only these classes. Anything too unlike them gets no answer."),
        help=explain("probability"),
    )
