"""The component with thumbnails of which one is picked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pages.ui.components.component import component


def pick_photo(photos: Sequence[Mapping[str, str]], label: str, key: str) -> str:
    """Draw thumbnails, and return the id of the picked photo; the first is picked at the start.

    Args:
        photos: Of each `id`, `source` and `label`; at least one.
        label: Says what the photos are.
        key: Unique for these photos.
    """
    ids = [photo["id"] for photo in photos]
    chosen = component("photo_strip")(
        key=key, data={"photos": photos, "label": label}, on_photo_change=lambda: None
    )
    # The id comes from the browser, perhaps from an earlier list.
    return str(chosen.photo) if chosen.photo in ids else ids[0]
