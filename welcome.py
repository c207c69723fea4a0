"""The welcome page: the one-screen quick start, the seven steps, and a person's models."""

import streamlit as st

from pages.ui.app.earlier_runs import show_your_models
from pages.ui.app.page import guarded, run_page
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.welcome.examples import show_examples
from pages.ui.welcome.for_a_class import promise, show_for_a_class, show_to_the_class
from pages.ui.welcome.ready_made import show_ready_made
from pages.ui.welcome.training import show_training
from pages.ui.welcome.trying import show_trying
from transfer_core.language import _


def show_welcome(session: Session) -> None:
    """Draw the welcome page."""
    st.markdown(_("Show it photos, train it in seconds, and try it. {promise}").format(promise=promise()))
    guarded(show_to_the_class)(session)
    guarded(show_ready_made)(session)
    with st.container(key="quick-start"):
        examples, training, trying = st.columns(3, border=True)
    with examples:
        guarded(show_examples)(session)
    with training:
        guarded(show_training)(session)
    with trying:
        guarded(show_trying)(session)
    st.header(_("Look deeper"), anchor=False)
    with st.container(key="look-deeper"):
        for number, step in enumerate(Step, 1):
            st.page_link(
                step.page,
                label=f"{number} · {step.title}",
                icon=step.icon,
                help=step.purpose,
                query_params=session.query(),
            )
    guarded(show_for_a_class)(session)
    show_your_models(session)


run_page(_("Welcome"), show_welcome, heading=_("Teach a computer to see what you see"))
