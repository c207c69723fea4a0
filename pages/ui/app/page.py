"""The frame of every page: setup, error messages, links between the steps, parts, and undoing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial, wraps
from html import escape
from pathlib import Path
from typing import ParamSpec, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.ui.app.language_choice import language_script
from pages.ui.app.look_ahead import look_ahead
from pages.ui.app.person import show_received
from pages.ui.app.process import prepare_process, visitor, work_queue
from pages.ui.app.run_choice import show_model_name
from pages.ui.app.session import Session, keep_problem, open_session, take_problem, write_address
from pages.ui.app.sidebar import show_sidebar, show_step_strip
from pages.ui.app.steps import Step, step_state
from pages.ui.app.task_progress import UnfinishedTaskError
from pages.ui.app.words import plain
from transfer_core.errors import TransferStudioError
from transfer_core.language import _, names_list

_logger = logging.getLogger(__name__)
_UI = Path(__file__).parents[1]
# The place beside the heading of the page that this thread draws.
_beside_heading: ContextVar[DeltaGenerator] = ContextVar("beside_heading")

Parameters = ParamSpec("Parameters")
Name = TypeVar("Name", bound=str)


def run_page(
    title: str, show: Callable[[Session], None], *, step: Step | None = None, heading: str = ""
) -> None:
    """Set up a page and draw it.

    The heading of the first level is drawn here. A page begins each of its sections with `st.header`; `st.subheader`
    stands only below a header. The button of `link_to_next` is placed beside the heading, wherever it is called.

    Args:
        title: In the browser's tab.
        show: Draws the content. The message of a `TransferStudioError` is shown on the page.
        step: The step of the journey that the page stands for, if any.
        heading: The heading of the first level. By default number and title of the step, or else `title`.
    """
    st.set_page_config(page_title=f"{title} · Transfer Studio", page_icon="🎓", layout="wide")
    st.html(_style())
    prepare_process()
    if not _may_look():
        return
    session = open_session()
    if step is Step.TRAIN and session.run_id:
        # This page shows that run, so the sidebar names it as well.
        session.picked_run_id = None
    look_ahead(session)
    guarded(show_sidebar)(session, step)
    st.sidebar.html(_skeleton() + language_script(), unsafe_allow_javascript=True)
    # Not in the sidebar, which is closed on a phone.
    guarded(show_received)(session)
    if heading:
        _show_heading(heading)
    else:
        show_step_strip(session, step)
        show_model_name(session)
        _show_heading(f"{list(Step).index(step) + 1} · {step.title}" if step else title)
    if problem := take_problem():
        _show_problem(problem)
    guarded(show)(session)
    write_address(session)


def _may_look() -> bool:
    """Return whether the person may see pages; draw why not if a class has closed or lost them meanwhile."""
    try:
        if visitor().is_shut_out:
            st.info(_("The class is closed. Your teacher can open it again."), icon=":material/nights_stay:")
            return False
    except TransferStudioError as error:
        st.info(plain(str(error)), icon=":material/info:")
        # A link of Streamlit's would open another tab, or would be taken for a page of the app.
        st.html(f'<a href="/join" target="_self">{escape(_("Join the class"))}</a>')
        return False
    return True


def _show_heading(text: str) -> None:
    """Draw the heading of the page, and beside it the place for the button to the next step."""
    with st.container(horizontal=True, vertical_alignment="center", key="page-heading"):
        st.title(text, anchor=False)
        _beside_heading.set(st.container(width="content", key="beside-heading"))


@st.cache_resource(show_spinner=False)
def _style() -> str:
    """Return the style sheets of the frame and of each page's folder, which may have a `style.css` of its own."""
    sheets = [path.read_text("utf-8") for path in sorted(_UI.glob("*/style.css"))]
    return f"<style>{''.join(sheets)}</style>"


