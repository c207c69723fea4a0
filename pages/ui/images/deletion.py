"""Deleting photos on the Images page: excluded ones for good, and the whole photo set."""

from __future__ import annotations

from functools import partial

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.data.deleting import show_delete_button
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _, plural
from transfer_core.runs.deletion import delete_dataset, delete_photos_for_good


def show_photo_deletion(session: Session, dataset: ImageDataset) -> None:
    """Draw the buttons that delete excluded photos for good, and the whole photo set.

    Args:
        session: Its dataset is deleted.
        dataset: The photos.
    """
    with st.expander(_("Delete photos"), icon=":material/delete:"):
        if dataset.excluded:
            count = plural(
                "{count} photo is excluded, but still stored.",
                "{count} photos are excluded, but still stored.",
                len(dataset.excluded),
            )
            st.markdown(count)
            show_delete_button(
                session,
                "delete-excluded",
                _("Delete excluded photos for good"),
                [count, _("Models that learned from them are kept.")],
                partial(
                    delete_photos_for_good,
                    workspace(),
                    dataset.id,
                    [image.id for image in dataset.excluded],
                ),
                is_quiet=False,
            )
        st.markdown(_("You can undo this for seven days. Models of these photos are kept."))
        if st.button(_("Delete this photo set"), icon=":material/delete:", key="delete-photo-set"):
            guarded(_delete)(session, dataset)


def _delete(session: Session, dataset: ImageDataset) -> None:
    delete_dataset(workspace(), dataset.id)
    session.choose_dataset(None)
    session.deleted_dataset_id = dataset.id
    st.rerun()
