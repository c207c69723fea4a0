"""The kinds of work beside trainings that a node can do: what each needs of the workspace, and how it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.data.damage import without_photos
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError
from transfer_core.evaluation.audition import audition
from transfer_core.language import _
from transfer_core.runs.cross_validation import FOLDS_DIR, accuracy_of_fold
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.checkpoint import training_key
from transfer_core.types import ShouldStop
from transfer_core.work.cluster.parcel import Parcel, parcel_of_dataset, parcel_of_run
from transfer_core.workspace import Workspace

# One candidate of an audition; its arguments are id and version of the dataset, and the name of the backbone.
AUDITION = "audition"
# One fold of a run that is in its cross-validation on another node; its arguments are `run_id` and `number`, and what
# the driver has claimed from that node.
FOLD = "fold"

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class WorkKind:
    """A kind of work. Arguments, reports and results are what JSON holds.

    Args:
        parcel: Describes the files that it needs, given the workspace of the app and the arguments.
        work: Does it on the node, given a workspace with these files, the arguments, a callback for reports, and
            whether to stop; it ends with a `FeaturesStoppedError` then.
    """

    parcel: Callable[[Workspace, Mapping[str, Any]], Parcel]
    work: Callable[[Workspace, Mapping[str, Any], Report, ShouldStop], dict[str, Any]]


def _parcel_of_candidate(workspace: Workspace, arguments: Mapping[str, Any]) -> Parcel:
    dataset, backbone = _candidate(workspace, arguments)
    return parcel_of_dataset(workspace, dataset, [backbone])


def _try_candidate(
    workspace: Workspace, arguments: Mapping[str, Any], report: Report, should_stop: ShouldStop
) -> dict[str, Any]:
    """Try one backbone of an audition, and return the fields of its `AuditionScore`."""
    load_keras()
    dataset, backbone = _candidate(workspace, arguments)
    (score,) = audition(
        dataset,
        [backbone],
        workspace.cache_dir,
        on_progress=lambda _backbone, num_images: report({"num_images": num_images}),
        should_stop=should_stop,
    )
    return asdict(score)


def _candidate(workspace: Workspace, arguments: Mapping[str, Any]) -> tuple[ImageDataset, Backbone]:
    dataset = ImageDataset.load(workspace, arguments["dataset_id"])
    if dataset.version != arguments["version"]:
        raise TrainingError(_("The photos have changed meanwhile. Compare the models again."))
    return dataset, get_backbone(arguments["backbone"], workspace)


def _parcel_of_fold(workspace: Workspace, arguments: Mapping[str, Any]) -> Parcel:
    return parcel_of_run(workspace, TrainingRun.load(workspace, arguments["run_id"]))


def _train_fold(
    workspace: Workspace, arguments: Mapping[str, Any], _report: Report, should_stop: ShouldStop
) -> dict[str, Any]:
    """Train a fold of a run, and return its accuracy; nothing where the photos are other ones by now."""
    load_keras()
    run = TrainingRun.load(workspace, arguments["run_id"])
    dataset = without_photos(ImageDataset.load(workspace, run.dataset_id), arguments["left_out"])
    config = run.config.with_changes(train_on_all=False)
    number = arguments["number"]
    folds = dict(enumerate(dataset.folds(), 1))
    if number not in folds or training_key(folds[number], config) != arguments["key"]:
        return {}
    backbone = get_backbone(config.backbone, workspace)
    folder = run.folder / FOLDS_DIR / str(number)
    accuracy = accuracy_of_fold(folds[number], config, backbone, folder, workspace.cache_dir, should_stop)
    return {} if accuracy is None else {"accuracy": accuracy}


JOB_KINDS: dict[str, WorkKind] = {
    AUDITION: WorkKind(_parcel_of_candidate, _try_candidate),
    FOLD: WorkKind(_parcel_of_fold, _train_fold),
}
