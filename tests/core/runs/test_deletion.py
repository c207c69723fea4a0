"""Deleted for good means: no file of the workspace holds a photo, its name or its hash any more."""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.core.conftest import FinishedRun
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import NotFoundError, TrainingError, WorkspaceError
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project
from transfer_core.runs import deletion, erasing
from transfer_core.runs.deletion import (
    clear_cache,
    delete_dataset,
    delete_everything,
    delete_expired,
    delete_for_good,
    delete_photos_for_good,
    empty_trash,
)
from transfer_core.runs.leftovers import remove_leftovers
from transfer_core.runs.new_photos import add_new_photos
from transfer_core.runs.own_models import delete_source, make_source
from transfer_core.runs.storage import folder_size, storage_of, storage_version
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import (
    move_to_trash,
    take_from_trash,
    trash_entries,
)
from transfer_core.runs.unlabelled import add_unlabelled
from transfer_core.training.features.feature_files import find_files, write_files
from transfer_core.work.live_run import LiveRun
from transfer_core.workspace import Workspace

EIGHT_DAYS = 8 * 24 * 60 * 60


@pytest.fixture
def home(finished_run: FinishedRun, workspace: Workspace, make_image) -> FinishedRun:
    """A workspace of its own with all that holds photos: dataset, run, test photos, cache, export and project."""
    for place in ("datasets", "runs"):
        identifier = finished_run.dataset.id if place == "datasets" else finished_run.run.id
        source = finished_run.workspace.root / place / identifier
        # Other tests may have exported the run that they share.
        copy_without = shutil.ignore_patterns("exports")
        shutil.copytree(source, workspace.root / place / identifier, ignore=copy_without)
    shutil.copytree(finished_run.workspace.cache_dir, workspace.root / "cache")
    dataset = ImageDataset.load(workspace, finished_run.dataset.id)
    run = TrainingRun.load(workspace, finished_run.run.id)
    test_photos = [ImportedFile(("red", "unseen.png"), lambda: make_image("red", seed=99, noise=90))]
    add_new_photos(run, test_photos)
    waiting = [ImportedFile(("waits.png",), lambda: make_image("green", seed=77, noise=90))]
    add_unlabelled(dataset, waiting)
    exports = run.folder / "exports"
    exports.mkdir()
    with zipfile.ZipFile(exports / f"{run.id}-code.zip", "w") as archive:
        archive.writestr("split.csv", "\n".join(f"{image.name},{image.id}" for image in dataset.images))
    path = workspace.cache_dir / "projects" / f"{dataset.id}.zip"
    save_project(workspace, plan_project(workspace, dataset.id), path)
    return FinishedRun(workspace, dataset, run, finished_run.events)


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder with its content, those inside of zips included."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    for name in archive.namelist():
                        yield f"{path}!{name}", archive.read(name)


def traces(workspace: Workspace, images: list[ImageRecord], photos: list[bytes]) -> list[str]:
    """Where a name, a hash or the bytes of a photo are still found."""
    needles = [text.encode() for image in images for text in (image.id, image.name)] + photos
    return [
        place
        for place, content in contents(workspace.root)
        if any(needle in content or needle in place.encode() for needle in needles)
    ]


def photo_bytes(dataset: ImageDataset, images: list[ImageRecord]) -> list[bytes]:
    return [dataset.image_path(image).read_bytes() for image in images]


