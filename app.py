"""The welcome page: an introduction, the ways to start, and earlier runs."""

import streamlit as st

from pages.ui.app.earlier_runs import show_earlier_runs
from pages.ui.app.page import run_page
from pages.ui.app.sample_run import start_sample_run
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from transfer_core.language import _

_STEPS_A_ROW = 4


def show_welcome(session: Session) -> None:
    """Draw the welcome page."""
    st.title(_("Teach a computer to see what you see"), anchor=False)
    st.markdown(
        _(
            "Take a network that has already learned from a million photos and teach it your own classes, with as few "
            "as ten photos of each. You choose what it learns from, what stays as it is, and watch it learn. "
            "Everything runs on this computer: no account, no network, and your photos stay here."
        )
    )
    with st.container(horizontal=True):
        if st.button(_("Start"), type="primary", icon=":material/play_arrow:"):
            st.switch_page(Step.MODEL.page)
        if st.button(
            _("Try it with sample images"),
            icon=":material/auto_awesome:",
            help=_("One click to a trained model: 200 little pictures, about a quarter of a minute."),
        ):
            with st.spinner(_("Getting the images ready …")):
                start_sample_run(session)
            st.switch_page(Step.TRAIN.page)
    st.page_link(
        "pages/10_Projects.py",
        label=_("Open a project that was saved before or on another computer"),
        icon=":material/folder_open:",
        query_params=session.query(),
    )
    st.subheader(_("Step by step"), anchor=False)
    steps = list(enumerate(Step, 1))
    for start in range(0, len(steps), _STEPS_A_ROW):
        for column, (number, step) in zip(st.columns(_STEPS_A_ROW), steps[start:], strict=False):
            with column.container(border=True, height="stretch"):
                label = f"**{number} · {step.title}**"
                st.page_link(step.page, label=label, icon=step.icon, query_params=session.query())
                st.caption(step.purpose)
    show_earlier_runs(session)


run_page(_("Welcome"), show_welcome)
