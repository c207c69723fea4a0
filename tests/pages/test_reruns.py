"""No request to draw undoes a click: Streamlit's own queue of requests, with what the app changes about it."""

from __future__ import annotations

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime.scriptrunner import RerunData
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequests, ScriptRequestType
from streamlit.runtime.state.session_state import SessionState
from streamlit.testing.v1 import AppTest

from pages.ui.app.reruns import keep_every_click


@pytest.fixture(autouse=True)
def changed_streamlit() -> None:
    keep_every_click()


@pytest.fixture
def requests() -> ScriptRequests:
    """The queue of a person who is on the page `camera`, while that page is drawn."""
    requests = ScriptRequests()
    requests.request_rerun(RerunData(page_script_hash="camera"))
    requests.on_scriptrunner_ready()
    return requests


def next_request(requests: ScriptRequests) -> RerunData | None:
    found = requests.on_scriptrunner_ready()
    return found.rerun_data if found.type is ScriptRequestType.RERUN else None


def test_streamlit_still_has_what_the_app_changes() -> None:
    # When this fails, Streamlit has changed: see whether pages/ui/app/reruns.py is still needed.
    assert hasattr(ScriptRequests._request_rerun_locked, "__wrapped__")
    assert hasattr(SessionState._call_callbacks, "__wrapped__")


def test_a_frame_does_not_cancel_the_way_to_another_page(requests: ScriptRequests) -> None:
    requests.request_rerun(RerunData(page_script_hash="learn", query_string="run=1"))
    assert requests.request_rerun(RerunData(page_script_hash="camera", fragment_id="frame"))
    found = next_request(requests)
    assert found is not None
    assert (found.page_script_hash, found.query_string, found.fragment_id_queue) == ("learn", "run=1", [])


def test_a_late_frame_of_the_page_before_is_not_drawn(requests: ScriptRequests) -> None:
    requests.request_rerun(RerunData(page_script_hash="learn"))
    next_request(requests)
    requests.request_rerun(RerunData(page_script_hash="camera", fragment_id="frame"))
    assert next_request(requests) is None


def test_fragments_of_the_page_itself_are_drawn(requests: ScriptRequests) -> None:
    requests.request_rerun(RerunData(page_script_hash="camera", fragment_id="frame"))
    requests.request_rerun(RerunData(page_script_hash="camera", fragment_id="chart"))
    found = next_request(requests)
    assert found is not None and found.fragment_id_queue == ["frame", "chart"]


def test_a_timer_does_not_bring_a_click_that_comes_by_itself(requests: ScriptRequests) -> None:
    pressed = WidgetState(id="pause", trigger_value=True)
    moved = WidgetState(id="depth", int_value=3)
    states = WidgetStates(widgets=[pressed, moved])
    timer = RerunData(
        page_script_hash="camera", fragment_id="chart", widget_states=states, is_auto_rerun=True
    )
    requests.request_rerun(timer)
    found = next_request(requests)
    assert found is not None and found.widget_states is not None
    assert list(found.widget_states.widgets) == [moved]

    requests.request_rerun(RerunData(page_script_hash="camera", fragment_id="chart", widget_states=states))
    found = next_request(requests)
    assert found is not None and found.widget_states == states


def app_with_a_fragment() -> None:
    """Note what it draws, and pass on a request that the test has left."""
    from dataclasses import replace

    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    seen = st.session_state.setdefault("seen", [])
    context = get_script_run_ctx()
    assert context is not None and context.script_requests is not None
    st.session_state["page"] = context.pages_manager.intended_page_script_hash

    @st.fragment
    def draw_a_part() -> None:
        seen.append("part")
        if st.button("Inside", key="inside"):
            seen.append("inside")

    draw_a_part()
    st.session_state["fragment_ids"] = list(context.shared.new_fragment_ids.snapshot())
    if st.button("Outside", key="outside", on_click=seen.append, args=("callback",)):
        seen.append("outside")
    if st.checkbox("Choice"):
        seen.append("checked")
    request = st.session_state.pop("request", None)
    if request is not None:
        seen.clear()
        page = request.page_script_hash or context.page_script_hash
        context.script_requests.request_rerun(replace(request, page_script_hash=page))
        if not request.fragment_id_queue:
            st.rerun()


def seen_after(app: AppTest, *changed: WidgetState) -> list[str]:
    """Return what the app did when these changes came for its fragment."""
    app.session_state["request"] = RerunData(
        fragment_id_queue=app.session_state["fragment_ids"], widget_states=WidgetStates(widgets=changed)
    )
    app.run()
    assert not app.exception
    return list(app.session_state["seen"])


def test_a_change_beside_the_fragment_redraws_the_page() -> None:
    app = AppTest.from_function(app_with_a_fragment).run()
    inside, outside = (app.button(key=key).proto.id for key in ("inside", "outside"))
    assert seen_after(app, WidgetState(id=inside, trigger_value=True)) == ["part", "inside"]
    assert seen_after(app, WidgetState(id=outside, trigger_value=True)) == ["callback", "part", "outside"]
    choice = WidgetState(id=app.checkbox[0].proto.id, bool_value=True)
    assert seen_after(app, choice) == ["part", "checked"]
    assert seen_after(app, choice, WidgetState(id=inside, trigger_value=True)) == ["part", "inside"]


def test_a_page_that_draws_itself_again_does_not_cancel_the_way_to_another() -> None:
    app = AppTest.from_function(app_with_a_fragment).run()
    app.session_state["request"] = RerunData(page_script_hash="another page")
    app.run()
    assert app.session_state["page"] == "another page"
