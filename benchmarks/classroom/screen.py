"""What a browser knows of a page, from the messages that Streamlit's server sends it. No network, no browser."""

from __future__ import annotations

import json
from typing import Any

from streamlit.components.v2.bidi_component.constants import EVENT_DELIM
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.state.session_state import STREAMLIT_INTERNAL_KEY_PREFIX

PAGE_DRAWN = ForwardMsg.FINISHED_SUCCESSFULLY
FRAGMENT_DRAWN = ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY
_LEFT_EARLY = ForwardMsg.FINISHED_EARLY_FOR_RERUN
# Streamlit's front end keeps messages for as many runs by default.
_MOST_MESSAGES_KEPT = 200
# The place of the sidebar among the parts of a page.
_SIDEBAR = 1


class Screen:
    """The elements of a page, and what a browser sends back about them.

    Attributes:
        session_id: Of the server, under which a browser comes back after its connection broke.
        address: Parameters of the address. The server changes them, too.
        auto_reruns: Seconds between two requests that the browser sends by a timer, by the id of the fragment.
        exceptions: Messages of the exceptions that are on the page.
    """

    def __init__(self) -> None:
        self.session_id = ""
        self.address = ""
        self.auto_reruns: dict[str, float] = {}
        self.exceptions: list[str] = []
        self._page_hash = ""
        self._deltas: dict[tuple[int, ...], tuple[str, Delta]] = {}
        self._kept: dict[str, ForwardMsg] = {}
        self._run_id = ""
        self._states: dict[str, WidgetState] = {}

    def take(self, message: ForwardMsg) -> int | None:
        """Change the screen by a message of the server.

        Returns:
            `PAGE_DRAWN` or `FRAGMENT_DRAWN` if it says that one of these is over, else None.
        """
        metadata = message.metadata
        if message.WhichOneof("type") == "ref_hash":
            # The server leaves out what the browser said it has.
            message = self._kept[message.ref_hash]
        elif metadata.cacheable:
            self._keep(message)
        match message.WhichOneof("type"):
            case "new_session":
                self._begin_run(message, list(metadata.run.fragment_ids))
            case "delta":
                self._deltas[tuple(metadata.delta_path)] = (self._run_id, message.delta)
                if message.delta.new_element.WhichOneof("type") == "exception":
                    self.exceptions.append(message.delta.new_element.exception.message)
            case "navigation":
                self._page_hash = message.navigation.page_script_hash
            case "page_info_changed":
                self.address = message.page_info_changed.query_string
            case "auto_rerun":
                self.auto_reruns[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            case "stop_auto_rerun":
                for fragment_id in message.stop_auto_rerun.fragment_ids:
                    self.auto_reruns.pop(fragment_id, None)
            case "script_finished":
                return self._end_run(message.script_finished)
        return None

    def elements(self, kind: str) -> list[Element]:
        """Return the elements of a kind from top to bottom, by the names in Streamlit's `Element` message."""
        return [delta.new_element for delta in self._found(kind)]

    def names_of_pages(self) -> list[str]:
        """Return the labels of the links in the sidebar that can be followed."""
        links = [
            delta.new_element.page_link
            for path, (_run_id, delta) in sorted(self._deltas.items(), key=lambda item: item[0])
            if path[0] == _SIDEBAR and delta.new_element.WhichOneof("type") == "page_link"
        ]
        return [link.label for link in links if not link.disabled and not link.external]

    def options(self) -> list[str]:
        """Return the options of the first segmented control of the page; empty without one."""
        groups = [element.button_group for element in self.elements("button_group")]
        return [option.content for option in groups[0].options] if groups and not groups[0].disabled else []

    def has_button(self, label: str) -> bool:
        """Return whether a button with this label is there and can be pressed."""
        return any(button.label == label and not button.disabled for button in self._buttons())

    def component_data(self, name: str) -> dict[str, Any]:
        """Return what the server sent to a component of the app, by its name there."""
        component = self._component(name).new_element.bidi_component
        text = component.mixed.json if component.WhichOneof("data") == "mixed" else component.json
        found: dict[str, Any] = json.loads(text)
        return found

    def request(self, *, page_name: str = "", page_hash: str | None = None) -> BackMsg:
        """Return the request to draw a page.

        Args:
            page_name: Of the address that was opened; empty for the page that is open.
            page_hash: Of the page that a link leads to; by default the open one.
        """
        message = BackMsg()
        state = message.rerun_script
        state.query_string = self.address
        state.page_name = page_name
        state.page_script_hash = self._page_hash if page_hash is None else page_hash
        state.widget_states.widgets.extend(self._states.values())
        state.cached_message_hashes.extend(self._kept)
        state.context_info.timezone = "UTC"
        state.context_info.locale = "en-US"
        return message

    def follow_link(self, label: str) -> BackMsg:
        """Return the request that a click on a link to another page sends.

        Raises:
            LookupError: If there is no such link.
        """
        for element in self.elements("page_link"):
            link = element.page_link
            if link.label == label:
                # The widgets of a page are left behind with it.
                self._states.clear()
                self.address = link.query_string
                return self.request(page_hash=link.page_script_hash)
        raise LookupError(f"There is no link to {label}.")

    def press(self, label: str) -> BackMsg:
        """Return the request that a click on a button sends.

        Raises:
            LookupError: If there is no such button.
        """
        for delta in self._found("button"):
            button = delta.new_element.button
            if button.label == label and not button.disabled:
                return self._changed(WidgetState(id=button.id, trigger_value=True), delta.fragment_id)
        raise LookupError(f"There is no button {label}.")

    def choose(self, option: str) -> BackMsg:
        """Return the request that a click on an option of a segmented control sends.

        Raises:
            LookupError: If there is no such option.
        """
        for delta in self._found("button_group"):
            group = delta.new_element.button_group
            if option in (found.content for found in group.options):
                state = WidgetState(id=group.id)
                state.string_array_value.data.append(option)
                self._states[group.id] = state
                return self._changed(state, delta.fragment_id)
        raise LookupError(f"There is no option {option}.")

    def send_from_component(self, name: str, event: str, value: dict[str, Any]) -> BackMsg:
        """Return the request that a component of the app sends with a trigger.

        Raises:
            LookupError: If the component is not on the page.
        """
        delta = self._component(name)
        base = delta.new_element.bidi_component.id
        # Without the component's own state, Streamlit does not hand its triggers to the app.
        self._states[base] = WidgetState(id=base, json_value="{}")
        state = WidgetState(
            id=f"{STREAMLIT_INTERNAL_KEY_PREFIX}_{base}{EVENT_DELIM}events",
            json_trigger_value=json.dumps([{"event": event, "value": value}]),
        )
        return self._changed(state, delta.fragment_id)

    def hand_over_file(self, state: WidgetState) -> BackMsg:
        """Return the request that an upload field sends after its file has arrived."""
        self._states[state.id] = state
        delta = next(
            found for found in self._found("file_uploader") if found.new_element.file_uploader.id == state.id
        )
        return self._changed(state, delta.fragment_id)

    def tick(self, fragment_id: str) -> BackMsg:
        """Return the request that the timer of a fragment sends."""
        message = self.request()
        message.rerun_script.fragment_id = fragment_id
        message.rerun_script.is_auto_rerun = True
        return message

    def _changed(self, state: WidgetState, fragment_id: str) -> BackMsg:
        message = self.request()
        states = message.rerun_script.widget_states
        if state.id not in self._states:
            states.widgets.append(state)
        message.rerun_script.fragment_id = fragment_id
        return message

    def _begin_run(self, message: ForwardMsg, fragment_ids: list[str]) -> None:
        self.session_id = message.new_session.initialize.session_id
        if fragment_ids:
            return
        self._run_id = message.metadata.run.script_run_id
        self.auto_reruns = {}
        self.exceptions = []

    def _end_run(self, status: int) -> int | None:
        if status == PAGE_DRAWN:
            self._deltas = {
                path: (run_id, delta)
                for path, (run_id, delta) in self._deltas.items()
                if run_id == self._run_id
            }
        return None if status == _LEFT_EARLY else status

    def _keep(self, message: ForwardMsg) -> None:
        self._kept[message.hash] = message
        while len(self._kept) > _MOST_MESSAGES_KEPT:
            del self._kept[next(iter(self._kept))]

    def _found(self, kind: str) -> list[Delta]:
        deltas = (delta for _path, (_run_id, delta) in sorted(self._deltas.items(), key=lambda item: item[0]))
        return [delta for delta in deltas if delta.new_element.WhichOneof("type") == kind]

    def _buttons(self) -> list[Any]:
        return [element.button for element in self.elements("button")]

    def _component(self, name: str) -> Delta:
        for delta in self._found("bidi_component"):
            if delta.new_element.bidi_component.component_name.endswith(f"transfer_studio_{name}"):
                return delta
        raise LookupError(f"The component {name} is not on the page.")
