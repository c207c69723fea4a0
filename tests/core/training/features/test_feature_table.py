"""Rows from several files behave like one array, and never fill the memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from transfer_core.errors import WorkspaceError
from transfer_core.training.batches import LabelledFeatures
from transfer_core.training.features.feature_files import MOST_FILES, FeatureFile, find_files, write_files
from transfer_core.training.features.feature_table import FeatureTable
from transfer_core.training.machine import process_memory


def written(folder: Path, *parts: np.ndarray) -> list[FeatureFile]:
    for number, rows in enumerate(parts):
        write_files(folder, iter([{f"family{number:03}": ([str(row) for row in range(len(rows))], rows)}]))
    return find_files(folder, "family*")


@pytest.fixture
def table(tmp_path: Path) -> FeatureTable:
    """Six rows; the first and the last are in the second file."""
    files = written(tmp_path, np.arange(12.0).reshape(6, 2), 100 + np.arange(6.0).reshape(3, 2))
    places = np.array([[1, 2], [0, 0], [0, 5], [0, 3], [1, 0], [1, 1]])
    return FeatureTable(files, places)


def test_rows_come_from_where_they_lie(table: FeatureTable) -> None:
    assert table.shape == (6, 2)
    assert len(table) == 6
    np.testing.assert_array_equal(table[np.array([0, 2, 0])], [[104, 105], [10, 11], [104, 105]])
    assert np.array(table)[:, 0].tolist() == [104, 0, 10, 6, 100, 102]


def test_a_row_is_a_copy(table: FeatureTable) -> None:
    table[np.array([1])][:] = 77
    assert table[np.array([1])].tolist() == [[0, 1]]


def test_only_a_few_of_many_files_are_mapped_at_one_time(tmp_path: Path) -> None:
    count = MOST_FILES + 9
    files = written(tmp_path, *(np.full((2, 3), float(number)) for number in range(count)))
    places = np.array([[number, row] for row in range(2) for number in range(count)])
    table = FeatureTable(files, places)
    order = np.random.default_rng(0).permutation(len(places))
    for start in range(0, len(order), 8):
        chosen = order[start : start + 8]
        assert table[chosen][:, 0].tolist() == places[chosen, 0].tolist()
        assert len(table._mapped) <= MOST_FILES


def test_file_deleted_before_it_was_mapped_raises(tmp_path: Path) -> None:
    files = written(tmp_path, *(np.zeros((1, 3)) for _number in range(MOST_FILES + 1)))
    table = FeatureTable(files, np.array([[number, 0] for number in range(len(files))]))
    for file in files:
        file.path.unlink()
    assert table[np.arange(MOST_FILES)].shape == (MOST_FILES, 3)
    with pytest.raises(WorkspaceError, match="Start it again"):
        table[np.array([MOST_FILES])]


def test_an_epoch_over_a_large_table_needs_little_memory(tmp_path) -> None:
    """A fifth of 20,000 images at a boundary in the middle of EfficientNet-Lite0."""
    num_rows, shape = 4000, (28, 28, 40)
    rows = np.random.default_rng(0).random((50, *shape), np.float32).astype(np.float16)
    batches = ([str(n) for n in range(first, first + 50)] for first in range(0, num_rows, 50))
    write_files(tmp_path, ({"family": (names, rows)} for names in batches))
    (file,) = find_files(tmp_path, "family")
    assert num_rows * file.row_bytes > 250 * 10**6
    table = FeatureTable([file], np.stack([np.zeros(num_rows, int), np.arange(num_rows)], axis=1))
    labelled = LabelledFeatures(table, np.arange(num_rows), np.zeros(num_rows, int))
    before = process_memory()
    most = max(process_memory() - before for _batch in labelled.shuffled_batches(32, seed=1, epoch=1))
    # What is mapped depends on what is read between two batches, not on the table: the whole has room as well.
    assert most < 125 * 10**6
