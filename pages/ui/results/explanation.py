"""The part of the Results page that shows where in a photo, or in all photos of a class, the model sees a class."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from pages.ui.app.glossary import explain
from pages.ui.app.page import choose_part, guarded
from pages.ui.app.pictures import data_url, thumbnails
from pages.ui.app.process import model_version, stored_evaluation, work_queue, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import UnfinishedTaskError, result_of
from pages.ui.app.words import plain
from pages.ui.components.heat import (
    SHOWN_SIDE,
    choose_class,
    explained_photo,
    grad_cam,
    heat_url,
    show_heat,
)
from pages.ui.components.photo_picker import pick_photo
from pages.ui.results.photo_sets import PhotoSet
from pages.ui.results.photos import prediction_words
from transfer_core.data.damage import damaged_photos
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.errors import UnreadableImageError
from transfer_core.evaluation.outcomes import ScoredImage, scored_images
from transfer_core.files import check_shortage
from transfer_core.inference.explanation import METHOD, ClassAverage, heat_sentence
from transfer_core.language import _, plural
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.tasks import class_averages_task

_MOST_PHOTOS_OF_A_CLASS = 30
_MOST_LISTED = 60
_NO_HEAT = np.zeros((1, 1), np.float32)


def show_explanation(session: Session, run: TrainingRun, sets: Mapping[str, PhotoSet]) -> None:
    """Draw where the model looks: a part of the Results page.

    Raises:
        NotFoundError: If the images of the run were deleted.
    """
    dataset = ImageDataset.load(workspace(), run.dataset_id)
    with st.container(horizontal=True, vertical_alignment="center", key="why-heading"):
        heading = st.container(width="stretch")
        views = {"photo": _("One photo"), "class": _("Average of a class")}
        view = choose_part(views, "photo", "explained-view", label=_("What to explain"))
    heading.header(_("Where does it look?"), anchor=False, help=explain("grad-cam"))
    if view == "class":
        _show_classes(run, dataset)
    else:
        _show_photos(run, dataset)


def _show_photos(run: TrainingRun, dataset: ImageDataset) -> None:
    evaluation = stored_evaluation(run.id)
    scored = scored_images(evaluation, dataset)[:_MOST_LISTED] if evaluation else []
    if not scored:
        st.info(_("The validation photos of this model were deleted."), icon=":material/info:")
        return
    st.fragment(guarded(_show_photo))(run, dataset, scored)


def _show_photo(run: TrainingRun, dataset: ImageDataset, scored: list[ScoredImage]) -> None:
    """Draw thumbnails to pick from, and the picked photo with its heat map beside them."""
    left, right = st.columns(2, gap="medium")
    with left:
        sources = thumbnails(tuple(str(dataset.image_path(one.image)) for one in scored))
        photos = [
            {
                "id": one.image.id,
                "source": source,
                "label": prediction_words(one.outcome),
                "is_right": one.outcome.is_right,
            }
            for one, source in zip(scored, sources, strict=True)
        ]
        image_id = pick_photo(photos, _("Pick a photo; mistakes come first."), f"explained-{run.id}")
    with right:
        _show_picked(run, dataset, next(one for one in scored if one.image.id == image_id))


def _show_picked(run: TrainingRun, dataset: ImageDataset, picked: ScoredImage) -> None:
    """Draw the picked photo, and lay the heat map over it as soon as that is computed."""
    image, outcome = picked.image, picked.outcome
    class_name = choose_class(run, outcome.predicted_class_name, image.id)
    path = dataset.image_path(image)
    words = {
        "title": _("Warm colours support {name}").format(name=class_name),
        "caption": prediction_words(outcome),
    }
    place = st.container()
    try:
        picture = explained_photo(run.id, model_version(run.id), path.read_bytes(), class_name)
    except (OSError, UnreadableImageError) as error:
        check_shortage(error)
        raise damaged_photos({image.id: (image.name, image.class_name)}) from error
    except UnfinishedTaskError:
        (photo,) = thumbnails((str(path),), SHOWN_SIDE)
        with place:
            show_heat(
                [{"photo": photo, "heat": heat_url(_NO_HEAT), "alt": image.class_name, **words}], "heat"
            )
        raise
    with place:
        show_heat([{**picture, **words}], "heat")
    _name_method(run)


def _show_classes(run: TrainingRun, dataset: ImageDataset) -> None:
    st.caption(
        _("All photos of a class in one picture. A hot spot beside the thing itself may be a shortcut."),
        help=explain("shortcut"),
    )
    pictures = []
    for average in _averages(run, dataset):
        class_name = average.class_name
        count = plural("{count} photo", "{count} photos", average.num_images)
        pictures.append(
            {
                "photo": data_url(thumbnail(Image.fromarray(average.photo), SHOWN_SIDE)),
                "heat": heat_url(average.heat),
                "title": _("{name}, {count}").format(name=class_name, count=count),
                "caption": heat_sentence(class_name, average.heat),
                "alt": _("The average of photos of {name}").format(name=class_name),
            }
        )
    show_heat(pictures, "class-heat")
    _name_method(run)


def _name_method(run: TrainingRun) -> None:
    layer = grad_cam(workspace(), run.id, model_version(run.id)).layer_name
    st.caption(_("Method: {method}, layer {layer}.").format(method=METHOD, layer=plain(layer)))


def _averages(run: TrainingRun, dataset: ImageDataset) -> list[ClassAverage]:
    paths: dict[str, list[Path]] = {}
    for class_name in run.class_names:
        found = [dataset.image_path(one) for one in dataset.images if one.class_name == class_name]
        if found:
            paths[class_name] = found[:_MOST_PHOTOS_OF_A_CLASS]
    of_model = model_version(run.id)
    key = (run.id, of_model, dataset.id, dataset.version)
    task = class_averages_task(
        key, partial(grad_cam, workspace(), run.id, of_model), paths, workspace().owner
    )
    return result_of(work_queue().get_or_start(task), _("Averaging the photos …"), name="class-heat")
