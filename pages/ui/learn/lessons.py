"""Short lessons, each with a picture and what to look at in the person's own model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import stored_evaluation, trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import accuracy_words, count_words, expected_sentence, learning_words, plain
from pages.ui.learn.figures import (
    show_depths,
    show_fit,
    show_network,
    show_range,
    show_same_class,
    show_sides,
    show_steps,
    show_way,
)
from pages.ui.learn.race import show_race
from transfer_core.events import RunSnapshot
from transfer_core.language import _, number, percent, sentences, significant
from transfer_core.runs.sweep import list_sweeps
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.all_photos import trains_on_all
from transfer_core.training.curves import read_curves
from transfer_core.training.freezing import FreezePlan

_COMPARE_PAGE = "pages/8_Compare.py"


@dataclass(frozen=True)
class Example:
    """What illustrates a lesson, and the page that shows it.

    Args:
        text: With the numbers of the person's own model; empty if its picture says it.
        label: Of the button that goes there.
        page: The file of the page.
        part: The part of that page that is to be open, where it has parts.
    """

    text: str
    label: str
    page: str
    part: str = ""


@dataclass(frozen=True)
class Lesson:
    """One thing to learn.

    Args:
        name: For the address of its button.
        title: A question or a term.
        text: A few short sentences.
        show_figure: Draws its picture, from a finished run or without one.
        example_of: Returns the example in a finished run.
        first_step: Stands in its place as long as there is no run.
    """

    name: str
    title: str
    text: str
    show_figure: Callable[[TrainingRun | None], None]
    example_of: Callable[[TrainingRun, RunSnapshot], Example]
    first_step: Example


def show_lesson(session: Session, number: int, lesson: Lesson, run: TrainingRun | None) -> None:
    """Draw one lesson, its words beside its picture."""
    words, picture = st.columns(2, gap="medium", vertical_alignment="center")
    with words:
        st.header(f"{number} · {lesson.title}", anchor=False)
        st.markdown(lesson.text)
        guarded(_show_example)(session, lesson, run)
    with picture:
        guarded(lesson.show_figure)(run)


def _show_example(session: Session, lesson: Lesson, run: TrainingRun | None) -> None:
    """Draw the example of a lesson with the button that opens its page."""
    example = lesson.example_of(run, trainings().snapshot(run.id)) if run else lesson.first_step
    if example.text:
        st.markdown(f":material/visibility: {example.text}")
    if st.button(example.label, key=f"see-{lesson.name}", help=plain(lesson.title)):
        _go_to(session, example, run)
        st.switch_page(example.page)


def _go_to(session: Session, example: Example, run: TrainingRun | None) -> None:
    """Choose in the session what the page of an example is to show."""
    if example.page == _COMPARE_PAGE:
        session.compare_part = example.part
    elif example.page == Step.RESULTS.page:
        session.results_part = example.part
    if run is None:
        return
    # Looking at a run must not replace what the person has chosen meanwhile.
    session.picked_run_id = run.id
    if example.page == Step.TRAIN.page:
        session.run_id = run.id
    elif session.backbone_name is None and example.page == Step.LAYERS.page:
        session.choose_backbone(run.config.backbone)
    if session.dataset_id is None and run.dataset_id in workspace().dataset_ids():
        session.dataset_id = run.dataset_id


def lessons(session: Session) -> list[Lesson]:
    """Return all lessons, in the order in which they build on each other."""
    train_first = Example(
        _("Train a model, then come back: this lesson will use it."), _("Start"), Step.MODEL.page
    )
    return [
        Lesson(
            "transfer",
            _("What is transfer learning?"),
            _(
                "A pretrained model has seen a million photos. It already knows edges, colours, fur and wheels. "
                "Transfer learning keeps all that and teaches it only your classes. So a few photos are enough."
            ),
            partial(show_race, session),
            _see_transfer,
            train_first,
        ),
        Lesson(
            "fine-tuning",
            _("Feature extraction or fine-tuning?"),
            _(
                "*Feature extraction* freezes all blocks; only a new last layer learns. It is quick and safe. "
                "*Fine-tuning* lets the last blocks learn too, in small steps. "
                "It can help with many photos, or with unusual ones."
            ),
            show_network,
            _see_depth,
            Example("", _("Go to Layers"), Step.LAYERS.page),
        ),
        Lesson(
            "freeze",
            _("Why freeze layers?"),
            _(
                "Frozen blocks forget nothing. With few photos, a model that may change everywhere memorizes them. "
                "Freezing also saves time: frozen blocks read each photo only once. "
                "The best depth differs from set to set, so try it."
            ),
            show_depths,
            _see_sweep,
            train_first,
        ),
        Lesson(
            "rate",
            _("What does the learning rate do?"),
            _(
                "It is the size of each learning step. Too small, and learning crawls. "
                "Too large, and it stumbles: the loss jumps up and down. "
                "Fine-tuning takes tiny steps, to keep what the model knows."
            ),
            show_steps,
            _see_rate,
            train_first,
        ),
        Lesson(
            "overfitting",
            _("Overfitting and underfitting"),
            _(
                "Right on training photos but wrong on validation photos? The model *overfits*: it memorized. "
                "More photos, more variety or more frozen blocks help. "
                "Wrong on both? It *underfits*: train longer, or let more blocks learn."
            ),
            show_fit,
            _see_fit,
            train_first,
        ),
        Lesson(
            "validation",
            _("Why validation photos?"),
            _(
                "A pupil who has seen the answers proves nothing. "
                "So accuracy is measured on photos that the model had not learned from. "
                "Photos of one recording stay on the same side."
            ),
            show_sides,
            _see_validation,
            Example("", _("Go to Images"), Step.IMAGES.page),
        ),
        Lesson(
            "accuracy",
            _("How honest is an accuracy?"),
            _(
                "On other photos, the accuracy would be slightly different. "
                "The fewer photos it was measured on, the wider the range. "
                "So {high} on 20 photos may be worse than {low} on 500."
            ).format(high=percent(0.9), low=percent(0.85)),
            show_range,
            _see_accuracy,
            train_first,
        ),
        Lesson(
            "shortcuts",
            _("Right for the wrong reason: shortcuts"),
            _(
                "If every mug stood on the same table, the model may learn the table. "
                "It is then right on your photos and wrong elsewhere. "
                "See where it looks to find a shortcut. Vary the background to fix it."
            ),
            show_same_class,
            _see_shortcuts,
            train_first,
        ),
        Lesson(
            "privacy",
            _("Where do my photos go?"),
            (
                _("Trainings copy them to the computers of the cluster, and they go nowhere else.")
                if trainings().sends_photos
                else _("Nowhere: they stay on this computer.")
            )
            + " "
            + _(
                "Location, date and camera details are removed. "
                "But a model can remember parts of its photos. Share a model of private photos with care."
            ),
            show_way,
            _see_privacy,
            Example("", _("Go to Images"), Step.IMAGES.page),
        ),
    ]


def _see_transfer(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    text = (
        _(
            "Your model started with {count} random values. "
            "From {photos} photos alone it reached {accuracy} accuracy."
        )
        if run.config.weights == "random"
        else _(
            "Your model started with {count} values learned before. "
            "With {photos} of your photos it reached {accuracy} accuracy."
        )
    ).format(
        count=count_words(run.backbone.num_parameters),
        photos=number(_num_photos_learned(run, snapshot)),
        accuracy=percent(snapshot.accuracy or 0.0),
    )
    return Example(text, _("See it in your model"), Step.RESULTS.page, "overview")


def _num_photos_learned(run: TrainingRun, snapshot: RunSnapshot) -> int:
    """Return how many photos the finished model learned from."""
    validation = snapshot.num_validation_images if trains_on_all(run.config) else 0
    return snapshot.num_train_images + validation


def _see_depth(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    plan = FreezePlan.of(run.config, run.backbone)
    values = learning_words(plan, len(run.class_names))
    if plan.is_from_scratch:
        text = _("Your model was trained from scratch. {values}.")
    elif plan.is_all_frozen:
        text = _("Your model used feature extraction. {values}.")
    else:
        text = _("Your model was fine-tuned. {values}.")
    return Example(text.format(values=values), _("See the blocks"), Step.LAYERS.page)


def _see_sweep(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    if list_sweeps(workspace()):
        return Example(_("You have tried several depths."), _("See them"), _COMPARE_PAGE, "depths")
    return Example(
        _("One click trains on your photos at several depths."),
        _("Try several depths"),
        _COMPARE_PAGE,
        "depths",
    )


def _see_rate(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    text = _("Your model started with {rate}. Does its loss fall smoothly, or jump?").format(
        rate=significant(run.config.learning_rate)
    )
    return Example(text, _("See it in your model"), Step.TRAIN.page)


def _see_fit(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    best = snapshot.best
    text = _("Your model: training accuracy {train}, validation accuracy {validation}.").format(
        train=percent(best.accuracy if best else 0.0), validation=percent(best.val_accuracy if best else 0.0)
    )
    curves = read_curves(snapshot, len(run.class_names))
    return Example(sentences(text, *curves[:1]), _("See it in your model"), Step.TRAIN.page)


def _see_validation(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    text = _("{name} has {train} training photos and {validation} validation photos.").format(
        name=plain(run.dataset_name),
        train=snapshot.num_train_images,
        validation=snapshot.num_validation_images,
    )
    return Example(text, _("See the mistakes"), Step.RESULTS.page, "mistakes")


def _see_accuracy(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    evaluation = stored_evaluation(run.id)
    if evaluation is None:
        return Example(_("Your model has no accuracy yet."), _("See it in your model"), Step.TRAIN.page)
    text = _("Your model: accuracy {accuracy}, measured on {count} photos.").format(
        accuracy=accuracy_words(evaluation), count=evaluation.num_images
    )
    sentence = sentences(text, expected_sentence(evaluation))
    return Example(sentence, _("See it in your model"), Step.RESULTS.page, "overview")


def _see_shortcuts(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    return Example("", _("See where your model looks"), Step.RESULTS.page, "why")


def _see_privacy(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    text = _("The folder of your photos and models: `{folder}`").format(folder=str(workspace().root))
    return Example(text, _("See your photos"), Step.IMAGES.page)
