"""What all visitors of one server share: the workspace, the queue, loaded models, and TensorFlow itself."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.runtime.scriptrunner import script_runner

from transfer_core.backbones.runtime import load_keras
from transfer_core.runs.run_queue import RunQueue
from transfer_core.workspace import Workspace, default_workspace_root

if TYPE_CHECKING:
    from transfer_core.predictor import Predictor

_logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_THREAD_SWITCHES = 0.001
_SECONDS_FOR_THE_FIRST_PAINT = 1.5


@st.cache_resource(show_spinner=False)
def prepare_process() -> None:
    """Make Streamlit and Keras get along, and load TensorFlow behind the first page. Done once a server."""
    # After every script run and every tick of a live chart Streamlit clears Keras's state for the whole
    # process, in the middle of a training. Measured: a fit took up to thirty times as long.
    if hasattr(script_runner, "_clean_problem_modules"):
        script_runner._clean_problem_modules = _leave_keras_alone
    # Pages wait for a training thread at most this long for their turn.
    sys.setswitchinterval(_SECONDS_BETWEEN_THREAD_SWITCHES)
    num_threads = max((os.cpu_count() or 2) - 1, 1)
    # The browser needs the processor first: it has a page to draw.
    loading = threading.Timer(_SECONDS_FOR_THE_FIRST_PAINT, _load_keras, args=(num_threads,))
    loading.daemon = True
    loading.start()


@st.cache_resource(show_spinner=False)
def workspace() -> Workspace:
    """The folder of all datasets and runs."""
    return Workspace(default_workspace_root())


@st.cache_resource(show_spinner=False)
def run_queue() -> RunQueue:
    """The one queue that all visitors share."""
    return RunQueue(workspace())


@st.cache_resource(show_spinner=False, max_entries=3)
def predictor(run_id: str) -> Predictor:
    """The model of a finished run, loaded once.

    Raises:
        NotFoundError: If the run has no model.
    """
    from transfer_core.predictor import Predictor

    return Predictor.load(workspace().run_dir(run_id))


def _load_keras(num_threads: int) -> None:
    """Load it, and say nothing when the server is stopped meanwhile: an import cannot end then."""
    try:
        load_keras(num_threads)
    except Exception:
        main_thread = threading.main_thread()
        main_thread.join(timeout=1.0)
        if main_thread.is_alive():
            _logger.exception("TensorFlow could not be loaded")


def _leave_keras_alone() -> None:
    """Stand in for Streamlit's clearing of Keras's state."""
