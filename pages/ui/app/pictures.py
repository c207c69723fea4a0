"""Pictures as a browser takes them: an address that holds the content itself."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path

import streamlit as st

from transfer_core.data.images.thumbnails import stored_thumbnail
from transfer_core.data.parallel import map_ahead


def data_url(content: bytes, kind: str = "jpeg") -> str:
    """Return an address that holds a picture.

    Args:
        content: The bytes of its file; empty gives an empty address.
        kind: Of its media type: `"jpeg"` or `"png"`.
    """
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}" if content else ""


def thumbnail_urls(paths: Iterable[Path], side: int) -> list[str]:
    """Return an address of a small copy of each image of a dataset; empty where its file is missing or damaged.

    Args:
        paths: Of their files.
        side: Of the square that a copy fits into, in pixels.
    """
    return list(map_ahead(partial(_thumbnail_url, side=side), map(str, paths)))


@st.cache_data(max_entries=100, show_spinner=False)
def thumbnails(paths: tuple[str, ...], side: int = 192) -> list[str]:
    """Return the same as `thumbnail_urls`, made once for each list of files."""
    return thumbnail_urls(map(Path, paths), side)


def forget_pictures() -> None:
    """Drop all small copies and answers from memory, those of deleted photos among them."""
    st.cache_data.clear()
    _thumbnail_url.cache_clear()


# Of each file, so that a gallery with one photo less is not made again. 4,000 copies take about 30 MB.
@lru_cache(maxsize=4_000)
def _thumbnail_url(path: str, side: int) -> str:
    return data_url(stored_thumbnail(Path(path), side))
