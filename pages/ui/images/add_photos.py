"""The ways to add images."""

from __future__ import annotations

import os
from collections.abc import Callable

import streamlit as st
from msgspec.structs import replace
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui.app.dataset_choice import dataset_labels, stored_datasets
from pages.ui.app.layout_question import forgetting_lost_questions, is_answered, read_or_ask
from pages.ui.app.page import guarded
from pages.ui.app.process import workspace
from pages.ui.app.sample_run import sample_pictures, take_sample
from pages.ui.app.session import Session
from pages.ui.app.uploads import MAX_FILES, archive_field, free_upload
from pages.ui.components.camera_burst import show_camera_burst
from pages.ui.components.folder_upload import show_folder_upload
from pages.ui.images.add_video import show_video
from pages.ui.images.server_folder import show_server_folder
from pages.ui.images.unlabelled import show_unlabelled
from pages.ui.images.your_phone import show_use_my_phone
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.grey_ranges import Brightness
from transfer_core.data.images.image_path import UNKNOWN_RANGES
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.limits import limits
from transfer_core.data.samples import list_samples
from transfer_core.data.sources.imported_file import MAX_NAME_LENGTH
from transfer_core.data.sources.open_source import open_archive
from transfer_core.data.sources.server_folder import ROOT_VARIABLE
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import TransferStudioError
from transfer_core.language import _
from transfer_core.runs.unlabelled import has_unlabelled

