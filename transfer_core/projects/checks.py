"""Check an unpacked project: texts, references between its files, photos, and weights of own models.

Types and ranges are checked where the structs are decoded.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from msgspec import structs

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.own.source_model import (
    ARRAYS_FILE,
    FACTS_FILE,
    MOST_CLASSES,
    SourceModelFacts,
    SourceModelWeights,
    check_outputs,
)
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.data.checks.notices import read_as_sentence, sentence_of
from transfer_core.data.dataset import IMAGES_FOLDER, ImageDataset
from transfer_core.data.images.decoding import check_stored
from transfer_core.data.images.image_path import GreyRanges
from transfer_core.data.limits import limits
from transfer_core.data.parallel import map_ahead
from transfer_core.data.records import IMAGE_ID_PATTERN
from transfer_core.data.sources.imported_file import clean_name, shown_name
from transfer_core.data.sources.zip_archive import UNPACKING_ERRORS
from transfer_core.errors import (
    NotFoundError,
    ProjectError,
    TransferStudioError,
    UnreadableImageError,
    WorkspaceError,
)
from transfer_core.events import (
    EpochEnded,
    TrainingEvent,
    event_from_dict,
    snapshot_of,
)
from transfer_core.events.kinds import EVENT_TYPES
from transfer_core.facts_file import Facts, FactsFile
from transfer_core.files import read_json
from transfer_core.inference.calibration import Calibration
from transfer_core.inference.rejection import BANK_FILE, REJECTION_FILE, Rejection
from transfer_core.language import _
from transfer_core.projects.manifest import MODEL_FACTS_FILE, Manifest
from transfer_core.projects.models import NetworkFacts, check_arrays
from transfer_core.runs.erasing import erased_event, erased_split
from transfer_core.runs.event_log import events_of
from transfer_core.runs.new_photos import NEW_PHOTOS_DIR
from transfer_core.runs.notes import NOTES, RunNotes
from transfer_core.runs.run_folder import DISTILLATION, EVALUATION, EVENTS_FILE, RUN, SPLIT
from transfer_core.runs.sweep_plan import SWEEP
from transfer_core.runs.training_run import TrainingRun
from transfer_core.schema import CONTROL_CHARACTERS_AND_LINES, decoded
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.signature import SIGNATURE_FILE
from transfer_core.workspace import ID_PATTERN, Workspace

_OUTCOMES = ("finished", "stopped")
_FINGERPRINT = re.compile(r"([0-9a-f]{256})?", re.ASCII)
_LONGEST_NAME = 300
# A run has at most two phases of 1,000 epochs each, which may begin again once or twice.
_MOST_EPOCHS = 10_000
# Errors that the readers of this app raise on files that it did not write.
MISFITS = (
    TransferStudioError,
    *UNPACKING_ERRORS,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)


def check_project(
    unpacked: Workspace, manifest: Manifest, on_picture: Callable[[], None] = lambda: None
) -> None:
    """Check all facts and all photos of an unpacked project.

    Args:
        unpacked: The unpacked project.
        manifest: Its manifest.
        on_picture: Called before each photo is read; its errors end the check.

    Raises:
        ProjectError: If a fact is not what this app writes, or a photo cannot be decoded; the message says where.
    """
    found = {f"{path.parent.name}/{path.name}" for path in unpacked.root.glob("*/*")}
    if found != set(manifest.places):
        raise ProjectError(_("The project was not opened: its photos or models do not match its list."))
    with _refusing(_("The photos")):
        dataset = ImageDataset.load(unpacked, manifest.dataset)
        check_dataset(dataset)
        _check_pictures(dataset, on_picture)
    networks = {}
    for source_id in manifest.sources:
        with _refusing(_("The own model {id}").format(id=source_id)):
            networks[source_id] = _checked_source(unpacked.source_dir(source_id))
    for run_id in manifest.runs:
        with _refusing(_("The run {id}").format(id=run_id)):
            run = TrainingRun.load(unpacked, run_id)
            network = networks.get(run.config.backbone) or known_network(run.config.backbone)
            check_run(run, dataset, network)
            for photos in _new_photos_of(run):
                _check_pictures(photos, on_picture)
            _require(model_facts_of(run).architecture == network.name, MODEL_FACTS_FILE)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn any of `MISFITS` into an error that names the part of the project."""
    try:
        yield
    except MISFITS as error:
        raise ProjectError(
            _("The project was not opened. {what}: {reason}").format(what=what, reason=reason_of(error))
        ) from error


