"""Races: pairs of runs on the same photos, once pretrained and once from scratch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from transfer_core.backbones.registry import get_backbone
from transfer_core.runs.race import find_race, race_configs


def run(run_id: str, dataset_id: str, weights: str, backbone: str = "tiny_random") -> Any:
    config = SimpleNamespace(weights=weights, backbone=backbone)
    return SimpleNamespace(id=run_id, dataset_id=dataset_id, config=config)


def test_the_newest_pair_on_the_same_photos_with_the_same_network_is_found() -> None:
    assert find_race([run("a", "mugs", "imagenet"), run("b", "pens", "random")]) is None
    assert find_race([run("a", "mugs", "imagenet"), run("b", "mugs", "random", "vgg16")]) is None
    runs = [
        run("d", "mugs", "random"),
        run("c", "mugs", "imagenet"),
        run("b", "pens", "imagenet"),
        run("a", "pens", "random"),
        run("0", "mugs", "random"),
    ]
    newest, wanted = find_race(runs), find_race(runs, "pens")
    assert newest and (newest.pretrained.id, newest.scratch.id) == ("c", "d")
    assert wanted and (wanted.pretrained.id, wanted.scratch.id) == ("b", "a")


def test_the_configs_differ_in_weights_alone_and_what_follows_from_them() -> None:
    pretrained, scratch = race_configs(get_backbone("efficientnet_lite0"))
    assert (pretrained.weights, scratch.weights) == ("imagenet", "random")
    assert (pretrained.num_unfrozen_blocks, scratch.num_unfrozen_blocks) == (0, 9)
    assert (pretrained.epochs, pretrained.batch_size, pretrained.seed) == (
        scratch.epochs,
        scratch.batch_size,
        scratch.seed,
    )
