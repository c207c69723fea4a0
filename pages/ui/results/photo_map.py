"""The photo map: a part of the Results page in which photos with similar features lie close together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.page import choose_part, guarded
from pages.ui.app.pictures import thumbnail_urls
from pages.ui.app.process import model_version, work_queue, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import result_of
from pages.ui.components.image_map import choose_image
from pages.ui.results.photo_sets import PhotoSet
from pages.ui.results.photos import prediction_words, show_photos
from transfer_core.data.damage import leave_out_damaged
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import WorkspaceError
from transfer_core.evaluation.evaluation import ImageOutcome
from transfer_core.evaluation.image_map import MapMethod, chosen_for_map, lay_out
from transfer_core.inference.cached_outputs import cached_outputs
from transfer_core.inference.certainty import Certainty
from transfer_core.inference.predictor import ModelOutputs
from transfer_core.language import _, plural, sentences
from transfer_core.runs.training_run import TrainingRun
from transfer_core.types import Array
from transfer_core.work.task import Task, TaskProgress
from transfer_core.workspace import Workspace

_THUMBNAIL_SIDE = 96
_LARGE_SIDE = 480


@dataclass(frozen=True)
class PhotoMap:
    """What the map shows.

    Args:
        data: For the browser, still without texts.
        outcomes: Of the shown photos, by image id.
        num_images: How many photos there are, shown or not.
    """

    data: dict[str, Any]
    outcomes: dict[str, ImageOutcome]
    num_images: int


def show_photo_map(session: Session, run: TrainingRun, sets: Mapping[str, PhotoSet]) -> None:
    """Draw the map of all photos of a run, and the picked photo beside it.

    Raises:
        IngestError: If there are too few images.
        NotFoundError: If the dataset of the run was deleted.
    """
    with st.container(horizontal=True, vertical_alignment="center", key="map-heading"):
        heading = st.container(width="stretch")
        methods: dict[MapMethod, str] = {"t-sne": _("t-SNE"), "pca": _("PCA")}
        method = choose_part(methods, "t-sne", "map-method", label=_("How to draw it"))
    heading.header(_("Similar photos lie close together"), anchor=False, help=explain("image map"))
    dataset = ImageDataset.load(workspace(), run.dataset_id)
    key = (run.id, model_version(run.id), dataset.id, dataset.version, method)
    work = partial(_photo_map, workspace=workspace(), run_id=run.id, dataset_id=dataset.id, method=method)
    task = work_queue().get_or_start(Task("image map", key, work, owner=workspace().owner))
    drawn = result_of(task, _("Laying out the map …"), name="image-map")
    st.fragment(guarded(_show_map))(dataset, drawn)


def _show_map(dataset: ImageDataset, drawn: PhotoMap) -> None:
    left, right = st.columns([3, 1], gap="medium")
    with left:
        picked = choose_image(_in_words(drawn), "image-map")
        num_shown = len(drawn.outcomes)
        if num_shown < drawn.num_images:
            text = _("{count} of {total} photos are shown, evenly picked.")
            st.caption(text.format(count=num_shown, total=drawn.num_images))
    with right:
        if picked in drawn.outcomes:
            show_photos(dataset, [drawn.outcomes[picked]], "map-photo", side=_LARGE_SIDE)
        else:
            st.caption(_("Pick a photo to see it large. One among another class may have a wrong label."))


def _photo_map(
    task: Task[PhotoMap], workspace: Workspace, run_id: str, dataset_id: str, method: MapMethod
) -> PhotoMap:
    """Return everything that is drawn. Called by the work queue."""
    run = TrainingRun.load(workspace, run_id)
    dataset = ImageDataset.load(workspace, dataset_id)
    class_names = run.signature.class_names
    known = [image for image in dataset.images if image.class_name in class_names]
    images = [known[place] for place in chosen_for_map(len(known))]
    outputs: ModelOutputs
    images, outputs = leave_out_damaged(
        images,
        lambda left: (
            left,
            cached_outputs(
                run.folder,
                run.config,
                dataset,
                left,
                workspace.cache_dir,
                lambda num_done: task.report(TaskProgress("", num_done, len(left))),
                task.should_stop,
            ),
        ),
    )
    features = np.asarray(outputs.features)
    probabilities = Certainty.load(run.folder, features.shape[1]).calibration.apply(outputs.probabilities)
    outcomes = _outcomes(run, images, probabilities)
    # Streamlit caches nothing outside the threads that draw pages.
    sources = thumbnail_urls((dataset.image_path(image) for image in images), _THUMBNAIL_SIDE)
    points = [
        {
            "id": outcome.image_id,
            "x": round(float(place[0]), 3),
            "y": round(float(place[1]), 3),
            "class_number": class_names.index(outcome.class_name),
            "is_wrong": not outcome.is_right,
            "source": source,
        }
        for outcome, place, source in zip(outcomes, lay_out(features, method), sources, strict=True)
    ]
    data = {
        # Mistakes last: they are drawn on top.
        "points": sorted(points, key=lambda point: bool(point["is_wrong"])),
        "class_names": list(class_names),
    }
    return PhotoMap(data, {outcome.image_id: outcome for outcome in outcomes}, len(known))


def _outcomes(run: TrainingRun, images: list[ImageRecord], probabilities: Array) -> list[ImageOutcome]:
    """Return the outcome of each image: the stored one of the evaluation where there is one, else the model's."""
    evaluation = None
    with suppress(WorkspaceError):
        evaluation = run.evaluation()
    # A model that was trained on all photos makes no mistakes on them: cross-validation says more.
    stored = {outcome.image_id: outcome for outcome in evaluation.outcomes} if evaluation else {}
    names = run.signature.class_names
    outcomes = []
    for image, row in zip(images, probabilities, strict=True):
        outcome = stored.get(image.id)
        if outcome is None or outcome.class_name != image.class_name:
            said = int(row.argmax())
            true = names.index(image.class_name)
            outcome = ImageOutcome(
                image.name,
                image.class_name,
                names[said],
                float(row[said]),
                float(row[true]),
                image_id=image.id,
            )
        outcomes.append(outcome)
    return outcomes


def _in_words(drawn: PhotoMap) -> dict[str, Any]:
    """Return what the map shows with its texts, in the language of the person who looks."""
    points = [
        {**point, "text": prediction_words(drawn.outcomes[point["id"]])} for point in drawn.data["points"]
    ]
    num_wrong = sum(bool(point["is_wrong"]) for point in points)
    return {**drawn.data, "points": points, "words": _words(len(points), num_wrong)}


def _words(num_images: int, num_wrong: int) -> dict[str, str]:
    photos = plural("A map of {count} photo.", "A map of {count} photos.", num_images)
    mistakes = plural("{count} mistake.", "{count} mistakes.", num_wrong)
    return {
        "described": sentences(photos, mistakes),
        "right": _("correct"),
        "wrong": _("mistake"),
        "classes": _("Show only"),
        "zoom_in": _("Zoom in"),
        "zoom_out": _("Zoom out"),
        "reset": _("Show all"),
        "hint": _("Arrow keys move, Enter picks, plus and minus zoom."),
        "list": _("Mistakes as a list"),
    }
