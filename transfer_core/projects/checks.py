"""Whether the facts in an unpacked project are what this app writes: each kind, each range, each reference."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import published_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.backbones.sources import (
    ARRAYS_FILE,
    FACTS_FILE,
    MOST_CLASSES,
    SourceFacts,
    SourceWeights,
    kinds_of_arrays,
)
from transfer_core.config import check_seed
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.limits import limits
from transfer_core.data.source_file import clean_name
from transfer_core.data.zip_archive import UNPACKING_ERRORS
from transfer_core.errors import NotFoundError, ProjectError, TransferStudioError
from transfer_core.evaluation.calibration import Calibration
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.evaluation.rejection import BANK_FILE, MOST_IN_BANK, REJECTION_FILE, Rejection
from transfer_core.events import snapshot_of
from transfer_core.files import read_json
from transfer_core.language import _
from transfer_core.projects.manifest import MODEL_FACTS_FILE, Manifest
from transfer_core.projects.models import NetworkFacts, check_arrays
from transfer_core.runs.distillation import DISTILLATION_FILE, Distillation
from transfer_core.runs.new_photos import NEW_PHOTOS_DIR
from transfer_core.runs.notes import NOTES_FILE, RunNotes
from transfer_core.runs.sweep import SWEEP_FILE, SweepPlan
from transfer_core.runs.training_run import SPLIT_FILE, TrainingRun
from transfer_core.schema import fits
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.train import SIGNATURE_FILE
from transfer_core.workspace import ID_PATTERN, Workspace

_IMAGE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_OUTCOMES = ("finished", "stopped")
_MOST_REPEATS = 100
_NEARLY = 1e-6
# In seconds since 1970, the year 5138.
_LATEST = 1e11
# What the readers of this app raise on facts that are not theirs.
MISFITS = (
    TransferStudioError,
    *UNPACKING_ERRORS,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)


def check_project(unpacked: Workspace, manifest: Manifest) -> None:
    """Check all facts of an unpacked project.

    Args:
        unpacked: Where it lies.
        manifest: What it says it is made of.

    Raises:
        ProjectError: If a fact is not what this app writes; the message says where.
    """
    found = {f"{path.parent.name}/{path.name}" for path in unpacked.root.glob("*/*")}
    if found != set(manifest.places):
        raise ProjectError(
            _("The project was not opened: it holds other images, runs or models than it lists.")
        )
    with _refusing(_("The images")):
        check_dataset(ImageDataset.load(unpacked, manifest.dataset))
    networks = {}
    for source_id in manifest.sources:
        with _refusing(_("The own model {id}").format(id=source_id)):
            networks[source_id] = _checked_source(unpacked.source_dir(source_id))
    for run_id in manifest.runs:
        with _refusing(_("The run {id}").format(id=run_id)):
            run = TrainingRun.load(unpacked, run_id)
            network = networks.get(run.config.backbone) or known_network(run.config.backbone)
            check_run(run, manifest.dataset, network)
            _require(model_facts_of(run).architecture == network.name, MODEL_FACTS_FILE)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Say in which part of the project something is not as it should be."""
    try:
        yield
    except MISFITS as error:
        raise ProjectError(
            _("The project was not opened. {what}: {reason}").format(what=what, reason=reason_of(error))
        ) from error


def reason_of(error: Exception) -> str:
    """Say for a person what was found by a check in this module."""
    is_told = isinstance(error, TransferStudioError) and not isinstance(error, NotFoundError)
    return str(error) if is_told else _("it does not hold what was expected")


def _require(is_sound: object, what: str) -> None:
    if not is_sound:
        raise ProjectError(_("{file} does not hold what was expected.").format(file=what))


def check_dataset(dataset: ImageDataset) -> None:
    """Check the facts of images.

    Raises:
        Exception: One of `MISFITS`, if one is not what this app writes.
    """
    _require(fits(dataset, ImageDataset), "dataset.json")
    images = (*dataset.images, *dataset.excluded)
    ids = [image.id for image in images]
    _require(all(map(_IMAGE_ID.fullmatch, ids)) and len(set(ids)) == len(ids), "dataset.json")
    _check_class_names(dataset.class_names, limits().files)
    _require({image.class_name for image in dataset.images} <= set(dataset.class_names), "dataset.json")
    _require(0 < dataset.validation_split < 1 and 2 <= dataset.num_folds <= 10, "dataset.json")
    _require(dataset.version >= 1, "dataset.json")
    check_seed(dataset.seed)


