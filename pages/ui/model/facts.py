"""Facts about a backbone in words and numbers, the same on cards, in lists and in details."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.words import count_words, plain
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.choice import speed_of
from transfer_core.backbones.registry import DEFAULT_BACKBONE
from transfer_core.language import _


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
    return " ← ".join(map(plain, (backbone.title, *backbone.lineage)))


def show_badges(backbone: Backbone) -> None:
    """Draw badges for speed, offline use and recommendation."""
    with st.container(horizontal=True, gap="small"):
        st.badge(speed_words(backbone), color="blue")
        if backbone.weights.are_available:
            st.badge(_("works offline"), icon=":material/wifi_off:", color="gray")
        else:
            st.badge(
                _("download {size}").format(size=size_words(backbone)),
                icon=":material/download:",
                color="gray",
            )
        if backbone.name == DEFAULT_BACKBONE:
            st.badge(_("recommended"), icon=":material/thumb_up:", color="green")


def show_metrics(backbone: Backbone) -> None:
    """Draw the numbers."""
    with st.container(horizontal=True, key=f"facts-{backbone.name}"):
        st.metric(_("Size"), size_words(backbone))
        st.metric(_("Parameters"), count_words(backbone.num_parameters), help=explain("parameters"))
        st.metric(
            _("Looks at"),
            _("{size} × {size} px").format(size=backbone.image_size),
            help=explain("input size"),
        )
        if backbone.imagenet_accuracy is not None:
            st.metric(
                _("On ImageNet"), f"{backbone.imagenet_accuracy:.1%}", help=explain("imagenet accuracy")
            )


def show_small_print(backbone: Backbone) -> None:
    """Draw computations, licence, sources and blocks."""
    lines = [
        _("**Computations for one photo:** {count:.2f} billion multiplications").format(
            count=backbone.num_multiplications / 1e9
        ),
        _("**Licence of the weights:** {licence}").format(licence=backbone.licence),
        _("**Learned from:** {source}").format(source=plain(backbone.weights_source)),
    ]
    if backbone.accuracy_source:
        lines.append(_("**ImageNet accuracy by:** {source}").format(source=backbone.accuracy_source))
    st.markdown("  \n".join(lines), help=explain("licence"))
    with st.expander(_("Its {count} blocks, from the photo on").format(count=len(backbone.blocks))):
        table = pd.DataFrame(
            {
                _("Block"): [block.name for block in backbone.blocks],
                _("Map"): [
                    _("{size} × {size} × {channels}").format(
                        size=block.output_size, channels=block.num_channels
                    )
                    for block in backbone.blocks
                ],
                _("Parameters"): [f"{block.num_parameters:,}" for block in backbone.blocks],
            }
        )
        st.dataframe(table, hide_index=True, width="stretch")
