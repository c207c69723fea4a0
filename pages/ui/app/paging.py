"""One page of a long list at a time: what is not shown is not sent to the browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import pandas as pd
import streamlit as st

from transfer_core.language import _

FILES_A_PAGE = 200

Item = TypeVar("Item")


def page_of(items: Sequence[Item], num_on_page: int, key: str) -> tuple[int, Sequence[Item]]:
    """Return one page of a list, and let the person turn the pages if there are several.

    Args:
        items: The whole list.
        num_on_page: Most items on a page.
        key: Of the control.

    Returns:
        The index of the first item on the page, and the items on the page.
    """
    num_pages = max(-(-len(items) // num_on_page), 1)
    page = 1
    if num_pages > 1:
        # Keyed by its length too: a page that no longer exists must not stay chosen.
        page = st.pagination(num_pages, key=f"{key}-{num_pages}-{len(items)}")
    first = (page - 1) * num_on_page
    return first, items[first : first + num_on_page]


def show_left_out_files(files: Sequence[tuple[str, str]], key: str) -> None:
    """Draw a table of files that were left out.

    Args:
        files: The name of each and the reason.
        key: Of the list.
    """
    _first, shown = page_of(files, FILES_A_PAGE, key)
    # Another visitor or a background task may have made the reason.
    rows = [(name, str(reason)) for name, reason in shown]
    table = pd.DataFrame(rows, columns=[_("File"), _("Reason")])
    st.dataframe(table, hide_index=True)
