"""The network, drawn as its blocks from input to output."""

from __future__ import annotations

from html import escape

import streamlit as st

from transfer_core.backbones.backbone import Block
from transfer_core.language import _, plural
from transfer_core.training.freezing import FreezePlan


def show_network(plan: FreezePlan, class_names: tuple[str, ...]) -> None:
    """Draw photo, blocks and the new layer; what is frozen is told by words and an icon too."""
    size = plan.backbone.image_size
    cells = [_cell("input", "🖼️", _("Photo"), f"{size} × {size}", _("goes in"))]
    cells += [_block_cell(block, number, frozen=True) for number, block in enumerate(plan.frozen_blocks, 1)]
    cells += [
        _block_cell(block, number, frozen=False)
        for number, block in enumerate(plan.unfrozen_blocks, len(plan.frozen_blocks) + 1)
    ]
    classes = plural("{count} class", "{count} classes", len(class_names))
    cells.append(_cell("new", "✨", _("New layer"), classes, _("learns")))
    st.html(
        f'<ol class="network" aria-label="{escape(_("The network from input to output"))}">{"".join(cells)}</ol>'
    )


def _block_cell(block: Block, number: int, *, frozen: bool) -> str:
    facts = _("{size} × {size}").format(size=block.output_size)
    title = _("Block {number}").format(number=number)
    if frozen:
        return _cell("frozen", "❄️", title, facts, _("frozen"))
    return _cell("learning", "🔥", title, facts, _("learns"))


def _cell(kind: str, icon: str, title: str, facts: str, state: str) -> str:
    return (
        f'<li class="network-cell network-{kind}"><span class="network-icon" aria-hidden="true">{icon}</span>'
        f"<strong>{escape(title)}</strong><small>{escape(facts)}</small><em>{escape(state)}</em></li>"
    )