@st.cache_resource(show_spinner=False)
def _skeleton() -> str:
    """Return a script that gives the browser the style of an empty page.

    When another page opens, Streamlit empties the screen at once, with the styles that the page had brought, and the
    next element comes some hundred milliseconds later. This style remains in the head of the document.
    """
    css = json.dumps((Path(__file__).parent / "skeleton.css").read_text("utf-8"))
    return (
        "<script>if (!document.getElementById('skeleton')) { const style = document.createElement('style');"
        f" style.id = 'skeleton'; style.textContent = {css}; document.head.append(style); }}</script>"
    )


def guarded(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Wrap a function that draws, so that a `TransferStudioError` is shown as its message and logged.

    A callback is wrapped by `guarded_callback`.
    """

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        if problem := _problem_of(partial(function, *args, **kwargs)):
            _show_problem(problem)

    return call


def guarded_callback(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Wrap a callback, so that the message of a `TransferStudioError` is logged, and shown when the page is redrawn.

    A callback cannot draw: of a fragment, Streamlit would put it in the place of the top of the page.
    """

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        if problem := _problem_of(partial(function, *args, **kwargs)):
            keep_problem(problem)
            # The fragment alone would be drawn, without the message.
            st.rerun()

    return call


def _problem_of(action: Callable[[], None]) -> str:
    """Return what a person is shown about an action that failed; empty if it did not."""
    try:
        with work_queue().foreground():
            action()
    except UnfinishedTaskError:
        # Its progress is drawn; the page is drawn again when the task is over.
        return ""
    except TransferStudioError as error:
        _logger.info("Shown to the person: %s", error, exc_info=error.__cause__)
        return str(error)
    return ""


def _show_problem(problem: str) -> None:
    st.error(plain(problem), icon=":material/error:")


def require(session: Session, *steps: Step) -> bool:
    """Return whether all of these steps are done; draw links to the missing ones if not."""
    missing = [step for step in steps if not step_state(step, session).is_done]
    if not missing:
        return True
    names = names_list(step.title for step in missing)
    st.info(
        _("This step builds on earlier ones. Still missing: {names}.").format(names=names),
        icon=":material/info:",
    )
    for step in missing:
        st.page_link(
            step.page,
            label=_("Go to {title}: {purpose}").format(title=step.title, purpose=step.purpose),
            icon=step.icon,
            query_params=session.query(),
        )
    return False


def link_to_next(
    step: Step, label: str, *, is_primary: bool = True, on_click: Callable[[], None] | None = None
) -> None:
    """Draw the button that leads on to a step, beside the heading of the page. Not to be called in a fragment.

    Args:
        step: The step.
        label: Of the button.
        is_primary: False while the page has another primary button.
        on_click: Is called before the step opens.
    """
    with _beside_heading.get():
        clicked = st.button(
            label,
            type="primary" if is_primary else "secondary",
            icon=":material/arrow_forward:",
            key=f"next-{step.name}",
            on_click=on_click,
        )
    if clicked:
        st.switch_page(step.page)


def choose_part(titles: Mapping[Name, str], wanted: str, key: str, *, label: str = "") -> Name:
    """Let the person pick one of the parts of a page or of a section.

    Args:
        titles: Of each part, by its name in the address.
        wanted: Name of the part that is open at first. An unknown name opens the first part.
        key: Of the control.
        label: Read out by screen readers. By default "What do you want to know?".
    """
    names = list(titles)
    first = next((name for name in names if name == wanted), names[0])
    chosen = st.segmented_control(
        label or _("What do you want to know?"),
        names,
        default=first,
        required=True,
        format_func=titles.__getitem__,
        key=key,
        label_visibility="collapsed",
    )
    return chosen or first


def show_undo(text: str, undo: Callable[[], None], key: str) -> None:
    """Draw what has just been changed, with a button that undoes the change.

    Args:
        text: A sentence, in Markdown.
        undo: Undoes the change.
        key: Unique on the page.
    """
    with st.container(horizontal=True, vertical_alignment="center", border=True, key=key):
        st.markdown(text, width="stretch")
        if st.button(_("Undo"), icon=":material/undo:", key=f"undo-{key}"):
            guarded(undo)()