_PICTURE_TYPES = [
    *("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "avif", "heic", "heif"),
    *("ppm", "pgm", "pbm", "pnm", "jp2", "j2k"),
]


def is_adding(session: Session) -> bool:
    """Return whether the ways to add photos are open."""
    dataset = session.dataset
    return session.is_adding or session.is_bringing_photos or bool(dataset and has_unlabelled(dataset))


def show_image_sources(session: Session) -> None:
    """Draw the choice of a way to add images, and the way that is chosen."""
    ways: dict[str, tuple[str, Callable[[Session, ImageDataset | None], None]]] = {
        "folder": (_("A folder"), _show_folder),
        "archive": (_("A zip or tar file"), _show_archive),
        "camera": (_("The camera"), _show_camera),
        "video": (_("From a video"), show_video),
        "class": (_("One class"), _show_class),
        "unlabelled": (_("Photos without labels"), show_unlabelled),
        "sample": (_("A sample"), _show_samples),
    }
    if os.environ.get(ROOT_VARIABLE):
        ways["server"] = (
            _("This computer"),
            lambda session, dataset: show_server_folder(session, _to_extend(dataset)),
        )
    if workspace().dataset_ids():
        ways["earlier"] = (_("Earlier photos"), _show_earlier)
    dataset = session.dataset
    # Photos that wait are found again after a refresh.
    first = "unlabelled" if dataset and has_unlabelled(dataset) else _first_way()
    if first != next(iter(ways)):
        ways = {first: ways[first], **ways}
    chosen = st.segmented_control(
        _("Where are your photos?"),
        list(ways),
        default=first,
        required=True,
        format_func=lambda way: ways[way][0],
        key="image-source",
        width="stretch",
    )
    show_use_my_phone(session)
    if chosen != "folder":
        session.leave_upload()
    _show_brightness(session, dataset)
    with forgetting_lost_questions(session):
        ways[chosen or first][1](session, dataset)
    if dataset is None and chosen != "sample" and not session.is_bringing_photos:
        st.header(_("Or try a sample"), anchor=False)
        _show_samples(session, dataset)


def _first_way() -> str:
    """Return the camera on a phone, which has no folders, and a folder on a computer."""
    is_phone = "Mobi" in st.context.headers.get("User-Agent", "")
    return "camera" if is_phone else "folder"


def _show_brightness(session: Session, dataset: ImageDataset | None) -> None:
    if dataset is None or dataset.grey_ranges == UNKNOWN_RANGES:
        return
    labels: dict[Brightness, str] = {
        "stretch": _("Stretch to full brightness"),
        "keep": _("Keep as in the files"),
    }
    chosen = st.segmented_control(
        _("Brightness of 16-bit photos"),
        list(labels),
        default=session.brightness,
        format_func=labels.__getitem__,
        required=True,
        key="brightness",
    )
    st.caption(_("This counts when you add such photos again, as new photos."))
    session.brightness = chosen


def _show_folder(session: Session, dataset: ImageDataset | None) -> None:
    show_folder_upload(session, _to_extend(dataset))


def _show_camera(session: Session, dataset: ImageDataset | None) -> None:
    # Photos are added to a recorded set, but not to a folder or a sample, unless the person says so.
    is_recorded = dataset is not None and all(image.burst for image in dataset.images)
    show_camera_burst(session, _to_extend(dataset, joins_by_default=is_recorded))


def _show_archive(session: Session, dataset: ImageDataset | None) -> None:
    extended = _to_extend(dataset)
    label = _("A zip or tar of a folder whose subfolders are the classes")
    file = archive_field(label, f"zip-{session.num_files_taken}")
    if file:
        guarded(take_archive)(session, extended, file)


def take_archive(session: Session, dataset: ImageDataset | None, file: UploadedFile) -> None:
    """Add the photos of a zip or tar, with a bar; ask first what its folders mean where that is unclear.

    Args:
        session: Gets the dataset.
        dataset: Gets the photos. None creates a dataset.
        file: The archive. Its memory is freed.
    """
    if not is_answered(session, file.file_id):
        return
    before = dataset or create_dataset(workspace(), file.name.split(".")[0])
    bar = st.progress(0.0)

    def show_progress(done: int, total: int) -> None:
        bar.progress(done / total, text=_("{done:,} of {total:,} files").format(done=done, total=total))

    try:
        with open_archive(file, file.name) as files:
            reading = read_or_ask(session, file.file_id, files)
            if reading is None:
                st.rerun()
            read_as = replace(reading.read_as, is_addition=bool(before.images))
            before = replace(before, read_as=read_as)
            after = add_files(before, reading.files, brightness=session.brightness, progress=show_progress)
    except TransferStudioError:
        bar.empty()
        free_upload(file)
        raise
    # Not in a finally: a click elsewhere interrupts the reading, and the file is then read again.
    free_upload(file)
    if dataset is None:
        session.choose_dataset(after.id)
    session.num_files_taken += 1
    session.is_adding = False
    st.rerun()


def _show_class(session: Session, dataset: ImageDataset | None) -> None:
    with st.form("add-to-class", border=True, enter_to_submit=False):
        name = st.text_input(
            _("Name of the class"),
            placeholder=_("for example: cat"),
            max_chars=MAX_NAME_LENGTH,
            help=_("An existing name adds photos to that class."),
            key="new-class",
        )
        files = st.file_uploader(
            _("Photos of this class"),
            type=_PICTURE_TYPES,
            accept_multiple_files=True,
            max_upload_size=limits().file_mb,
            key=f"class-{session.num_files_taken}",
        )
        submitted = st.form_submit_button(_("Add these photos"), icon=":material/add_photo_alternate:")
    if submitted and not name.strip():
        st.error(_("The class needs a name. Type what the photos show, for example: cat."))
    elif submitted and not files:
        st.error(_("There are no photos yet. Choose one or more photos of this class."))
    elif submitted and len(files) > MAX_FILES:
        st.error(
            _("Up to {limit} photos can be added here at once. For more, use a folder or a zip file.").format(
                limit=MAX_FILES
            )
        )
    elif submitted:
        with st.spinner(_("Getting the photos ready …")):
            guarded(_take_class)(session, dataset, name, files)


def _take_class(session: Session, dataset: ImageDataset | None, name: str, files: list[UploadedFile]) -> None:
    before = dataset or create_dataset(workspace(), _("My photos"))
    sources = [uploaded_file(f"/{file.name}", file.getvalue()) for file in files]
    try:
        after = add_files(before, sources, class_name=name, brightness=session.brightness)
    finally:
        for file in files:
            free_upload(file)
    session.dataset_id = after.id
    session.num_files_taken += 1
    # Another class follows.
    session.is_adding = True
    st.rerun()


def _show_samples(session: Session, dataset: ImageDataset | None) -> None:
    samples = list_samples()
    for column, sample in zip(st.columns(len(samples)), samples, strict=True):
        with column.container(border=True, height="stretch"):
            pictures = "".join(f'<img src="{url}" alt="">' for url in sample_pictures(sample.name))
            st.html(f'<div class="sample-pictures">{pictures}</div>')
            st.markdown(f"**{sample.title}**")
            st.caption(sample.description)
            if st.button(_("Use this sample"), key=f"sample-{sample.name}", icon=":material/download_done:"):
                with st.spinner(_("Getting the photos ready …")):
                    guarded(_take_sample)(session, sample.name)


def _take_sample(session: Session, name: str) -> None:
    take_sample(session, name)
    session.is_adding = False
    st.rerun()


def _show_earlier(session: Session, dataset: ImageDataset | None) -> None:
    datasets = stored_datasets()
    chosen = st.selectbox(
        _("Photos you added before"),
        list(datasets),
        index=None,
        format_func=dataset_labels(datasets).__getitem__,
        placeholder=_("Choose"),
        key="earlier-images",
    )
    if chosen and st.button(_("Use these"), icon=":material/download_done:"):
        session.choose_dataset(chosen)
        session.is_adding = False
        st.rerun()


def _to_extend(dataset: ImageDataset | None, *, joins_by_default: bool = False) -> ImageDataset | None:
    """Return the dataset if the person wants to add to it rather than to start a new one."""
    if dataset is None or not (dataset.images or has_unlabelled(dataset)):
        return None
    if not dataset.images:
        # A new dataset would leave the photos behind that wait beside this one.
        return dataset
    joins = st.toggle(
        _("Add to these photos"),
        value=joins_by_default,
        help=_("Otherwise you start a new set. The photos you have are kept."),
        key=f"join-recorded-{dataset.id}" if joins_by_default else "join-images",
    )
    return dataset if joins else None
