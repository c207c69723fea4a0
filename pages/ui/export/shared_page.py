"""The web page to show to anyone: created, opened here, opened on a phone, and downloaded."""

from __future__ import annotations

import html
from functools import partial

import streamlit as st

from pages.ui.app import network
from pages.ui.app.pictures import thumbnails
from pages.ui.app.process import stored_evaluation, workspace
from pages.ui.app.tasks import start_export
from pages.ui.app.words import expected_sentence, memory_words
from pages.ui.export.exporting import is_under_way, show_details, show_result
from pages.ui.export.formats import show_missing_packages
from pages.ui.server.web_page import PREFIX, web_page_path
from pages.ui.test.answer import probability_bars
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.export.bundle import ExportBundle, exported
from transfer_core.export.formats import get_format
from transfer_core.export.preparation import num_bytes_to_fetch
from transfer_core.export.web_page import read_web_page, web_page_size
from transfer_core.export.web_runtime import ONNX_RUNTIME_WEB
from transfer_core.language import _, sentences
from transfer_core.runs.training_run import TrainingRun

_NUM_ANSWERS = 3
_TYPICAL_SHARE = 0.9


def show_shared_page(run: TrainingRun) -> None:
    """Draw the card of the web page."""
    export_format = get_format("web")
    bundle = exported(run, "web")
    with st.container(border=True, key="export-web"):
        words, picture = st.columns([3, 2], gap="large", vertical_alignment="center")
        with words:
            st.header(_("Show it to anyone"), anchor=False)
            st.markdown(export_format.purpose)
            if not show_missing_packages(export_format) and not is_under_way(run, export_format):
                if bundle:
                    _show_ways(run, bundle)
                else:
                    _offer(run)
        with picture:
            address = phone_address(run) if bundle else ""
            if address:
                _show_code(address)
            else:
                _show_sketch(run)
        if bundle:
            with st.expander(_("How it was tested")):
                show_details(run, bundle)
                st.caption(export_format.unproved)
                _show_zip(bundle)


def _offer(run: TrainingRun) -> None:
    if st.button(_("Create the web page"), icon=":material/public:", key="make-web", type="primary"):
        start_export(run, "web")
        st.rerun()
    num_bytes = num_bytes_to_fetch(workspace(), "web")
    if num_bytes:
        st.caption(
            _("This first downloads ONNX Runtime Web ({size}), once.").format(size=memory_words(num_bytes)),
            help=_(
                "Without a network: get the file `{file}` on another computer from {address}. Put it into the folder "
                "`{folder}`."
            ).format(
                file=ONNX_RUNTIME_WEB.archive,
                address=ONNX_RUNTIME_WEB.address,
                folder=workspace().runtimes_dir,
            ),
        )


def _show_ways(run: TrainingRun, bundle: ExportBundle) -> None:
    show_result(bundle)
    if evaluation := stored_evaluation(run.id):
        st.markdown(expected_sentence(evaluation))
    with st.container(horizontal=True):
        st.link_button(
            _("Open it here"),
            here_address(run),
            icon=":material/open_in_new:",
            type="primary",
            key="open-web",
        )
        st.download_button(
            _("Download the page ({size})").format(size=memory_words(web_page_size(bundle.path))),
            data=partial(read_web_page, bundle.path),
            file_name=f"{bundle.name}.html",
            mime="text/html",
            icon=":material/download:",
            on_click="ignore",
            key="download-web",
        )
        if st.button(_("Recreate"), icon=":material/deployed_code:", key="make-web", type="tertiary"):
            start_export(run, "web")
            st.rerun()
    if not phone_address(run):
        network.say_how_phones_reach_it()


def _show_zip(bundle: ExportBundle) -> None:
    st.download_button(
        _("Download page, model and program ({size})").format(size=memory_words(bundle.path.stat().st_size)),
        data=bundle.path.read_bytes,
        file_name=f"{bundle.name}.zip",
        mime="application/zip",
        icon=":material/folder_zip:",
        on_click="ignore",
        key="download-web-zip",
    )


def here_address(run: TrainingRun) -> str:
    """Return the address of the exported web page on this server, as the visitor reaches it."""
    return network.here_address(f"{PREFIX}/{run.id}")


def phone_address(run: TrainingRun) -> str:
    """Return the same for another device in the network; empty if the server listens to its own computer alone."""
    return network.network_address(web_page_path(workspace(), run.id))


def _show_code(address: str) -> None:
    parts = [_("Scan it with a phone in the same network.")]
    if address.startswith("http:"):
        parts.append(_("Phones can take photos there; the live camera needs https."))
    network.show_code(address, sentences(*parts))


def _show_sketch(run: TrainingRun) -> None:
    """Draw what the page does, with a photo of the run's and its answer."""
    evaluation = stored_evaluation(run.id)
    found = _answered_photo(run, evaluation) if evaluation else None
    if found is None:
        return
    source, answers = found
    alt = html.escape(_("The web page, with a photo and its answer"))
    st.html(
        f'<figure class="share-sketch" aria-label="{alt}"><span class="share-bar"></span>'
        f'<img src="{source}" alt="">{probability_bars(answers)}</figure>'
    )


def _answered_photo(run: TrainingRun, evaluation: Evaluation) -> tuple[str, list[tuple[str, float]]] | None:
    """Return the address of the photo that the run is sure about, and its most probable classes."""
    right = [one for one in evaluation.outcomes if one.is_right and one.probabilities and one.image_id]
    typical = min(right, key=lambda one: abs(one.probability - _TYPICAL_SHARE), default=None)
    try:
        dataset = ImageDataset.load(workspace(), run.dataset_id)
    except NotFoundError:
        return None
    image = dataset.find(typical.image_id) if typical else None
    if not typical or not image:
        return None
    (source,) = thumbnails((str(dataset.image_path(image)),), 320)
    answers = sorted(
        zip(evaluation.class_names, typical.probabilities, strict=True), key=lambda answer: -answer[1]
    )
    return (source, answers[:_NUM_ANSWERS]) if source else None
