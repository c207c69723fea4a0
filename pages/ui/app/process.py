"""What all visitors of a server share: workspace, queue, loaded models, cached results, and TensorFlow."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.runtime.scriptrunner import script_runner

from pages.ui.app.reruns import keep_every_click
from transfer_core.backbones.registry import get_backbone, look_for_own_models_in
from transfer_core.backbones.runtime import load_keras
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import Split
from transfer_core.errors import NotFoundError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.files import file_version
from transfer_core.inference.calibration import CALIBRATION_FILE
from transfer_core.inference.rejection import BANK_FILE, REJECTION_FILE, Rejection
from transfer_core.language import _
from transfer_core.runs.leftovers import remove_leftovers
from transfer_core.runs.training_run import EVALUATION_FILE, TrainingRun
from transfer_core.training.advice import Recommendation, recommend
from transfer_core.training.layer_facts import layer_facts
from transfer_core.training.signature import SIGNATURE_FILE
from transfer_core.training.train import MODEL_FILE
from transfer_core.work.run_queue import RunQueue
from transfer_core.work.worker import num_threads_beside_an_app
from transfer_core.workspace import Workspace, default_workspace_root

if TYPE_CHECKING:
    from transfer_core.inference.predictor import Predictor

_logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_THREAD_SWITCHES = 0.001
_SECONDS_FOR_THE_FIRST_PAINT = 1.5


@st.cache_resource(show_spinner=False)
def prepare_process() -> None:
    """Prepare Streamlit for Keras and load TensorFlow in the background, once a server."""
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


@st.cache_resource(show_spinner=False)
def workspace() -> Workspace:
    """The folder of all datasets and runs."""
    found = Workspace(default_workspace_root())
    look_for_own_models_in(found)
    remove_leftovers(found)
    return found


@st.cache_resource(show_spinner=False)
def run_queue() -> RunQueue:
    """The one queue that all visitors share."""
    return RunQueue(workspace())


def predictor(run_id: str) -> Predictor:
    """Return the model of a finished run, loaded once, with its current limits.

    Raises:
        NotFoundError: If the run has no model.
        WorkspaceError: If a file of it is damaged.
    """
    loaded = _loaded_predictor(run_id, model_version(run_id))
    return loaded.with_rejection(rejection(run_id) if loaded.rejection else None)


def model_version(run_id: str) -> tuple[int, ...]:
    """Return numbers that change with the files of a run's model, except for its limits.

    A training writes the model first, then the calibration, then the features for rejection.
    """
    folder = workspace().run_dir(run_id)
    names = (MODEL_FILE, SIGNATURE_FILE, CALIBRATION_FILE, BANK_FILE)
    versions = [number for name in names for number in file_version(folder / name)]
    return (*versions, int((folder / REJECTION_FILE).is_file()))


def answer_version(run_id: str) -> tuple[int, ...]:
    """Return numbers that change with the files of a run's model, limits included."""
    return (*model_version(run_id), *file_version(workspace().run_dir(run_id) / REJECTION_FILE))


def limits_version(run_id: str) -> int:
    """Return a number that changes with the stored limits of a run."""
    return file_version(workspace().run_dir(run_id) / REJECTION_FILE)[0]


def rejection(run_id: str) -> Rejection | None:
    """Return the rejection of a run with its current limits; None if it was never measured.

    Raises:
        WorkspaceError: If a file of it is damaged.
    """
    folder = workspace().run_dir(run_id)
    written_at, size = file_version(folder / REJECTION_FILE)
    versions = (written_at, size, *file_version(folder / BANK_FILE))
    return _read_rejection(run_id, versions) if written_at else None


@st.cache_resource(show_spinner=False, max_entries=3)
def _loaded_predictor(run_id: str, version: tuple[int, ...]) -> Predictor:
    from transfer_core.inference.predictor import Predictor

    return Predictor.load(workspace().run_dir(run_id))


@st.cache_resource(show_spinner=False, max_entries=3)
def _read_rejection(run_id: str, versions: tuple[int, ...]) -> Rejection | None:
    return Rejection.load(workspace().run_dir(run_id))


def stored_evaluation(run_id: str) -> Evaluation | None:
    """Return the stored evaluation of a run, read once for each version of the file; None without one.

    Raises:
        WorkspaceError: If the file is damaged.
    """
    version = file_version(workspace().run_dir(run_id) / EVALUATION_FILE)
    return _read_evaluation(run_id, version) if any(version) else None


@st.cache_resource(show_spinner=False, max_entries=20)
def _read_evaluation(run_id: str, version: tuple[int, int]) -> Evaluation | None:
    return TrainingRun.load(workspace(), run_id).evaluation()


def split_evaluation(run_id: str, split: Split, version: int) -> Evaluation:
    """Return the evaluation of a run on a split, computed once for each version of dataset and model.

    Raises:
        IngestError: If there are no such images.
    """
    return _score_split(run_id, model_version(run_id), split, version)


@st.cache_resource(show_spinner=False, max_entries=12)
def _score_split(run_id: str, of_model: tuple[int, ...], split: Split, version: int) -> Evaluation:
    from transfer_core.runs.assess import evaluate_split

    run = TrainingRun.load(workspace(), run_id)
    dataset = ImageDataset.load(workspace(), run.dataset_id)
    return evaluate_split(run, dataset, split, workspace().cache_dir)


def new_photos_evaluation(run_id: str, dataset_id: str, version: int, images_version: int) -> Evaluation:
    """Return the evaluation of a run on its labelled test photos, computed once for each version.

    Args:
        run_id: The run.
        dataset_id: Of the test photos. New photos begin at version 1 again, so the version does not suffice.
        version: Of the test photos.
        images_version: Of the run's own dataset, whose near-duplicates do not count; 0 if it was deleted.

    Raises:
        NotFoundError: If the run has no test photos any more.
    """
    return _score_new_photos(run_id, model_version(run_id), dataset_id, version, images_version)


@st.cache_resource(show_spinner=False, max_entries=12)
def _score_new_photos(
    run_id: str, of_model: tuple[int, ...], dataset_id: str, version: int, images_version: int
) -> Evaluation:
    from transfer_core.runs.corrections import images_of
    from transfer_core.runs.new_photos import evaluate_new_photos, new_photos_of

    run = TrainingRun.load(workspace(), run_id)
    photos = new_photos_of(run, images_of(workspace(), run))
    if photos is None or not photos.images:
        raise NotFoundError(_("There are no photos to test this run with any more."))
    return evaluate_new_photos(run, photos, workspace().cache_dir)


@st.cache_data(show_spinner=False, max_entries=20)
def recommendation(dataset_id: str, version: int, backbone_name: str) -> Recommendation:
    """Return the recommended choices, computed once for each version of a dataset."""
    return recommend(ImageDataset.load(workspace(), dataset_id), get_backbone(backbone_name))


@st.cache_data(show_spinner=False)
def layer_names(backbone_name: str) -> list[str]:
    """Return the names of the layers that can be unfrozen one by one, from output to input."""
    return [layer.name for layer in reversed(layer_facts(get_backbone(backbone_name))) if layer.can_learn]


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