def _check_class_names(names: tuple[str, ...], most: int = MOST_CLASSES) -> None:
    is_sound = all(name and clean_name(name) == name for name in names)
    _require(is_sound and len(set(names)) == len(names) <= most, _("The list of classes"))


def _checked_source(folder: Path) -> Backbone:
    network, weights = check_source(folder)
    load_keras()
    weights.load(network.build(pretrained=False))
    return network


def check_source(folder: Path) -> tuple[Backbone, SourceWeights]:
    """Check the facts of an own model, and what its weights say they are, before any of them is read.

    Args:
        folder: Where it lies.

    Returns:
        Its published network, and its weights.

    Raises:
        Exception: One of `MISFITS`, if something is not what this app writes.
    """
    facts = SourceFacts.from_dict(read_json(folder / FACTS_FILE))
    network = known_network(facts.architecture)
    _check_class_names(facts.class_names)
    check_arrays(folder / ARRAYS_FILE, network.num_parameters)
    return network, SourceWeights(folder, facts.weights_sha256)


def known_network(name: str) -> Backbone:
    """Return a published network.

    Raises:
        ProjectError: If this app does not know it.
    """
    try:
        return published_backbone(name)
    except NotFoundError as error:
        raise ProjectError(
            _("this version of the app does not know the network {name}. Update the app.").format(
                name=clean_name(name)
            )
        ) from error


def check_run(run: TrainingRun, dataset_id: str, network: Backbone) -> None:
    """Check all facts of a run but those of its model.

    Args:
        run: On this computer, or unpacked.
        dataset_id: The images that it has to have learned from.
        network: The published network that it has.

    Raises:
        Exception: One of `MISFITS`, if one is not what this app writes.
    """
    _require(fits(run, TrainingRun) and run.dataset_id == dataset_id, "config.json")
    _require(run.created_at.year >= 2000 and len(run.class_names) >= 2, "config.json")
    _check_class_names(run.class_names)
    FreezePlan(network, run.config.num_unfrozen_blocks, run.config.unfrozen_layers).check_layers()
    signature = read_json(run.folder / SIGNATURE_FILE)
    facts = (signature["class_names"], signature["image_size"])
    _require(facts == (list(run.class_names), network.image_size), SIGNATURE_FILE)
    _check_course(run)
    _check_certainty(run, network)
    _check_words(run, network)
    _check_teaching(run)
    _check_new_photos(run)


def model_facts_of(run: TrainingRun) -> NetworkFacts:
    """Read what the network of an unpacked run is.

    Raises:
        ProjectError: If its file is not what this app writes.
    """
    facts = NetworkFacts(**read_json(run.folder / MODEL_FACTS_FILE))
    _require(fits(facts, NetworkFacts) and 1 <= facts.hidden_units <= 4096, MODEL_FACTS_FILE)
    return facts


def _check_course(run: TrainingRun) -> None:
    events = run.events()
    # Losses may be no numbers, times may not.
    is_sound = all(fits(event, type(event)) and 0 <= event.time < _LATEST for event in events)
    _require(is_sound, "events.jsonl")
    _require(snapshot_of(events).outcome in _OUTCOMES, "events.jsonl")
    split = read_json(run.folder / SPLIT_FILE)
    ids = [*split["train"], *split["validation"]]
    _require(all(map(_IMAGE_ID.fullmatch, ids)), SPLIT_FILE)
    evaluation = run.evaluation()
    if evaluation:
        _check_evaluation(evaluation, run.class_names)


