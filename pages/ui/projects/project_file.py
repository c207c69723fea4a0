"""Saving images with their runs as one file, and opening such a file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import streamlit as st

from pages.ui.app.dataset_choice import dataset_labels, stored_datasets
from pages.ui.app.process import workspace
from pages.ui.app.session import Session
from pages.ui.app.steps import Step
from pages.ui.app.task_progress import show_task
from pages.ui.app.tasks import opening_of, saving_of, start_opening, start_saving
from pages.ui.app.uploads import free_upload
from pages.ui.app.words import memory_words, plain
from transfer_core.data.dataset import ImageDataset
from transfer_core.language import _, plural
from transfer_core.projects.open import OpenedProject
from transfer_core.projects.plan import ProjectPlan, plan_project
from transfer_core.work.task import TaskProgress

# The server holds a download in memory as a whole.
MOST_DOWNLOAD_BYTES = 10**9


def show_saving(session: Session) -> None:
    """Draw the choice of a dataset, the content of its project, and the button that saves it.

    Args:
        session: Its dataset is chosen at first.

    Raises:
        ProjectError: If there is too much.
        WorkspaceError: If a file is damaged.
    """
    datasets = stored_datasets()
    if not datasets:
        _show_way_to_images(session)
        return
    ids = list(datasets)
    chosen = st.selectbox(
        _("Photos"),
        ids,
        index=ids.index(session.dataset_id) if session.dataset_id in ids else 0,
        format_func=dataset_labels(datasets).__getitem__,
        key="project-images",
    )
    # The first time each run is checked as a whole.
    with st.spinner(_("Checking the models …")):
        plan = plan_project(workspace(), chosen)
    _show_plan(plan)
    task = saving_of(plan)
    if task and not task.is_over:
        show_task(task, lambda _progress: _("Saving …"), name="saving")
        return
    if task and task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    path = task.result if task else None
    if task and not task.problem and path is None:
        st.caption(_("Stopped. Nothing was saved."))
    with st.container(horizontal=True):
        if path and path.is_file():
            _show_download(plan, path)
        label = _("Recreate") if path else _("Create the file")
        if st.button(label, icon=":material/inventory_2:", key="make-project"):
            start_saving(plan)
            st.rerun()


def show_opening(session: Session) -> None:
    """Draw the field that opens a project file, and the result."""
    task = opening_of(session.opened_file) if session.opened_file else None
    if task and not task.is_over:
        show_task(task, _opening_words, name="opening")
        return
    if task and task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    if task and task.result:
        _show_opened(session, task.result)
    elif task and not task.problem:
        st.caption(_("Stopped. Nothing was opened."))
    file = st.file_uploader(
        _("A project file (.zip)"),
        type=["zip"],
        key=f"project-{session.num_files_taken}",
        width="stretch",
        help=_(
            "Each file in it is checked, and no program in it is run. For files above 2 GB, use the command `project "
            "open`."
        ),
    )
    if file:
        start_opening(file.file_id, file)
        session.opened_file = file.file_id
        free_upload(file)
        session.num_files_taken += 1
        st.rerun()


def _show_way_to_images(session: Session) -> None:
    st.info(_("There is nothing to save yet. Add photos first."), icon=":material/info:")
    st.page_link(
        Step.IMAGES.page,
        label=_("Go to Images"),
        icon=Step.IMAGES.icon,
        query_params=session.query(),
    )


def _show_plan(plan: ProjectPlan) -> None:
    text = _("The file will have {images} and {runs}: about {size}.")
    st.markdown(
        text.format(
            images=plural("{count} photo", "{count} photos", len(plan.dataset.images)),
            runs=plural("{count} trained model", "{count} trained models", len(plan.runs)),
            size=memory_words(plan.num_bytes),
        )
    )
    if plan.left_out:
        st.caption(
            plural("Not included: {count} training", "Not included: {count} trainings", len(plan.left_out))
        )
        counts = Counter(run.reason for run in plan.left_out)
        lines = (
            _("{reason} ({count})").format(reason=plain(reason), count=count)
            for reason, count in counts.items()
        )
        st.caption("\n".join(f"- {line}" for line in lines))


def _opening_words(progress: TaskProgress) -> str:
    return _("Building the models …") if progress.share >= 1 else _("Checking and unpacking …")


def _show_download(plan: ProjectPlan, path: Path) -> None:
    if path.stat().st_size > MOST_DOWNLOAD_BYTES:
        text = _(
            "The file is large ({size}). Copy it from the computer that runs the app: {path}. Or save it elsewhere: "
            "`python -m transfer_core project save {id} --out FILE`."
        )
        size = memory_words(path.stat().st_size)
        st.success(
            text.format(size=size, path=f"`{path.resolve()}`", id=plan.dataset.id), icon=":material/folder:"
        )
        return
    st.download_button(
        _("Download ({size})").format(size=memory_words(path.stat().st_size)),
        data=path.read_bytes,
        file_name=f"{plan.dataset.name[:40] or 'project'}.project.zip",
        mime="application/zip",
        icon=":material/download:",
        on_click="ignore",
        type="primary",
        key="download-project",
    )


def _show_opened(session: Session, opened: OpenedProject) -> None:
    dataset = ImageDataset.load(workspace(), opened.dataset_id)
    holds = _("“{name}” with {images} and {runs}").format(
        name=plain(dataset.name),
        images=plural("{count} photo", "{count} photos", len(dataset.images)),
        runs=plural("{count} trained model", "{count} trained models", len(opened.run_ids)),
    )
    if not opened.new_ids:
        st.info(
            _("{project}: everything was here already.").format(project=holds), icon=":material/done_all:"
        )
    elif opened.is_copy:
        text = _("Opened as a copy: {project}. Your own version has changed since then, so it was kept.")
        st.success(text.format(project=holds), icon=":material/check:")
    else:
        st.success(_("Opened: {project}.").format(project=holds), icon=":material/check:")
    ways: list[tuple[str, Step]] = [(_("See its photos"), Step.IMAGES)]
    if opened.run_ids:
        ways = [(_("See its results"), Step.RESULTS), (_("Test it"), Step.TEST), *ways]
    with st.container(horizontal=True):
        for label, step in ways:
            if st.button(label, icon=step.icon, key=f"opened-{step.name.lower()}"):
                _choose(session, opened)
                st.switch_page(step.page)


def _choose(session: Session, opened: OpenedProject) -> None:
    session.dataset_id = opened.dataset_id
    if opened.run_ids:
        session.picked_run_id = opened.run_ids[0]
