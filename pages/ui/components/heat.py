"""Photos with a heat map over them that shows which part speaks for a class (Grad-CAM)."""

from __future__ import annotations

import io

import streamlit as st
from PIL import Image

from pages.ui.app.pictures import data_url
from pages.ui.app.process import model_version, predictor, workspace
from pages.ui.app.words import short_names
from pages.ui.components.component import component
from transfer_core.data.images.image_path import to_pixels
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.inference.explanation import GradCam, overlay
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.types import Array

SHOWN_SIDE = 480  # pixels


def show_why(run: TrainingRun, content: bytes, said: str, key: str) -> None:
    """Draw which part of a new photo speaks for a class that the person picks.

    Args:
        run: It has a model.
        content: The bytes of the photo's file.
        said: The predicted class, which is picked at first.
        key: Unique for each photo of the page.
    """
    class_name = choose_class(run, said, key)
    picture = explained_photo(run.id, model_version(run.id), content, class_name)
    show_heat([{**picture, "title": class_name, "caption": ""}], f"{key}-heat")


def choose_class(run: TrainingRun, said: str, key: str) -> str:
    """Let the person pick the class to explain; the predicted one is picked at first."""
    names, labels = list(run.class_names), short_names(run.class_names)
    chosen = st.selectbox(
        _("Show what speaks for"),
        names,
        index=names.index(said),
        format_func=lambda name: (
            _("{name} (what it says)").format(name=labels[name]) if name == said else labels[name]
        ),
        key=f"explained-class-{run.id}-{key}",
    )
    return str(chosen)


@st.cache_resource(show_spinner=False, max_entries=3)
def grad_cam(run_id: str, of_model: tuple[int, ...]) -> GradCam:
    """Return what explains the model of a run, built once for each version of the model."""
    return GradCam.of(predictor(run_id), workspace().run_dir(run_id))


@st.cache_data(show_spinner=False, max_entries=60)
def explained_photo(
    run_id: str, of_model: tuple[int, ...], content: bytes, class_name: str
) -> dict[str, str]:
    """Return a photo and its heat map as `show_heat` takes them, still without title and caption."""
    explainer = grad_cam(run_id, of_model)
    photo = predictor(run_id).decode(content)
    (heat,) = explainer.heat_maps(to_pixels(photo, explainer.image_size)[None], [class_name])
    return {
        "photo": data_url(thumbnail(photo, SHOWN_SIDE)),
        "heat": heat_url(heat),
        "alt": _("The photo, with what speaks for {name}").format(name=class_name),
    }


def heat_url(heat: Array) -> str:
    """Return the address of a picture of a heat map in 0-1, `[height, width]`."""
    buffer = io.BytesIO()
    Image.fromarray(overlay(heat)).save(buffer, "PNG")
    return data_url(buffer.getvalue(), "png")


def show_heat(pictures: list[dict[str, str]], key: str) -> None:
    """Draw photos with their heat maps and a slider for the strength of the colours.

    Args:
        pictures: Of each `photo` and `heat` as addresses, `title`, `caption` and `alt`.
        key: Of the component.
    """
    words = {"strength": _("How strongly the colours cover the photo")}
    component("heat")(key=key, data={"pictures": pictures, "words": words})