def _check_evaluation(evaluation: Evaluation, class_names: tuple[str, ...]) -> None:
    _require(fits(evaluation, Evaluation) and evaluation.class_names == class_names, "evaluation.json")
    known = set(class_names)
    for outcome in evaluation.outcomes:
        shares = (outcome.probability, outcome.true_probability, *outcome.probabilities)
        is_sound = (
            {outcome.class_name, outcome.predicted_class_name} <= known
            and all(0 <= share <= 1 + _NEARLY for share in shares)
            and len(outcome.probabilities) in (0, len(class_names))
            and (not outcome.image_id or _IMAGE_ID.fullmatch(outcome.image_id))
        )
        _require(is_sound, "evaluation.json")
    _require(evaluation.outcomes and 0.1 <= evaluation.temperature <= 100, "evaluation.json")


def _check_certainty(run: TrainingRun, network: Backbone) -> None:
    Calibration.load(run.folder)
    has_bank = (run.folder / BANK_FILE).is_file()
    _require(has_bank == (run.folder / REJECTION_FILE).is_file(), REJECTION_FILE)
    if not has_bank:
        return
    # Before a number is read: the file says how many there are.
    kinds = kinds_of_arrays(run.folder / BANK_FILE)
    _require(kinds.keys() == {"bank"}, BANK_FILE)
    shape, dtype = kinds["bank"]
    is_sound = len(shape) == 2 and 1 <= shape[0] <= MOST_IN_BANK and shape[1] == network.num_features
    _require(is_sound and dtype == np.float16, BANK_FILE)
    rejection = Rejection.load(run.folder)
    assert rejection is not None
    thresholds = (rejection.min_familiarity, rejection.familiar_share, rejection.min_probability)
    # An unit vector may be a little longer than 1 in half precision.
    _require(all(-1.01 <= limit <= 1.01 for limit in thresholds), REJECTION_FILE)
    _require(1 <= rejection.num_neighbors <= MOST_IN_BANK, REJECTION_FILE)
    _require(np.isfinite(rejection.bank).all(), BANK_FILE)


def _check_words(run: TrainingRun, network: Backbone) -> None:
    """Check what the person wrote, and the series that the run belongs to."""
    if (run.folder / NOTES_FILE).is_file():
        _require(fits(RunNotes(**read_json(run.folder / NOTES_FILE)), RunNotes), NOTES_FILE)
    if (run.folder / SWEEP_FILE).is_file():
        values = read_json(run.folder / SWEEP_FILE)
        plan = SweepPlan(values["id"], tuple(values["depths"]), tuple(values["seeds"]))
        is_sound = fits(plan, SweepPlan) and ID_PATTERN.fullmatch(plan.id) and plan.depths and plan.seeds
        _require(is_sound and max(len(plan.depths), len(plan.seeds)) <= _MOST_REPEATS, SWEEP_FILE)
        _require(all(0 <= depth <= len(network.blocks) for depth in plan.depths), SWEEP_FILE)


def _check_teaching(run: TrainingRun) -> None:
    _require(not run.config.teacher or ID_PATTERN.fullmatch(run.config.teacher), "config.json")
    if (run.folder / DISTILLATION_FILE).is_file():
        found = Distillation.load(run)
        _require(found and fits(found, Distillation) and found.num_images > 0, DISTILLATION_FILE)
        assert found is not None
        for model in (found.teacher, found.student):
            is_sound = (
                0 <= model.accuracy <= 1 and model.num_bytes > 0 and 0 < model.seconds_per_image < _LATEST
            )
            _require(is_sound, DISTILLATION_FILE)


def _check_new_photos(run: TrainingRun) -> None:
    folder = run.folder / NEW_PHOTOS_DIR
    if folder.is_dir():
        for photos_id in Workspace(folder).dataset_ids():
            check_dataset(ImageDataset.load(Workspace(folder), photos_id))


def same_images(one: ImageDataset, other: ImageDataset) -> bool:
    """Whether two datasets hold the same, wherever they lie."""
    return replace(one, folder=other.folder) == other


def same_training(one: TrainingRun, other: TrainingRun) -> bool:
    """Whether two runs are the same training: same choices, same course to the millisecond; notes may differ."""
    # As text: a loss that is not a number equals nothing, not even itself.
    is_same_course = repr(one.events()) == repr(other.events())
    return is_same_course and replace(one, folder=other.folder) == other
