"""A workspace has one server with a class."""

from __future__ import annotations

import pytest

from pages.ui.server.service import hold_workspace_of_class
from transfer_core.locks import hold
from transfer_core.workspace import Workspace


def test_second_server_of_a_class_says_so_and_ends(page_workspace: Workspace) -> None:
    first = hold(page_workspace.root)
    assert first
    with pytest.raises(SystemExit, match=r"This class is open already\. Close the other window first\."):
        hold_workspace_of_class()
    first.release()
    held = hold_workspace_of_class()
    try:
        assert hold(page_workspace.root) is None
    finally:
        held.release()
        hold_workspace_of_class.cache_clear()
