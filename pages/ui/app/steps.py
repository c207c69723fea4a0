"""The seven steps of the journey and their state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from pages.ui.app.process import stored_evaluation, trainings, workspace
from pages.ui.app.run_choice import wanted_run_id
from pages.ui.app.session import Session
from pages.ui.app.words import backbone_title, plain, status_words
from transfer_core.errors import TransferStudioError
from transfer_core.export.bundle import EXPORTS_DIR
from transfer_core.language import _, plural


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
            Step.MODEL: _("Pick a network that has seen a million photos."),
            Step.IMAGES: _("Drop your own photos, sorted into classes."),
            Step.LAYERS: _("Choose what stays as it is and what learns."),
            Step.TRAIN: _("Watch it learn, live."),
            Step.RESULTS: _("See what it has learned and where it fails."),
            Step.TEST: _("Show it new photos and see what it says."),
            Step.EXPORT: _("Take the model with you, with a proof that it answers the same."),
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
        return StepState(False, _("No images yet"))
    if len(dataset.class_names) < 2:
        return StepState(False, _("Needs a second class"))
    return StepState(
        True,
        _("{images} in {classes}").format(
            images=plural("{count} image", "{count} images", len(dataset.images)),
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
        True, plural("{count} block learns along", "{count} blocks learn along", session.num_unfrozen_blocks)
    )


def _train_state(session: Session) -> StepState:
    if session.run_id is None:
        return StepState(False, _("Not trained yet"))
    status = trainings().status(session.run_id)
    accuracy = trainings().snapshot(session.run_id).accuracy
    if status in ("finished", "stopped") and accuracy is not None:
        return StepState(True, _("Accuracy {accuracy:.0%}").format(accuracy=accuracy))
    return StepState(False, status_words(status).state)


def _results_state(session: Session) -> StepState:
    run_id = wanted_run_id(session)
    if run_id is None:
        return StepState(False, _("Needs a trained model"))
    try:
        evaluation = stored_evaluation(run_id)
    except TransferStudioError:
        evaluation = None
    if evaluation is None:
        return StepState(False, _("Not checked yet"))
    lowest, highest = evaluation.accuracy_interval
    return StepState(
        True,
        _("{accuracy:.0%} right ({lowest:.0%} to {highest:.0%})").format(
            accuracy=evaluation.accuracy, lowest=lowest, highest=highest
        ),
    )


def _test_state(session: Session) -> StepState:
    if wanted_run_id(session):
        return StepState(True, _("Ready for new photos"))
    return StepState(False, _("Needs a trained model"))


def _export_state(session: Session) -> StepState:
    run_id = wanted_run_id(session)
    if run_id is None:
        return StepState(False, _("Needs a trained model"))
    count = len(list((workspace().run_dir(run_id) / EXPORTS_DIR).glob("*.zip")))
    if not count:
        return StepState(False, _("Not exported yet"))
    return StepState(True, plural("{count} format is ready", "{count} formats are ready", count))
