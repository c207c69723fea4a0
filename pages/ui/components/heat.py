"""Photos with a heat map over them that shows which part supports a class (Grad-CAM)."""

from __future__ import annotations

import hashlib
import io
from functools import partial

import streamlit as st
from PIL import Image

from pages.ui.app.pictures import data_url
from pages.ui.app.process import work_queue, workspace
from pages.ui.app.task_progress import result_of
from pages.ui.app.words import short_names
from pages.ui.components.component import component
from pages.ui.server.service import service
from transfer_core.data.images.image_path import to_pixels
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.inference.explanation import GradCam, overlay
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.types import Array
from transfer_core.work.task import Task
from transfer_core.workspace import Workspace

SHOWN_SIDE = 640  # pixels


def choose_class(run: TrainingRun, said: str, key: str) -> str:
    """Let the person pick the class to explain; the predicted one is picked at first."""
    names, labels = list(run.class_names), short_names(run.class_names)
    chosen = st.selectbox(
        _("Explain the answer for"),
        names,
        index=names.index(said),
        format_func=lambda name: (
            _("{name} (its best guess)").format(name=labels[name]) if name == said else labels[name]
        ),
        key=f"explained-class-{run.id}-{key}",
    )
    return str(chosen)


@st.cache_resource(show_spinner=False, max_entries=3)
def grad_cam(place: Workspace, run_id: str, of_model: tuple[int, ...]) -> GradCam:
    """Return what explains the model of a run, built once for each version of the model.

    Args:
        place: Of the run. The work queue calls this where nobody looks at a page.
        run_id: The run.
        of_model: Version of its model.
    """
    return GradCam.of(service().predictor(place, run_id), place.run_dir(run_id))


def explained_photo(
    run_id: str, of_model: tuple[int, ...], content: bytes, class_name: str
) -> dict[str, str]:
    """Return a photo and its heat map as `show_heat` takes them, still without title and caption.

    Raises:
        UnfinishedTaskError: If the heat map is not there yet; its progress is drawn.
        UnreadableImageError: If the bytes are no complete image.
    """
    key = (run_id, of_model, class_name, hashlib.sha256(content).digest())
    work = partial(
        _explained,
        place=workspace(),
        run_id=run_id,
        of_model=of_model,
        content=content,
        class_name=class_name,
    )
    task = work_queue().get_or_start(Task("explanation", key, work, lane="light", owner=workspace().owner))
    pictures = result_of(task, _("Explaining …"), name="explaining")
    alt = _("The photo, with the parts that support {name}").format(name=class_name)
    return {**pictures, "alt": alt}


def _explained(
    task: Task[dict[str, str]],
    place: Workspace,
    run_id: str,
    of_model: tuple[int, ...],
    content: bytes,
    class_name: str,
) -> dict[str, str]:
    """Return the photo and its heat map. Called by the work queue."""
    explainer = grad_cam(place, run_id, of_model)
    photo = service().predictor(place, run_id).decode(content)
    (heat,) = explainer.heat_maps(to_pixels(photo, explainer.image_size)[None], [class_name])
    shown = data_url(thumbnail(photo, SHOWN_SIDE))
    return {
        "photo": shown,
        # In the shape of the photo, so that the two cover each other wherever they are fitted into.
        "heat": heat_url(heat, photo.size),
    }


def heat_url(heat: Array, size: tuple[int, int] | None = None) -> str:
    """Return the address of a picture of a heat map.

    Args:
        heat: In 0-1, `[height, width]`.
        size: Width and height of the picture in pixels, by default those of the map.
    """
    buffer = io.BytesIO()
    picture = Image.fromarray(overlay(heat))
    (picture.resize(size) if size else picture).save(buffer, "PNG")
    return data_url(buffer.getvalue(), "png")


def show_heat(pictures: list[dict[str, str]], key: str) -> None:
    """Draw photos with their heat maps and a slider for the strength of the colours.

    Args:
        pictures: Of each `photo` and `heat` as addresses, `title`, `caption` and `alt`. Without any heat map there is
            no slider.
        key: Of the component.
    """
    words = {"strength": _("Strength of the colours")}
    component("heat")(key=key, data={"pictures": pictures, "words": words})