class TestPhotos:
    def test_nothing_is_left(self, home: FinishedRun) -> None:
        images = [home.dataset.images_in("validation")[0], home.dataset.images_in("train")[0]]
        photos = photo_bytes(home.dataset, images)
        assert {Path(place).name.partition("!")[0] for place in traces(home.workspace, images, photos)} >= {
            "dataset.json",
            "split.json",
            "evaluation.json",
            "events.jsonl",
            f"{home.run.id}-code.zip",
            f"{home.dataset.id}.zip",
        }
        left = delete_photos_for_good(home.workspace, home.dataset.id, [image.id for image in images])
        assert traces(home.workspace, images, photos) == []
        assert len(left.images) == len(home.dataset.images) - 2
        assert ImageDataset.load(home.workspace, home.dataset.id) == left

    def test_numbers_of_the_run_remain(self, home: FinishedRun) -> None:
        before = home.run.evaluation()
        assert before
        delete_photos_for_good(home.workspace, home.dataset.id, [home.dataset.images_in("validation")[0].id])
        after = home.run.evaluation()
        assert isinstance(after, Evaluation)
        assert (after.accuracy, after.num_groups) == (before.accuracy, before.num_groups)
        assert home.run.snapshot().outcome == "finished"
        assert plan_project(home.workspace, home.dataset.id).runs == (home.run,)

    def test_features_of_the_others_are_kept(self, home: FinishedRun) -> None:
        families = {path.name.rpartition("-")[0] for path in home.workspace.cache_dir.glob("*.npy")}
        gone = home.dataset.images[0].id

        def rows() -> dict[tuple[str, str], bytes]:
            return {
                (family, name): np.asarray(file.rows()[place]).tobytes()
                for family in families
                for file in find_files(home.workspace.cache_dir, family)
                for place, name in enumerate(file.names)
            }

        before = rows()
        assert any(name == gone for _family, name in before)
        delete_photos_for_good(home.workspace, home.dataset.id, [gone])
        expected = {key: row for key, row in before.items() if key[1].partition(":")[0] != gone}
        assert rows() == expected

    def test_photo_of_another_set_is_kept_there(self, home: FinishedRun) -> None:
        other = "20200101-000000-0123456789abcdef"
        shutil.copytree(home.dataset.folder, home.workspace.dataset_dir(other))
        image = home.dataset.images[0]
        delete_photos_for_good(home.workspace, home.dataset.id, [image.id])
        assert ImageDataset.load(home.workspace, other).image_path(image).is_file()
        assert find_files_with(home.workspace, image.id)

    def test_deleted_class_leaves_nothing(self, home: FinishedRun) -> None:
        images = [image for image in home.dataset.images if image.class_name == "red"]
        photos = photo_bytes(home.dataset, images)
        deleted = home.dataset.without_class("red").save().deleted_ids()
        left = delete_photos_for_good(home.workspace, home.dataset.id, deleted)
        assert traces(home.workspace, images, photos) == []
        assert (left.class_names, left.excluded, left.edits) == (("blue", "green"), (), ())

    def test_training_that_uses_them_refuses(self, home: FinishedRun) -> None:
        live = LiveRun(TrainingRun.create(home.workspace, home.dataset, home.run.config))
        with pytest.raises(TrainingError, match="Stop it first"):
            delete_photos_for_good(home.workspace, home.dataset.id, [home.dataset.images[0].id])
        with pytest.raises(TrainingError, match="Stop it first"):
            delete_dataset(home.workspace, home.dataset.id)
        with pytest.raises(TrainingError, match="Stop it first"):
            delete_everything(home.workspace)
        live.release()
        assert home.dataset.image_path(home.dataset.images[0]).is_file()

    def test_interrupted_deletion_is_finished_by_the_next_call(
        self, home: FinishedRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        images = list(home.dataset.images[:2])
        photos = photo_bytes(home.dataset, images)
        ids = [image.id for image in images]
        with monkeypatch.context() as killed:
            killed.setattr(ImageDataset, "save", interrupt)
            with pytest.raises(KeyboardInterrupt):
                delete_photos_for_good(home.workspace, home.dataset.id, ids)
        delete_photos_for_good(home.workspace, home.dataset.id, ids)
        assert traces(home.workspace, images, photos) == []


def interrupt(*_arguments: object, **_named: object) -> None:
    raise KeyboardInterrupt


def find_files_with(workspace: Workspace, image_id: str) -> list[str]:
    return [path.name for path in workspace.cache_dir.glob("*.npy") if image_id.encode() in path.read_bytes()]


class TestPhotoSets:
    def test_undo_brings_it_back(self, home: FinishedRun) -> None:
        delete_dataset(home.workspace, home.dataset.id)
        assert home.workspace.dataset_ids() == []
        with pytest.raises(NotFoundError):
            ImageDataset.load(home.workspace, home.dataset.id)
        take_from_trash(home.workspace, "dataset", home.dataset.id)
        assert ImageDataset.load(home.workspace, home.dataset.id) == home.dataset

    @pytest.mark.parametrize("is_thrown_away_first", [True, False])
    def test_nothing_is_left(self, home: FinishedRun, *, is_thrown_away_first: bool) -> None:
        images = list(home.dataset.images)
        photos = photo_bytes(home.dataset, images)
        if is_thrown_away_first:
            delete_dataset(home.workspace, home.dataset.id)
        delete_for_good(home.workspace, "dataset", home.dataset.id)
        assert traces(home.workspace, images, photos) == []
        assert [image for _path, image in contents(home.workspace.root) if b"waits.png" in image] == []
        assert home.run.has_model

    def test_interrupted_deletion_is_finished_when_the_trash_is_emptied(
        self, home: FinishedRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        images = list(home.dataset.images)
        photos = photo_bytes(home.dataset, images)
        with monkeypatch.context() as killed:
            killed.setattr(erasing, "remove_rows", interrupt)
            with pytest.raises(KeyboardInterrupt):
                delete_for_good(home.workspace, "dataset", home.dataset.id)
        assert [entry.kind for entry in trash_entries(home.workspace)] == ["dataset"]
        empty_trash(home.workspace)
        assert traces(home.workspace, images, photos) == []

    def test_unknown_one(self, workspace: Workspace) -> None:
        for identifier in ("20200101-000000-0123456789abcdef", "../runs"):
            with pytest.raises(NotFoundError):
                delete_for_good(workspace, "dataset", identifier)

    def test_link_out_of_the_workspace_is_not_followed(self, home: FinishedRun, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        shutil.move(home.workspace.datasets_dir, elsewhere)
        home.workspace.root.joinpath("datasets").symlink_to(elsewhere, target_is_directory=True)
        for delete in (
            lambda: delete_photos_for_good(home.workspace, home.dataset.id, [home.dataset.images[0].id]),
            lambda: delete_for_good(home.workspace, "dataset", home.dataset.id),
            lambda: delete_everything(home.workspace),
        ):
            with pytest.raises(WorkspaceError, match="by hand"):
                delete()
        assert len(list((elsewhere / home.dataset.id / "images").iterdir())) == len(home.dataset.images)


class TestRunsAndModels:
    def test_run_with_its_test_photos_is_deleted(self, home: FinishedRun) -> None:
        delete_for_good(home.workspace, "run", home.run.id)
        found = [place for place, content in contents(home.workspace.root) if b"unseen.png" in content]
        assert (home.workspace.run_ids(), trash_entries(home.workspace), found) == ([], [], [])

    def test_own_model_is_deleted(self, home: FinishedRun, keras_module) -> None:
        make_source(home.workspace, home.run.id)
        delete_for_good(home.workspace, "source", home.run.id)
        assert (home.workspace.source_ids(), trash_entries(home.workspace)) == ([], [])
        assert home.workspace.run_ids() == [home.run.id]

    def test_run_that_is_trained_is_kept(self, home: FinishedRun) -> None:
        run = TrainingRun.create(home.workspace, home.dataset, home.run.config)
        live = LiveRun(run)
        with pytest.raises(TrainingError, match="Stop it first"):
            delete_for_good(home.workspace, "run", run.id)
        live.release()
        assert run.id in home.workspace.run_ids()


class TestTrash:
    def test_emptied_trash_holds_nothing(self, home: FinishedRun) -> None:
        images = [image for image in home.dataset.images if image.class_name == "red"]
        photos = photo_bytes(home.dataset, images)
        home.dataset.without_class("red").save()
        make_source(home.workspace, home.run.id)
        move_to_trash(home.workspace, "run", home.run.id)
        delete_source(home.workspace, home.run.id)
        empty_trash(home.workspace)
        assert trash_entries(home.workspace) == []
        assert traces(home.workspace, images, photos) == []

    def test_single_excluded_photos_are_kept(self, home: FinishedRun) -> None:
        kept = home.dataset.without([home.dataset.images[0].id]).save()
        empty_trash(home.workspace)
        assert ImageDataset.load(home.workspace, home.dataset.id) == kept

    def test_old_ones_are_deleted_at_start(self, home: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
        reds = [image for image in home.dataset.images if image.class_name == "red"]
        photos = photo_bytes(home.dataset, reds)
        home.dataset.without_class("red").save()
        remove_leftovers(home.workspace)
        assert len(ImageDataset.load(home.workspace, home.dataset.id).excluded) == len(reds)
        late = time.time() + EIGHT_DAYS
        monkeypatch.setattr(time, "time", lambda: late)
        remove_leftovers(home.workspace)
        assert traces(home.workspace, reds, photos) == []

    def test_old_photo_set_is_deleted(self, home: FinishedRun) -> None:
        delete_dataset(home.workspace, home.dataset.id)
        delete_expired(home.workspace)
        (entry,) = trash_entries(home.workspace)
        long_ago = time.time() - EIGHT_DAYS
        os.utime(entry.folder, (long_ago, long_ago))
        delete_expired(home.workspace)
        assert trash_entries(home.workspace) == []

    def test_old_class_of_an_earlier_version_counts_from_its_file(self, home: FinishedRun) -> None:
        path = home.dataset.without_class("red").save().folder / "dataset.json"
        stored = json.loads(path.read_text())
        stored["edits"][-1]["saved_at"] = 0
        path.write_text(json.dumps(stored))
        delete_expired(home.workspace)
        assert len(ImageDataset.load(home.workspace, home.dataset.id).excluded) == 8
        os.utime(path, (0, 0))
        delete_expired(home.workspace)
        assert ImageDataset.load(home.workspace, home.dataset.id).excluded == ()


class TestEverything:
    def test_nothing_is_left_but_what_belongs_to_the_server(self, home: FinishedRun) -> None:
        move_to_trash(home.workspace, "run", home.run.id)
        server = home.workspace.root / "class.json"
        server.write_text("{}")
        pupil = home.workspace.person("20260101-000000-0123456789abcdef").root / "person.json"
        pupil.parent.mkdir(parents=True)
        pupil.write_text("{}")
        delete_everything(home.workspace)
        left = {path for path in home.workspace.root.rglob("*") if path.is_file() and path.suffix != ".lock"}
        assert left == {server, pupil}

    def test_interrupted_deletion_is_finished_at_the_next_start(
        self, home: FinishedRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        images = list(home.dataset.images)
        photos = photo_bytes(home.dataset, images)
        with monkeypatch.context() as killed:
            killed.setattr(deletion, "remove", interrupt)
            with pytest.raises(KeyboardInterrupt):
                delete_everything(home.workspace)
        delete_everything(home.workspace)
        remove_leftovers(home.workspace)
        assert traces(home.workspace, images, photos) == []

    def test_restored_run_after_everything_is_unknown(self, home: FinishedRun) -> None:
        move_to_trash(home.workspace, "run", home.run.id)
        delete_everything(home.workspace)
        with pytest.raises(NotFoundError):
            take_from_trash(home.workspace, "run", home.run.id)


def test_rows_of_a_damaged_file_are_deleted(workspace: Workspace) -> None:
    write_files(workspace.cache_dir, iter([{"pooled_a": (["1", "2"], np.zeros((2, 3), np.float32))}]))
    (workspace.cache_dir / "pooled_a-damaged.npy").write_bytes(b"nothing")
    erasing.erase_from_cache(workspace)
    assert list(workspace.cache_dir.iterdir()) == []


class TestStorage:
    def test_everything_is_listed_with_its_size(self, home: FinishedRun, keras_module) -> None:
        make_source(home.workspace, home.run.id)
        home.dataset.without_class("red").save()
        before = storage_version(home.workspace)
        stored = storage_of(home.workspace)
        (photos,), (model,), (own,) = stored.photo_sets, stored.models, stored.own_models
        assert (photos.name, photos.num_photos, photos.num_deleted) == ("Colours", 24, 8)
        assert (model.name, own.name) == ("Colours", "Colours")
        sizes = (folder_size(home.workspace.root / name) for name in ("datasets", "runs", "sources", "cache"))
        assert stored.num_bytes == sum(sizes)
        delete_dataset(home.workspace, home.dataset.id)
        assert storage_version(home.workspace) != before
        (thrown,) = storage_of(home.workspace).trash
        assert (thrown.kind, thrown.name, thrown.num_photos, thrown.num_days_left) == (
            "dataset",
            "Colours",
            24,
            7,
        )

    def test_cache_can_be_cleared(self, home: FinishedRun) -> None:
        clear_cache(home.workspace)
        assert storage_of(home.workspace).num_cache_bytes == 0
        assert home.run.has_model

    def test_damaged_ones_are_listed_without_a_name(self, home: FinishedRun) -> None:
        (home.dataset.folder / "dataset.json").write_text("[")
        (home.run.folder / "config.json").write_text("[")
        stored = storage_of(home.workspace)
        assert [item.name for item in (*stored.photo_sets, *stored.models)] == ["", ""]
        delete_for_good(home.workspace, "dataset", home.dataset.id)
        delete_for_good(home.workspace, "run", home.run.id)
        assert storage_of(home.workspace).photo_sets == storage_of(home.workspace).models == ()
