"""The datasets of the workspace, to choose one of."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from pages.ui.app.process import workspace
from pages.ui.app.words import distinct_labels
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TransferStudioError
from transfer_core.language import date_words, plural
from transfer_core.runs.unlabelled import has_unlabelled


def stored_datasets() -> dict[str, ImageDataset]:
    """Return all datasets with photos that can be read, by id; a damaged one must not hide the others."""
    found = {}
    for dataset_id in workspace().dataset_ids():
        with suppress(TransferStudioError):
            dataset = ImageDataset.load(workspace(), dataset_id)
            if dataset.images or dataset.excluded or has_unlabelled(dataset):
                found[dataset_id] = dataset
    return found


def dataset_labels(datasets: Mapping[str, ImageDataset]) -> dict[str, str]:
    """Return a line for each dataset by its id, to choose one of them."""
    return distinct_labels(
        {dataset_id: describe_dataset(dataset) for dataset_id, dataset in datasets.items()}
    )


def describe_dataset(dataset: ImageDataset) -> str:
    """Return its name, the number of its photos and the day it was made in one line."""
    count = plural("{count} photo", "{count} photos", len(dataset.images))
    return f"{dataset.name} · {count} · {id_date(dataset.id)}"


def id_date(identifier: str) -> str:
    """Return the date with which the id of a dataset or a run begins, such as `"28 Nov 2026"`."""
    return date_words(datetime.strptime(identifier[:8], "%Y%m%d"))
