"""The form that starts a training, with recommended choices and their reasons or the person's own."""

from __future__ import annotations

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import recommendation, trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.words import depth_words, plain
from pages.ui.train.advanced import show_expert_choices
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.variants import recommended_variant


def show_train_form(session: Session) -> None:
    """Draw the summary of the training, its Start button and the advanced settings."""
    plan, dataset = session.freeze_plan, session.dataset
    assert plan is not None and dataset is not None
    if session.has_own_choices:
        _show_summary(plan, dataset)
        st.markdown(_("**Your own choices**, as they stand under *For experts*."))
    else:
        careful, reason = _careful_plan(plan, dataset)
        if reason and not session.looks_once:
            plan = careful
        _show_summary(plan, dataset)
        session.config = _show_recommended(session, plan, dataset, reason)
    start = st.container()
    with st.expander(
        _("For experts: every choice"), icon=":material/tune:", expanded=session.has_own_choices
    ):
        has_own_choices = st.toggle(
            _("Choose for myself"),
            session.has_own_choices,
            key=f"own-choices-{session.num_forms}",
            help=_("Start from the recommended numbers and change any of them."),
        )
        if has_own_choices != session.has_own_choices:
            session.has_own_choices = has_own_choices
            st.rerun()
        if has_own_choices:
            session.config = show_expert_choices(session, with_depth(session.config, plan), dataset, plan)
        else:
            st.caption(_("Everything is chosen for you, as listed above."))
    with start:
        if st.button(_("Start training"), type="primary", icon=":material/play_arrow:"):
            guarded(_start)(session, plan)


def with_depth(config: TrainingConfig, plan: FreezePlan) -> TrainingConfig:
    """Return the config with the backbone and depth that were chosen in earlier steps."""
    return config.with_changes(
        backbone=plan.backbone.name,
        num_unfrozen_blocks=plan.num_unfrozen_blocks,
        weights="random" if plan.is_from_scratch else "imagenet",
    )


def _show_summary(plan: FreezePlan, dataset: ImageDataset) -> None:
    depth = depth_words(plan.num_unfrozen_blocks, len(plan.backbone.blocks))
    if plan.is_from_scratch:
        depth = _("Everything learns, from scratch")
    st.markdown(
        _("**{images}** with **{model}**. {depth}.").format(
            images=plain(dataset.name), model=plan.backbone.title, depth=depth
        )
    )


def _careful_plan(plan: FreezePlan, dataset: ImageDataset) -> tuple[FreezePlan, str]:
    """Return the plan with a careful version of the model that pays, and the reason; else the plan itself and ""."""
    recommended = recommendation(dataset.id, dataset.version, plan.backbone.name)
    if plan.is_from_scratch or plan.num_unfrozen_blocks != recommended.config.num_unfrozen_blocks:
        return plan, ""
    variant, reason = recommended_variant(dataset, plan.backbone, workspace().cache_dir)
    return FreezePlan(variant) if reason else plan, reason


def _show_recommended(
    session: Session, plan: FreezePlan, dataset: ImageDataset, careful_reason: str
) -> TrainingConfig:
    """Draw the recommended choices with their reasons, and return them.

    Args:
        session: Knows whether a careful version is switched off.
        plan: What will be trained.
        dataset: The photos.
        careful_reason: Why a careful version pays; empty if there is none.
    """
    recommended = recommendation(dataset.id, dataset.version, plan.backbone.name)
    with st.container(border=True, key="recommended"):
        st.markdown(_(":material/auto_awesome: **Recommended for your images**"))
        st.markdown("\n".join(f"- {plain(reason)}" for reason in recommended.reasons))
        if careful_reason:
            is_careful = st.toggle(_("Use the more accurate version"), not session.looks_once, key="careful")
            st.caption(careful_reason)
            if is_careful == session.looks_once:
                session.looks_once = not is_careful
                st.rerun()
    if plan.is_from_scratch or plan.num_unfrozen_blocks != recommended.config.num_unfrozen_blocks:
        best = depth_words(recommended.config.num_unfrozen_blocks, len(plan.backbone.blocks))
        st.caption(
            _("You chose another depth on the Layers page, and that counts. Recommended: {depth}.").format(
                depth=best
            )
        )
    return with_depth(recommended.config, plan)


def _start(session: Session, plan: FreezePlan) -> None:
    assert session.dataset is not None
    session.follow(trainings().submit(session.dataset, with_depth(session.config, plan)))
    st.rerun()
