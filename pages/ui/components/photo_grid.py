"""Photos in tiles that turn green or red in place, and a strip of photos that go by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages.ui.app.pictures import data_url, thumbnails
from pages.ui.app.session import component_value
from pages.ui.components.component import component
from transfer_core.data.images.thumbnails import stored_thumbnail
from transfer_core.language import _

# Small enough to send two hundred of them.
_TILE_SIDE = 96  # pixels
# Fewer photos are drawn larger.
_FEW = 40
# A line has as many as fit with this width, then fills its width.
_STRIP_HEIGHT = 62  # pixels

# Path of a photo, and its class.
Photo = tuple[Path, str]
# Epoch, or None for a result, and "1" for each photo that was right and "0" for each that was wrong.
Outcome = tuple[int | None, str]


def show_photo_grid(
    set_id: str,
    photos: Callable[[], Sequence[Photo]],
    outcomes: Sequence[Outcome],
    *,
    title: str,
    key: str,
    height: int = 260,
) -> None:
    """Draw photos that carry a check or a cross. They are sent once; then only outcomes are.

    Args:
        set_id: Identifies the photos: another one replaces them.
        photos: Returns them. Called only until the browser has them.
        outcomes: The latest last; those that are new are shown one after the other. Empty before there are any.
        title: Above the photos.
        key: Of the component.
        height: Of all tiles together, in pixels. Tiles are made as large as fit.
    """
    received = component_value(key, "received")
    tiles = None
    if received != set_id:
        shown = photos()
        side = _TILE_SIDE if len(shown) > _FEW else 2 * _TILE_SIDE
        sources = thumbnails(tuple(str(path) for path, _name in shown), side)
        tiles = [
            {"source": source, "alt": name} for source, (_path, name) in zip(sources, shown, strict=True)
        ]
    words = {
        "title": title,
        "described": title,
        "right": _("correct"),
        "wrong": _("wrong"),
        "count": _("{right} of {count} correct"),
        "count_in_epoch": _("Epoch {epoch}: {right} of {count} correct"),
    }
    _draw(
        key,
        {
            "id": set_id,
            "received": received or "",
            "tiles": tiles,
            "outcomes": [{"epoch": epoch, "digits": digits} for epoch, digits in outcomes],
            "height": height,
            "words": words,
        },
    )


def show_photo_strip(photos: Sequence[Photo], *, key: str, status: str = "") -> None:
    """Draw a line of photos. Drawn again with others, it changes in place.

    Args:
        photos: As many as fit are seen.
        status: Read to people who cannot see, each time it changes.
        key: Of the component.
    """
    tiles = [{"source": _thumbnail(str(path)), "alt": name} for path, name in photos]
    data = {"id": "", "received": "", "tiles": tiles, "outcomes": [], "height": _STRIP_HEIGHT}
    _draw(key, {**data, "is_strip": True, "words": {"described": _("Training photos"), "status": status}})


def _draw(key: str, data: dict[str, Any]) -> None:
    component("photo_grid")(key=key, data=data, on_received_change=lambda: None)


@st.cache_data(max_entries=2000, show_spinner=False)
def _thumbnail(path: str) -> str:
    return data_url(stored_thumbnail(Path(path), _TILE_SIDE))
