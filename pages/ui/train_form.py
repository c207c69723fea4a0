"""The numbers of a training, and the button that starts it."""

from __future__ import annotations

import streamlit as st

from pages.ui.glossary import explain
from pages.ui.page import guarded
from pages.ui.process import run_queue
from pages.ui.session import Session
from pages.ui.words import depth_words, plain
from transfer_core.config import TrainingConfig
from transfer_core.language import _, plural

_LEARNING_RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]
_FINE_TUNE_LEARNING_RATES = [0.00001, 0.00003, 0.0001, 0.0003, 0.001]
_BATCH_SIZES = [8, 16, 32, 64, 128]


def show_train_form(session: Session) -> None:
    """Draw the choices, each with a default that suits most people."""
    plan, dataset = session.freeze_plan, session.dataset
    assert plan is not None and dataset is not None
    st.markdown(
        _("**{images}** with **{model}**. {depth}.").format(
            images=plain(dataset.name),
            model=plan.backbone.title,
            depth=depth_words(plan.num_unfrozen_blocks, len(plan.backbone.blocks)),
        )
    )
    chosen = _show_main_choices(session.config)
    if plan.num_unfrozen_blocks:
        st.caption(
            plural(
                "{count} epoch of fine-tuning follows; see Expert.",
                "{count} epochs of fine-tuning follow; see Expert.",
                session.config.fine_tune_epochs,
            )
        )
    with st.expander(_("Expert"), icon=":material/tune:"):
        chosen |= _show_expert_choices(session.config, is_fine_tuning=plan.num_unfrozen_blocks > 0)
    session.config = session.config.with_changes(
        backbone=plan.backbone.name, num_unfrozen_blocks=plan.num_unfrozen_blocks, **chosen
    )
    if st.button(_("Start training"), type="primary", icon=":material/play_arrow:"):
        guarded(_start)(session)


def _start(session: Session) -> None:
    assert session.dataset is not None
    session.run_id = run_queue().submit(session.dataset, session.config)
    st.rerun()


def _show_main_choices(config: TrainingConfig) -> dict[str, int | float]:
    left, middle, right = st.columns(3)
    return {
        "epochs": left.number_input(_("Epochs"), 1, 1000, config.epochs, help=explain("epoch"), key="epochs"),
        "learning_rate": middle.select_slider(
            _("Learning rate"),
            _with(_LEARNING_RATES, config.learning_rate),
            config.learning_rate,
            help=explain("learning rate"),
            key="learning-rate",
        ),
        "batch_size": right.select_slider(
            _("Batch size"),
            _with(_BATCH_SIZES, config.batch_size),
            config.batch_size,
            help=explain("batch size"),
            key="batch-size",
        ),
    }


def _show_expert_choices(config: TrainingConfig, *, is_fine_tuning: bool) -> dict[str, int | float]:
    left, right = st.columns(2)
    chosen: dict[str, int | float] = {
        "dropout": left.slider(
            _("Dropout"), 0.0, 0.9, config.dropout, 0.05, help=explain("dropout"), key="dropout"
        ),
        "seed": int(
            right.number_input(_("Seed"), 0, 2**31 - 1, config.seed, help=explain("seed"), key="seed")
        ),
    }
    if is_fine_tuning:
        st.caption(
            _("First the new layer learns alone, then the unfrozen blocks join in with smaller steps.")
        )
        left, right = st.columns(2)
        chosen["fine_tune_epochs"] = int(
            left.number_input(
                _("Fine-tuning epochs"),
                1,
                1000,
                config.fine_tune_epochs,
                help=explain("fine-tuning"),
                key="fine-tune-epochs",
            )
        )
        chosen["fine_tune_learning_rate"] = right.select_slider(
            _("Fine-tuning learning rate"),
            _with(_FINE_TUNE_LEARNING_RATES, config.fine_tune_learning_rate),
            config.fine_tune_learning_rate,
            help=explain("learning rate"),
            key="fine-tune-learning-rate",
        )
    return chosen


def _with(options: list[float] | list[int], value: float) -> list[float]:
    """The options and the present value, which a run from the command line may have chosen freely."""
    return sorted({*options, value})
