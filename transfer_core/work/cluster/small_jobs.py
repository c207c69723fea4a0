"""Jobs of a node other than runs: what each needs, and how it is carried out there. Nothing of them is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError
from transfer_core.evaluation.audition import audition
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.types import ShouldStop
from transfer_core.work.cluster.messages import JobKind
from transfer_core.work.cluster.parcel import Parcel, parcel_of_dataset, parcel_of_run
from transfer_core.workspace import Workspace


def parcel_of_job(kind: JobKind, workspace: Workspace, arguments: dict[str, Any]) -> Parcel:
    """Describe the files that a job needs.

    Args:
        kind: Of the job.
        workspace: Where they are.
        arguments: Of the job.

    Raises:
        TransferStudioError: If they were deleted, or the photos have changed since the job was made.
    """
    if kind == "audition":
        dataset, backbone = _auditioned(workspace, arguments)
        return parcel_of_dataset(workspace, dataset, [backbone])
    return parcel_of_run(workspace, TrainingRun.load(workspace, arguments["run_id"]))


def carry_out_audition(
    workspace: Workspace, arguments: dict[str, Any], emit: Callable[[str], None], should_stop: ShouldStop
) -> dict[str, Any]:
    """Try one backbone on the photos of a dataset.

    Args:
        workspace: Of the job.
        arguments: Id and version of the dataset, and the name of the backbone.
        emit: Takes the number of photos whose features are ready, as JSON.
        should_stop: Called at each batch of photos.

    Returns:
        The fields of an `AuditionScore`.

    Raises:
        FeaturesStoppedError: If `should_stop` said so.
        TransferStudioError: Whatever `audition` raises.
    """
    load_keras()
    dataset, backbone = _auditioned(workspace, arguments)
    (score,) = audition(
        dataset,
        [backbone],
        workspace.cache_dir,
        on_progress=lambda _backbone, num_images: emit(json.dumps(num_images)),
        should_stop=should_stop,
    )
    return asdict(score)


def _auditioned(workspace: Workspace, arguments: dict[str, Any]) -> tuple[ImageDataset, Backbone]:
    dataset = ImageDataset.load(workspace, arguments["dataset_id"])
    if dataset.version != arguments["version"]:
        raise TrainingError(_("The photos have changed meanwhile. Compare the models again."))
    return dataset, get_backbone(arguments["backbone"], workspace)
