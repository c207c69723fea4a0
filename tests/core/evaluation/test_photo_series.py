"""Series are looked for once for each set of photos, and whatever happens meanwhile, the training goes on."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.similarity import groups_of
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.records import ImageRecord
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import WeightsError
from transfer_core.evaluation import photo_series
from transfer_core.evaluation.photo_series import keep_series_together
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.workspace import Workspace


@pytest.fixture
def dataset(workspace: Workspace, make_image) -> ImageDataset:
    files = [
        ImportedFile((color, f"{n}.png"), lambda c=color, n=n: make_image(c, seed=n, noise=90))
        for color in ("blue", "red")
        for n in range(8)
    ]
    return add_files(create_dataset(workspace, "Colors"), files)


@pytest.fixture
def features(dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Features in which each class has a series of four; the list counts the photos of each extraction."""
    extracted: list[int] = []

    def pooled_features(of: ImageDataset, *_arguments: object, **_options: object) -> np.ndarray:
        extracted.append(len(of.images))
        directions = np.random.default_rng(0).normal(size=(100, 64))
        return np.stack(
            [directions[50 if image.number % 8 < 4 else image.number] for image in of.images]
            + np.random.default_rng(1).normal(0, 0.1, (len(of.images), 64))
        )

    monkeypatch.setattr(photo_series, "pooled_features", pooled_features)
    return extracted


def sizes(dataset: ImageDataset) -> list[int]:
    return sorted(np.unique([image.series for image in dataset.images], return_counts=True)[1].tolist())


def test_series_are_saved_once(workspace: Workspace, dataset: ImageDataset, features: list[int]) -> None:
    examined = keep_series_together(workspace, dataset)
    assert examined == ImageDataset.load(workspace, dataset.id)
    assert (dataset.version, examined.version) == (1, 2)
    assert sizes(examined) == [1] * 8 + [4, 4]
    assert keep_series_together(workspace, examined) == examined
    assert features == [16]


def test_new_photos_are_examined_with_the_others(
    workspace: Workspace, dataset: ImageDataset, features: list[int], make_image
) -> None:
    examined = keep_series_together(workspace, dataset)
    more = add_files(examined, [ImportedFile(("red", "8.png"), lambda: make_image("red", seed=8, noise=90))])
    assert keep_series_together(workspace, more).is_examined
    assert features == [16, 17]


def test_a_change_of_a_person_meanwhile_counts(
    workspace: Workspace, dataset: ImageDataset, features: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = photo_series.pooled_features
    out = dataset.images[-1].id

    def exclude_meanwhile(*arguments, **options):
        present = ImageDataset.load(workspace, dataset.id)
        if present.version == 1:
            present.without([out]).save()
        return extract(*arguments, **options)

    monkeypatch.setattr(photo_series, "pooled_features", exclude_meanwhile)
    examined = keep_series_together(workspace, dataset)
    assert (examined.version, features) == (3, [16, 15])
    assert [image.id for image in examined.excluded] == [out]


def test_another_training_was_faster(
    workspace: Workspace, dataset: ImageDataset, features: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = photo_series.pooled_features

    def be_overtaken(*arguments, **options):
        monkeypatch.setattr(photo_series, "pooled_features", extract)
        keep_series_together(workspace, dataset)
        return extract(*arguments, **options)

    monkeypatch.setattr(photo_series, "pooled_features", be_overtaken)
    assert keep_series_together(workspace, dataset) == ImageDataset.load(workspace, dataset.id)
    assert ImageDataset.load(workspace, dataset.id).version == 2


def raising(error: Exception):
    def fail(*_arguments: object, **_options: object) -> None:
        raise error

    return fail


def test_a_failure_leaves_the_split(
    workspace: Workspace, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_series, "pooled_features", raising(WeightsError("damaged")))
    assert keep_series_together(workspace, dataset) == dataset == ImageDataset.load(workspace, dataset.id)


def test_a_stop_is_passed_on(
    workspace: Workspace, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_series, "pooled_features", raising(FeaturesStoppedError()))
    with pytest.raises(FeaturesStoppedError):
        keep_series_together(workspace, dataset)


def shot(path: Path, number: int) -> bytes:
    """The scene of a photo as a hand-held camera sees it next time."""
    photo = Image.open(path).convert("RGB")
    photo.thumbnail((320, 320))
    left, top = number * photo.width // 40, number * photo.height // 30
    turned = photo.rotate(2 * number, Image.Resampling.BICUBIC).crop(
        (left, top, left + photo.width * 4 // 5, top + photo.height * 4 // 5)
    )
    buffer = io.BytesIO()
    ImageEnhance.Brightness(turned).enhance(1 + number / 25).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_real_scenes_are_found_that_are_no_near_duplicates(workspace: Workspace, shared_data: Path) -> None:
    files = []
    for folder in sorted((shared_data / "clothing").iterdir())[:2]:
        for place, path in enumerate(sorted(folder.glob("*.jpg"))[:8]):
            # Three scenes of each class were taken four times.
            for number in range(4 if place < 3 else 1):
                content = shot(path, number)
                files.append(ImportedFile((folder.name, f"{place}-{number}.jpg"), lambda c=content: c))
    dataset = add_files(create_dataset(workspace, "Clothing"), files)
    examined = keep_series_together(workspace, dataset)
    scene_of = {image.id: (image.class_name, image.name.split("-")[0]) for image in examined.images}
    by_series: dict[str, list[ImageRecord]] = {}
    for image in examined.images:
        by_series.setdefault(image.series, []).append(image)
    assert all(len({scene_of[image.id] for image in images}) == 1 for images in by_series.values())
    # Six scenes of four photos, of which at most two photos are missed.
    assert len(by_series) <= 16 + 2
    assert all(len({image.split for image in images}) == 1 for images in by_series.values())
    assert sum(not group for group in groups_of(dataset.images)) > 10
