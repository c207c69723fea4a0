"""Photos without labels, in piles that a person accepts, changes or throws away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui.app.arrivals import Accepted
from pages.ui.app.page import guarded, show_undo
from pages.ui.app.paging import page_of, show_left_out_files
from pages.ui.app.pictures import thumbnails
from pages.ui.app.process import workspace
from pages.ui.app.run_choice import runs_with_a_model
from pages.ui.app.session import Session
from pages.ui.app.task_progress import show_task
from pages.ui.app.tasks import piles_of, start_piles
from pages.ui.app.uploads import archive_field, folder_field, free_upload, has_too_many
from pages.ui.app.words import plain
from pages.ui.components.gallery import IMAGES_A_PAGE, choose_tiles
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import create_dataset
from transfer_core.data.limits import limits
from transfer_core.data.records import ImageRecord
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.open_source import open_archive
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import InvalidConfigError, TransferStudioError
from transfer_core.evaluation.clustering import MOST_CLUSTERS
from transfer_core.language import _, number, plural, said, sort_key
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.unlabelled import (
    Pile,
    Place,
    Unlabelled,
    accept,
    add_unlabelled,
    move,
    take_back,
    throw_away,
    unlabelled_of,
)
from transfer_core.work.task import TaskProgress

OpenFiles = AbstractContextManager[Sequence[ImportedFile]]


def show_unlabelled(session: Session, dataset: ImageDataset | None) -> None:
    """Draw the fields that take photos without labels, and the piles of those that wait.

    Args:
        session: Keeps which pile is open, and the photos that were accepted last.
        dataset: Gets the photos that are accepted. None creates a dataset for the first photos.
    """
    run = _model_for(session, dataset)
    found = unlabelled_of(dataset) if dataset else None
    if dataset is None or found is None:
        if dataset:
            _show_undo(session, dataset)
        _show_fields(session, dataset, run)
        return
    with st.expander(_("Add more photos"), icon=":material/add_photo_alternate:"):
        _show_fields(session, dataset, run)
    task = piles_of(dataset)
    if task and not task.is_over:
        show_task(task, _progress_words, name="piles")
        return
    if task and task.problem:
        st.error(plain(task.problem), icon=":material/error:")
    _show_undo(session, dataset)
    _show_sorting(dataset, found, run)
    pile = _choose_pile(session, dataset, found)
    _show_pile(session, dataset, found, pile)
    _show_left_out(found)


def _model_for(session: Session, dataset: ImageDataset | None) -> TrainingRun | None:
    """Return the newest run of the dataset that has a model, or else the run that the person looks at."""
    runs = runs_with_a_model()
    own = (run for run in runs.values() if dataset and run.dataset_id == dataset.id)
    return next(own, None) or runs.get(session.picked_run_id or session.run_id or "")


def _show_fields(session: Session, dataset: ImageDataset | None, run: TrainingRun | None) -> None:
    st.markdown(
        _("Add photos in any order. Your model proposes a class for each, and you decide.")
        if run
        else _("Add photos in any order. They are sorted by how they look, and you name the piles.")
    )
    st.caption(_("A photo counts only when you have added it to a class."))
    number = session.num_files_taken
    left, middle, right = st.columns(3)
    with left:
        photos = st.file_uploader(
            _("Photos"),
            accept_multiple_files=True,
            max_upload_size=limits().file_mb,
            key=f"unlabelled-photos-{number}",
        )
    with middle:
        folder = folder_field(f"unlabelled-folder-{number}")
    with right:
        archive = archive_field(_("A zip or tar file"), f"unlabelled-archive-{number}")
    if archive:
        guarded(_take)(session, dataset, run, [archive], lambda: open_archive(archive, archive.name))
    elif (files := [*photos, *folder]) and not has_too_many(files):
        guarded(_take)(session, dataset, run, files, lambda: nullcontext(list(map(_arrived, files))))


def _arrived(file: UploadedFile) -> ImportedFile:
    return replace(uploaded_file(file.name, b""), read=file.getvalue)


def _take(
    session: Session,
    dataset: ImageDataset | None,
    run: TrainingRun | None,
    uploads: Sequence[UploadedFile],
    opened: Callable[[], OpenFiles],
) -> None:
    bar = st.progress(0.0)

    def show_progress(done: int, total: int) -> None:
        bar.progress(done / total, text=_("{done:,} of {total:,} photos").format(done=done, total=total))

    try:
        with opened() as files:
            dataset = add_unlabelled(
                dataset or create_dataset(workspace(), _("My photos")), files, show_progress
            )
    except TransferStudioError:
        bar.empty()
        for upload in uploads:
            free_upload(upload)
        raise
    # Not in a finally: a click elsewhere interrupts the reading, and the files are then read again.
    for upload in uploads:
        free_upload(upload)
    session.dataset_id = dataset.id
    session.num_files_taken += 1
    session.accepted = None
    session.is_adding = True
    start_piles(dataset, run)
    st.rerun()


def _progress_words(progress: TaskProgress) -> str:
    if not progress.num_done:
        return _("Starting the model …")
    return _("Sorting: {done:,} of {total:,} photos").format(done=progress.num_done, total=progress.num_all)


def _show_undo(session: Session, dataset: ImageDataset) -> None:
    """Draw what was accepted last, with a button that undoes it."""
    accepted = session.accepted
    if accepted is None or accepted.dataset_id != dataset.id:
        return
    ids = [image_id for image_id in accepted.image_ids if image_id in dataset.by_id]
    if not ids:
        return
    text = plural(
        "{count} photo added to **{name}**.",
        "{count} photos added to **{name}**.",
        len(ids),
        name=plain(accepted.class_name),
    )

    def undo() -> None:
        take_back(dataset, ids)
        session.accepted = None
        st.rerun()

    show_undo(f":material/check: {text}", undo, "accepted")


def _show_sorting(dataset: ImageDataset, found: Unlabelled, run: TrainingRun | None) -> None:
    """Draw how the photos were sorted, and the ways to sort them again."""
    count = sum(len(pile.images) for pile in found.piles)
    kinds = {pile.kind for pile in found.piles}
    counted = plural("{count} photo waits for you.", "{count} photos wait for you.", count)
    how = _("Sorted by how they look: name a pile to add it.") if "looks" in kinds else ""
    if found.run_id and kinds & {"class", "unsure"}:
        how = _("Your model has proposed the classes, the surest photos first.")
        how += " " + _("It knows only its own classes: other things may land in one of them.")
    st.markdown(f"**{counted}** {how}")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if "looks" in kinds and not (kinds & {"new"}):
            _choose_number(dataset, found)
        if run and found.run_id != run.id:
            if st.button(_("Let your model propose classes"), icon=":material/auto_awesome:"):
                guarded(_start)(dataset, run)
        elif "new" in kinds and st.button(_("Sort the photos"), icon=":material/auto_awesome:"):
            guarded(_start)(dataset, run)


def _choose_number(dataset: ImageDataset, found: Unlabelled) -> None:
    present = sum(pile.kind == "looks" for pile in found.piles)
    number = st.number_input(
        _("Number of piles"), 1, MOST_CLUSTERS, present, key=f"num-piles-{dataset.id}-{present}", width=180
    )
    if number != present:
        guarded(_start)(dataset, None, int(number))


def _start(dataset: ImageDataset, run: TrainingRun | None, num_piles: int | None = None) -> None:
    start_piles(dataset, run, num_piles)
    st.rerun()


def _choose_pile(session: Session, dataset: ImageDataset, found: Unlabelled) -> Pile:
    by_key = {pile.key: pile for pile in found.piles}
    chosen = st.pills(
        _("Pile"),
        list(by_key),
        default=session.open_pile if session.open_pile in by_key else next(iter(by_key)),
        required=True,
        format_func=lambda key: f"{plain(_title(by_key[key]))} · {number(len(by_key[key].images))}",
        # A pile that is empty now must not stay chosen.
        key=f"pile-{dataset.id}-{hash(tuple(by_key))}",
    )
    session.open_pile = chosen or next(iter(by_key))
    return by_key[session.open_pile]


def _title(pile: Pile) -> str:
    match pile.kind:
        case "class":
            return pile.name
        case "looks":
            return _("Pile {number}").format(number=pile.name)
        case "unsure":
            return _("Not sure")
    return _("Not sorted yet")


def _show_pile(session: Session, dataset: ImageDataset, found: Unlabelled, pile: Pile) -> None:
    names = sorted(
        {*dataset.class_names, *(other.name for other in found.piles if other.kind == "class")}, key=sort_key
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        class_name = st.selectbox(
            _("Class of these photos"),
            names,
            index=names.index(pile.name) if pile.kind == "class" else None,
            placeholder=_("Choose or type a class"),
            accept_new_options=True,
            key=f"class-of-{dataset.id}-{pile.key}",
            width=280,
        )
        ids = [image.id for image in pile.images]
        if st.button(
            _add_words(len(ids), class_name),
            icon=":material/check:",
            type="primary",
            disabled=not class_name,
            key="accept-pile",
        ):
            guarded(_accept)(session, dataset, ids, class_name or "")
        with st.popover(_("Throw away this pile"), icon=":material/delete:"):
            text = plural("Delete this photo for good?", "Delete these {count} photos for good?", len(ids))
            st.markdown(text)
            if st.button(_("Delete them"), icon=":material/delete_forever:", key="throw-away-pile"):
                guarded(_throw_away)(dataset, ids)
    _confirm_throwing_away(session, dataset, found)
    _show_tiles(session, dataset, found, pile, names, class_name or "")


def _confirm_throwing_away(session: Session, dataset: ImageDataset, found: Unlabelled) -> None:
    """Ask before selected photos are deleted, which cannot be undone."""
    ids = [image_id for image_id in session.to_throw_away if image_id in found.photos.by_id]
    if not ids:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="confirm-delete"):
        st.markdown(plural("Delete this photo for good?", "Delete these {count} photos for good?", len(ids)))
        is_kept = st.button(_("Keep them"), key="keep-selected")
        is_deleted = st.button(
            _("Delete them"), icon=":material/delete_forever:", type="primary", key="delete-selected"
        )
    if is_kept or is_deleted:
        session.to_throw_away = ()
    if is_deleted:
        guarded(_throw_away)(dataset, ids)
    elif is_kept:
        st.rerun()


def _add_words(count: int, class_name: str | None) -> str:
    if not class_name:
        return plural("Add {count} photo", "Add {count} photos", count)
    return plural(
        "Add {count} photo to {name}", "Add {count} photos to {name}", count, name=plain(class_name)
    )


def _show_tiles(
    session: Session,
    dataset: ImageDataset,
    found: Unlabelled,
    pile: Pile,
    names: Sequence[str],
    class_name: str,
) -> None:
    entries = list(zip(pile.images, pile.places, strict=True))
    _first, shown = page_of(entries, IMAGES_A_PAGE, f"pile-{dataset.id}-{pile.key}")
    sources = thumbnails(tuple(str(found.photos.image_path(image)) for image, _place in shown))
    action = choose_tiles(
        [_tile(image, place, found, source) for (image, place), source in zip(shown, sources, strict=True)],
        names,
        f"tiles-{dataset.id}-{pile.key}",
        can_confirm=bool(class_name),
        words={
            "hint": _("Select photos that do not belong here; with Shift, all in between."),
            "relabel": _("Move to"),
            "move": _("Move"),
            "exclude": _("Throw away"),
            "confirm": _("Add only these to {name}").format(name=class_name),
        },
    )
    if action:
        guarded(_act)(session, dataset, action, class_name)


def _tile(image: ImageRecord, place: Place, found: Unlabelled, source: str) -> dict[str, Any]:
    is_proposed = found.run_id and place.confidence and not place.is_by_person
    certainty = _("{percent} %").format(percent=round(place.confidence * 100)) if is_proposed else ""
    alt = image.name
    if certainty:
        alt = _("{name}, {certainty}").format(name=image.name, certainty=certainty)
    return {"id": image.id, "source": source, "label": certainty, "note": "", "alt": alt}


def _act(session: Session, dataset: ImageDataset, action: dict[str, Any], class_name: str) -> None:
    """Apply an action from the browser to the selected photos."""
    ids = [image_id for image_id in action.get("ids", ()) if isinstance(image_id, str)]
    match action.get("kind"):
        case "relabel":
            move(dataset, ids, str(action.get("class_name", "")))
            st.rerun()
        case "exclude":
            session.to_throw_away = tuple(ids)
            st.rerun()
        case "confirm":
            _accept(session, dataset, ids, class_name)
        case _:
            raise InvalidConfigError(_("The browser asked for something unknown. Load the page again."))


def _accept(session: Session, dataset: ImageDataset, ids: Sequence[str], class_name: str) -> None:
    after = accept(dataset, ids, class_name)
    added = [image for image in after.images if image.id not in dataset.by_id]
    session.is_adding = True
    session.accepted = Accepted(dataset.id, added[-1].class_name, tuple(image.id for image in added))
    st.rerun()


def _throw_away(dataset: ImageDataset, ids: Sequence[str]) -> None:
    throw_away(dataset, ids)
    st.rerun()


def _show_left_out(found: Unlabelled) -> None:
    files = [(file.name, said(file.reason)) for file in found.photos.left_out if not file.is_expected]
    if files:
        title = plural("{count} file was not added", "{count} files were not added", len(files))
        with st.expander(title, icon=":material/rule:"):
            show_left_out_files(files, "unlabelled-left-out")
