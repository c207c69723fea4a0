"""The commands `ingest` and `ingest-video`, and the argument that names a dataset."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import get_args

import click
from msgspec.structs import replace

from transfer_core.cli.options import (
    common_options,
    layout_options,
    open_workspace,
)
from transfer_core.cli.output import (
    dataset_facts,
    report,
)
from transfer_core.data.checks.notices import read_as_sentence
from transfer_core.data.checks.photo_check import examine
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.grey_ranges import Brightness
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.records import DEFAULT_VALIDATION_SPLIT, SplitBy
from transfer_core.data.samples import get_sample
from transfer_core.data.sources.layout import read_layout
from transfer_core.data.sources.layout_choice import LayoutChoice
from transfer_core.data.sources.open_source import is_table, open_source
from transfer_core.data.sources.video import DEFAULT_NUM_PHOTOS, MOST_PHOTOS, video_photos
from transfer_core.errors import NotFoundError
from transfer_core.evaluation.label_suspicion import suspicious_labels
from transfer_core.evaluation.photo_series import keep_series_together
from transfer_core.language import _, plural, said
from transfer_core.workspace import Workspace

SAMPLE_PREFIX = "sample:"

brightness_option = click.option(
    "--brightness",
    type=click.Choice(get_args(Brightness)),
    default="stretch",
    show_default=True,
    help="Of photos with more than 8 bits: stretch them to full brightness, or keep it as in the files.",
)


@click.command()
@click.argument("source")
@click.option("--seed", default=1, show_default=True, help="Fixes which images are kept for validation.")
@click.option(
    "--validation-split",
    default=DEFAULT_VALIDATION_SPLIT,
    show_default=True,
    help="Share kept for validation.",
)
@click.option("--folds", type=int, help="Split the images into this many folds that take turns, 2-10.")
@click.option(
    "--ignore-own-split", is_flag=True, help="Do not keep the split of folders train, val and test."
)
@brightness_option
@click.option(
    "--check-labels",
    is_flag=True,
    help="Look for labels that are likely wrong and for series; extracts features of each image.",
)
@layout_options
@common_options
def ingest(
    source: str,
    layout: LayoutChoice | None,
    seed: int,
    validation_split: float,
    folds: int | None,
    ignore_own_split: bool,
    brightness: Brightness,
    check_labels: bool,
    root: Path | None,
    as_json: bool,
) -> None:
    """Make a dataset of a folder of class folders, an archive, a table or sample:NAME."""
    workspace = open_workspace(root)
    dataset = dataset_from(workspace, source, seed, validation_split, layout, brightness)
    if folds or (ignore_own_split and dataset.split_by == "folders"):
        split_by: SplitBy = "folds" if folds else "share"
        dataset = dataset.with_split(validation_split, seed, split_by=split_by, num_folds=folds).save()
    if check_labels:
        dataset = keep_series_together(workspace, dataset)
    suspicions = suspicious_labels(dataset, workspace.cache_dir) if check_labels else ()
    problems = examine(dataset, suspicions)
    lines = [_("Dataset {id}").format(id=dataset.id)]
    if dataset.read_as:
        lines.append(read_as_sentence(dataset.read_as))
    lines += [f"  {name}: {count:,}" for name, count in dataset.counts().items()]
    lines += [f"  {problem.title}. {problem.sentence}" for problem in problems]
    lines += [
        _("  excluded: {name} ({reason})").format(name=file.name, reason=said(file.reason))
        for file in dataset.left_out
    ]
    report(as_json, dataset_facts(dataset, problems), lines)
    dataset.check_trainable()


def dataset_from(
    workspace: Workspace,
    source: str,
    seed: int,
    validation_split: float = DEFAULT_VALIDATION_SPLIT,
    layout: LayoutChoice | None = None,
    brightness: Brightness = "stretch",
) -> ImageDataset:
    """Return the dataset with an id, or make one from a folder, file or sample.

    Args:
        workspace: Where a new dataset is put.
        source: A folder, a zip or tar file, a table, `sample:NAME`, or the id of a dataset.
        seed: Fixes the split of a new dataset.
        validation_split: Share of a new dataset that is kept for validation.
        layout: The meaning of the folders, if the person chose one.
        brightness: Of photos with more than 8 bits in a new dataset.

    Raises:
        LayoutQuestionError: If the folders have several meanings and there is no choice.
        IngestError: If it cannot be read.
        NotFoundError: If it is none of these.
    """
    path = Path(source)
    empty = partial(_empty_dataset, workspace, seed=seed, validation_split=validation_split)
    if source.startswith(SAMPLE_PREFIX):
        sample = get_sample(source.removeprefix(SAMPLE_PREFIX))
        return add_files(empty(sample.title), sample.files())
    if path.exists():
        with open_source(path) as files:
            reading = read_layout(files, layout or (LayoutChoice("table") if is_table(path) else None))
            dataset = replace(empty(path.resolve().stem), read_as=reading.read_as)
            return add_files(dataset, reading.files, brightness=brightness)
    try:
        return ImageDataset.load(workspace, source)
    except NotFoundError as error:
        raise NotFoundError(
            _("{source} is no folder, no archive, and no id of a dataset.").format(source=source)
        ) from error


def _empty_dataset(workspace: Workspace, name: str, *, seed: int, validation_split: float) -> ImageDataset:
    return create_dataset(workspace, name).with_split(validation_split, seed)


@click.command("ingest-video")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--class", "class_name", required=True, help="The class that the video shows.")
@click.option(
    "--dataset", "dataset_id", help="Id of the dataset that gets the photos; a new one if not given."
)
@click.option(
    "--frames",
    type=click.IntRange(1, MOST_PHOTOS),
    default=DEFAULT_NUM_PHOTOS,
    show_default=True,
    help="The most photos to take from it.",
)
@common_options
def ingest_video(
    file: Path, class_name: str, dataset_id: str | None, frames: int, root: Path | None, as_json: bool
) -> None:
    """Turn a video into photos of a class: sharp frames that differ, all on one side of the split."""
    workspace = open_workspace(root)
    before = ImageDataset.load(workspace, dataset_id) if dataset_id else create_dataset(workspace, file.stem)
    with file.open("rb") as content:
        photos = video_photos(content, file.name, class_name, frames)
    dataset = add_files(before, photos, class_name=class_name)
    num_added = len(dataset.images) - len(before.images)
    line = plural(
        "Dataset {id}: {count} photo added to {name}",
        "Dataset {id}: {count} photos added to {name}",
        num_added,
        id=dataset.id,
        name=class_name,
    )
    report(as_json, {**dataset_facts(dataset, examine(dataset)), "num_added": num_added}, [line])


DATASET_COMMANDS = (ingest, ingest_video)
