"""A choice of one photo among thumbnails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pages.ui.components.component import component


def pick_photo(
    photos: Sequence[Mapping[str, object]], label: str, key: str, *, is_compact: bool = False
) -> str:
    """Draw thumbnails of which one is picked, by click or arrow keys; the first is picked at first.

    Args:
        photos: Of each `id`, `source` and `label`, and `is_right` if it is marked; at least one.
        label: Of the whole choice.
        key: Unique for each choice of a page.
        is_compact: Whether the thumbnails are small, with their labels in tooltips only.

    Returns:
        The id of the picked photo.
    """
    ids = [str(photo["id"]) for photo in photos]
    chosen = component("photo_picker")(
        key=key,
        data={"photos": photos, "label": label, "is_compact": is_compact},
        on_photo_change=lambda: None,
    )
    # The id comes from the browser, perhaps from an earlier list.
    return str(chosen.photo) if chosen.photo in ids else ids[0]