def reason_of(error: Exception) -> str:
    """Return the reason in an error of a check, for a person."""
    is_told = isinstance(error, TransferStudioError) and not isinstance(error, NotFoundError)
    return str(error) if is_told else _("its content is not valid")


def _require(is_sound: object, what: str) -> None:
    if not is_sound:
        raise ProjectError(_not_as_expected(what))


def _facts_in(file: FactsFile[Facts], run: TrainingRun) -> Facts:
    try:
        return file.read(run.folder)
    except WorkspaceError as error:
        raise ProjectError(_not_as_expected(file.name)) from error


def _not_as_expected(what: str) -> str:
    return _("The content of {file} is not valid.").format(file=what)


def check_dataset(dataset: ImageDataset) -> None:
    """Check the facts of images.

    Raises:
        Exception: One of `MISFITS`, if one is not what this app writes.
    """
    images = (*dataset.images, *dataset.excluded)
    _require(_are_image_ids([image.id for image in images]), "dataset.json")
    _require(all(_FINGERPRINT.fullmatch(image.fingerprint) for image in images), "dataset.json")
    files = [file.name for file in dataset.left_out]
    names = [dataset.name, *(image.name for image in images), *files]
    _require(dataset.name and all(map(_is_short_line, names)), "dataset.json")
    _require(len(files) <= limits().files, "dataset.json")
    _require(all(edit.version <= dataset.version for edit in dataset.edits), "dataset.json")
    _require(
        all(IMAGE_ID_PATTERN.fullmatch(before[0]) for edit in dataset.edits for before in edit.before),
        "dataset.json",
    )
    _check_class_names(dataset.class_names, limits().files)
    _require({image.class_name for image in dataset.images} <= set(dataset.class_names), "dataset.json")
    _require(dataset.series_version <= dataset.version, "dataset.json")
    _require(_are_ranges(dataset.grey_ranges), "dataset.json")
    # Made into a sentence on every page of the dataset.
    sentences = [
        *map(sentence_of, dataset.notices),
        read_as_sentence(dataset.read_as) if dataset.read_as else "",
    ]
    _require(not any(map(CONTROL_CHARACTERS_AND_LINES.search, sentences)), "dataset.json")


def _are_ranges(ranges: GreyRanges) -> bool:
    return all(limits is None or -math.inf < limits[0] < limits[1] < math.inf for limits in ranges)


def _are_image_ids(ids: list[str]) -> bool:
    return all(map(IMAGE_ID_PATTERN.fullmatch, ids)) and len(set(ids)) == len(ids)


def _is_name(name: str) -> bool:
    return bool(name) and _is_short_line(name)


def _is_short_line(text: str) -> bool:
    """Return whether a text can be shown within a line. The cleaned name of a file may be empty."""
    return len(text) <= _LONGEST_NAME and not CONTROL_CHARACTERS_AND_LINES.search(text)


def _check_pictures(dataset: ImageDataset, on_picture: Callable[[], None]) -> None:
    """Decode every photo, as when it was added. A photo may be missing, as it may where the project was saved."""
    records = {dataset.image_path(image): image for image in (*dataset.images, *dataset.excluded)}
    paths = sorted((dataset.folder / IMAGES_FOLDER).glob("*"))
    _require(records.keys() >= set(paths), _("The folder of photos"))
    for path, reason in zip(paths, map_ahead(_why_no_picture, paths), strict=True):
        on_picture()
        if reason:
            raise ProjectError(
                _("{name} of the class {class_name} is not a photo: {reason}.").format(
                    name=records[path].name, class_name=records[path].class_name, reason=reason
                )
            )


