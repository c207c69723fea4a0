"""Concurrent edits of one dataset by two processes. Each must be saved, or rejected with a message."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.endurance.training import COLORS, new_dataset
from benchmarks.endurance.trials import Budget, Report, processes
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.workspace import Workspace

_NUM_PROCESSES = 2


def edits(budget: Budget) -> Report:
    """Let each process try half of the edits, then compare the saved ones with the dataset."""
    workspace = Workspace(budget.folder)
    dataset = new_dataset(workspace)
    num_each = budget.num_trials // _NUM_PROCESSES
    arguments = [
        (workspace.root, dataset.id, num_each, [budget.seed, number]) for number in range(_NUM_PROCESSES)
    ]
    with processes().Pool(_NUM_PROCESSES) as pool:
        results = pool.starmap(_edit_often, arguments)
    report = Report(_NUM_PROCESSES * num_each, sum(len(saved) + len(refused) for saved, refused in results))
    saved = [version for versions, _refused in results for version in versions]
    refused = [sentence for _versions, sentences in results for sentence in sentences]
    final = ImageDataset.load(workspace, dataset.id)
    expected = list(range(dataset.version + 1, dataset.version + len(saved) + 1))
    if sorted(saved) != expected or final.version != expected[-1]:
        report.failures.append(
            f"{len(saved)} edits were saved, and {final.version - dataset.version} are there"
        )
    if sum(edit.kind == "relabel" for edit in final.edits) != len(saved):
        report.failures.append(f"{len(saved)} edits were saved, and {len(final.edits)} can be undone")
    if not all(refused):
        report.failures.append("an edit was refused without a sentence")
    report.note = f"{len(saved)} saved, {len(refused)} refused with a sentence"
    return report


def _edit_often(root: Path, dataset_id: str, num_edits: int, seed: list[int]) -> tuple[list[int], list[str]]:
    """Move random photos to other classes; return the saved versions and the messages of rejected edits."""
    workspace = Workspace(root)
    draws = np.random.default_rng(seed)
    saved, refused = [], []
    for _edit in range(num_edits):
        dataset = ImageDataset.load(workspace, dataset_id)
        image = dataset.images[int(draws.integers(len(dataset.images)))]
        others = [name for name in COLORS if name != image.class_name]
        changed = dataset.relabelled([image.id], others[int(draws.integers(len(others)))])
        try:
            saved.append(changed.save().version)
        except TransferStudioError as error:
            refused.append(str(error))
    return saved, refused
