"""Short lessons, each with what to look at in the person's own run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.process import stored_evaluation, trainings, workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.words import count_words, plain
from transfer_core.events import RunSnapshot
from transfer_core.language import _, plural
from transfer_core.runs.sweep import list_sweeps
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.curves import read_curves
from transfer_core.training.freezing import FreezePlan

_COMPARE_PAGE = "pages/8_Compare.py"


@dataclass(frozen=True)
class Example:
    """What illustrates a lesson, and the page that shows it.

    Args:
        text: The lesson, with the numbers of the person's own run if there is one.
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
        text: Three or four plain sentences.
        example_of: Returns the example in a finished run.
        first_step: Stands in its place as long as there is no run.
    """

    name: str
    title: str
    text: str
    example_of: Callable[[TrainingRun, RunSnapshot], Example]
    first_step: Example


def show_lesson(session: Session, number: int, lesson: Lesson, run: TrainingRun | None) -> None:
    """Draw one lesson."""
    st.subheader(f"{number} · {lesson.title}", anchor=False)
    st.markdown(lesson.text)
    guarded(_show_example)(session, lesson, run)


def _show_example(session: Session, lesson: Lesson, run: TrainingRun | None) -> None:
    """Draw the example of a lesson with the button that opens its page."""
    example = lesson.example_of(run, trainings().snapshot(run.id)) if run else lesson.first_step
    with st.container(horizontal=True, vertical_alignment="center"):
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


def lessons() -> list[Lesson]:
    """Return all lessons, in the order in which they build on each other."""
    train_first = Example(
        _("Train your first model, then come back: this lesson will show it with your own numbers."),
        _("Begin"),
        Step.MODEL.page,
    )
    return [
        Lesson(
            "transfer",
            _("What is transfer learning?"),
            _(
                "A network that has learned from a million photos already knows edges, colours, fur, wheels and faces. "
                "Transfer learning keeps all that and teaches only what is new: your classes. That is why a handful of "
                "photos is enough, where learning from nothing would need many thousands."
            ),
            _see_transfer,
            train_first,
        ),
        Lesson(
            "fine-tuning",
            _("Feature extraction or fine-tuning?"),
            _(
                "In *feature extraction* the network stays as it is and describes each photo in numbers, its features; "
                "only a small new layer learns from them. In *fine-tuning* the last blocks of the network learn along, "
                "in small steps. The first is quick and safe; the second can reach more when there are many photos, or "
                "when they look unlike everyday photos."
            ),
            _see_depth,
            Example(
                _("See the blocks of a network and choose what learns."), _("Go to Layers"), Step.LAYERS.page
            ),
        ),
        Lesson(
            "freeze",
            _("Why freeze layers?"),
            _(
                "What is frozen cannot be spoiled. With few photos, a network that may change everywhere soon knows "
                "them by heart and loses what it knew. Freezing also saves time: frozen layers look at each photo "
                "once, not once an epoch. How deep to go differs from set to set, so try it."
            ),
            _see_sweep,
            train_first,
        ),
        Lesson(
            "rate",
            _("What does the learning rate do?"),
            _(
                "It is the size of the steps in which the network changes. Too small, and it crawls: the curves still "
                "climb when training ends. Too big, and it stumbles: the loss jumps up and down. While fine-tuning the "
                "steps are much smaller, because big ones would undo what the network knows."
            ),
            _see_rate,
            train_first,
        ),
        Lesson(
            "overfitting",
            _("Over- and underfitting"),
            _(
                "When the network is right on the training photos but not on those kept aside, it has learned them by "
                "heart: it *overfits*. More photos, more variety or more frozen layers help. When it is wrong on both, "
                "it *underfits*: train longer, or let more learn."
            ),
            _see_fit,
            train_first,
        ),
        Lesson(
            "validation",
            _("Why keep photos aside?"),
            _(
                "A pupil who has seen the answers proves nothing. So some photos are kept aside and never learned "
                "from: the *validation* photos. Photos that are nearly the same, such as frames of one video, "
                "stay together on one side; otherwise the model would be asked what it has already seen."
            ),
            _see_validation,
            Example(
                _("Bring your photos; the page shows which are kept aside."),
                _("Go to Images"),
                Step.IMAGES.page,
            ),
        ),
        Lesson(
            "accuracy",
            _("How honest is an accuracy?"),
            _(
                "An accuracy is measured on some photos, and with others it would be a little different. The fewer "
                "photos, the wider the interval it may lie in. So 90 % on 20 photos may be worse than 85 % on 500, and "
                "a better number in one run may be luck."
            ),
            _see_accuracy,
            train_first,
        ),
        Lesson(
            "shortcuts",
            _("Right for the wrong reason: shortcuts"),
            _(
                "If all photos of a class were taken on the same table, the network may learn the table. It is then "
                "right on your photos and wrong everywhere else. Looking at where it looks gives such a shortcut away; "
                "photos in front of other backgrounds fix it."
            ),
            _see_shortcuts,
            train_first,
        ),
        Lesson(
            "privacy",
            _("Where do my photos go?"),
            _(
                "Nowhere. They are copied into a folder on this computer, without the place and the camera that a "
                "photo file names, and the network learns here. But a model can remember something of "
                "what it has learned from: share a model of private photos with care."
            ),
            _see_privacy,
            Example(_("Bring your photos: they stay on this computer."), _("Go to Images"), Step.IMAGES.page),
        ),
    ]


def _see_transfer(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    network = run.backbone
    text = (
        _(
            "Your {network} began with {count} random numbers: this run did without transfer learning. From {photos} "
            "photos of yours alone it came to {accuracy:.0%} right on those kept aside."
        )
        if run.config.weights == "random"
        else _(
            "Your {network} came with {count} numbers that were learned before; your run added {photos} photos of "
            "yours and was right on {accuracy:.0%} of those kept aside."
        )
    ).format(
        network=plain(network.title),
        count=count_words(network.num_parameters),
        photos=snapshot.num_train_images,
        accuracy=_accuracy(snapshot),
    )
    return Example(text, _("See it in your run"), Step.RESULTS.page, "overview")


def _see_depth(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    depth = run.config.num_unfrozen_blocks
    if run.config.weights == "random":
        what = _("was neither: everything learned from scratch")
    elif depth:
        what = plural("fine-tuned its last block", "fine-tuned its last {count} blocks", depth)
    else:
        what = _("was feature extraction: only the new layer learned")
    share = FreezePlan.of(run.config, run.backbone).num_trainable_parameters(len(run.class_names))
    text = _("Your run {what}, {count} numbers in all.").format(what=what, count=count_words(share))
    return Example(text, _("See the blocks"), Step.LAYERS.page)


def _see_sweep(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    if list_sweeps(workspace()):
        text = _(
            "You have trained the same images at several depths: see what each more block brought and cost."
        )
        return Example(text, _("See it in your runs"), _COMPARE_PAGE, "depths")
    text = _(
        "One click trains your images at several depths and draws what each more block brings and costs."
    )
    return Example(text, _("Try several depths"), _COMPARE_PAGE, "depths")


def _see_rate(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    text = _(
        "Your run began with {rate:g}. Look at its loss: does it fall smoothly, jump, or still fall at the end?"
    ).format(rate=run.config.learning_rate)
    return Example(text, _("See it in your run"), Step.TRAIN.page)


def _see_fit(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    best = snapshot.best
    sentences = read_curves(snapshot, len(run.class_names))
    numbers = _("The kept epoch was right on {train:.0%} of the training photos, {aside:.0%} of the others.")
    text = numbers.format(train=best.accuracy if best else 0, aside=_accuracy(snapshot))
    return Example(" ".join([text, *sentences[:1]]), _("See it in your run"), Step.TRAIN.page)


def _see_validation(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    text = _("Of your photos in {name}, {train} were learned from and {aside} kept aside.").format(
        name=plain(run.dataset_name), train=snapshot.num_train_images, aside=snapshot.num_validation_images
    )
    return Example(text, _("See those kept aside"), Step.RESULTS.page, "mistakes")


def _see_accuracy(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    evaluation = stored_evaluation(run.id)
    if evaluation is None:
        return Example(_("Your run has not been checked."), _("See it in your run"), Step.TRAIN.page)
    lowest, highest = evaluation.accuracy_interval
    text = _(
        "Your run was right on {accuracy:.0%} of {count} photos; on new ones it is probably right on {lowest:.0%} to "
        "{highest:.0%}."
    ).format(accuracy=evaluation.accuracy, count=evaluation.num_images, lowest=lowest, highest=highest)
    return Example(text, _("See it in your run"), Step.RESULTS.page, "overview")


def _see_shortcuts(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    text = _("See where your model looks, in one photo or in all photos of a class together.")
    return Example(text, _("See it in your run"), Step.RESULTS.page, "why")


def _see_privacy(run: TrainingRun, snapshot: RunSnapshot) -> Example:
    text = _("Your photos and runs lie in {folder}.").format(folder=plain(str(workspace().root)))
    return Example(text, _("See your photos"), Step.IMAGES.page)


def _accuracy(snapshot: RunSnapshot) -> float:
    return snapshot.best.val_accuracy if snapshot.best else 0.0
