"""The feature cache: computed once, never half, never the wrong one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transfer_core.backbones.backbone import RandomWeights
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.augmentation import Augmentation
from transfer_core.data.batches import pixel_batches
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources import SourceFile
from transfer_core.errors import TrainingError, UnreadableImageError, WorkspaceError
from transfer_core.training import feature_cache, feature_files, limits
from transfer_core.training.classifier import build_classifier, split_at_boundary
from transfer_core.training.feature_cache import FeaturesStoppedError, View, load_features
from transfer_core.training.feature_table import FeatureTable
from transfer_core.training.freezing import FreezePlan
from transfer_core.workspace import Workspace

TINY = get_backbone("tiny_random")
ALL_FROZEN = FreezePlan(TINY)
PIXELS_ONLY = FreezePlan(TINY, 3)


@dataclass
class Cache:
    """Asks for features as a training does, and counts how often they were computed."""

    folder: Path
    prefix: Any
    num_computed: int = 0
    num_rows_computed: int = 0

    def load(
        self,
        dataset: ImageDataset,
        plan: FreezePlan = ALL_FROZEN,
        on_progress: Callable[[int], None] = lambda num_done: None,
        should_stop: Callable[[], bool] = lambda: False,
        **options: Any,
    ) -> FeatureTable:
        prefix = split_at_boundary(self.prefix, plan.boundary_layer)[0]
        return load_features(
            dataset, plan, prefix, self.folder, on_progress=on_progress, should_stop=should_stop, **options
        )

    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


@pytest.fixture(scope="module")
def tiny_classifier(keras_module):
    return build_classifier(ALL_FROZEN, 3, TrainingConfig())


@pytest.fixture
def cache(tmp_path: Path, tiny_classifier, monkeypatch: pytest.MonkeyPatch) -> Cache:
    (tmp_path / "cache").mkdir()
    cache = Cache(tmp_path / "cache", tiny_classifier)
    compute = feature_cache._compute

    def count_and_compute(dataset, plan, prefix, views, *others: Any) -> Any:
        cache.num_computed += 1
        cache.num_rows_computed += len(views)
        return compute(dataset, plan, prefix, views, *others)

    monkeypatch.setattr(feature_cache, "_compute", count_and_compute)
    return cache


@pytest.fixture
def own_dataset(workspace: Workspace, make_image) -> ImageDataset:
    """Forty images, more than one batch, that a test may damage."""
    files = [
        SourceFile((color, f"{n}.png"), lambda c=color, n=n: make_image(c, seed=n))
        for color in ("blue", "red")
        for n in range(20)
    ]
    return add_files(create_dataset(workspace, "Own"), files)


def pixels_of(dataset: ImageDataset) -> np.ndarray:
    paths = [dataset.image_path(image) for image in dataset.images]
    return np.concatenate(list(pixel_batches(paths, TINY.image_size)))


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_rows_are_what_the_frozen_part_computes_in_the_order_of_the_images(
    depth: int, cache: Cache, own_dataset: ImageDataset
) -> None:
    plan = FreezePlan(TINY, depth)
    features = cache.load(own_dataset, plan)
    prefix = split_at_boundary(cache.prefix, plan.boundary_layer)[0]
    expected = prefix(pixels_of(own_dataset).astype(np.float32), training=False).numpy()
    assert features.dtype == np.float16
    np.testing.assert_allclose(features, expected, atol=1e-2)
    assert float(np.ptp(expected)) > 0.5


def test_constant_graph_of_a_real_backbone_equals_the_model(
    color_dataset: ImageDataset, tmp_path: Path
) -> None:
    backbone = get_backbone("efficientnet_lite0")
    plan = FreezePlan(backbone)
    some = replace(color_dataset, images=color_dataset.images[::8])
    prefix = split_at_boundary(build_classifier(plan, 3, TrainingConfig()), plan.boundary_layer)[0]
    features = load_features(
        some, plan, prefix, tmp_path, on_progress=lambda num_done: None, should_stop=lambda: False
    )
    paths = [some.image_path(image) for image in some.images]
    pixels = np.concatenate(list(pixel_batches(paths, backbone.image_size)))
    expected = prefix(pixels.astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(features, expected, atol=1e-2)
    assert float(np.ptp(expected)) > 1


def test_without_a_frozen_part_the_features_are_the_pixels(cache: Cache, own_dataset: ImageDataset) -> None:
    features = cache.load(own_dataset, FreezePlan(TINY, 3))
    assert features.dtype == np.uint8
    np.testing.assert_array_equal(features, pixels_of(own_dataset))


def test_second_time_nothing_is_computed(cache: Cache, own_dataset: ImageDataset) -> None:
    first = cache.load(own_dataset)
    progress: list[int] = []
    second = cache.load(own_dataset, on_progress=progress.append)
    assert cache.num_computed == 1
    assert progress == [40]
    np.testing.assert_array_equal(first, second)


def test_progress_counts_up_to_all_images(cache: Cache, own_dataset: ImageDataset) -> None:
    progress: list[int] = []
    cache.load(own_dataset, on_progress=progress.append)
    assert progress == [0, 16, 32, 40]


def test_new_labels_and_a_new_split_use_the_same_features(cache: Cache, own_dataset: ImageDataset) -> None:
    cache.load(own_dataset)
    relabelled = [replace(image, class_name="other") for image in own_dataset.images]
    cache.load(own_dataset.with_images(relabelled, ()))
    cache.load(own_dataset.with_split(0.5, seed=9))
    cache.load(replace(own_dataset, name="Another name", version=7))
    assert cache.num_computed == 1


def test_without_an_image_nothing_is_computed(cache: Cache, own_dataset: ImageDataset) -> None:
    all_rows = np.array(cache.load(own_dataset))
    fewer = replace(own_dataset, images=own_dataset.images[1:])
    np.testing.assert_array_equal(cache.load(fewer), all_rows[1:])
    assert cache.num_computed == 1


def test_only_images_that_are_new_are_computed(cache: Cache, own_dataset: ImageDataset) -> None:
    fewer = replace(own_dataset, images=own_dataset.images[7:])
    known = np.array(cache.load(fewer))
    progress: list[int] = []
    rows = np.array(cache.load(own_dataset, on_progress=progress.append))
    assert progress == [33, 40]
    assert cache.num_rows_computed == 40
    np.testing.assert_array_equal(rows[7:], known)
    plan = split_at_boundary(cache.prefix, ALL_FROZEN.boundary_layer)[0]
    expected = plan(pixels_of(own_dataset)[:7].astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(rows[:7], expected, atol=1e-2)


def test_another_order_gives_rows_in_that_order(cache: Cache, own_dataset: ImageDataset) -> None:
    features = cache.load(own_dataset)
    backwards = replace(own_dataset, images=own_dataset.images[::-1])
    np.testing.assert_array_equal(cache.load(backwards), np.array(features)[::-1])


@pytest.mark.parametrize(
    "plan",
    [
        FreezePlan(TINY, 1),
        FreezePlan(replace(TINY, weights=RandomWeights("others"))),
        FreezePlan(replace(TINY, name="another")),
    ],
    ids=["boundary", "weights", "name"],
)
def test_another_network_or_boundary_is_computed(
    plan: FreezePlan, cache: Cache, own_dataset: ImageDataset
) -> None:
    cache.load(own_dataset)
    cache.load(own_dataset, plan)
    assert cache.num_computed == 2
    assert len(cache.files()) == 2


def test_another_image_size_is_computed(
    cache: Cache, own_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels_only = FreezePlan(TINY, 3)
    cache.load(own_dataset, pixels_only)
    smaller = FreezePlan(replace(TINY, image_size=16), 3)
    assert cache.load(own_dataset, smaller).shape == (40, 16, 16, 3)


def test_deleted_cache_is_computed_again(cache: Cache, own_dataset: ImageDataset) -> None:
    first = np.array(cache.load(own_dataset))
    for path in cache.files():
        path.unlink()
    np.testing.assert_array_equal(cache.load(own_dataset), first)
    assert cache.num_computed == 2


def test_stop_while_computing_leaves_nothing(cache: Cache, own_dataset: ImageDataset) -> None:
    progress: list[int] = []
    with pytest.raises(FeaturesStoppedError):
        cache.load(own_dataset, on_progress=progress.append, should_stop=lambda: len(progress) > 1)
    assert progress == [0, 16]
    assert cache.files() == []
    assert cache.load(own_dataset).shape[0] == 40


def test_stop_before_the_first_image(cache: Cache, own_dataset: ImageDataset) -> None:
    cache.load(own_dataset)
    with pytest.raises(FeaturesStoppedError):
        cache.load(own_dataset, should_stop=lambda: True)


def test_image_damaged_since_it_came_in(cache: Cache, own_dataset: ImageDataset) -> None:
    path = own_dataset.image_path(own_dataset.images[-1])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UnreadableImageError, match=path.name):
        cache.load(own_dataset)
    assert cache.files() == []


def test_image_missing_since_it_came_in(cache: Cache, own_dataset: ImageDataset) -> None:
    path = own_dataset.image_path(own_dataset.images[-1])
    path.unlink()
    with pytest.raises(UnreadableImageError, match=f"{path.name} cannot be used: No such file"):
        cache.load(own_dataset)
    assert cache.files() == []


def test_half_a_file_of_a_killed_process_is_not_taken(cache: Cache, own_dataset: ImageDataset) -> None:
    whole = np.array(cache.load(own_dataset))
    (finished,) = cache.files()
    half = finished.with_name(f".{finished.stem}-0123abcd.npy")
    half.write_bytes(finished.read_bytes()[:300])
    finished.unlink()
    np.testing.assert_array_equal(cache.load(own_dataset), whole)
    assert cache.num_computed == 2


def test_full_disk_is_an_error_and_leaves_nothing(
    cache: Cache, own_dataset: ImageDataset, file_size_limit
) -> None:
    with file_size_limit(2000), pytest.raises(WorkspaceError, match=r"could not be saved.*Free some space"):
        cache.load(own_dataset)
    assert cache.files() == []


def test_precision_is_the_wanted_one(cache: Cache, own_dataset: ImageDataset) -> None:
    half, full = (cache.load(own_dataset, dtype=dtype) for dtype in ("float16", "float32"))
    assert (half.dtype, full.dtype) == (np.float16, np.float32)
    np.testing.assert_array_equal(np.array(full).astype(np.float16), half)
    assert not np.array_equal(np.array(full), np.array(half).astype(np.float32))


class TestViews:
    MIRRORED = Augmentation("light", ("flip",))

    def load(self, cache: Cache, dataset: ImageDataset, num_views: int, augmentation: Augmentation) -> Any:
        views = [View(image, number) for number in range(num_views) for image in dataset.images]
        return np.array(cache.load(dataset, PIXELS_ONLY, views=views, augmentation=augmentation))

    def test_are_of_the_image_they_belong_to(self, cache: Cache, own_dataset: ImageDataset) -> None:
        pixels = pixels_of(own_dataset)
        first, second = self.load(cache, own_dataset, 2, self.MIRRORED).reshape(2, *pixels.shape)
        np.testing.assert_array_equal(first, pixels)
        is_same = (second == pixels).all(axis=(1, 2, 3))
        is_mirrored = (second == pixels[:, :, ::-1]).all(axis=(1, 2, 3))
        assert (is_same | is_mirrored).all()
        assert 0 < is_mirrored.sum() < len(pixels)

    def test_more_views_leave_those_that_are_there(self, cache: Cache, own_dataset: ImageDataset) -> None:
        three = self.load(cache, own_dataset, 3, self.MIRRORED)
        assert cache.num_rows_computed == 120
        four = self.load(cache, own_dataset, 4, self.MIRRORED)
        assert cache.num_rows_computed == 160
        np.testing.assert_array_equal(four[:120], three)

    def test_another_strength_shares_only_the_images_as_they_are(
        self, cache: Cache, own_dataset: ImageDataset
    ) -> None:
        light = self.load(cache, own_dataset, 2, Augmentation("light", ("zoom",)))
        strong = self.load(cache, own_dataset, 2, Augmentation("strong", ("zoom",)))
        assert cache.num_rows_computed == 120
        np.testing.assert_array_equal(light[:40], strong[:40])
        assert not np.array_equal(light[40:], strong[40:])


class TestSafety:
    def test_features_can_be_deleted_while_they_are_read(
        self, cache: Cache, own_dataset: ImageDataset
    ) -> None:
        features = cache.load(own_dataset)
        before = np.array(features)
        for path in cache.files():
            path.unlink()
        np.testing.assert_array_equal(features[np.arange(40)], before)

    @pytest.mark.parametrize("damage", ["cut", "emptied", "other names", "no array"])
    def test_a_damaged_file_is_as_good_as_none(
        self, damage: str, cache: Cache, own_dataset: ImageDataset
    ) -> None:
        before = np.array(cache.load(own_dataset))
        (path,) = cache.files()
        content = path.read_bytes()
        damaged = {
            "cut": content[: len(content) // 2],
            "emptied": b"",
            "other names": content[: content.rindex(b",")] + b"]",
            "no array": b"hello",
        }
        path.write_bytes(damaged[damage])
        np.testing.assert_array_equal(cache.load(own_dataset), before)
        assert cache.num_computed == 2

    def test_what_was_done_before_the_process_was_killed_is_kept(
        self, cache: Cache, own_dataset: ImageDataset, monkeypatch
    ) -> None:
        monkeypatch.setattr(feature_files, "_SECONDS_IN_ONE_FILE", -1.0)

        def die_after_two_batches(num_done: int) -> None:
            if num_done == 32:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            cache.load(own_dataset, on_progress=die_after_two_batches)
        assert len(cache.files()) == 1
        progress: list[int] = []
        rows = np.array(cache.load(own_dataset, on_progress=progress.append))
        assert progress == [16, 32, 40]
        prefix = split_at_boundary(cache.prefix, ALL_FROZEN.boundary_layer)[0]
        expected = prefix(pixels_of(own_dataset).astype(np.float32), training=False).numpy()
        np.testing.assert_allclose(rows, expected, atol=1e-2)

    def test_too_little_space_is_told_before_anything_is_computed(
        self, cache: Cache, own_dataset: ImageDataset, monkeypatch
    ) -> None:
        monkeypatch.setattr(limits, "free_disk", lambda folder: 5_000_000)
        with pytest.raises(TrainingError, match=r"Only 5 MB are free\. Free some space"):
            cache.load(own_dataset)
        assert cache.num_computed == 0

    def test_old_features_make_room_when_space_is_short(
        self, cache: Cache, own_dataset: ImageDataset, monkeypatch
    ) -> None:
        old = aged(cache.folder / "old.npy", 300, 100)
        monkeypatch.setattr(limits, "free_disk", lambda folder: 5_000_000 if old.exists() else 10**9)
        assert cache.load(own_dataset).shape[0] == 40
        assert not old.exists()


def test_file_is_written_in_a_row(cache: Cache, own_dataset: ImageDataset, monkeypatch) -> None:
    """Writing through a memory map ends the process with SIGBUS when the disk is full."""
    modes = []
    open_memmap = np.lib.format.open_memmap
    monkeypatch.setattr(
        np.lib.format, "open_memmap", lambda *args, mode: modes.append(mode) or open_memmap(*args, mode=mode)
    )
    cache.load(own_dataset)
    assert modes == ["r"]
    assert not cache.load(own_dataset)._parts[0].flags.writeable


DAY = 24 * 60 * 60


def aged(path: Path, seconds: float, num_bytes: int = 0) -> Path:
    """Make a file in the cache that was last used so many seconds ago."""
    path.write_bytes(bytes(num_bytes))
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_beyond_the_budget_the_features_unused_for_longest_are_deleted(
    cache: Cache, own_dataset: ImageDataset, monkeypatch
) -> None:
    monkeypatch.setattr(feature_files, "_MAX_BYTES", 100_000)
    oldest, older, newer = (aged(cache.folder / f"{age}.npy", age, 40_000) for age in (300, 200, 100))
    foreign = aged(cache.folder / "notes.txt", 400)
    cache.load(own_dataset)  # 40 rows of 32 float16
    assert not oldest.exists()
    assert older.exists()
    assert newer.exists()
    assert foreign.exists()
    assert cache.load(own_dataset).shape[0] == 40
    assert cache.num_computed == 1


def test_use_keeps_features_from_being_the_oldest(
    cache: Cache, own_dataset: ImageDataset, monkeypatch
) -> None:
    cache.load(own_dataset)
    (used,) = cache.files()
    aged_at = time.time() - 1000
    os.utime(used, (aged_at, aged_at))
    idle = aged(cache.folder / "idle.npy", 500, 40_000)
    cache.load(own_dataset)
    monkeypatch.setattr(feature_files, "_MAX_BYTES", 40_000)
    cache.load(own_dataset, FreezePlan(replace(TINY, weights=RandomWeights("others"))))
    assert used.exists()
    assert not idle.exists()


def test_features_in_use_stay_however_large(cache: Cache, own_dataset: ImageDataset, monkeypatch) -> None:
    monkeypatch.setattr(feature_files, "_MAX_BYTES", 10)
    other = aged(cache.folder / "other.npy", -DAY, 20)
    assert cache.load(own_dataset).shape[0] == 40
    assert not other.exists()
    assert len(cache.files()) == 1


def test_leftovers_of_killed_processes_are_deleted_after_a_day(
    cache: Cache, own_dataset: ImageDataset
) -> None:
    old = aged(cache.folder / ".features-0123abcd.npy", DAY + 60)
    young = aged(cache.folder / ".features-4567cdef.npy", DAY - 60)
    cache.load(own_dataset)
    assert not old.exists()
    assert young.exists()


def test_file_that_cannot_be_deleted_is_passed_over(
    cache: Cache, own_dataset: ImageDataset, monkeypatch
) -> None:
    monkeypatch.setattr(feature_files, "_MAX_BYTES", 10)
    (cache.folder / "folder.npy").mkdir()
    aged(cache.folder / "old.npy", 300, 100)
    assert cache.load(own_dataset).shape[0] == 40
    assert not (cache.folder / "old.npy").exists()
