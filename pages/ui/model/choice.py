"""The choice of a backbone: cards of the bundled ones, the list of all others, and downloads."""

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
    lineage_words,
    show_badges,
    show_metrics,
    show_small_print,
    size_words,
)
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.choice import ACCURATE_SHARE, SMALL_MEGABYTES, Wish, find_backbones
from transfer_core.backbones.families import family_words
from transfer_core.backbones.published.zoo_weights import ZooWeights, weights_folder
from transfer_core.backbones.registry import bundled_backbones, get_backbone, list_backbones
from transfer_core.language import _, plural
from transfer_core.work.task import Task, TaskProgress


def show_bundled(session: Session) -> None:
    """Draw the bundled backbones as cards beside each other."""
    backbones = bundled_backbones()
    for column, backbone in zip(st.columns(len(backbones)), backbones, strict=True):
        with column.container(border=True, height="stretch", key=f"card-{backbone.name}"):
            with st.container(height="stretch"):
                st.subheader(backbone.title, anchor=False)
                show_badges(backbone)
                st.markdown(backbone.when_to_pick)
                show_metrics(backbone)
            show_use_button(session, backbone, f"use-{backbone.name}")


def show_chosen(session: Session) -> None:
    """Draw the name of the chosen network if it has no card."""
    name = session.backbone_name
    if name and name not in [backbone.name for backbone in bundled_backbones()]:
        lineage = lineage_words(get_backbone(name, workspace()))
        st.success(_("Chosen: {lineage}").format(lineage=lineage), icon=":material/check_circle:")


def show_use_button(session: Session, backbone: Backbone, key: str) -> None:
    """Draw the button that chooses a backbone whose weights are available."""
    is_chosen = session.backbone_name == backbone.name
    if st.button(
        _("Chosen") if is_chosen else _("Use this one"),
        icon=":material/check:" if is_chosen else None,
        type="secondary" if is_chosen else "primary",
        key=key,
        width="stretch",
    ):
        session.choose_backbone(backbone.name)
        st.rerun()


def show_all(session: Session) -> None:
    """Draw all other published networks by family, with search and filters."""
    st.subheader(_("All models"), anchor=False)
    others = list_backbones()
    st.caption(
        _(
            "{count} networks that have learned from ImageNet, with their size and how often they are right there. "
            "You need none of them to begin: the three above do well on most photos."
        ).format(count=len(others))
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(_("Search"), placeholder=_("ResNet, mobile …"), key="model-search", width=260)
        wishes = st.pills(
            _("Show only those that"),
            get_args(Wish),
            selection_mode="multi",
            format_func=wish_words,
            key="model-wishes",
        )
    found = find_backbones(others, text, wishes)
    count = plural("{count} model", "{count} models", len(found))
    st.caption(count if found else _("No model has all of this. Take a filter back or search for less."))
    for family, members in groupby(found, key=lambda backbone: backbone.family):
        _show_family(session, family, list(members))


def wish_words(wish: Wish) -> str:
    """Return the label of a filter."""
    return {
        "offline": _("work offline now"),
        "small": _("are small (up to {count} MB)").format(count=SMALL_MEGABYTES),
        "fast": _("are fast"),
        "accurate": _("are accurate ({share:.0%} on ImageNet)").format(share=ACCURATE_SHARE),
    }[wish]


def _show_family(session: Session, family: str, members: list[Backbone]) -> None:
    with st.container(border=True, gap="small"):
        words = family_words(family)
        st.markdown(f"**{words.title}** · {words.when_to_pick}")
        with st.container(horizontal=True, gap="small"):
            for backbone in members:
                _show_entry(session, backbone)


def _show_entry(session: Session, backbone: Backbone) -> None:
    is_chosen = session.backbone_name == backbone.name
    icon = ":material/check:" if is_chosen else None
    if not is_chosen and backbone.weights.are_available:
        icon = ":material/wifi_off:"
    facts = size_words(backbone)
    if backbone.imagenet_accuracy is not None:
        facts = f"{facts} · {backbone.imagenet_accuracy:.0%}"
    small = f":small[{facts}]"
    if st.button(f"{backbone.title} · {small}", icon=icon, key=f"look-at-{backbone.name}"):
        st.dialog(backbone.title, width="medium")(show_details)(session, backbone)


def show_details(session: Session, backbone: Backbone) -> None:
    """Draw all facts about a backbone, and the button to choose or download it."""
    show_badges(backbone)
    st.markdown(backbone.when_to_pick)
    show_metrics(backbone)
    show_small_print(backbone)
    if backbone.weights.are_available:
        show_use_button(session, backbone, f"details-use-{backbone.name}")
    elif isinstance(backbone.weights, ZooWeights):
        _show_ways_to_get(session, backbone, backbone.weights)


def _show_ways_to_get(session: Session, backbone: Backbone, weights: ZooWeights) -> None:
    task = work_queue().find("download", backbone.name)
    if task and not task.is_over:
        st.info(_("Its weights are being downloaded: see the top of the page."), icon=":material/download:")
    elif st.button(
        _("Download its weights (about {size})").format(size=size_words(backbone)),
        type="primary",
        icon=":material/download:",
        key=f"download-{backbone.name}",
        width="stretch",
    ):
        start_download(backbone)
        st.rerun()
    st.caption(
        _("Without a network: put the file `{file}` into the folder `{folder}`.").format(
            file=weights.download.name, folder=weights_folder()
        )
    )
    if st.button(
        _("Learn from scratch instead, as a lesson"),
        type="tertiary",
        icon=":material/school:",
        help=explain("from scratch"),
        key=f"scratch-{backbone.name}",
    ):
        session.choose_backbone(backbone.name)
        session.choose_depth(len(backbone.blocks), is_from_scratch=True)
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
