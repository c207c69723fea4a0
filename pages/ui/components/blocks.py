"""The blocks of a network as one control: click them or press arrow keys to freeze and melt them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pages.ui.app.session import component_value
from pages.ui.components.component import component


def show_blocks(data: dict[str, Any], key: str, choose: Callable[[str, int], None] | None = None) -> None:
    """Draw the blocks.

    Args:
        data: As `block_data` of the Layers page makes it.
        key: Of the component. Another key begins with the choice in `data`.
        choose: Called with the way to train and the number of trainable blocks when the person changes them. Without it
            the blocks are a drawing.
    """

    def take() -> None:
        choice = component_value(key, "choice")
        if choose and choice:
            choose(str(choice["mode"]), int(choice["depth"]))

    is_locked = choose is None or data["is_locked"]
    component("blocks")(key=key, data={**data, "is_locked": is_locked}, on_choice_change=take)
