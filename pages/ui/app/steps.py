"""The seven steps of the journey and their state."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from pages.ui.app.process import stored_evaluation, trainings, workspace
from pages.ui.app.run_choice import shown_run_id
from pages.ui.app.session import Session
from pages.ui.app.words import accuracy_words, backbone_title, plain, status_words
from transfer_core.errors import TransferStudioError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.export.bundle import EXPORTS_DIR
from transfer_core.language import _, percent, plural


class Step(Enum):
    """A page of the journey: its file, its icon."""

    MODEL = ("pages/1_Model.py", ":material/psychology:")
    IMAGES = ("pages/2_Images.py", ":material/photo_library:")
    LAYERS = ("pages/3_Layers.py", ":material/layers:")
    TRAIN = ("pages/4_Train.py", ":material/model_training:")
    RESULTS = ("pages/5_Results.py", ":material/query_stats:")
    TEST = ("pages/6_Test.py", ":material/image_search:")
    EXPORT = ("pages/7_Export.py", ":material/ios_share:")

    @property
    def page(self) -> str:
        """The file of the page, as Streamlit links to it."""
        return self.value[0]

    @property
    def icon(self) -> str:
        """Streamlit's name of its icon."""
        return self.value[1]

    @property
    def title(self) -> str:
        """Its name on screen."""
        return {
            Step.MODEL: _("Model"),
            Step.IMAGES: _("Images"),
            Step.LAYERS: _("Layers"),
            Step.TRAIN: _("Train"),
            Step.RESULTS: _("Results"),
            Step.TEST: _("Test"),
            Step.EXPORT: _("Export"),
        }[self]

    @property
    def purpose(self) -> str:
        """What to do there, in a few words."""
        return {
            Step.MODEL: _("Choose a model to start from. It has already seen a million photos."),
            Step.IMAGES: _("Add your own photos, sorted into classes."),
            Step.LAYERS: _("Choose which layers are frozen and which learn."),
            Step.TRAIN: _("Watch it learn, live."),
            Step.RESULTS: _("See how good your model is and what it mixes up."),
            Step.TEST: _("Show it new photos and see its answers."),
            Step.EXPORT: _("Use your model on a phone, on a web page, or in a program."),
        }[self]


@dataclass(frozen=True)
class StepState:
    """The state of a step.

    Args:
        is_done: Whether the choice of the step is made.
        text: The choice, or what is missing.
    """

    is_done: bool
    text: str


def step_state(step: Step, session: Session) -> StepState:
    """Return the state of a step."""
    return {
        Step.MODEL: _model_state,
        Step.IMAGES: _images_state,
        Step.LAYERS: _layers_state,
        Step.TRAIN: _train_state,
        Step.RESULTS: _results_state,
        Step.TEST: _test_state,
        Step.EXPORT: _export_state,
    }[step](session)


def _model_state(session: Session) -> StepState:
    if session.backbone_name is None:
        return StepState(False, _("Not chosen yet"))
    return StepState(True, plain(backbone_title(session.backbone_name)))


def _images_state(session: Session) -> StepState:
    dataset = session.dataset
    if dataset is None or not dataset.images:
        return StepState(False, _("No photos yet"))
    if len(dataset.class_names) < 2:
        return StepState(False, _("Needs a second class"))
    return StepState(
        True,
        _("{photos} in {classes}").format(
            photos=plural("{count} photo", "{count} photos", len(dataset.images)),
            classes=plural("{count} class", "{count} classes", len(dataset.class_names)),
        ),
    )


def _layers_state(session: Session) -> StepState:
    if session.num_unfrozen_blocks is None:
        return StepState(False, _("Not chosen yet"))
    if session.is_from_scratch:
        return StepState(True, _("Everything learns, from scratch"))
    if session.num_unfrozen_blocks == 0:
        return StepState(True, _("Only the new layer learns"))
    return StepState(
        True,
        plural(
            "New layer and {count} block learn",
            "New layer and {count} blocks learn",
            session.num_unfrozen_blocks,
        ),
    )


def _train_state(session: Session) -> StepState:
    if session.is_in_training:
        assert session.run_id is not None
        return StepState(False, status_words(trainings().status(session.run_id)).state)
    shown = shown_run_id(session)
    if shown:
        evaluation, snapshot = _evaluation(shown), trainings().snapshot(shown)
        accuracy = evaluation.accuracy if evaluation else snapshot.accuracy
        if accuracy is None:
            return StepState(True, status_words("finished").state)
        return StepState(True, _("Accuracy {accuracy}").format(accuracy=percent(accuracy)))
    if session.run_id:
        return StepState(False, status_words(trainings().status(session.run_id)).state)
    return StepState(False, _("Not trained yet"))


def _results_state(session: Session) -> StepState:
    run_id = shown_run_id(session)
    if run_id is None:
        return _state_without_a_model(session)
    evaluation = _evaluation(run_id)
    if evaluation is None:
        return StepState(False, _("Not measured yet"))
    return StepState(True, accuracy_words(evaluation))


def _test_state(session: Session) -> StepState:
    if shown_run_id(session):
        return StepState(True, _("Ready for photos"))
    return _state_without_a_model(session)


def _export_state(session: Session) -> StepState:
    run_id = shown_run_id(session)
    if run_id is None:
        return _state_without_a_model(session)
    count = len(list((workspace().run_dir(run_id) / EXPORTS_DIR).glob("*.zip")))
    if not count:
        return StepState(False, _("Not exported yet"))
    return StepState(True, plural("{count} file ready", "{count} files ready", count))


def _state_without_a_model(session: Session) -> StepState:
    if session.is_in_training:
        return StepState(False, _("Ready when training ends"))
    return StepState(False, _("Needs a trained model"))


def _evaluation(run_id: str) -> Evaluation | None:
    with suppress(TransferStudioError):
        return stored_evaluation(run_id)
    return None
