"""The downloads, auditions, rate searches, exports and projects of this server, which all visitors share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

import streamlit as st

from pages.ui.app.process import run_queue, workspace
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.published.zoo_weights import ZooWeights
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.evaluation.audition import AuditionScore
from transfer_core.export.bundle import ExportBundle
from transfer_core.projects.open import OpenedProject
from transfer_core.projects.plan import ProjectPlan
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.rate_finder import RateCurve
from transfer_core.work.job import (
    Job,
    audition_job,
    download_job,
    export_job,
    open_project_job,
    rate_search_job,
    save_project_job,
)

AuditionJob = Job[list[AuditionScore]]
Key = TypeVar("Key")
Result = TypeVar("Result")


@st.cache_resource(show_spinner=False)
def downloads() -> dict[str, Job[None]]:
    """Downloads under way, and those that are over and have not been seen to, by the name of the backbone."""
    return {}


def start_download(backbone: Backbone) -> None:
    """Get the weights of a backbone, unless that is under way."""
    if isinstance(weights := backbone.weights, ZooWeights):
        _start(downloads(), backbone.name, lambda: download_job(backbone.title, weights.download))


def audition_of(dataset: ImageDataset) -> AuditionJob | None:
    """The latest audition of a dataset as it is now, under way or over."""
    return _auditions().get((dataset.id, dataset.version))


def start_audition(dataset: ImageDataset, backbones: list[Backbone]) -> None:
    """Try backbones on a dataset, unless that is under way. One on an earlier version of it is stopped."""
    for (dataset_id, version), job in list(_auditions().items()):
        if dataset_id == dataset.id and version != dataset.version:
            job.request_stop()
    key = (dataset.id, dataset.version)
    _start(_auditions(), key, lambda: audition_job(run_queue(), dataset, backbones))


def forget_audition(dataset: ImageDataset) -> None:
    """Show an audition no more, unless another window has started it again."""
    with _starting():
        job = audition_of(dataset)
        if job and job.is_over:
            _auditions().pop((dataset.id, dataset.version))


def rate_search_of(dataset: ImageDataset, config: TrainingConfig) -> Job[RateCurve] | None:
    """The search for a learning rate with these images and choices, or one under way with other choices of them."""
    searched, job = _rate_searches().get(dataset.id, (None, None))
    return job if job and (searched == _searched(dataset, config) or not job.is_over) else None


def start_rate_search(dataset: ImageDataset, config: TrainingConfig) -> None:
    """Look for a learning rate, unless that is under way with these images."""
    job = rate_search_of(dataset, config)
    if job is None or job.is_over:
        job = rate_search_job(run_queue(), dataset, config).start()
        _rate_searches()[dataset.id] = _searched(dataset, config), job


def _searched(dataset: ImageDataset, config: TrainingConfig) -> tuple[int, TrainingConfig]:
    # The rate that is looked for changes nothing about the search.
    return dataset.version, config.with_changes(learning_rate=1.0)


def own_sources() -> list[Backbone]:
    """A person's own models that new ones can build on; damaged ones are left out."""
    found = []
    for source_id in workspace().source_ids():
        try:
            found.append(get_backbone(source_id, workspace()))
        except TransferStudioError:
            continue
    return found


def export_of(run: TrainingRun, format_name: str) -> Job[ExportBundle] | None:
    """The latest making of a bundle, under way or over, or None when there was none."""
    return _exports().get((run.id, format_name))


def start_export(run: TrainingRun, format_name: str) -> None:
    """Make a bundle, unless that is under way."""
    _start(_exports(), (run.id, format_name), lambda: export_job(run_queue(), run, format_name))


@st.cache_resource(show_spinner=False)
def _exports() -> dict[tuple[str, str], Job[ExportBundle]]:
    return {}


@st.cache_resource(show_spinner=False)
def _auditions() -> dict[tuple[str, int], AuditionJob]:
    return {}


def saving_of(plan: ProjectPlan) -> Job[Path] | None:
    """The latest saving of a project as it would be now, under way or over, or None when there was none."""
    saved, job = _savings().get(plan.dataset.id, (None, None))
    return job if job and (saved == plan or not job.is_over) else None


def start_saving(plan: ProjectPlan) -> None:
    """Save a project, unless one of these images is being saved."""
    with _starting():
        job = saving_of(plan)
        if job is None or job.is_over:
            path = workspace().cache_dir / "projects" / f"{plan.dataset.id}.zip"
            again = save_project_job(workspace(), plan, path)
            # The file there is stays when the new one is stopped or cannot be made.
            again.result = job.result if job else None
            _savings()[plan.dataset.id] = plan, again.start()


def opening_of(file_id: str) -> Job[OpenedProject] | None:
    """The opening of a file that a person brought, under way or over, or None when there was none."""
    return _openings().get(file_id)


def start_opening(file_id: str, content: BinaryIO) -> None:
    """Open a file that a person brought, unless that is under way. Others that are over are forgotten.

    Args:
        file_id: Names it; nobody else can guess it.
        content: The file.
    """
    for other in [other for other, job in list(_openings().items()) if job.is_over]:
        _openings().pop(other, None)
    _start(_openings(), file_id, lambda: open_project_job(workspace(), content))


@st.cache_resource(show_spinner=False)
def _rate_searches() -> dict[str, tuple[tuple[int, TrainingConfig], Job[RateCurve]]]:
    return {}


@st.cache_resource(show_spinner=False)
def _savings() -> dict[str, tuple[ProjectPlan, Job[Path]]]:
    return {}


@st.cache_resource(show_spinner=False)
def _openings() -> dict[str, Job[OpenedProject]]:
    return {}


@st.cache_resource(show_spinner=False)
def _starting() -> threading.Lock:
    return threading.Lock()


def _start(jobs: dict[Key, Job[Result]], key: Key, make: Callable[[], Job[Result]]) -> None:
    """Start a job, unless one under the same key is under way; two windows may ask at the same moment."""
    with _starting():
        job = jobs.get(key)
        if job is None or job.is_over:
            jobs[key] = make().start()
