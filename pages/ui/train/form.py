"""The form that starts a training, with recommended choices and their reasons or the person's own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import streamlit as st

from pages.ui.app.look_ahead import num_photos_read
from pages.ui.app.page import guarded
from pages.ui.app.process import recommendation, trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.words import depth_words, labelled, plain, training_time_words
from pages.ui.components.photo_grid import show_photo_strip
from pages.ui.train.advanced import show_advanced_settings
from pages.ui.train.live import NUM_PHOTOS_READ
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import InvalidConfigError
from transfer_core.events import RunSnapshot
from transfer_core.language import _
from transfer_core.training.batches import photos_at
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.stages import estimated_seconds
from transfer_core.training.variants import recommended_variant


def show_train_form(session: Session) -> None:
    """Draw what will be trained in one line, the Start button and the advanced settings."""
    plan, dataset = session.freeze_plan, session.dataset
    assert plan is not None and dataset is not None
    careful_reason = ""
    if session.has_own_choices:
        _show_summary(_("Your own settings"), plan, dataset)
    else:
        careful, careful_reason = _careful_plan(plan, dataset)
        if careful_reason and not session.looks_once:
            plan = careful
        recommended = recommendation(dataset.id, dataset.version, plan.backbone.name)
        session.config = with_depth(recommended.config, plan)
        title, reasons = _("Recommended"), recommended.reasons
        if plan.is_from_scratch or plan.num_unfrozen_blocks != recommended.config.num_unfrozen_blocks:
            # The first of them is about the depth.
            title, reasons = _("Your choice"), [_("Using your choice from Layers."), *reasons[1:]]
        _show_summary(title, plan, dataset, reasons)
    start = st.container()
    photos = photos_at(dataset, session.config, RunSnapshot(), NUM_PHOTOS_READ)
    show_photo_strip(
        [(dataset.image_path(image), image.class_name) for image in photos], key="photos-to-read"
    )
    if careful_reason:
        _show_careful_toggle(session, careful_reason)
    with st.expander(_("Advanced settings"), icon=":material/tune:", expanded=session.has_own_choices):
        _show_advanced(session, plan, dataset)
    with start, st.container(horizontal=True, vertical_alignment="center"):
        _show_start(session, plan, dataset)


def with_depth(config: TrainingConfig, plan: FreezePlan) -> TrainingConfig:
    """Return the config with the backbone and depth that were chosen in earlier steps."""
    return config.with_changes(
        backbone=plan.backbone.name,
        num_unfrozen_blocks=plan.num_unfrozen_blocks,
        weights="random" if plan.is_from_scratch else "imagenet",
    )


def _show_summary(title: str, plan: FreezePlan, dataset: ImageDataset, reasons: Sequence[str] = ()) -> None:
    """Draw what will be trained in one line, and the reasons on request."""
    depth = depth_words(plan.num_unfrozen_blocks, len(plan.backbone.blocks))
    if plan.is_from_scratch:
        depth = _("Everything learns, from scratch")
    with st.container(horizontal=True, vertical_alignment="center", key="summary"):
        st.markdown(
            labelled(title, f"**{plain(dataset.name)}** · **{plan.backbone.title}** · {depth}"),
            width="content",
        )
        if reasons:
            with st.popover(_("Why?"), icon=":material/help:", type="tertiary"):
                st.markdown("\n".join(f"- {plain(reason)}" for reason in reasons))


def _careful_plan(plan: FreezePlan, dataset: ImageDataset) -> tuple[FreezePlan, str]:
    """Return the plan with a careful version of the model that pays, and the reason; else the plan itself and ""."""
    recommended = recommendation(dataset.id, dataset.version, plan.backbone.name)
    if plan.is_from_scratch or plan.num_unfrozen_blocks != recommended.config.num_unfrozen_blocks:
        return plan, ""
    variant, reason = recommended_variant(dataset, plan.backbone, workspace().cache_dir)
    return FreezePlan(variant) if reason else plan, reason


def _show_careful_toggle(session: Session, reason: str) -> None:
    is_careful = st.toggle(_("Use the more accurate version"), not session.looks_once, key="careful")
    st.caption(reason)
    if is_careful == session.looks_once:
        session.looks_once = not is_careful
        st.rerun()


def _show_advanced(session: Session, plan: FreezePlan, dataset: ImageDataset) -> None:
    """Draw the switch to own settings, and the settings."""
    has_own_choices = st.toggle(
        _("Choose for myself"),
        session.has_own_choices,
        key=f"own-choices-{session.num_forms}",
        help=_("Start from the recommended settings and change any of them."),
    )
    if has_own_choices != session.has_own_choices:
        session.has_own_choices = has_own_choices
        st.rerun()
    if has_own_choices:
        session.config = show_advanced_settings(session, with_depth(session.config, plan), dataset, plan)
    else:
        st.caption(_("Everything is chosen for you."))


def _show_start(session: Session, plan: FreezePlan, dataset: ImageDataset) -> None:
    """Draw the Start button, with the time that the training will take."""
    if st.button(_("Start training"), type="primary", icon=":material/play_arrow:"):
        guarded(_start)(session, plan)
    # Layers that do not exist are reported when the training is started.
    with suppress(InvalidConfigError):
        config, num_read = with_depth(session.config, plan), num_photos_read(session)
        seconds = estimated_seconds(config, dataset, plan.backbone, workspace().cache_dir, num_read)
        st.caption(training_time_words(seconds))


def _start(session: Session, plan: FreezePlan) -> None:
    assert session.dataset is not None
    session.follow(trainings().submit(session.dataset, with_depth(session.config, plan)))
    st.rerun()
