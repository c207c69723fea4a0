"""The choice of trainable blocks, with the parameter counts and a drawing of the network."""

from __future__ import annotations

from html import escape

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.session import Session
from pages.ui.app.words import count_words, depth_words
from transfer_core.backbones.backbone import Block
from transfer_core.language import _, plural
from transfer_core.training.freezing import FreezePlan


def show_source(session: Session, plan: FreezePlan) -> None:
    """Let the person choose feature extraction, fine-tuning or training from scratch, and explain the choice."""
    words = {
        "feature extraction": _("Feature extraction"),
        "fine-tuned": _("Fine-tuning"),
        "from scratch": _("From scratch"),
    }
    present = "from scratch" if plan.is_from_scratch else "fine-tuned" if plan.num_unfrozen_blocks else ""
    present = present or "feature extraction"
    chosen = st.segmented_control(
        _("What learns"), list(words), default=present, format_func=words.__getitem__, key=f"source-{present}"
    )
    if chosen not in (None, present):
        num_blocks = {"feature extraction": 0, "fine-tuned": 1}.get(chosen, len(plan.backbone.blocks))
        session.choose_depth(num_blocks, is_from_scratch=chosen == "from scratch")
        st.rerun()
    st.markdown(explain(present))


def show_depth(session: Session, plan: FreezePlan) -> None:
    """Let the person choose the number of trainable blocks."""
    num_blocks = len(plan.backbone.blocks)
    num_unfrozen_blocks = st.slider(
        _("How many blocks learn along, counted from the end"),
        0,
        num_blocks,
        plan.num_unfrozen_blocks,
        help=explain("fine-tuning"),
        key=f"depth-{plan.backbone.name}-{session.num_forms}",
    )
    if num_unfrozen_blocks != session.num_unfrozen_blocks:
        session.num_unfrozen_blocks = num_unfrozen_blocks
        st.rerun()
    st.subheader(depth_words(num_unfrozen_blocks, num_blocks), anchor=False)


def show_numbers(plan: FreezePlan, num_classes: int) -> None:
    """Draw the numbers of trainable and frozen parameters."""
    trainable = plan.num_trainable_parameters(num_classes)
    frozen = plan.num_frozen_parameters(num_classes)
    with st.container(horizontal=True):
        st.metric(_("Numbers that learn"), count_words(trainable), help=explain("trainable"), border=True)
        st.metric(_("Numbers that stay (frozen)"), count_words(frozen), help=explain("frozen"), border=True)
        st.metric(
            _("Share that learns"),
            f"{trainable / (trainable + frozen):.1%}",
            help=explain("parameters"),
            border=True,
        )


def show_network(plan: FreezePlan, class_names: tuple[str, ...]) -> None:
    """Draw photo, blocks and new layer. Words and icons say what is frozen, besides the colours."""
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