def is_whole_picture(path: Path) -> bool:
    """Return whether a stored photo can be decoded."""
    return not _why_no_picture(path)


def _why_no_picture(path: Path) -> str:
    try:
        check_stored(path.read_bytes())
    except UnreadableImageError as error:
        return str(error)
    return ""


def _check_class_names(names: tuple[str, ...], most: int = MOST_CLASSES) -> None:
    is_sound = all(name and clean_name(name) == name for name in names)
    _require(is_sound and len(set(names)) == len(names) <= most, _("The list of classes"))


def _checked_source(folder: Path) -> Backbone:
    network, weights = check_source(folder)
    load_keras()
    model = network.build(pretrained=False)
    weights.load(model)
    check_outputs(model)
    return network


def check_source(folder: Path) -> tuple[Backbone, SourceModelWeights]:
    """Check the facts of an own model, and what its weights say they are, before any of them is read.

    Args:
        folder: Of the own model.

    Returns:
        Its published backbone, and its weights.

    Raises:
        Exception: One of `MISFITS`, if something is not what this app writes.
    """
    facts = SourceModelFacts.from_dict(read_json(folder / FACTS_FILE))
    _require(all(map(_is_name, (facts.title, *facts.lineage))), FACTS_FILE)
    network = known_network(facts.architecture)
    _check_class_names(facts.class_names)
    check_arrays(folder / ARRAYS_FILE, network.num_parameters)
    return network, SourceModelWeights(folder, facts.weights_sha256)


def known_network(name: str) -> Backbone:
    """Return a published backbone.

    Raises:
        ProjectError: If this app does not know it.
    """
    try:
        return get_backbone(name)
    except NotFoundError as error:
        raise ProjectError(
            _("this version of the app does not know the pretrained model {name}. Update the app.").format(
                name=shown_name(name)
            )
        ) from error


def check_run(run: TrainingRun, dataset: ImageDataset, network: Backbone) -> None:
    """Check all facts of a run except its model.

    Args:
        run: Of the workspace, or unpacked.
        dataset: The images that it must have been trained on.
        network: Its published backbone.

    Raises:
        Exception: One of `MISFITS`, if one is not what this app writes.
    """
    _require(run.dataset_id == dataset.id and _is_name(run.dataset_name), "config.json")
    _require(
        run.dataset_version >= 1 and run.created_at.year >= 2000 and len(run.dataset_class_names) >= 2,
        RUN.name,
    )
    _check_class_names(run.dataset_class_names)
    FreezePlan(network, run.config.num_unfrozen_blocks, run.config.unfrozen_layers).check_layers()
    signature = run.signature
    _require(signature.class_names == run.dataset_class_names, SIGNATURE_FILE)
    _require(signature.image_size == network.image_size, SIGNATURE_FILE)
    _require(_are_ranges(signature.grey_ranges), SIGNATURE_FILE)
    _require(signature.backbone in ("", run.config.backbone), SIGNATURE_FILE)
    _require(snapshot_of(_checked_events(run)).outcome in _OUTCOMES, EVENTS_FILE)
    _check_split(run, dataset)
    _check_certainty(run, network)
    _check_words(run, network)
    _check_teaching(run)
    for photos in _new_photos_of(run):
        check_dataset(photos)


def model_facts_of(run: TrainingRun) -> NetworkFacts:
    """Return the facts of an unpacked run's model.

    Raises:
        ProjectError: If its file is not what this app writes.
    """
    try:
        return decoded(read_json(run.folder / MODEL_FACTS_FILE), NetworkFacts)
    except ValueError as error:
        raise ProjectError(_not_as_expected(MODEL_FACTS_FILE)) from error


