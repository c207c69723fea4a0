"""Photos on a plane, of which one is picked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pages.ui.components.component import component


def choose_image(data: Mapping[str, Any], key: str) -> str | None:
    """Draw photos on a plane that can be zoomed, and return the id of the picked one; None if there is none yet.

    Args:
        data: `points`, `class_names` and `words`. Each point has an `id`, places `x` and `y` in -1 to 1, `source`,
            `text`, `class_number` and `is_wrong`; those at the end lie on top.
        key: Of the component.
    """
    chosen = component("image_map")(key=key, data=data, on_photo_change=lambda: None)
    return chosen.photo if isinstance(chosen.photo, str) else None
