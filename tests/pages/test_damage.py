"""Damaged files of a run: each page says which and what that costs, and shows all the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import TrainOnce
from tests.pages.conftest import TINY, OpenPage, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.workspace import Workspace

pytestmark = pytest.mark.usefixtures("tasks_at_once")


def damaged(path: Path, content: bytes = b"") -> bytes:
    whole = path.read_bytes()
    path.write_bytes(content)
    return whole


def test_pages_of_a_run_with_a_damaged_file(
    open_page: OpenPage, page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce
) -> None:
    run = train_once(page_workspace, dataset, TINY)

    # Scored once more from the photos: the numbers are there all the same.
    whole = damaged(run.folder / "evaluation.json", b"[]")
    page = open_page("5_Results", run=run.id, part="overview")
    assert f"evaluation.json of {run.id} is damaged" in texts(page)
    assert page.metric
    page = open_page("4_Train", run=run.id)
    assert f"evaluation.json of {run.id} is damaged" in texts(page)
    assert page.metric
    (run.folder / "evaluation.json").write_bytes(whole)

    whole = damaged(run.folder / "signature.json", b'{"class_names": 3}')
    page = open_page("5_Results", run=run.id, part="overview")
    assert page.metric
    (run.folder / "signature.json").write_bytes(whole)

    for name in ("config.json", "events.jsonl", "split.json", "notes.json", "model.keras"):
        path = run.folder / name
        whole = damaged(path, b"[]\n") if path.is_file() else b"{}"
        path.write_bytes(b"[]\n")
        welcome, results, test, compare = (
            open_page(page, run=run.id, part="overview") for page in ("", "5_Results", "6_Test", "8_Compare")
        )
        assert ("config.json of" in texts(welcome)) == (name == "config.json")
        # Without its config a run is left out; any other file costs only what it holds.
        is_known = name != "config.json"
        assert ("Validation photos" in [metric.label for metric in results.metric]) == is_known
        assert bool(test.segmented_control) == is_known
        assert len(compare.dataframe) == is_known
        path.write_bytes(whole)
