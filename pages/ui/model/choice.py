"""The choice of a backbone: one card, well-known others, the list of all, and downloads."""

from __future__ import annotations

from itertools import groupby
from typing import get_args

import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.process import work_queue, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import show_task
from pages.ui.app.tasks import start_download
from pages.ui.app.words import plain
from pages.ui.model.facts import (
    OFFLINE_ICON,
    facts_line,
    lineage_words,
    show_facts,
    show_metrics,
    show_small_print,
    size_words,
)
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.choice import ACCURATE_SHARE, SMALL_MEGABYTES, Wish, find_backbones
from transfer_core.backbones.families import family_words
from transfer_core.backbones.published.zoo_weights import ZooWeights, weights_folder
from transfer_core.backbones.registry import (
    DEFAULT_BACKBONE,
    bundled_backbones,
    get_backbone,
    list_backbones,
)
from transfer_core.language import _, percent, plural
from transfer_core.work.task import Task, TaskProgress

ALL_MODELS_KEY = "all-models"
# Most courses and papers name these.
_WELL_KNOWN = ("vgg16", "resnet50", "inception_v3", "mobilenet_v2")
_BUTTON_WIDTH = 190


def show_card(session: Session) -> None:
    """Draw the chosen backbone as a large card; the recommended one before any is chosen."""
    backbone = get_backbone(session.backbone_name or DEFAULT_BACKBONE, workspace())
    with st.container(border=True, key="model-card"):
        text, facts = st.columns([3, 2], gap="medium", vertical_alignment="center")
        with text:
            if backbone.name == DEFAULT_BACKBONE:
                st.badge(_("Recommended"), icon=":material/thumb_up:", color="green")
            st.header(plain(backbone.title), anchor=False)
            st.markdown(str(backbone.when_to_pick))
            if backbone.is_own:
                st.caption(lineage_words(backbone), help=explain("lineage"))
            with st.container(horizontal=True):
                show_use_button(session, backbone, "use-card", is_primary=True)
                _show_details_button(session, backbone, "details-card", _("Details"))
        with facts:
            show_facts(backbone, "card")


def show_use_button(session: Session, backbone: Backbone, key: str, *, is_primary: bool = False) -> None:
    """Draw the button that chooses a backbone whose weights are available."""
    is_chosen = session.backbone_name == backbone.name
    if st.button(
        _("Chosen") if is_chosen else _("Use this model"),
        icon=":material/check:" if is_chosen else None,
        type="primary" if is_primary and not is_chosen else "secondary",
        key=key,
        width=_BUTTON_WIDTH,
    ):
        session.choose_backbone(backbone.name)
        st.rerun()


def show_others(session: Session) -> None:
    """Draw well-known backbones and the bundled ones that have no card, folded."""
    shown = session.backbone_name or DEFAULT_BACKBONE
    bundled = [backbone.name for backbone in bundled_backbones()]
    with st.expander(_("Other models"), icon=":material/apps:", key="other-models"):
        for name in (*_WELL_KNOWN, *bundled):
            if name != shown:
                _show_row(session, get_backbone(name))


def _show_row(session: Session, backbone: Backbone) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"model-row-{backbone.name}"):
        with st.container(gap=None, width="stretch"):
            facts = f":small[{facts_line(backbone)}]"
            st.markdown(f"**{plain(backbone.title)}** · {facts}")
            st.markdown(str(backbone.when_to_pick))
        _show_details_button(session, backbone, f"details-{backbone.name}", "")
        if backbone.weights.are_available:
            show_use_button(session, backbone, f"use-{backbone.name}")
        else:
            _show_download_button(backbone, f"get-{backbone.name}")


def _show_details_button(session: Session, backbone: Backbone, key: str, label: str) -> None:
    if st.button(
        label or _("Details"),
        icon=":material/info:",
        type="tertiary",
        key=key,
        help=None if label else plain(backbone.title),
    ):
        st.dialog(plain(backbone.title), width="medium")(show_details)(session, backbone)


def show_all(session: Session) -> None:
    """Draw all published backbones by family with search and filters; folded, and only drawn when open."""
    backbones = list_backbones()
    title = _("All {count} models").format(count=len(backbones))
    folded = st.expander(title, icon=":material/list:", key=ALL_MODELS_KEY, on_change="rerun")
    if folded.open:
        with folded:
            _show_list(session, backbones)


