"""What all visitors of a server share: workspace, queue, loaded models, cached results, and TensorFlow."""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.runtime.scriptrunner import script_runner

from pages.ui.app.reruns import keep_every_click
from pages.ui.server.service import service
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.classroom.facts import is_class_mode
from transfer_core.classroom.visitor import COOKIE, Visitor, visitor_of
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.inference.rejection import Rejection
from transfer_core.language import _, language, log_in_english
from transfer_core.runs.run_folder import RunFolder
from transfer_core.training.advice import Recommendation, recommend
from transfer_core.training.layer_facts import layer_facts
from transfer_core.work.queue import WorkQueue
from transfer_core.work.service import stored_rejection
from transfer_core.work.trainings import Trainings
from transfer_core.work.worker import num_threads_beside_an_app
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    from transfer_core.inference.predictor import Predictor

_logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_THREAD_SWITCHES = 0.001
_SECONDS_FOR_THE_FIRST_PAINT = 1.5
# A page names its workspace some fifty times, and each time a cookie is verified and two files are looked up: a seventh
# of the work of the pages of a class.
_SECONDS_A_VISITOR_IS_KNOWN = 1.0
# Server and cookie, when they were verified, and who it is; of the page that this thread draws.
_known_visitor: ContextVar[tuple[tuple[Workspace, str], float, Visitor] | None] = ContextVar(
    "known_visitor", default=None
)


@st.cache_resource(show_spinner=False)
def prepare_process() -> None:
    """Prepare Streamlit for Keras and load TensorFlow in the background, once a server."""
    log_in_english()
    keep_every_click()
    # After every script run and every tick of a live chart Streamlit clears Keras's state for the whole
    # process, in the middle of a training. Measured: a fit took up to thirty times as long.
    if hasattr(script_runner, "_clean_problem_modules"):
        script_runner._clean_problem_modules = _leave_keras_alone
    # Pages wait for a training thread at most this long for their turn.
    sys.setswitchinterval(_SECONDS_BETWEEN_THREAD_SWITCHES)
    num_threads = num_threads_beside_an_app()
    # The browser needs the processor first: it has a page to draw.
    loading = threading.Timer(_SECONDS_FOR_THE_FIRST_PAINT, _load_keras, args=(num_threads,))
    loading.daemon = True
    loading.start()


def visitor() -> Visitor:
    """Return who looks at the page that this thread draws.

    Raises:
        NotFoundError: If they have not joined the class of this server, or were removed from it.
        WorkspaceError: If the file of the class or of the pupil is damaged.
    """
    server, cookies = service().workspace, st.context.cookies
    if not is_class_mode():
        return Visitor("home", "", server)
    asked = server, cookies.get(COOKIE, "")
    known = _known_visitor.get()
    if known and known[0] == asked and time.monotonic() - known[1] < _SECONDS_A_VISITOR_IS_KNOWN:
        return known[2]
    found = visitor_of(server, cookies)
    if found is None:
        raise NotFoundError(_("You are not in the class any more."))
    _known_visitor.set((asked, time.monotonic(), found))
    return found


def workspace() -> Workspace:
    """The folder of all datasets and runs of the person who looks. Background threads get it as an argument."""
    return visitor().workspace


def work_queue() -> WorkQueue:
    """The one queue of trainings and other work that all visitors share."""
    return service().queue


def trainings() -> Trainings:
    """The trainings of the person who looks."""
    return service().trainings(workspace())


def predictor(run_id: str) -> Predictor:
    """Return the model of a finished run, loaded once, with its current limits.

    Raises:
        NotFoundError: If the run has no model.
        WorkspaceError: If a file of it is damaged.
    """
    return service().predictor(workspace(), run_id)


def is_model_loaded(run_id: str) -> bool:
    """Whether `predictor` returns at once."""
    return service().is_model_loaded(workspace(), run_id)


def model_version(run_id: str) -> tuple[int, ...]:
    """Return numbers that change with the files of a run's model, except for its limits.

    A training writes the model first, then the calibration, then the features for rejection.
    """
    return RunFolder(workspace().run_dir(run_id)).model_version


def answer_version(run_id: str) -> tuple[int, ...]:
    """Return numbers that change with anything that decides what a run answers, its limits included."""
    files = RunFolder(workspace().run_dir(run_id))
    return (*files.model_version, *files.thresholds_version)


def limits_version(run_id: str) -> int:
    """Return a number that changes with the stored limits of a run, below which it gives no answer."""
    return RunFolder(workspace().run_dir(run_id)).thresholds_version[0]


def rejection(run_id: str) -> Rejection | None:
    """Return the rejection of a run with its current limits; None if it was never measured.

    Raises:
        WorkspaceError: If a file of it is damaged.
    """
    return stored_rejection(workspace(), run_id)


def stored_evaluation(run_id: str) -> Evaluation | None:
    """Return the stored evaluation of a run, read once for each version of the file; None without one.

    Raises:
        WorkspaceError: If the file is damaged.
    """
    return RunFolder(workspace().run_dir(run_id)).evaluation()


def recommendation(dataset_id: str, version: int, backbone_name: str) -> Recommendation:
    """Return the recommended choices, computed once for each version of a dataset."""
    return _recommendation(workspace(), dataset_id, version, backbone_name, language())


@st.cache_data(show_spinner=False, max_entries=100)
def _recommendation(
    place: Workspace, dataset_id: str, version: int, backbone_name: str, spoken: str
) -> Recommendation:
    # Two people may hold copies of the same photos, and each changes their own.
    return recommend(ImageDataset.load(place, dataset_id), get_backbone(backbone_name, place))


@st.cache_data(show_spinner=False)
def layer_names(backbone_name: str) -> list[str]:
    """Return the names of the layers that can be unfrozen one by one, from output to input."""
    return [
        layer.name
        for layer in reversed(layer_facts(get_backbone(backbone_name, workspace())))
        if layer.can_learn
    ]


def _load_keras(num_threads: int) -> None:
    """Load TensorFlow. Log no error if the server is stopped meanwhile, which breaks the import."""
    try:
        load_keras(num_threads)
    except Exception:
        main_thread = threading.main_thread()
        main_thread.join(timeout=1.0)
        if main_thread.is_alive():
            _logger.exception("TensorFlow could not be loaded")


def _leave_keras_alone() -> None:
    """Stand in for Streamlit's clearing of Keras's state."""
