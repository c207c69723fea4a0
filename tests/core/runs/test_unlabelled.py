"""Photos without labels wait in piles beside a dataset; only an accepted photo becomes part of it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import MakeImage
from tests.core.conftest import FinishedRun
from transfer_core.backbones.registry import get_backbone
from transfer_core.data.dataset import DATASET_FILE, IMAGES_FOLDER, ImageDataset
from transfer_core.data.images.image_path import GreyRanges
from transfer_core.data.ingest import add_files, collect_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import IngestError, InvalidConfigError, NotFoundError, WorkspaceError
from transfer_core.evaluation.clustering import Clusters
from transfer_core.inference.predictor import Predictor
from transfer_core.language import said
from transfer_core.locks import hold
from transfer_core.runs.leftovers import remove_leftovers
from transfer_core.runs.unlabelled import (
    UNLABELLED_DIR,
    Unlabelled,
    accept,
    add_unlabelled,
    has_unlabelled,
    move,
    propose_classes,
    sort_by_looks,
    take_back,
    throw_away,
    unlabelled_of,
)
from transfer_core.workspace import Workspace

COLORS = ("blue", "green", "red")


@pytest.fixture
def photos(make_image: MakeImage) -> list[ImportedFile]:
    """Four photos of each colour in no order and no class folder."""
    return [
        ImportedFile(("drop", f"{color}-{seed}.png"), lambda c=color, s=seed: make_image(c, seed=s, noise=90))
        for seed in range(500, 504)
        for color in COLORS
    ]


@pytest.fixture
def dataset(finished_run: FinishedRun, workspace: Workspace) -> ImageDataset:
    """The photos of the finished run in a workspace of their own."""
    shutil.copytree(finished_run.dataset.folder, workspace.dataset_dir(finished_run.dataset.id))
    return ImageDataset.load(workspace, finished_run.dataset.id)


def waiting(dataset: ImageDataset) -> Unlabelled:
    found = unlabelled_of(dataset)
    assert found is not None
    return found


def sizes(dataset: ImageDataset) -> dict[str, int]:
    return {pile.key: len(pile.images) for pile in waiting(dataset).piles}


def ids_of(found: Unlabelled, names: Iterable[str]) -> set[str]:
    return {image.id for image in found.photos.images if image.name in names}


def files_below(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.jpg")}


def deep_photo(low: int) -> ImportedFile:
    """Return a photo of 16 bits whose values fill a narrow range."""
    values = np.tile(np.arange(low, low + 64, dtype=np.uint16), (64, 1))
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF")
    return ImportedFile((f"{low}.tif",), buffer.getvalue)


class TestWaiting:
    def test_photos_that_wait_count_nowhere(self, dataset: ImageDataset, photos: list[ImportedFile]) -> None:
        assert not has_unlabelled(dataset) and unlabelled_of(dataset) is None
        after = add_unlabelled(dataset, photos)
        assert after is dataset
        assert sizes(dataset) == {"new ": 12}
        assert ImageDataset.load(Workspace(dataset.folder.parents[1]), dataset.id) == dataset
        assert not files_below(dataset.folder / UNLABELLED_DIR) & files_below(dataset.folder / IMAGES_FOLDER)
        assert Workspace(dataset.folder.parents[1]).dataset_ids() == [dataset.id]

    def test_they_are_found_again_from_the_disk(
        self, dataset: ImageDataset, photos: list[ImportedFile]
    ) -> None:
        add_unlabelled(dataset, photos[:5])
        add_unlabelled(dataset, photos[3:])
        again = ImageDataset.load(Workspace(dataset.folder.parents[1]), dataset.id)
        assert len(waiting(again).photos.images) == 12

    def test_without_a_dataset_one_is_made(self, workspace: Workspace, photos: list[ImportedFile]) -> None:
        dataset = add_unlabelled(create_dataset(workspace, "Desk"), photos)
        loaded = ImageDataset.load(workspace, dataset.id)
        assert (loaded.name, loaded.images, sizes(loaded)) == ("Desk", (), {"new ": 12})

    def test_nothing_is_left_of_a_new_dataset_without_a_photo(self, workspace: Workspace) -> None:
        files = [ImportedFile(("notes.txt",), lambda: b"no picture")]
        with pytest.raises(IngestError, match=r"The only file, notes\.txt, cannot be used"):
            add_unlabelled(create_dataset(workspace, "Desk"), files)
        assert list(workspace.datasets_dir.iterdir()) == []

    def test_photos_of_the_dataset_are_left_out_with_the_reason(
        self, dataset: ImageDataset, photos: list[ImportedFile], make_image: MakeImage
    ) -> None:
        known = ImportedFile(("x.png",), lambda: make_image("red", seed=0, noise=90))
        with pytest.raises(IngestError, match="already in your classes"):
            add_unlabelled(dataset, [known])
        assert unlabelled_of(dataset) is None
        assert files_below(dataset.folder / UNLABELLED_DIR) == set()
        add_unlabelled(dataset, [known, *photos])
        (left_out,) = waiting(dataset).photos.left_out
        assert said(left_out.reason) == "the same photo is already in the class red (red-0.png)"
        assert len(waiting(dataset).photos.images) == 12

    def test_excluded_photos_do_not_come_back(
        self, dataset: ImageDataset, photos: list[ImportedFile], make_image: MakeImage
    ) -> None:
        (excluded,) = [image for image in dataset.images if image.name == "red-0.png"]
        dataset = dataset.without([excluded.id]).save()
        add_unlabelled(
            dataset, [ImportedFile(("x.png",), lambda: make_image("red", seed=0, noise=90)), *photos]
        )
        assert said(waiting(dataset).photos.left_out[0].reason) == "you excluded this photo before"

    def test_the_same_photos_again_are_one_sentence(
        self, dataset: ImageDataset, photos: list[ImportedFile]
    ) -> None:
        add_unlabelled(dataset, photos)
        with pytest.raises(IngestError, match="no new photos"):
            add_unlabelled(dataset, photos)
        assert sizes(dataset) == {"new ": 12}

    def test_leftovers_of_a_killed_process_are_removed(
        self, dataset: ImageDataset, photos: list[ImportedFile], workspace: Workspace
    ) -> None:
        add_unlabelled(dataset, photos)
        half = waiting(dataset).photos.folder.with_name("20260101-000000-0123456789abcdef")
        lock = hold(half)
        assert lock
        (half / IMAGES_FOLDER).mkdir()
        (half / IMAGES_FOLDER / "x.jpg").touch()
        lock.release()
        remove_leftovers(workspace)
        assert not half.exists()
        assert sizes(dataset) == {"new ": 12}


class TestSorting:
    def test_a_model_proposes_classes_the_surest_first(
        self, dataset: ImageDataset, photos: list[ImportedFile], finished_run: FinishedRun
    ) -> None:
        add_unlabelled(dataset, photos)
        predictor = Predictor.load(finished_run.folder).with_rejection(None)
        seen: list[tuple[int, int]] = []
        propose_classes(dataset, finished_run.run.id, predictor, lambda *done: seen.append(done))
        found = waiting(dataset)
        assert found.run_id == finished_run.run.id and seen[-1] == (12, 12)
        assert sum(len(pile.images) for pile in found.piles) == 12
        for pile in found.piles:
            contents = [found.photos.image_path(image).read_bytes() for image in pile.images]
            predictions = [predictor.predict(content) for content in contents]
            confidences = [place.confidence for place in pile.places]
            assert confidences == sorted(confidences, reverse=True)
            assert confidences == pytest.approx([found.probability for found in predictions], abs=1e-5)
            if pile.kind == "class":
                assert {found.class_name for found in predictions} == {pile.name}
                assert min(confidences) >= 0.5
            else:
                assert (pile.kind, max(confidences) < 0.5) == ("unsure", True)
                assert pile is found.piles[-1]

    def test_photos_that_the_model_rejects_are_unsure(
        self, dataset: ImageDataset, photos: list[ImportedFile], finished_run: FinishedRun
    ) -> None:
        add_unlabelled(dataset, photos)
        predictor = Predictor.load(finished_run.folder)
        assert predictor.rejection
        strict = predictor.with_rejection(predictor.rejection.with_familiar_share(0.5, [2.0]))
        propose_classes(dataset, finished_run.run.id, strict)
        assert sizes(dataset) == {"unsure ": 12}

    def test_by_looks_the_colours_are_apart(
        self, dataset: ImageDataset, photos: list[ImportedFile], workspace: Workspace
    ) -> None:
        add_unlabelled(dataset, photos)
        backbone = get_backbone("tiny_random")
        sort_by_looks(dataset, backbone, workspace.cache_dir, 3)
        found = waiting(dataset)
        looks = [pile for pile in found.piles if pile.kind == "looks"]
        assert [pile.name for pile in looks] == ["1", "2", "3"][: len(looks)]
        assert len(looks) == 3 and found.run_id == ""
        for pile in looks:
            assert len({image.name.split("-")[0] for image in pile.images}) == 1
        sort_by_looks(dataset, backbone, workspace.cache_dir, 1)
        assert sizes(dataset) == {"looks 1": 12}

    def test_photos_that_are_nearer_to_another_pile_are_unsure(
        self,
        dataset: ImageDataset,
        photos: list[ImportedFile],
        workspace: Workspace,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        add_unlabelled(dataset, photos)
        labels, silhouettes = np.arange(12) % 2, np.full(12, 0.4)
        silhouettes[3:5] = -0.1, 0.0
        monkeypatch.setattr(
            "transfer_core.runs.unlabelled.cluster", lambda *_given: Clusters(labels, silhouettes)
        )
        sort_by_looks(dataset, get_backbone("tiny_random"), workspace.cache_dir)
        assert sizes(dataset) == {"looks 1": 6, "looks 2": 5, "unsure ": 1}
        assert waiting(dataset).piles[-1].images == (waiting(dataset).photos.images[3],)

    def test_a_missing_file_is_unsure_and_stops_nothing(
        self,
        dataset: ImageDataset,
        photos: list[ImportedFile],
        workspace: Workspace,
        finished_run: FinishedRun,
    ) -> None:
        add_unlabelled(dataset, photos)
        found = waiting(dataset)
        found.photos.image_path(found.photos.images[0]).unlink()
        sort_by_looks(dataset, get_backbone("tiny_random"), workspace.cache_dir, 1)
        assert sizes(dataset) == {"looks 1": 11, "unsure ": 1}
        propose_classes(dataset, "run", Predictor.load(finished_run.folder))
        assert found.photos.images[0] in waiting(dataset).piles[-1].images
        with pytest.raises(IngestError):
            accept(dataset, {found.photos.images[0].id}, "red")

    def test_a_pile_that_a_person_chose_is_kept(
        self, dataset: ImageDataset, photos: list[ImportedFile], workspace: Workspace
    ) -> None:
        add_unlabelled(dataset, photos)
        chosen = ids_of(waiting(dataset), ["red-500.png", "blue-501.png"])
        move(dataset, chosen, " violet ")
        assert sizes(dataset) == {"new ": 10, "class violet": 2}
        sort_by_looks(dataset, get_backbone("tiny_random"), workspace.cache_dir, 1)
        assert sizes(dataset) == {"class violet": 2, "looks 1": 10}
        assert dataset.counts() == dict.fromkeys(COLORS, 8)

    def test_photos_that_come_later_are_new(
        self, dataset: ImageDataset, photos: list[ImportedFile], workspace: Workspace
    ) -> None:
        add_unlabelled(dataset, photos[:9])
        sort_by_looks(dataset, get_backbone("tiny_random"), workspace.cache_dir, 1)
        add_unlabelled(dataset, photos[9:])
        assert sizes(dataset) == {"new ": 3, "looks 1": 9}

    def test_damaged_piles_only_have_to_be_sorted_again(
        self, dataset: ImageDataset, photos: list[ImportedFile], workspace: Workspace
    ) -> None:
        add_unlabelled(dataset, photos)
        sort_by_looks(dataset, get_backbone("tiny_random"), workspace.cache_dir, 1)
        (dataset.folder / UNLABELLED_DIR / "piles.json").write_text("{half")
        assert sizes(dataset) == {"new ": 12}

    def test_without_photos_there_is_nothing_to_sort(
        self, dataset: ImageDataset, finished_run: FinishedRun
    ) -> None:
        with pytest.raises(NotFoundError):
            propose_classes(dataset, "run", Predictor.load(finished_run.folder))


class TestAccepting:
    def test_accepted_photos_are_in_the_dataset_and_wait_no_longer(
        self, dataset: ImageDataset, photos: list[ImportedFile]
    ) -> None:
        add_unlabelled(dataset, photos)
        ids = ids_of(waiting(dataset), ["red-500.png", "red-501.png"])
        after = accept(dataset, ids, "red")
        assert after.counts() == {"blue": 8, "green": 8, "red": 10}
        assert after.version == dataset.version + 1
        assert {image.id for image in after.images[-2:]} == ids
        assert all(after.image_path(image).is_file() for image in after.images)
        assert sizes(after) == {"new ": 10}
        assert not ids & {path.stem for path in (dataset.folder / UNLABELLED_DIR).rglob("*.jpg")}

    def test_they_are_the_same_photos_as_if_they_had_come_in_a_folder(
        self, dataset: ImageDataset, photos: list[ImportedFile]
    ) -> None:
        add_unlabelled(dataset, photos)
        ids = {image.id for image in waiting(dataset).photos.images}
        direct = add_files(dataset, photos, class_name="violet")
        assert {image.id for image in direct.images[24:]} == ids

    def test_a_new_class_and_the_last_photo(self, workspace: Workspace, photos: list[ImportedFile]) -> None:
        dataset = add_unlabelled(create_dataset(workspace, "Desk"), photos)
        ids = {image.id for image in waiting(dataset).photos.images}
        after = accept(dataset, ids, "things")
        assert after.counts() == {"things": 12}
        assert unlabelled_of(after) is None
        assert not (after.folder / UNLABELLED_DIR).exists()

    def test_undone_they_wait_again_in_the_pile_of_their_class(
        self, dataset: ImageDataset, photos: list[ImportedFile]
    ) -> None:
        add_unlabelled(dataset, photos)
        ids = {image.id for image in waiting(dataset).photos.images}
        after = take_back(accept(dataset, ids, "red"), ids)
        assert after.counts() == dataset.counts()
        assert sizes(after) == {"class red": 12}
        assert not ids & {path.stem for path in (after.folder / IMAGES_FOLDER).iterdir()}
        assert len(accept(after, ids, "blue").images) == 36

    def test_a_class_may_have_the_name_of_a_hidden_file(
        self, dataset: ImageDataset, photos: list[ImportedFile]
    ) -> None:
        add_unlabelled(dataset, photos)
        after = accept(dataset, ids_of(waiting(dataset), ["red-500.png"]), ".net")
        assert after.counts()[".net"] == 1

    def test_their_series_are_looked_for_among_the_photos_of_the_dataset(
        self, dataset: ImageDataset, photos: list[ImportedFile]
    ) -> None:
        add_unlabelled(dataset, photos)
        ids = ids_of(waiting(dataset), ["red-500.png"])
        examined = accept(dataset, ids, "red").with_series({}).save()
        assert examined.is_examined
        assert not accept(take_back(examined, ids), ids, "blue").is_examined

    def test_deep_photos_bring_their_black_and_white(self, workspace: Workspace) -> None:
        dataset = add_unlabelled(create_dataset(workspace, "Desk"), [deep_photo(1000)])
        (waits,) = waiting(dataset).photos.images
        after = accept(dataset, {waits.id}, "things")
        assert after.grey_ranges == GreyRanges(integers=(1000, 1063))
        again = collect_files(after, [deep_photo(1000)], class_name="others")
        assert [file.image_id for file in again.left_out] == [waits.id]

    def test_deep_photos_that_wait_are_as_bright_as_those_of_the_dataset(self, workspace: Workspace) -> None:
        dataset = add_files(create_dataset(workspace, "Desk"), [deep_photo(1000)], class_name="things")
        add_unlabelled(dataset, [deep_photo(1010)])
        assert waiting(dataset).photos.grey_ranges == dataset.grey_ranges == GreyRanges(integers=(1000, 1063))

    def test_a_class_needs_a_name(self, dataset: ImageDataset, photos: list[ImportedFile]) -> None:
        add_unlabelled(dataset, photos)
        ids = {image.id for image in waiting(dataset).photos.images}
        for change in (accept, move):
            with pytest.raises(InvalidConfigError, match="needs a name"):
                change(dataset, ids, " \u200b ")
            with pytest.raises(InvalidConfigError, match="at most 255 letters"):
                change(dataset, ids, "a" * 256)

    def test_two_windows_do_not_accept_the_same_photos(
        self, dataset: ImageDataset, photos: list[ImportedFile]
    ) -> None:
        add_unlabelled(dataset, photos)
        ids = ids_of(waiting(dataset), ["red-500.png"])
        after = accept(dataset, ids, "red")
        with pytest.raises(IngestError, match="were deleted"):
            accept(after, ids, "blue")
        others = ids_of(waiting(after), ["red-501.png"])
        with pytest.raises(WorkspaceError, match="in another window"):
            accept(dataset, others, "blue")
        assert others <= {image.id for image in waiting(after).photos.images}

    def test_a_kill_between_the_two_changes_doubles_nothing(
        self, dataset: ImageDataset, photos: list[ImportedFile], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_unlabelled(dataset, photos)
        ids = ids_of(waiting(dataset), ["red-500.png"])
        with monkeypatch.context() as patch:
            patch.setattr("transfer_core.runs.unlabelled._drop", lambda *_given: None)
            after = accept(dataset, ids, "red")
        assert sizes(after) == {"new ": 11}
        throw_away(after, {image.id for image in waiting(after).photos.images})
        assert unlabelled_of(after) is None


class TestThrowingAway:
    def test_the_disk_is_freed(self, dataset: ImageDataset, photos: list[ImportedFile]) -> None:
        add_unlabelled(dataset, photos)
        found = waiting(dataset)
        throw_away(dataset, ids_of(found, ["red-500.png", "red-501.png"]))
        assert len(files_below(dataset.folder / UNLABELLED_DIR)) == 10
        throw_away(dataset, {image.id for image in waiting(dataset).photos.images})
        assert not (dataset.folder / UNLABELLED_DIR).exists()
        assert (dataset.folder / DATASET_FILE).is_file()

    def test_ids_from_outside_touch_nothing_else(
        self, dataset: ImageDataset, photos: list[ImportedFile]
    ) -> None:
        add_unlabelled(dataset, photos)
        other = f"../../../../images/{dataset.images[0].id}"
        throw_away(dataset, {other, "", dataset.images[0].id})
        move(dataset, {other}, "red")
        assert sizes(dataset) == {"new ": 12}
        assert all(dataset.image_path(image).is_file() for image in dataset.images)