def _show_list(session: Session, backbones: list[Backbone]) -> None:
    st.caption(_("You don't need these to start. Each shows its size and its accuracy on ImageNet."))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(_("Search"), placeholder=_("ResNet, mobile …"), key="model-search", width=260)
        wishes = st.pills(
            _("Filter"),
            get_args(Wish),
            selection_mode="multi",
            format_func=wish_words,
            key="model-wishes",
        )
    found = find_backbones(backbones, text, wishes)
    count = plural("{count} model", "{count} models", len(found))
    st.caption(count if found else _("No model fits. Remove a filter or search for less."))
    for family, members in groupby(found, key=lambda backbone: backbone.family):
        _show_family(session, family, list(members))


def wish_words(wish: Wish) -> str:
    """Return the label of a filter."""
    return {
        "offline": _("Available offline"),
        "small": _("Small (up to {count} MB)").format(count=SMALL_MEGABYTES),
        "fast": _("Fast"),
        "accurate": _("Accurate ({share} or more on ImageNet)").format(share=percent(ACCURATE_SHARE)),
    }[wish]


def _show_family(session: Session, family: str, members: list[Backbone]) -> None:
    with st.container(border=True, gap="small"):
        words = family_words(family)
        st.markdown(f"**{words.title}** · {words.when_to_pick}")
        with st.container(horizontal=True, gap="small"):
            for backbone in members:
                _show_entry(session, backbone)


def _show_entry(session: Session, backbone: Backbone) -> None:
    icon = OFFLINE_ICON if backbone.weights.are_available else None
    if session.backbone_name == backbone.name:
        icon = ":material/check:"
    facts = size_words(backbone)
    if backbone.imagenet_accuracy is not None:
        facts = f"{facts} · {percent(backbone.imagenet_accuracy)}"
    small = f":small[{facts}]"
    if st.button(f"{backbone.title} · {small}", icon=icon, key=f"look-at-{backbone.name}"):
        st.dialog(str(backbone.title), width="medium")(show_details)(session, backbone)


def show_details(session: Session, backbone: Backbone) -> None:
    """Draw all facts about a backbone, and the button to choose or download it."""
    st.markdown(str(backbone.when_to_pick))
    show_facts(backbone, "details")
    show_metrics(backbone)
    show_small_print(backbone)
    if backbone.weights.are_available:
        show_use_button(session, backbone, f"dialog-use-{backbone.name}", is_primary=True)
    elif isinstance(backbone.weights, ZooWeights):
        _show_ways_to_get(session, backbone, backbone.weights)


def _show_ways_to_get(session: Session, backbone: Backbone, weights: ZooWeights) -> None:
    _show_download_button(backbone, f"download-{backbone.name}", is_primary=True)
    st.caption(
        _("Without internet: put the file `{file}` into the folder `{folder}`.").format(
            file=weights.download.name, folder=weights_folder()
        )
    )
    if st.button(
        _("Train it from scratch instead, as a lesson"),
        type="tertiary",
        icon=":material/school:",
        help=explain("from scratch"),
        key=f"scratch-{backbone.name}",
    ):
        session.choose_backbone(backbone.name)
        session.choose_depth(len(backbone.blocks), is_from_scratch=True)
        st.rerun()


def _show_download_button(backbone: Backbone, key: str, *, is_primary: bool = False) -> None:
    task = work_queue().find("download", backbone.name)
    is_under_way = task is not None and not task.is_over
    label = _("Downloading") if is_under_way else _("Download, {size}").format(size=size_words(backbone))
    if st.button(
        label,
        type="primary" if is_primary else "secondary",
        icon=":material/download:",
        key=key,
        disabled=is_under_way,
        width=_BUTTON_WIDTH,
    ):
        start_download(backbone)
        st.rerun()


def show_downloads() -> None:
    """Draw the downloads under way, each with its bar, and what became of those that are over."""
    for task in work_queue().tasks("download"):
        if not task.is_over:
            _show_download(task)
        elif task.problem:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.error(plain(task.problem), icon=":material/cloud_off:")
                if st.button(_("Dismiss"), key=f"dismiss-{task.key}"):
                    work_queue().forget(task)
                    st.rerun()
        else:
            work_queue().forget(task)


def _show_download(task: Task[None]) -> None:
    def words(progress: TaskProgress) -> str:
        return _("Downloading {title}: {done:.0f} of {total:.0f} MB").format(
            title=progress.part or task.key, done=progress.num_done / 1e6, total=progress.num_all / 1e6
        )

    show_task(task, words, name=f"download-{task.key}", stop=_("Cancel"), stop_icon=":material/close:")
