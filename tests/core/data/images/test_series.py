"""Photos of one scene are found by features that are far closer than is usual in their class, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.data.images.series import find_series

NUM_FEATURES = 64


def scenes(sizes: list[int], *, seed: int = 0, spread: float = 0.15, center: float = 0.5) -> np.ndarray:
    """Features of photos of several scenes, one after the other; photos of one scene differ by `spread`."""
    random = np.random.default_rng(seed)
    of_scene = random.normal(center, 1, (len(sizes), NUM_FEATURES))
    rows = np.repeat(of_scene, sizes, axis=0)
    return rows + random.normal(0, spread, rows.shape)


def ids(count: int) -> list[str]:
    return [f"{number:04d}" for number in range(count)]


def found_sizes(series: list[str]) -> list[int]:
    return sorted(np.unique(series, return_counts=True)[1].tolist())


def planted(sizes: list[int]) -> list[str]:
    starts = np.cumsum([0, *sizes[:-1]])
    return [f"{start:04d}" for start, size in zip(starts, sizes, strict=True) for _photo in range(size)]


@pytest.mark.parametrize(
    "sizes",
    [
        [1] * 5,
        [2, 1, 1, 1],
        [3, 3, 3],
        [4, 1, 3, 2],
        [8] * 10,
        [30, 1, 1, 1, 30, 1, 1, 5, 5, 5],
        [1] * 60 + [2] * 5,
    ],
)
def test_planted_series_are_found(sizes: list[int]) -> None:
    count = sum(sizes)
    assert find_series(ids(count), ["cat"] * count, scenes(sizes)) == planted(sizes)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 10, 300])
def test_photos_of_other_scenes_are_alone(count: int) -> None:
    assert find_series(ids(count), ["cat"] * count, scenes([1] * count)) == ids(count)


def test_what_is_close_depends_on_the_class() -> None:
    # Boxes look much alike, cats do not: the same distance is usual for the one and a series for the other.
    sizes = [2, *[1] * 10]
    cats, boxes = scenes(sizes, spread=0.5), scenes([30], seed=1, spread=0.5)
    series = find_series(ids(42), ["cat"] * 12 + ["box"] * 30, np.concatenate([cats, boxes]))
    assert series == [*planted(sizes), *ids(42)[12:]]


def test_a_class_of_one_scene_is_measured_by_the_other_classes() -> None:
    sizes = [6, *[1] * 12]
    labels = ["cat"] * 6 + ["dog"] * 12
    assert find_series(ids(18), labels, scenes(sizes)) == planted(sizes)
    # Alone there is nothing to compare with.
    assert found_sizes(find_series(ids(6), ["cat"] * 6, scenes([6]))) == [1] * 6


def test_photos_of_two_classes_are_never_one_series() -> None:
    labels = ["cat", "dog"] * 3 + ["cat"] * 5 + ["dog"] * 5
    series = find_series(ids(16), labels, scenes([6, *[1] * 10]))
    for name in set(series):
        assert len({label for label, of in zip(labels, series, strict=True) if of == name}) == 1


def test_the_order_of_the_photos_does_not_matter() -> None:
    sizes = [4, 1, 3, 2, 1, 1, 5]
    features, labels = scenes(sizes, spread=0.35), np.array(["cat", "dog"]).repeat([8, 9])
    series = find_series(ids(17), labels.tolist(), features)
    order = np.random.default_rng(3).permutation(17)
    shuffled = find_series([ids(17)[row] for row in order], labels[order].tolist(), features[order])
    assert shuffled == [series[row] for row in order]


def test_a_chain_is_no_series() -> None:
    # Each photo is near the next one, the ends have nothing in common.
    angles = np.linspace(0, np.pi / 2, 60)
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    sizes = found_sizes(find_series(ids(60), ["cat"] * 60, chain))
    assert 1 < max(sizes) < 40


@pytest.mark.parametrize("limit", ["_DISTANCES_AT_ONCE", "_MOST_COMPARED"])
def test_bounded_memory_finds_the_same(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [8] * 6 + [1] * 12
    monkeypatch.setattr(f"transfer_core.data.images.series.{limit}", 40)
    assert find_series(ids(60), ["cat"] * 60, scenes(sizes)) == planted(sizes)


def test_a_huge_series_is_not_clustered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transfer_core.data.images.series._MOST_CLUSTERED", 5)
    sizes = [10, *[1] * 20]
    assert find_series(ids(30), ["cat"] * 30, scenes(sizes)) == planted(sizes)


def test_photos_without_features_are_no_problem() -> None:
    assert len(find_series(ids(6), ["cat"] * 6, np.zeros((6, NUM_FEATURES)))) == 6
