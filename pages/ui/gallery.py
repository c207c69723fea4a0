"""The images of a dataset, 48 to a page."""

from __future__ import annotations

import streamlit as st

from pages.ui.words import plain
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.language import _, plural

IMAGES_A_PAGE = 48


def show_gallery(dataset: ImageDataset) -> None:
    """Draw the images with their labels, with a filter by class and pages."""
    everything = _("All classes")
    chosen = st.selectbox(
        _("Show"), [everything, *dataset.class_names], key=f"gallery-class-{dataset.id}", width=280
    )
    images = [image for image in dataset.images if chosen in (everything, image.class_name)]
    num_pages = max(-(-len(images) // IMAGES_A_PAGE), 1)
    first = 0
    if num_pages > 1:
        # Keyed by its length too: a page that no longer exists must not stay chosen.
        page = st.pagination(num_pages, key=f"gallery-{dataset.id}-{chosen}-{num_pages}")
        first = (page - 1) * IMAGES_A_PAGE
    shown = images[first : first + IMAGES_A_PAGE]
    st.caption(_counted(first, len(shown), len(images)))
    with st.container(key="gallery"):
        st.image(
            [str(dataset.image_path(image)) for image in shown],
            caption=[_caption(image) for image in shown],
            width=160,
            alt=[
                _("{name}, class {class_name}").format(name=image.name, class_name=image.class_name)
                for image in shown
            ],
        )


def _counted(first: int, num_shown: int, num_images: int) -> str:
    if num_shown < num_images:
        counted = _("Images {first} to {last} of {count:,}.").format(
            first=first + 1, last=first + num_shown, count=num_images
        )
    else:
        counted = plural("{count} image.", "{count} images.", num_images)
    return f"{counted} {_('✓ marks those that are kept to check with.')}"


def _caption(image: ImageRecord) -> str:
    name = plain(image.class_name)
    return f"{name} ✓" if image.split == "validation" else name
