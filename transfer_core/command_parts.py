"""What several commands do: find their images, carry out a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from transfer_core.console import tell
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.samples import get_sample
from transfer_core.data.sources.open import open_source
from transfer_core.errors import NotFoundError
from transfer_core.events import RunEnded, RunSnapshot, TrainingEvent
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.execute import ended_by, execute_run
from transfer_core.work.live_run import LiveRun
from transfer_core.workspace import Workspace

SAMPLE_PREFIX = "sample:"


def dataset_from(
    workspace: Workspace, source: str, seed: int, validation_split: float = ImageDataset.validation_split
) -> ImageDataset:
    """Return the dataset that a command names, or make it from what the command names.

    Args:
        workspace: Where datasets are.
        source: A folder, a zip or tar file, a table, `sample:NAME`, or the id of a dataset.
        seed: Fixes the split of a new dataset.
        validation_split: Share that a new dataset keeps to check with.

    Raises:
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
            return add_files(empty(path.resolve().stem), files)
    try:
        return ImageDataset.load(workspace, source)
    except NotFoundError as error:
        raise NotFoundError(
            _("{source} is neither a folder, nor a zip or tar file, nor the id of a dataset.").format(
                source=source
            )
        ) from error


def _empty_dataset(workspace: Workspace, name: str, *, seed: int, validation_split: float) -> ImageDataset:
    return create_dataset(workspace, name).with_split(validation_split, seed)


def carry_out(workspace: Workspace, run: TrainingRun) -> RunSnapshot:
    """Train a run to its end in this process, and tell its progress.

    Args:
        workspace: Where its images are.
        run: New or interrupted.

    Raises:
        TransferStudioError: Whatever `execute_run` raises.
    """
    live = LiveRun(run)
    is_over = False

    def emit(event: TrainingEvent) -> None:
        nonlocal is_over
        live.log.append(event)
        is_over = isinstance(event, RunEnded)
        tell(event)

    try:
        execute_run(workspace, run, emit, live.should_stop)
    except BaseException as error:
        if not is_over:
            live.log.append(ended_by(error, has_checkpoint=run.has_checkpoint))
        raise
    finally:
        live.release()
    return live.log.snapshot
