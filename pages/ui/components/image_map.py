"""A map of the images, in which similar features lie close together."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from pages.ui.app.glossary import explain
from pages.ui.app.pictures import thumbnail_urls
from pages.ui.app.process import model_version, work_queue, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import result_of
from pages.ui.components.component import component
from transfer_core.data.damage import leave_out_damaged
from transfer_core.data.dataset import ImageDataset
from transfer_core.evaluation.image_map import MapMethod, chosen_for_map, lay_out
from transfer_core.inference.cached_outputs import cached_outputs
from transfer_core.inference.certainty import Certainty
from transfer_core.inference.predictor import ModelOutputs
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.task import Task, TaskProgress
from transfer_core.workspace import Workspace

_THUMBNAIL_SIDE = 96


def show_image_map(session: Session, run: TrainingRun) -> None:
    """Draw the map of all images of a run: a part of the Results page.

    Raises:
        IngestError: If there are too few images.
        NotFoundError: If the dataset of the run was deleted.
    """
    st.markdown(
        _(
            "Photos that look alike to the network lie close together. Point at one to see it. A photo in the middle "
            "of another class may carry the wrong label; classes that mix are hard to tell apart."
        ),
        help=explain("image map"),
    )
    methods: dict[MapMethod, str] = {
        "t-sne": _("Neighbours together (t-SNE)"),
        "pca": _("Largest differences (PCA)"),
    }
    method = st.segmented_control(
        _("How to draw it"), list(methods), default="t-sne", required=True, format_func=methods.__getitem__
    )
    dataset = ImageDataset.load(workspace(), run.dataset_id)
    key = (run.id, model_version(run.id), dataset.id, dataset.version, method)
    work = partial(_map_data, workspace=workspace(), run_id=run.id, dataset_id=dataset.id, method=method)
    task = work_queue().get_or_start(Task("image map", key, work))
    data = result_of(task, _("Laying out the map …"), name="image-map")
    component("image_map")(key="image-map", data=data)
    if len(data["points"]) < data["num_images"]:
        st.caption(
            _("{count} of {total} photos are shown, evenly picked.").format(
                count=len(data["points"]), total=data["num_images"]
            )
        )


def _map_data(
    task: Task[dict[str, Any]], workspace: Workspace, run_id: str, dataset_id: str, method: MapMethod
) -> dict[str, Any]:
    """Return everything the browser draws. Called by the work queue."""
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
    # Streamlit caches nothing outside the threads that draw pages.
    sources = thumbnail_urls((dataset.image_path(image) for image in images), _THUMBNAIL_SIDE)
    points: list[dict[str, Any]] = []
    for image, place, row, source in zip(
        images, lay_out(features, method), probabilities, sources, strict=True
    ):
        said = class_names[int(row.argmax())]
        text = _("It is {true}; the model says {said} ({probability:.0%}).").format(
            true=image.class_name, said=said, probability=float(row.max())
        )
        points.append(
            {
                "x": round(float(place[0]), 3),
                "y": round(float(place[1]), 3),
                "class_number": class_names.index(image.class_name),
                "is_wrong": said != image.class_name,
                "name": image.name,
                "text": text,
                "source": source,
            }
        )
    num_wrong = sum(point["is_wrong"] for point in points)
    described = _("A map of {count} photos; {wrong} of them the model takes for another class.").format(
        count=len(points), wrong=num_wrong
    )
    return {
        # Mistakes last: they are drawn on top.
        "points": sorted(points, key=lambda point: point["is_wrong"]),
        "num_images": len(known),
        "class_names": list(class_names),
        "words": {
            "described": described,
            "wrong": _("taken for another class ({count})").format(count=num_wrong),
        },
    }
