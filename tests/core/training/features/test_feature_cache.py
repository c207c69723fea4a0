"""The feature cache: computed once, never half, never the wrong one."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import psutil
import pytest
from msgspec import structs

from transfer_core.backbones.published.tiny import RandomWeights
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.damage import without_photos
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.augmentation import Augmentation
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.pixels import pixel_batches
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import DamagedPhotosError, TrainingError, WorkspaceError
from transfer_core.events import TrainingEvent
from transfer_core.training import resources as limits
from transfer_core.training.classifier import build_classifier, split_at_boundary
from transfer_core.training.features import feature_cache, feature_files, feature_table
from transfer_core.training.features.constant_graph import ConstantGraph
from transfer_core.training.features.feature_cache import FeaturesStoppedError, View, load_features
from transfer_core.training.features.feature_files import find_files, write_files
from transfer_core.training.features.feature_table import FeatureTable
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

TINY = get_backbone("tiny_random")
ALL_FROZEN = FreezePlan(TINY)
PIXELS_ONLY = FreezePlan(TINY, 3)


@dataclass
class Cache:
    """Loads features as a training does, and counts computed rows."""

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
        return load_features(
            dataset, plan, self.folder, on_progress=on_progress, should_stop=should_stop, **options
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

    def count_and_compute(dataset, views, *others: Any) -> Any:
        cache.num_computed += 1
        cache.num_rows_computed += len(views)
        return compute(dataset, views, *others)

    monkeypatch.setattr(feature_cache, "_compute", count_and_compute)
    return cache


@pytest.fixture
def own_dataset(workspace: Workspace, make_image) -> ImageDataset:
    """Forty images, more than one batch, that a test may damage."""
    files = [
        ImportedFile((color, f"{n}.png"), lambda c=color, n=n: make_image(c, seed=n))
        for color in ("blue", "red")
        for n in range(20)
    ]
    return add_files(create_dataset(workspace, "Own"), files)


def pixels_of(dataset: ImageDataset) -> np.ndarray:
    paths = [dataset.image_path(image) for image in dataset.images]
    return np.concatenate(list(pixel_batches(paths, TINY.image_size)))


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_rows_are_outputs_of_the_frozen_layers_in_the_order_of_the_images(
    depth: int, cache: Cache, own_dataset: ImageDataset
) -> None:
    plan = FreezePlan(TINY, depth)
    features = cache.load(own_dataset, plan)
    prefix = split_at_boundary(cache.prefix, plan.boundary_layer)[0]
    expected = prefix(pixels_of(own_dataset).astype(np.float32), training=False).numpy()
    assert features.dtype == (np.float16 if depth else np.float32)
    np.testing.assert_allclose(features, expected, atol=1e-2 if depth else 1e-4)
    assert float(np.ptp(expected)) > 0.5


@pytest.fixture(scope="module")
def real_prefix(keras_module):
    """All of EfficientNet-Lite0, with its real weights."""
    plan = FreezePlan(get_backbone("efficientnet_lite0"))
    return split_at_boundary(build_classifier(plan, 3, TrainingConfig()), plan.boundary_layer)[0]


def test_constant_graph_of_a_real_backbone_equals_the_model(
    color_dataset: ImageDataset, tmp_path: Path, real_prefix
) -> None:
    backbone, prefix = get_backbone("efficientnet_lite0"), real_prefix
    plan = FreezePlan(backbone)
    some = structs.replace(color_dataset, images=color_dataset.images[::8])
    features = load_features(some, plan, tmp_path)
    paths = [some.image_path(image) for image in some.images]
    pixels = np.concatenate(list(pixel_batches(paths, backbone.image_size)))
    expected = prefix(pixels.astype(np.float32), training=False).numpy()
    np.testing.assert_allclose(features, expected, atol=1e-4)
    assert float(np.ptp(expected)) > 1


@pytest.mark.parametrize("name", ["tiny_random", "efficientnet_lite0"])
def test_outputs_do_not_depend_on_neighbours_or_place(
    name: str, tiny_classifier, request: pytest.FixtureRequest
) -> None:
    is_tiny = name == "tiny_random"
    prefix = (
        split_at_boundary(tiny_classifier, ALL_FROZEN.boundary_layer)[0]
        if is_tiny
        else request.getfixturevalue("real_prefix")
    )
    forward = ConstantGraph(prefix)
    pixels = np.random.default_rng(0).integers(0, 256, (16, *prefix.input.shape[1:])).astype(np.uint8)
    together = forward(pixels)
    np.testing.assert_array_equal(forward(pixels[::-1]), together[::-1])
    for count in (1, 2, 5):
        np.testing.assert_array_equal(forward(pixels[:count]), together[:count])


def test_rows_do_not_depend_on_which_were_computed_before(
    cache: Cache, own_dataset: ImageDataset, tmp_path: Path
) -> None:
    at_once = np.array(cache.load(own_dataset, dtype="float32"))
    cache.folder = tmp_path / "in parts"
    for count in (2, 3, 8, 13):
        cache.load(structs.replace(own_dataset, images=own_dataset.images[-count:]), dtype="float32")
    np.testing.assert_array_equal(cache.load(own_dataset, dtype="float32"), at_once)


def test_features_of_another_number_of_threads_are_not_taken(
    cache: Cache, own_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.load(own_dataset)
    monkeypatch.setattr(feature_cache, "num_graph_threads", lambda: 77)
    cache.load(own_dataset)
    assert cache.num_computed == 2
    cache.load(own_dataset, PIXELS_ONLY)
    monkeypatch.undo()
    cache.load(own_dataset, PIXELS_ONLY)
    assert len(cache.files()) == 3


def test_pooled_features_are_precise_whatever_the_precision_of_maps(
    cache: Cache, own_dataset: ImageDataset
) -> None:
    assert {cache.load(own_dataset, dtype=dtype).dtype.name for dtype in ("float16", "float32")} == {
        "float32"
    }
    assert cache.num_computed == 1


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


def test_one_pass_fills_several_boundaries(cache: Cache, own_dataset: ImageDataset) -> None:
    deeper, maps = FreezePlan(TINY, 1), FreezePlan(TINY, head="flattened_map")
    at_once = [np.array(cache.load(own_dataset, ALL_FROZEN, also=[deeper, maps, ALL_FROZEN, PIXELS_ONLY]))]
    at_once += [np.array(cache.load(own_dataset, plan)) for plan in (deeper, maps)]
    assert cache.num_computed == 1
    for path in cache.files():
        path.unlink()
    for plan, rows in zip((ALL_FROZEN, deeper, maps), at_once, strict=True):
        np.testing.assert_array_equal(cache.load(own_dataset, plan), rows)


def test_another_boundary_is_left_for_later_where_the_disk_has_no_room_for_both(
    cache: Cache, own_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "free_disk", lambda folder: 200 * 10**6 + 40 * 32 * 4)
    cache.load(own_dataset, ALL_FROZEN, also=[FreezePlan(TINY, 1)])
    assert len(cache.files()) == 1


def test_rows_that_another_boundary_has_are_not_written_twice(
    cache: Cache, own_dataset: ImageDataset
) -> None:
    deeper = FreezePlan(TINY, 1)
    cache.load(structs.replace(own_dataset, images=own_dataset.images[:30]), deeper)
    cache.load(own_dataset, ALL_FROZEN, also=[deeper])
    assert sorted(len(file.names) for file in find_files(cache.folder, "*")) == [10, 30, 40]


def test_with_all_rows_cached_no_network_is_needed(
    cache: Cache, own_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.array(cache.load(own_dataset))

    def refuse(*_arguments: Any) -> NoReturn:
        raise AssertionError

    for name in ("frozen_graph", "layer_facts"):
        monkeypatch.setattr(feature_cache, name, refuse)
    without = replace(TINY, architecture=refuse)
    np.testing.assert_array_equal(cache.load(own_dataset, FreezePlan(without)), rows)


def test_progress_counts_up_to_all_images(cache: Cache, own_dataset: ImageDataset) -> None:
    progress: list[int] = []
    cache.load(own_dataset, on_progress=progress.append)
    assert progress == [0, 16, 32, 40]


def test_new_labels_and_a_new_split_use_the_same_features(cache: Cache, own_dataset: ImageDataset) -> None:
    cache.load(own_dataset)
    relabelled = [structs.replace(image, class_name="other") for image in own_dataset.images]
    cache.load(own_dataset.with_images(relabelled, ()))
    cache.load(own_dataset.with_split(0.5, seed=9))
    cache.load(structs.replace(own_dataset, name="Another name", version=7))
    assert cache.num_computed == 1


def test_without_an_image_nothing_is_computed(cache: Cache, own_dataset: ImageDataset) -> None:
    all_rows = np.array(cache.load(own_dataset))
    fewer = structs.replace(own_dataset, images=own_dataset.images[1:])
    np.testing.assert_array_equal(cache.load(fewer), all_rows[1:])
    assert cache.num_computed == 1


def test_only_new_images_are_computed(cache: Cache, own_dataset: ImageDataset) -> None:
    fewer = structs.replace(own_dataset, images=own_dataset.images[7:])
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
    backwards = structs.replace(own_dataset, images=own_dataset.images[::-1])
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


def test_a_stop_takes_effect_at_once_and_loses_no_row(cache: Cache, own_dataset: ImageDataset) -> None:
    progress: list[int] = []
    asked = iter([False] * 20)
    with pytest.raises(FeaturesStoppedError):
        cache.load(own_dataset, on_progress=progress.append, should_stop=lambda: next(asked, True))
    assert (progress[0], progress[-1]) == (0, 19)
    assert sum(len(file.names) for file in find_files(cache.folder, "*")) == 19
    assert cache.load(own_dataset).shape[0] == 40
    assert cache.num_rows_computed == 40 + 21


def test_stop_before_the_first_image(cache: Cache, own_dataset: ImageDataset) -> None:
    cache.load(own_dataset)
    with pytest.raises(FeaturesStoppedError):
        cache.load(own_dataset, should_stop=lambda: True)


@pytest.mark.parametrize("is_there", [True, False], ids=["damaged", "missing"])
def test_photos_damaged_since_they_came_in_are_named_and_all_others_computed(
    is_there: bool, cache: Cache, own_dataset: ImageDataset
) -> None:
    first, last = own_dataset.images[0], own_dataset.images[-1]
    for image in (first, last):
        path = own_dataset.image_path(image)
        content = path.read_bytes()
        path.write_bytes(content[:200]) if is_there else path.unlink()
    with pytest.raises(DamagedPhotosError) as raised:
        cache.load(own_dataset)
    assert str(raised.value).startswith("2 photos are damaged: 0.png (blue), 19.png (red). Add them again")
    assert raised.value.image_ids == {first.id, last.id}
    cache.load(without_photos(own_dataset, raised.value.image_ids))
    assert cache.num_computed == 1


def test_a_photo_whose_features_are_there_need_not_be_readable(
    cache: Cache, own_dataset: ImageDataset
) -> None:
    before = np.array(cache.load(own_dataset))
    own_dataset.image_path(own_dataset.images[0]).unlink()
    np.testing.assert_array_equal(cache.load(own_dataset), before)


def test_without_a_descriptor_left_no_photo_is_called_damaged_and_no_row_missing(
    cache: Cache, own_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: Any, **_options: Any) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as without_descriptors:
        without_descriptors.setattr(Path, "read_bytes", refused)
        with pytest.raises(WorkspaceError, match="Too many open files"):
            cache.load(own_dataset)
    cache.load(own_dataset)
    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(WorkspaceError, match="Too many open files"):
        cache.load(own_dataset)


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
    plan = FreezePlan(TINY, 1)
    half, full = (cache.load(own_dataset, plan, dtype=dtype) for dtype in ("float16", "float32"))
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

    def test_more_views_reuse_the_cached_ones(self, cache: Cache, own_dataset: ImageDataset) -> None:
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

    def test_rows_computed_before_a_kill_are_kept(
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

    def test_too_little_disk_space_raises_before_anything_is_computed(
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
    assert not cache.load(own_dataset)._mapped[0].flags.writeable


class TestManySmallFiles:
    """One file for each photo of forty, as after forty trainings between which a photo was added."""

    @pytest.fixture
    def rows(self, cache: Cache, own_dataset: ImageDataset) -> np.ndarray:
        for image in own_dataset.images[:-1]:
            cache.load(structs.replace(own_dataset, images=(image,)), PIXELS_ONLY)
        return np.array(cache.load(own_dataset, PIXELS_ONLY))

    def test_are_merged_without_losing_or_changing_a_row(
        self, rows: np.ndarray, cache: Cache, own_dataset: ImageDataset, tmp_path: Path
    ) -> None:
        assert cache.num_rows_computed == 40
        assert len(cache.files()) <= feature_files.MOST_FILES
        np.testing.assert_array_equal(cache.load(own_dataset, PIXELS_ONLY), rows)
        cache.folder = tmp_path / "at once"
        np.testing.assert_array_equal(cache.load(own_dataset, PIXELS_ONLY), rows)

    @pytest.mark.parametrize("moment", ["while writing", "before deleting", "while deleting"])
    def test_a_process_killed_in_merging_loses_nothing(
        self, moment: str, cache: Cache, own_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as without_merging:
            without_merging.setattr(feature_files, "free_disk", lambda folder: 0)
            for image in own_dataset.images:
                cache.load(structs.replace(own_dataset, images=(image,)), PIXELS_ONLY)
        assert len(cache.files()) == 40
        unlink, num_left = Path.unlink, {"before deleting": 0, "while deleting": 3}.get(moment, 99)

        def die_later(path: Path, **options: Any) -> None:
            nonlocal num_left
            if not path.name.startswith("."):
                num_left -= 1
            if num_left < 0:
                raise KeyboardInterrupt
            unlink(path, **options)

        def die(*_arguments: Any) -> NoReturn:
            raise KeyboardInterrupt

        with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
            killed.setattr(Path, "unlink", die_later)
            if moment == "while writing":
                killed.setattr(feature_files.json, "dumps", die)
            cache.load(own_dataset, PIXELS_ONLY)
        cache.load(own_dataset, PIXELS_ONLY)
        assert cache.num_rows_computed == 40
        assert len(cache.files()) <= feature_files.MOST_FILES

    def test_merged_by_another_process_meanwhile_are_found_all_the_same(
        self, cache: Cache, own_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for image in own_dataset.images[:5]:
            cache.load(structs.replace(own_dataset, images=(image,)), PIXELS_ONLY)
        some = structs.replace(own_dataset, images=own_dataset.images[:5])
        family = cache.files()[0].name.split("-")[0]
        monkeypatch.setattr(feature_files, "MOST_FILES", 2)
        read = feature_files._facts_of

        def merge_and_read(path: Path) -> Any:
            monkeypatch.setattr(feature_files, "_facts_of", read)
            feature_files.merge_files(cache.folder, family, feature_files.find_files(cache.folder, family))
            return read(path)

        monkeypatch.setattr(feature_files, "_facts_of", merge_and_read)
        cache.load(some, PIXELS_ONLY)
        assert cache.num_rows_computed == 5

    def test_without_room_on_the_disk_they_are_read_as_they_are(
        self, cache: Cache, own_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feature_files, "free_disk", lambda folder: 10**6)
        for image in own_dataset.images:
            cache.load(structs.replace(own_dataset, images=(image,)), PIXELS_ONLY)
        assert cache.load(own_dataset, PIXELS_ONLY).shape[0] == 40
        assert cache.num_rows_computed == len(cache.files()) == 40


@contextmanager
def few_descriptors(num_more: int) -> Iterator[int]:
    """Let this process open so many files more than it has open now; gives how many it has."""
    resource = pytest.importorskip("resource", reason="needs limits as Linux and macOS have them")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    num_open = psutil.Process().num_fds()
    resource.setrlimit(resource.RLIMIT_NOFILE, (num_open + num_more, before[1]))
    try:
        yield num_open
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("has_room", [True, False], ids=["merged", "no room to merge"])
def test_a_training_reads_hundreds_of_files_with_few_descriptors(
    has_room: bool,
    cache: Cache,
    own_dataset: ImageDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache.load(own_dataset)
    (whole,) = find_files(cache.folder, "*")
    family, rows = whole.path.name.split("-")[0], np.array(whole.rows())
    whole.path.unlink()
    for number in range(300):
        row = number % 40
        row_file = {f"{family}-{number}": ([whole.names[row]], rows[row : row + 1])}
        write_files(cache.folder, iter([row_file]))
    if not has_room:
        monkeypatch.setattr(feature_files, "free_disk", lambda folder: 0)
    # Fewer than usual: forty photos need forty files at most.
    for module in (feature_files, feature_cache, feature_table):
        monkeypatch.setattr(module, "MOST_FILES", 8)
    most = 0

    def watch(event: TrainingEvent) -> None:
        nonlocal most
        most = max(most, psutil.Process().num_fds())

    config = TrainingConfig(backbone="tiny_random", epochs=2, batch_size=8)
    with few_descriptors(24) as num_open:
        result = train(own_dataset, config, tmp_path / "run", cache.folder, emit=watch)
    assert result.outcome == "finished"
    assert cache.num_computed == 1
    assert most - num_open < 16


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


def test_pooled_features_are_deleted_last(
    cache: Cache, own_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    pooled = aged(cache.folder / f"{feature_files.POOLED}old.npy", 300, 1000)
    maps = aged(cache.folder / "maps.npy", 100, 40_000)
    monkeypatch.setattr(feature_files, "_MAX_BYTES", 20_000)
    cache.load(own_dataset)
    assert pooled.exists()
    assert not maps.exists()


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


def test_features_in_use_are_never_evicted(cache: Cache, own_dataset: ImageDataset, monkeypatch) -> None:
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


def test_file_that_cannot_be_deleted_is_skipped(cache: Cache, own_dataset: ImageDataset, monkeypatch) -> None:
    monkeypatch.setattr(feature_files, "_MAX_BYTES", 10)
    (cache.folder / "folder.npy").mkdir()
    aged(cache.folder / "old.npy", 300, 100)
    assert cache.load(own_dataset).shape[0] == 40
    assert not (cache.folder / "old.npy").exists()
