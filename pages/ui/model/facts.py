"""Facts about a backbone in words and numbers, the same on cards, in lists and in details."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.words import count_words, plain
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.choice import speed_of
from transfer_core.backbones.families import origin_words
from transfer_core.language import _, compact_number, number, percent, plural

OFFLINE_ICON = ":material/offline_pin:"


def speed_words(backbone: Backbone) -> str:
    """Return the speed of a backbone in one or two words."""
    return {
        "fast": _("Fast"),
        "medium": _("Medium speed"),
        "slow": _("Slow"),
        "very_slow": _("Very slow"),
    }[speed_of(backbone)]


def size_words(backbone: Backbone) -> str:
    """Return the size of the weights."""
    return _("{count:,.0f} MB").format(count=backbone.megabytes)


def lineage_words(backbone: Backbone) -> str:
    """Return what a backbone was trained on, latest first."""
    return " ← ".join(plain(origin_words(name)) for name in (backbone.title, *backbone.lineage))


def facts_line(backbone: Backbone) -> str:
    """Return speed, size and accuracy in one line."""
    facts = [speed_words(backbone), size_words(backbone)]
    if backbone.imagenet_accuracy is not None:
        facts.append(_("{share} on ImageNet").format(share=percent(backbone.imagenet_accuracy)))
    return " · ".join(facts)


def show_facts(backbone: Backbone, place: str) -> None:
    """Draw speed, where the weights are, and accuracy, one line each.

    Args:
        backbone: The backbone.
        place: On the page; the details of the backbone on the card are drawn beside it.
    """
    with st.container(gap="small", key=f"facts-{place}"):
        st.markdown(f":material/speed: {speed_words(backbone)}")
        if backbone.weights.are_available:
            weights = _("Works offline: its {size} are on this computer.").format(size=size_words(backbone))
            st.markdown(f"{OFFLINE_ICON} {weights}")
        else:
            weights = _("Needs a download of {size}, once.").format(size=size_words(backbone))
            st.markdown(f":material/download: {weights}")
        if backbone.imagenet_accuracy is not None:
            accuracy = _("Names {share} of photos correctly, out of 1,000 kinds of things.").format(
                share=percent(backbone.imagenet_accuracy)
            )
            st.markdown(f":material/target: {accuracy}", help=explain("imagenet accuracy"))


def show_metrics(backbone: Backbone) -> None:
    """Draw input size and number of values."""
    with st.container(horizontal=True, key=f"numbers-{backbone.name}"):
        st.metric(
            _("Input size"),
            _("{size} × {size}").format(size=backbone.image_size),
            help=explain("input size"),
        )
        st.metric(_("Values"), count_words(backbone.num_parameters), help=explain("parameters"))


def show_small_print(backbone: Backbone) -> None:
    """Draw computations, licence, sources and blocks."""
    lines = [
        _("**Work for one photo:** {count} multiplications").format(
            count=compact_number(backbone.num_multiplications)
        ),
        _("**Licence of the weights:** {licence}").format(licence=backbone.licence),
        _("**Trained on:** {source}").format(source=plain(backbone.weights_source)),
    ]
    if backbone.accuracy_source:
        lines.append(_("**Accuracy measured by:** {source}").format(source=backbone.accuracy_source))
    st.markdown("  \n".join(lines), help=explain("licence"))
    with st.expander(plural("{count} block", "{count} blocks", len(backbone.blocks))):
        table = pd.DataFrame(
            {
                _("Block"): [block.name for block in backbone.blocks],
                _("Map"): [
                    _("{size} × {size} × {channels}").format(
                        size=block.output_size, channels=block.num_channels
                    )
                    for block in backbone.blocks
                ],
                _("Values"): [number(block.num_parameters) for block in backbone.blocks],
            }
        )
        st.dataframe(table, hide_index=True, width="stretch")