def _checked_events(run: TrainingRun) -> Iterator[TrainingEvent]:
    """Yield the events one by one: a log may have a hundred thousand."""
    num_epochs = 0
    with (run.folder / EVENTS_FILE).open("rb") as file:
        for line in file:
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                # A line that was cut off by a crash, which every reader skips.
                continue
            _require(isinstance(values, dict), EVENTS_FILE)
            # An unknown kind is of a later version, and skipped as well.
            if values.get("event") in EVENT_TYPES:
                try:
                    event = event_from_dict(values)
                except ValueError as error:
                    raise ProjectError(_not_as_expected(EVENTS_FILE)) from error
                num_epochs += isinstance(event, EpochEnded)
                _require(num_epochs <= _MOST_EPOCHS, EVENTS_FILE)
                yield event


def _check_split(run: TrainingRun, dataset: ImageDataset) -> None:
    """Check that no photo is on both sides, and that the results are those of the validation photos."""
    split = _facts_in(SPLIT, run)
    ids = [*(split.train or ()), *(split.validation or ())]
    # Excluded photos do not go into a project.
    rest = erased_split(split, dataset.excluded_by_id)
    _require(rest.train and rest.validation and _are_image_ids(ids), SPLIT.name)
    known = {image.id for image in (*dataset.images, *dataset.excluded)}
    _require(known >= set(ids), SPLIT.name)
    evaluation = run.evaluation()
    if evaluation:
        scored = [outcome.image_id for outcome in evaluation.outcomes if outcome.image_id]
        _require(evaluation.class_names == run.class_names, EVALUATION.name)
        # The images of a cross-validation are those of both sides.
        measured = set(ids) if evaluation.num_folds else run.validation_ids()
        _require(_are_image_ids(scored) and measured >= set(scored), EVALUATION.name)
        _require(all(_is_short_line(outcome.name) for outcome in evaluation.outcomes), EVALUATION.name)


def _check_certainty(run: TrainingRun, network: Backbone) -> None:
    Calibration.load(run.folder)
    has_bank = (run.folder / BANK_FILE).is_file()
    _require(has_bank == (run.folder / REJECTION_FILE).is_file(), REJECTION_FILE)
    Rejection.load(run.folder, network.num_features)


def _check_words(run: TrainingRun, network: Backbone) -> None:
    """Check what the person wrote, and the series that the run belongs to."""
    if NOTES.exists(run.folder):
        _facts_in(NOTES, run)
        _require(read_json(run.folder / NOTES.name).keys() <= set(RunNotes.__struct_fields__), NOTES.name)
    if SWEEP.exists(run.folder):
        depths = _facts_in(SWEEP, run).depths
        _require(all(depth <= len(network.blocks) for depth in depths), SWEEP.name)


def _check_teaching(run: TrainingRun) -> None:
    _require(not run.config.teacher or ID_PATTERN.fullmatch(run.config.teacher), "config.json")
    if DISTILLATION.exists(run.folder):
        _facts_in(DISTILLATION, run)


def _new_photos_of(run: TrainingRun) -> Iterator[ImageDataset]:
    folder = run.folder / NEW_PHOTOS_DIR
    if folder.is_dir():
        for photos_id in Workspace(folder).dataset_ids():
            yield ImageDataset.load(Workspace(folder), photos_id)


def same_images(one: ImageDataset, other: ImageDataset) -> bool:
    """Return whether two datasets are equal, apart from their folders and excluded photos."""
    one, other = (dataset.erased(dataset.excluded_by_id) for dataset in (one, other))
    return structs.replace(one, folder=other.folder) == other


def same_training(one: TrainingRun, other: TrainingRun, excluded: Mapping[str, str]) -> bool:
    """Return whether two runs are the same training: equal choices and equal events; notes may differ.

    Args:
        one: A run.
        other: Another.
        excluded: File names of photos that count in neither, by their ids.
    """
    courses = (
        (erased_event(event, excluded) for event in events_of(run.folder / EVENTS_FILE))
        for run in (one, other)
    )
    # Compare reprs because NaN != NaN.
    is_same_course = all(repr(event) == repr(its) for event, its in zip_longest(*courses))
    return is_same_course and replace(one, folder=other.folder) == other
