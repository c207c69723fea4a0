"""The worker of a node, called here without Ray."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from transfer_core.work.cluster import actor
from transfer_core.work.cluster.node_cache import FOLDER_VARIABLE


@pytest.mark.parametrize("num_gpus", [0, 1])
def test_uses_no_more_gpus_than_were_reserved(
    num_gpus: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loads: list[tuple[int, int]] = []
    has_loaded = threading.Event()

    def load_keras(num_threads: int, num_gpus: int) -> None:
        loads.append((num_threads, num_gpus))
        has_loaded.set()

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(actor, "load_keras", load_keras)
    actor.NodeWorker(2, num_gpus, is_beside_app=False)
    assert has_loaded.wait(30)
    assert loads == [(2, num_gpus)]
