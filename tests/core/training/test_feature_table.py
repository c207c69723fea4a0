"""Rows from several files behave like one array, and never fill the memory."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.training.batches import LabelledFeatures
from transfer_core.training.feature_files import open_files, write_files
from transfer_core.training.feature_table import FeatureTable
from transfer_core.training.machine import process_memory


@pytest.fixture
def table() -> FeatureTable:
    """Six rows, of which the first and the last lie in the second file."""
    parts = [np.arange(12.0).reshape(6, 2), 100 + np.arange(6.0).reshape(3, 2)]
    places = np.array([[1, 2], [0, 0], [0, 5], [0, 3], [1, 0], [1, 1]])
    return FeatureTable(parts, places)


def test_rows_come_from_where_they_lie(table: FeatureTable) -> None:
    assert table.shape == (6, 2)
    assert len(table) == 6
    np.testing.assert_array_equal(table[np.array([0, 2, 0])], [[104, 105], [10, 11], [104, 105]])
    assert np.array(table)[:, 0].tolist() == [104, 0, 10, 6, 100, 102]


def test_a_row_is_a_copy(table: FeatureTable) -> None:
    table[np.array([1])][:] = 77
    assert table[np.array([1])].tolist() == [[0, 1]]


def test_an_epoch_over_a_large_table_needs_little_memory(tmp_path) -> None:
    """A fifth of 20,000 images at a boundary in the middle of EfficientNet-Lite0."""
    num_rows, shape = 4000, (28, 28, 40)
    rows = np.random.default_rng(0).random((50, *shape), np.float32).astype(np.float16)
    write_files(tmp_path, "family", [str(n) for n in range(num_rows)], (rows for _ in range(num_rows // 50)))
    (file,) = open_files(tmp_path, "family")
    assert file.rows.nbytes > 250 * 10**6
    table = FeatureTable([file.rows], np.stack([np.zeros(num_rows, int), np.arange(num_rows)], axis=1))
    labelled = LabelledFeatures(table, np.arange(num_rows), np.zeros(num_rows, int))
    before = process_memory()
    most = max(process_memory() - before for _batch in labelled.shuffled_batches(32, seed=1, epoch=1))
    # What is mapped depends on what is read between two batches, not on the table: the whole has room as well.
    assert most < 125 * 10**6
