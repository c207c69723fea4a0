"""What augmentation makes of the person's own photos."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.words import plain
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.augmentation import Augmentation
from transfer_core.data.pixels import readable_batches
from transfer_core.language import _

_NUM_PHOTOS = 4
_NUM_VIEWS = 3
_SIZE_ON_SCREEN = 88  # pixels


def show_augmentation_preview(dataset: ImageDataset, config: TrainingConfig, image_size: int) -> None:
    """Draw one photo of some classes and beside it some of its views.

    Args:
        dataset: The person's images.
        config: Which changes, and how strong.
        image_size: Side of what the network sees, in pixels.
    """
    if not config.has_augmentation:
        st.caption(_("Off: the network sees every photo as it is."))
        return
    augmentation = Augmentation.of(config)
    first_of_class = {image.class_name: image for image in reversed(dataset.images_in("train"))}
    shown = [first_of_class[name] for name in sorted(first_of_class)[:_NUM_PHOTOS]]
    batches = readable_batches([dataset.image_path(image) for image in shown], image_size)
    positions, photos = next(batches, ([], []))
    for column, position, pixels in zip(st.columns(_NUM_PHOTOS), positions, photos, strict=False):
        image = shown[position]
        views = [augmentation.view(pixels, image.id, number) for number in range(1, _NUM_VIEWS + 1)]
        with column.container(key=f"views-{image.id[:8]}"):
            st.caption(plain(image.class_name))
            st.image([pixels, *views], width=_SIZE_ON_SCREEN)
    st.caption(
        _("The first of each four is your photo, the others are what the network may see in its place.")
    )
