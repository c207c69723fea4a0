"""Keep Streamlit from losing a click on pages of which a part draws itself again and again.

The browser sends all that happens in one turn of its event loop as one request, for the fragment that spoke first:
a click beside a frame of the camera then redraws the camera alone, and nothing ever acts on the click.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, wraps
from typing import Any

from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.runtime.scriptrunner import RerunData, get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests, ScriptRequestType
from streamlit.runtime.state import SessionState

_Request = Callable[[ScriptRequests, RerunData], bool]
_CallCallbacks = Callable[..., None]


@cache
def keep_every_click() -> None:
    """Change how Streamlit accepts requests to draw, once per process."""
    if hasattr(ScriptRequests, "_request_rerun_locked"):
        accept = _accept_without_loss(ScriptRequests._request_rerun_locked)
        ScriptRequests._request_rerun_locked = accept  # type: ignore[method-assign,assignment]
    if hasattr(SessionState, "_call_callbacks"):
        call = _rerun_the_page_for_others(SessionState._call_callbacks)
        SessionState._call_callbacks = call  # type: ignore[method-assign]


def _accept_without_loss(accept: _Request) -> _Request:
    @wraps(accept)
    def accept_without_loss(requests: ScriptRequests, data: RerunData) -> bool:
        if _would_undo_a_change_of_page(requests, data):
            return True
        if data.is_auto_rerun and data.widget_states:
            # A timer fired between a click and the request of that click, which follows: it would count twice.
            data = replace(data, widget_states=_without_triggers(data.widget_states))
        return accept(requests, data)

    return accept_without_loss


def _would_undo_a_change_of_page(requests: ScriptRequests, data: RerunData) -> bool:
    """Return whether a fragment or a `st.rerun()` of one page would cancel opening another."""
    page = requests._rerun_data.page_script_hash
    if not page or page == data.page_script_hash:
        return False
    if data.fragment_id or data.fragment_id_queue:
        return True
    ctx = get_script_run_ctx(suppress_warning=True)
    is_waiting = requests._state is ScriptRequestType.RERUN
    return is_waiting and ctx is not None and ctx.page_script_hash == data.page_script_hash


def _without_triggers(states: WidgetStates) -> WidgetStates:
    lasting = [state for state in states.widgets if "trigger_value" not in (state.WhichOneof("value") or "")]
    return WidgetStates(widgets=lasting)


def _rerun_the_page_for_others(call_callbacks: _CallCallbacks) -> _CallCallbacks:
    @wraps(call_callbacks)
    def call_and_rerun_the_page(state: SessionState, **options: Any) -> None:
        ctx = get_script_run_ctx(suppress_warning=True)
        fragment_ids = ctx.fragment_ids_this_run if ctx else None
        has_other_change = bool(fragment_ids) and _has_change_outside(state, fragment_ids or [])
        call_callbacks(state, **options)
        if ctx and ctx.script_requests and has_other_change:
            page = RerunData(
                query_string=ctx.query_string,
                page_script_hash=ctx.page_script_hash,
                cached_message_hashes=ctx.cached_message_hashes,
                context_info=ctx.context_info,
                # So that a button says in this second run too that it was pressed, without a second callback.
                replay_trigger_states=state._current_interaction_widget_states,
            )
            ctx.script_requests.request_rerun(page)

    return call_and_rerun_the_page


def _has_change_outside(state: SessionState, fragment_ids: list[str]) -> bool:
    """Return whether a widget outside these fragments was changed."""
    widgets = state._new_widget_state
    return any(
        state._widget_changed(widget_id)
        for widget_id in widgets
        if (metadata := widgets.widget_metadata.get(widget_id)) and metadata.fragment_id not in fragment_ids
    )
