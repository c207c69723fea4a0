"""What the pages share, and the fixes that let Streamlit and Keras live in one process."""

import asyncio
import gc
import inspect
import sys
import threading
from types import FunctionType, SimpleNamespace
from typing import cast

import keras
import pytest
import streamlit as st
from streamlit import config
from streamlit.runtime import Runtime
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.scriptrunner import script_runner
from streamlit.runtime.websocket_session_manager import WebsocketSessionManager

from pages.ui.server.service import service
from pages.ui.server.sessions import drop_expired_sessions, give_back_memory
from tests.pages.conftest import OpenPage
from transfer_core.backbones.runtime import load_keras
from transfer_core.classroom.facts import CLASS_VARIABLE
from transfer_core.work.executor import EXECUTOR_VARIABLE, ProcessExecutor
from transfer_core.work.service import Service


def test_streamlit_still_has_the_function_that_clears_keras() -> None:
    # When this fails, Streamlit has changed: see whether the fix in pages/ui/app/process.py is still needed.
    assert hasattr(script_runner, "_clean_problem_modules")


def test_a_page_run_does_not_clear_keras(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    cleared = threading.Event()
    monkeypatch.setattr(keras.backend, "clear_session", lambda *_arguments, **_options: cleared.set())
    open_page("1_Model")
    assert not cleared.is_set(), "a page run cleared the state of every training thread"


def test_threads_take_turns_quickly(open_page: OpenPage) -> None:
    open_page()
    assert sys.getswitchinterval() == pytest.approx(0.001)


def test_objects_of_tensorflow_are_out_of_every_later_collection() -> None:
    load_keras()
    assert gc.get_freeze_count() > 100_000


def test_the_settings_that_training_needs_are_on() -> None:
    config.get_config_options(force_reparse=True)
    assert config.get_option("runner.postScriptGC") is False
    assert config.get_option("runner.fastReruns") is False
    assert config.get_option("client.showSidebarNavigation") is False
    assert config.get_option("server.fileWatcherType") == "none"
    assert config.get_option("server.address") == "127.0.0.1"
    assert config.get_option("browser.gatherUsageStats") is False


def test_cleared_caches_leave_the_one_queue_of_the_server() -> None:
    before = service()
    st.cache_data.clear()
    st.cache_resource.clear()
    assert service() is before
    assert service().trainings(before.workspace)._queue is before.queue


@pytest.mark.parametrize(("is_class", "executor"), [("1", ProcessExecutor), ("", FunctionType)])
def test_class_trains_in_a_process_of_its_own(
    is_class: str, executor: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(EXECUTOR_VARIABLE, raising=False)
    monkeypatch.setenv(CLASS_VARIABLE, is_class)
    assert isinstance(service()._execute, executor)


def test_expired_sessions_are_dropped_without_another_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    storage = MemorySessionStorage(ttl_seconds=60)
    monkeypatch.setattr(storage._cache, "_timer", lambda: now[0])
    storage._cache["session"] = "of somebody who left"
    monkeypatch.setattr(
        Runtime, "_instance", SimpleNamespace(_session_mgr=SimpleNamespace(_session_storage=storage))
    )
    now[0] = 59.0
    assert drop_expired_sessions() == 0
    now[0] = 61.0
    assert drop_expired_sessions() == 1
    assert not storage._cache._data


def test_streamlit_still_keeps_the_sessions_that_are_dropped() -> None:
    assert hasattr(MemorySessionStorage()._cache, "expire")
    assert "_session_mgr" in inspect.getsource(Runtime.__init__)
    assert "_session_storage" in inspect.getsource(WebsocketSessionManager.__init__)


def test_memory_is_given_back_beside_the_thread_of_all_visitors_and_after_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pages.ui.server.sessions._SECONDS_BETWEEN", 0.0)
    threads: list[threading.Thread] = []
    are_enough = threading.Event()

    class Models:
        def drop_idle_models(self, _seconds: float) -> int:
            threads.append(threading.current_thread())
            if len(threads) == 1:
                raise OSError("once")
            are_enough.set()
            return 0

    async def give_back_for_a_while() -> None:
        task = asyncio.create_task(give_back_memory(cast(Service, Models())))
        assert await asyncio.to_thread(are_enough.wait, 10)
        task.cancel()

    asyncio.run(give_back_for_a_while())
    assert threading.current_thread() not in threads
    assert "was not given back" in caplog.text
