"""The photos of one pupil, for the teacher to delete some for good."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.dataset_choice import dataset_labels
from pages.ui.app.paging import page_of
from pages.ui.app.person import show_device_code
from pages.ui.app.session import Session
from pages.ui.app.words import plain
from pages.ui.classroom.teacher import for_teacher
from pages.ui.components.gallery import IMAGES_A_PAGE, choose_tiles
from pages.ui.server.class_routes import photo_address
from pages.ui.server.service import service
from transfer_core.classroom.board import datasets_of
from transfer_core.classroom.people import get_person
from transfer_core.errors import NotFoundError
from transfer_core.language import _


def show_pupil_photos(session: Session) -> None:
    """Draw all photos of the pupil that the teacher has opened."""
    server, person_id = service().workspace, session.opened_person_id
    try:
        name = get_person(server, person_id).name
    except NotFoundError:
        session.opened_person_id = ""
        return
    with st.container(horizontal=True, vertical_alignment="center", key="pupil-heading"):
        st.header(_("Photos of {name}").format(name=plain(name)), anchor=False)
        if st.button(
            _("Let in again"),
            icon=":material/devices:",
            key="pupil-device",
            help=_("Shows a code. With it this pupil comes back on any device."),
        ):
            for_teacher(show_device_code)(person_id)
        st.button(_("Back"), icon=":material/arrow_back:", key="pupil-back", on_click=_leave, args=(session,))
    datasets = {dataset.id: dataset for dataset in datasets_of(server.person(person_id))}
    if not datasets:
        st.info(_("There are no photos yet."), icon=":material/info:")
        return
    ids = list(datasets)
    # A select box shows the label of its first drawing for as long as its key is the same.
    version = sum(dataset.version for dataset in datasets.values())
    session.opened_dataset_id = st.selectbox(
        _("Photo set"),
        ids,
        index=ids.index(session.opened_dataset_id) if session.opened_dataset_id in datasets else 0,
        format_func=dataset_labels(datasets).__getitem__,
        key=f"pupil-photos-{person_id}-{version}",
    )
    dataset = datasets[session.opened_dataset_id]
    _first, shown = page_of(dataset.images, IMAGES_A_PAGE, f"pupil-photos-page-{dataset.id}")
    tiles = [
        {
            "id": image.id,
            "source": photo_address(person_id, dataset.id, image.id, 192),
            "label": image.class_name,
            "note": "",
            "alt": _("{name}, class {class_name}").format(name=image.name, class_name=image.class_name),
        }
        for image in shown
    ]
    action = choose_tiles(
        tiles, [], f"pupil-gallery-{dataset.id}", can_move=False, words={"exclude": _("Delete for good")}
    )
    known = {image.id for image in shown}
    image_ids = [image_id for image_id in (action or {}).get("ids", ()) if image_id in known]
    if image_ids:
        session.to_remove = ("photos", person_id, dataset.id, *image_ids)
        st.rerun()


def _leave(session: Session) -> None:
    session.opened_person_id = ""
