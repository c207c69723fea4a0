"""The findings of the photo check, each with a one-click fix."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.ui.app.page import guarded
from pages.ui.app.paging import show_left_out_files
from pages.ui.app.pictures import thumbnails
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.app.task_progress import show_task
from pages.ui.app.tasks import label_check_of, start_label_check
from pages.ui.app.words import plain
from transfer_core.backbones.registry import DEFAULT_BACKBONE
from transfer_core.data.checks.photo_check import Problem, Suspicion, examine
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _, language, plural, said, sentences
from transfer_core.work.task import Task, TaskProgress

_MAX_SHOWN = 8
_STYLES = {
    "warning": (":material/warning:", "orange"),
    "info": (":material/info:", "blue"),
}


def find_problems(session: Session, dataset: ImageDataset) -> list[Problem]:
    """Return the problems of a dataset, and take over the result of a label check that has ended."""
    _take_label_check(session, dataset)
    return _examined(
        str(workspace().root),
        dataset.id,
        dataset.version,
        session.suspicions_about(dataset),
        language(),
        dataset,
    )


def must_be_fixed(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems with which nothing can be trained."""
    return [problem for problem in problems if problem.severity == "error"]


def _is_to_do(problem: Problem) -> bool:
    # A class can be trained after its first recording; the second one is still to do.
    return problem.severity == "error" or problem.kind == "recorded_once"


def show_to_dos(dataset: ImageDataset, problems: Sequence[Problem]) -> None:
    """Draw what is left to do, each thing once."""
    to_dos = [problem for problem in problems if _is_to_do(problem)]
    if not to_dos:
        return
    with st.container(border=True, key="to-dos"):
        for problem in to_dos:
            st.markdown(f":material/radio_button_unchecked: {_titled(problem)}")
            if problem.fix and st.button(
                plain(problem.fix.title), icon=":material/build:", key=f"fix-{problem.kind}"
            ):
                guarded(_fix)(dataset, problem)


def show_photo_check(session: Session, dataset: ImageDataset, problems: Sequence[Problem]) -> None:
    """Draw the photo check in one line, which unfolds to its list. The gallery can be filtered by each finding."""
    findings = [problem for problem in problems if not _is_to_do(problem)]
    title, icon = _("Photo check: no problems found"), ":material/check_circle:"
    if findings:
        icon = ":material/rule:"
        title = plural(
            "Photo check: {count} thing to look at", "Photo check: {count} things to look at", len(findings)
        )
    task = label_check_of(dataset, session.backbone_name or DEFAULT_BACKBONE)
    # Open while labels are checked, and with what that finds.
    with st.expander(title, icon=icon, expanded=task is not None, key=f"photo-check-{dataset.id}"):
        for problem in findings:
            _show_problem(session, dataset, problem)
        if len(dataset.class_names) > 1:
            show_label_check(session, dataset)
        num_system_files = sum(file.kind == "system" for file in dataset.left_out)
        if num_system_files:
            st.caption(
                plural(
                    "{count} system file was skipped.", "{count} system files were skipped.", num_system_files
                )
            )


@st.cache_resource(max_entries=50, show_spinner=False)
def _examined(
    place: str,
    dataset_id: str,
    version: int,
    suspicions: tuple[Suspicion, ...],
    spoken: str,
    _dataset: ImageDataset,
) -> list[Problem]:
    return examine(_dataset, suspicions)


def show_label_check(session: Session, dataset: ImageDataset) -> None:
    """Draw the button that searches for likely wrong labels, or the sentence that there are none.

    Args:
        session: Keeps the suspicions, also when the images change later.
        dataset: The images.
    """
    task = _take_label_check(session, dataset)
    if task and not task.is_over:
        show_task(task, _progress_words, name="label-check")
        return
    if task and task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    asked = st.button(
        _("Look for wrong labels"),
        icon=":material/label_important:",
        help=_(
            "The model compares each photo with all others and reports labels that do not fit. "
            "This takes a few seconds per hundred photos."
        ),
    )
    if asked:
        start_label_check(dataset, session.backbone_name or DEFAULT_BACKBONE)
        st.rerun()
    elif session.checked_labels_of == dataset.id and not session.suspicions_about(dataset):
        st.caption(_("No wrong labels found."))


def _take_label_check(session: Session, dataset: ImageDataset) -> Task[tuple[Suspicion, ...]] | None:
    """Put the result of a label check into the session, and return the check if there is one."""
    task = label_check_of(dataset, session.backbone_name or DEFAULT_BACKBONE)
    if task and task.result is not None:
        session.suspicions = task.result
        session.checked_labels_of = dataset.id
    return task


def _progress_words(progress: TaskProgress) -> str:
    if not progress.num_done:
        return _("Starting the model …")
    return _("{done:,} of {total:,} photos").format(done=progress.num_done, total=progress.num_all)


def _titled(problem: Problem) -> str:
    return sentences(_("**{title}.**").format(title=plain(problem.title)), plain(problem.sentence))


def _show_problem(session: Session, dataset: ImageDataset, problem: Problem) -> None:
    icon, color = _STYLES[problem.severity]
    with st.container(border=True, key=f"problem-{problem.kind}"):
        st.markdown(f":{color}[{icon}] {_titled(problem)}")
        _show_pictures(session, dataset, problem)
        with st.container(horizontal=True):
            if problem.fix and st.button(
                plain(problem.fix.title), icon=":material/build:", key=f"fix-{problem.kind}"
            ):
                guarded(_fix)(dataset, problem)
            if problem.image_ids and st.button(
                _("Show these photos"), icon=":material/photo_library:", key=f"show-{problem.kind}"
            ):
                session.show_problem(problem.kind)
                st.rerun()
        if problem.files:
            _show_files(dataset, problem)


def _show_pictures(session: Session, dataset: ImageDataset, problem: Problem) -> None:
    ids = problem.image_ids[:_MAX_SHOWN]
    wanted = [dataset.by_id[image_id] for image_id in ids if image_id in dataset.by_id]
    sources = thumbnails(tuple(str(dataset.image_path(image)) for image in wanted))
    # A file that was deleted or damaged by hand has no picture to show.
    shown = [image for image, source in zip(wanted, sources, strict=True) if source]
    if not shown:
        return
    captions = {image.id: image.class_name for image in shown}
    if problem.kind == "wrong_label":
        captions |= {found.image_id: f"{found.given} → {found.suggested}" for found in session.suspicions}
    with st.container(key=f"strip-{problem.kind}"):
        st.image(
            [source for source in sources if source],
            caption=[plain(captions[image.id]) for image in shown],
            width=96,
            alt=[
                _("{name}, class {class_name}").format(name=image.name, class_name=image.class_name)
                for image in shown
            ],
        )
    if len(problem.image_ids) > len(shown):
        st.caption(
            _("The first {shown} of {count:,}.").format(shown=len(shown), count=len(problem.image_ids))
        )


def _show_files(dataset: ImageDataset, problem: Problem) -> None:
    names = set(problem.files)
    files = [file for file in dataset.left_out if file.name in names and not file.is_expected]
    title = plural("Show the file", "Show the {count} files", len(files))
    with st.expander(title, icon=":material/rule:", expanded=len(files) <= 5):
        show_left_out_files([(file.name, said(file.reason)) for file in files], f"files-{problem.kind}")


def _fix(dataset: ImageDataset, problem: Problem) -> None:
    if problem.fix:
        problem.fix.apply(dataset).save()
    st.rerun()
