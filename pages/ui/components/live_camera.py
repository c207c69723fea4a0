"""The component that classifies frames of the camera several times a second."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import streamlit as st

from pages.ui.app.arrivals import LiveAnswer
from pages.ui.app.page import guarded_callback
from pages.ui.app.process import predictor
from pages.ui.app.session import Session, component_value
from pages.ui.app.words import model_name
from pages.ui.components.camera import camera_component, camera_words
from pages.ui.components.component import sent_message
from transfer_core.errors import UnreadableImageError
from transfer_core.inference.predictor import Prediction
from transfer_core.language import _, percent_sign
from transfer_core.runs.training_run import TrainingRun

MAX_BARS = 8
_KEY = "live-camera"


@st.fragment
def show_live_camera(
    session: Session, runs: Sequence[TrainingRun], control: str, *, keeps_photos: bool = False
) -> None:
    """Draw the camera with the predictions beside it. Where there is no camera, the page is drawn again without.

    Args:
        session: Keeps the latest predictions, the kept photos, and whether there is a camera.
        runs: The run to test, and optionally a second one to compare it with.
        control: Key of the control whose other options leave the camera.
        keeps_photos: Whether there is a button that puts what the camera sees among the pasted photos.
    """
    live = session.live
    predictions = live.predictions if live and len(live.predictions) == len(runs) else ()
    titles = [model_name(run) if len(runs) > 1 else "" for run in runs]
    camera_component("live_camera")(
        key=_KEY,
        data={
            "control": control,
            "has_camera": session.has_camera,
            "keeps_photos": keeps_photos,
            "viewing": live.viewing if live else None,
            "acknowledged": live.number if live else 0,
            "answers": [
                _answer(title, prediction) for title, prediction in zip(titles, predictions, strict=False)
            ],
            "words": _words(),
        },
        on_frame_change=partial(guarded_callback(_take_frame), session, runs),
        on_photo_change=partial(keep_photo, session),
        on_missing_change=partial(_take_absence, session),
    )
    if component_value(_KEY, "missing") or component_value(_KEY, "photo"):
        st.rerun()


def _take_absence(session: Session) -> None:
    session.has_camera = False


def keep_photo(session: Session) -> None:
    """Put the photo that the component has just sent among the pasted photos."""
    message = sent_message(_KEY, "photo", "id")
    if message:
        with suppress(binascii.Error):
            name = _("Camera {number}").format(number=session.num_pasted + 1)
            session.paste(message["id"], name, base64.b64decode(message["content"], validate=True))


def _take_frame(session: Session, runs: Sequence[TrainingRun]) -> None:
    """Classify a frame; the browser sends the next one only after this answer."""
    message = sent_message(_KEY, "frame", "viewing")
    if message is None:
        return
    try:
        content = base64.b64decode(message["content"], validate=True)
        predictions = tuple(predictor(run.id).predict(content) for run in runs)
    except (UnreadableImageError, binascii.Error):
        # Damaged in transit; the next frame follows in a moment.
        predictions = ()
    session.live = LiveAnswer(str(message["viewing"]), int(message["number"]), predictions)


def _answer(title: str, prediction: Prediction) -> dict[str, Any]:
    """Return the most probable classes in the order of the outputs, so that bars rarely change places."""
    best = set(list(prediction.probabilities)[:MAX_BARS])
    pairs = zip(prediction.class_names, prediction.scores, strict=True)
    return {
        "title": title,
        "said": prediction.class_name or _("I don't know"),
        "best": prediction.best_guess,
        "bars": [[name, score] for name, score in pairs if name in best],
    }


def _words() -> dict[str, str]:
    return {
        **camera_words(),
        "hint": _("Show something to the camera. Nothing is kept."),
        "keep": _("Keep this photo"),
        "waiting": _("Looking …"),
        "rate": _("{count} answers a second"),
        "percent_sign": percent_sign(),
        "insecure": _(
            "The camera needs an https address, or the computer that runs the app. Use photos here."
        ),
        "NotFoundError": _("No camera was found. Connect one and try again, or use photos."),
        "unplugged": _("The camera was disconnected. Connect it and try again."),
    }
