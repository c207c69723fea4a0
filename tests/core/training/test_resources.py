"""Runs that do not fit into memory or disk are rejected up front, with suggestions."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.errors import InsufficientResourcesError
from transfer_core.events import RunStarted
from transfer_core.training import resources
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.resources import check_disk, check_memory, estimate_memory
from transfer_core.training.train import train

LITE0 = get_backbone("efficientnet_lite0")
MEGABYTE = 10**6


def estimate(dataset, depth: int, batch_size: int = 32) -> int:
    return estimate_memory(FreezePlan(LITE0, depth), TrainingConfig(batch_size=batch_size), dataset)


def test_more_trainable_layers_and_larger_batches_need_more_memory(color_dataset, keras_module) -> None:
    by_depth = [estimate(color_dataset, depth) for depth in (0, 2, 5, 9)]
    assert by_depth == sorted(set(by_depth))
    assert estimate(color_dataset, 9, batch_size=64) > 1.8 * by_depth[-1] - 400 * MEGABYTE
    assert 300 * MEGABYTE < by_depth[0] < 1000 * MEGABYTE
    assert 1000 * MEGABYTE < by_depth[-1] < 6000 * MEGABYTE


@pytest.mark.parametrize(
    ("name", "batch_size", "measured"),
    [("efficientnet_lite0", 32, 1238), ("convnext_tiny", 16, 5162), ("efficientnet_b0", 16, 2100)],
)
def test_estimate_for_a_whole_network_is_near_the_measurement(
    name: str, batch_size: int, measured: float, color_dataset, keras_module
) -> None:
    """How it was measured stands in docs/benchmarks.md."""
    backbone = get_backbone(name)
    plan = FreezePlan(backbone, len(backbone.blocks))
    estimated = estimate_memory(plan, TrainingConfig(backbone=name, batch_size=batch_size), color_dataset)
    assert 1 < estimated / (measured * MEGABYTE) < 2.5


def test_number_of_images_does_not_matter(color_dataset, keras_module) -> None:
    many = replace(color_dataset, images=color_dataset.images * 1000)
    assert estimate(many, 2) == estimate(color_dataset, 2)


def refusal(monkeypatch, dataset, depth: int, free: int) -> str:
    monkeypatch.setattr(resources, "free_memory", lambda: free)
    with pytest.raises(InsufficientResourcesError) as caught:
        check_memory(FreezePlan(LITE0, depth), TrainingConfig(), dataset)
    return str(caught.value)


def test_message_names_a_batch_size_that_fits(color_dataset, monkeypatch, keras_module) -> None:
    free = estimate(color_dataset, 9) - 100 * MEGABYTE
    message = refusal(monkeypatch, color_dataset, 9, free)
    assert re.search(r"needs about [\d.]+ GB of memory\. Another 200 MB must stay free", message)
    assert f"Only {(free // 10**8) / 10} GB are free." in message
    (batch_size,) = map(int, re.findall(r"A batch size of (\d+) would fit", message))
    check_memory(FreezePlan(LITE0, 9), TrainingConfig(batch_size=batch_size), color_dataset)


def test_message_names_a_depth_if_no_batch_size_fits(color_dataset, monkeypatch, keras_module) -> None:
    # With the reserve that is left to the system.
    free = estimate(color_dataset, 0) + 201 * MEGABYTE
    monkeypatch.setattr(
        resources,
        "estimate_memory",
        lambda plan, config, dataset: estimate(dataset, plan.num_unfrozen_blocks),
    )
    message = refusal(monkeypatch, color_dataset, 9, free)
    assert "Unfreezing 0 blocks would fit" in message


def test_message_suggests_other_help_if_no_choice_fits(color_dataset, monkeypatch, keras_module) -> None:
    assert "Close other programs" in refusal(monkeypatch, color_dataset, 0, 10 * MEGABYTE)


@pytest.mark.parametrize(
    ("num_bytes", "free", "figures"),
    [
        (100_000, 199_900_000, ["need 100 KB", "Another 200 MB", "Only 199 MB"]),
        (150_000_001, 350_000_000, ["need 151 MB", "Another 200 MB", "Only 350 MB"]),
        (4_020_000_000, 999, ["need 4.1 GB", "Another 200 MB", "Only 0 KB"]),
        (4_020_000_000, 2_199_000_000, ["need 4.1 GB", "Another 200 MB", "Only 2.1 GB"]),
    ],
)
def test_need_reserve_and_free_space_are_said_apart(
    num_bytes: int, free: int, figures: list[str], monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(resources, "free_disk", lambda folder: free)
    with pytest.raises(InsufficientResourcesError) as caught:
        check_disk(tmp_path, num_bytes, lambda: None)
    assert [figure for figure in figures if f"{figure} " not in str(caught.value)] == []


def test_training_is_rejected_before_features_are_extracted(
    color_dataset, tiny_config, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(resources, "free_memory", lambda: 10 * MEGABYTE)
    events = []
    with pytest.raises(InsufficientResourcesError, match="Only 10 MB are free"):
        train(color_dataset, tiny_config, tmp_path, tmp_path, emit=events.append)
    assert [type(event) for event in events] == [RunStarted]
    assert list(tmp_path.iterdir()) == []
