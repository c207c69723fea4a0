"""Step 2: add images, sorted into classes."""

import streamlit as st

from pages.ui.app.computers import where_photos_go
from pages.ui.app.page import run_page
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.components.folder_upload import show_folder_upload
from pages.ui.components.gallery import show_gallery
from pages.ui.data.deleting import show_deleted_photo_set, show_deletion
from pages.ui.images.add_photos import is_adding, show_image_sources
from pages.ui.images.dataset_overview import show_class_strips, show_heading
from pages.ui.images.deletion import show_photo_deletion
from pages.ui.images.edits import show_class_editor, show_last_edit
from pages.ui.images.problems import find_problems, show_photo_check, show_to_dos
from pages.ui.images.split import show_split
from transfer_core.language import _, sentences


def show_images(session: Session) -> None:
    """Draw the page: the photos first, once there are some."""
    if show_deletion(session):
        return
    show_deleted_photo_set(session)
    dataset = session.dataset
    problems = find_problems(session, dataset) if dataset and dataset.images else []
    # The ways in keep their place on the page when the first photos arrive, or the camera would go off.
    top, ways = st.container(), st.container()
    if dataset is None or not dataset.images:
        with top:
            first = _("Add photos of at least two classes, ten or more of each.")
            removed = _("Location, date and camera details are removed.")
            st.markdown(sentences(first, where_photos_go(), removed))
        with ways:
            show_image_sources(session)
        return
    with top:
        show_heading(session, dataset, problems)
    with ways:
        if is_adding(session):
            show_image_sources(session)
        else:
            # An upload goes on here after a restart of the server, which knows nothing of it.
            show_folder_upload(session, None, is_folded=True)
    if session.is_bringing_photos:
        return
    show_to_dos(dataset, problems)
    show_photo_check(session, dataset, problems)
    show_class_strips(dataset)
    show_split(dataset)
    st.header(_("All photos"), anchor=False)
    show_last_edit(dataset)
    show_gallery(session, dataset, problems)
    show_class_editor(dataset)
    show_photo_deletion(session, dataset)


run_page(_("Images"), show_images, step=Step.IMAGES)
