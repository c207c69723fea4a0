"""The explanation part of the Results page: where in a photo, or in all photos of a class, the model sees a class."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from PIL import Image

from pages.ui.app.glossary import explain
from pages.ui.app.pictures import data_url
from pages.ui.app.process import model_version, stored_evaluation, work_queue, workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import result_of
from pages.ui.app.words import plain
from pages.ui.components.heat import (
    SHOWN_SIDE,
    choose_class,
    explained_photo,
    grad_cam,
    heat_url,
    show_heat,
)
from transfer_core.data.damage import damaged_photos
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.thumbnails import thumbnail
from transfer_core.errors import UnreadableImageError
from transfer_core.evaluation.outcomes import ScoredImage, scored_images
from transfer_core.files import check_shortage
from transfer_core.inference.explanation import METHOD, ClassAverage, heat_sentence
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.tasks import class_averages_task

_MOST_PHOTOS_OF_A_CLASS = 30
_MOST_LISTED = 300


def show_explanation(session: Session, run: TrainingRun) -> None:
    """Draw where the model looks: a part of the Results page.

    Raises:
        NotFoundError: If the images of the run were deleted.
    """
    dataset = ImageDataset.load(workspace(), run.dataset_id)
    st.markdown(
        _("Warm colours show which part of a photo speaks for a class. The rest hardly counts."),
        help=explain("grad-cam"),
    )
    views = {"photo": _("One photo"), "class": _("All photos of a class together")}
    view = st.segmented_control(
        _("What to explain"),
        list(views),
        default="photo",
        required=True,
        format_func=views.__getitem__,
        key="explained-view",
    )
    if view == "class":
        _show_classes(run, dataset)
    else:
        with st.spinner(_("Looking …")):
            _show_photo(run, dataset)
    _name_method(run)


def _show_photo(run: TrainingRun, dataset: ImageDataset) -> None:
    evaluation = stored_evaluation(run.id)
    checked = scored_images(evaluation, dataset) if evaluation else []
    if not checked:
        st.info(_("None of the photos that this run was checked with is left."), icon=":material/info:")
        return
    if len(checked) > _MOST_LISTED:
        text = _("The first {count} of {total:,} photos are listed, the mistakes first.")
        st.caption(text.format(count=_MOST_LISTED, total=len(checked)))
    by_id = {one.image.id: one for one in checked[:_MOST_LISTED]}
    image_id = st.selectbox(
        _("Photo, the mistakes first"),
        list(by_id),
        format_func=lambda image_id: _describe(by_id[image_id]),
        key=f"explained-{run.id}",
    )
    outcome = by_id[image_id].outcome
    class_name = choose_class(run, outcome.predicted_class_name, image_id)
    image = by_id[image_id].image
    try:
        content = dataset.image_path(image).read_bytes()
        picture = explained_photo(run.id, model_version(run.id), content, class_name)
    except (OSError, UnreadableImageError) as error:
        check_shortage(error)
        raise damaged_photos({image.id: (image.name, image.class_name)}) from error
    caption = _("It is {true}; the model says {said} ({probability:.0%}).").format(
        true=outcome.class_name, said=outcome.predicted_class_name, probability=outcome.probability
    )
    title = _("What speaks for {name}").format(name=class_name)
    show_heat([{**picture, "title": title, "caption": caption}], "heat")


def _show_classes(run: TrainingRun, dataset: ImageDataset) -> None:
    st.caption(
        _(
            "The photos of each class laid over each other, with what the model looks at on average. A sharp spot "
            "beside the thing itself gives a shortcut away."
        ),
        help=explain("shortcut"),
    )
    pictures = []
    for average in _averages(run, dataset):
        class_name = average.class_name
        pictures.append(
            {
                "photo": data_url(thumbnail(Image.fromarray(average.photo), SHOWN_SIDE)),
                "heat": heat_url(average.heat),
                "title": _("{name}, {count} photos").format(name=class_name, count=average.num_images),
                "caption": heat_sentence(class_name, average.heat),
                "alt": _("The mean of photos of {name}").format(name=class_name),
            }
        )
    show_heat(pictures, "class-heat")


def _describe(checked: ScoredImage) -> str:
    outcome = checked.outcome
    if outcome.is_right:
        return _("✓ {name}: {said}, {probability:.0%} sure").format(
            name=outcome.name, said=outcome.class_name, probability=outcome.probability
        )
    return _("✗ {name}: {true}, taken for {said}, {probability:.0%} sure").format(
        name=outcome.name,
        true=outcome.class_name,
        said=outcome.predicted_class_name,
        probability=outcome.probability,
    )


def _name_method(run: TrainingRun) -> None:
    layer = grad_cam(run.id, model_version(run.id)).layer_name
    st.caption(_("Method: {method}, read from the layer {layer}.").format(method=METHOD, layer=plain(layer)))


def _averages(run: TrainingRun, dataset: ImageDataset) -> list[ClassAverage]:
    paths: dict[str, list[Path]] = {}
    for class_name in run.class_names:
        found = [dataset.image_path(one) for one in dataset.images if one.class_name == class_name]
        if found:
            paths[class_name] = found[:_MOST_PHOTOS_OF_A_CLASS]
    of_model = model_version(run.id)
    key = (run.id, of_model, dataset.id, dataset.version)
    task = class_averages_task(key, grad_cam(run.id, of_model), paths)
    return result_of(work_queue().get_or_start(task), _("Looking …"), name="class-heat")
