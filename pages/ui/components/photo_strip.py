"""The component with thumbnails of which one is picked."""

from __future__ import annotations

from collections.abc import Sequence

from pages.ui.app.session import component_value
from pages.ui.components.component import component


def pick_photo(photos: Sequence[tuple[str, str]], label: str, key: str) -> int:
    """Draw thumbnails, and return the index of the one that is picked; the first at the start.

    Args:
        photos: Address and name of each thumbnail; at least one.
        label: Says what the photos are.
        key: Unique for these photos, so that others begin with their first.
    """
    picked = min(int(component_value(key, "picked") or 0), len(photos) - 1)
    chosen = component("photo_strip")(
        key=key,
        data={
            "label": label,
            "picked": picked,
            "photos": [{"source": source, "alt": name} for source, name in photos],
        },
        default={"picked": 0},
        on_picked_change=lambda: None,
    )
    return min(int(chosen.picked), len(photos) - 1)
