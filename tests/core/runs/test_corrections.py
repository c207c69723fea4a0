"""A photo that a model got wrong joins the images of its run, once."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.errors import IngestError, NotFoundError, UnreadableImageError
from transfer_core.runs.corrections import add_correction, dataset_of
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace


@pytest.fixture
def run(workspace: Workspace, image_folder: Path) -> TrainingRun:
    dataset = add_files(create_dataset(workspace, "colors"), folder_source(image_folder))
    return TrainingRun.create(workspace, dataset, TrainingConfig(backbone="tiny_random"))


def test_the_photo_is_an_ordinary_new_image(workspace: Workspace, run: TrainingRun, make_image) -> None:
    before = ImageDataset.load(workspace, run.dataset_id)
    after = add_correction(workspace, run, "odd.png", make_image("green", seed=77), "red")
    assert after == ImageDataset.load(workspace, run.dataset_id)
    assert after.version == before.version + 1
    (added,) = [image for image in after.images if image.id not in {old.id for old in before.images}]
    assert (added.name, added.class_name) == ("odd.png", "red")
    assert after.image_path(added).is_file()


@pytest.mark.parametrize("label", ["red", "blue"])
def test_the_same_photo_is_not_added_twice(
    workspace: Workspace, run: TrainingRun, make_image, label: str
) -> None:
    content = make_image("green", seed=77)
    added = add_correction(workspace, run, "odd.png", content, "red")
    for _attempt in range(2):
        with pytest.raises(IngestError, match=r"^The photo was not added: .*(is there already|class red)"):
            add_correction(workspace, run, "odd.png", content, label)
    assert ImageDataset.load(workspace, run.dataset_id) == added


def test_one_that_was_left_out_stays_out(workspace: Workspace, run: TrainingRun, make_image) -> None:
    content = make_image("green", seed=77)
    added = add_correction(workspace, run, "odd.png", content, "red")
    (image,) = [image for image in added.images if image.name == "odd.png"]
    added.without([image.id]).save()
    with pytest.raises(IngestError, match=r"excluded this photo before.*gallery on the Images page"):
        add_correction(workspace, run, "odd.png", content, "red")


def test_the_same_pages_are_not_added_twice(workspace: Workspace, run: TrainingRun) -> None:
    pages = [Image.new("RGB", (64, 64), color) for color in ("#123456", "#654321")]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    added = add_correction(workspace, run, "scan.tif", buffer.getvalue(), "red")
    with pytest.raises(IngestError, match="is there already"):
        add_correction(workspace, run, "scan.tif", buffer.getvalue(), "red")
    assert ImageDataset.load(workspace, run.dataset_id) == added


def test_without_the_images_there_is_nowhere_to_put_it(
    workspace: Workspace, run: TrainingRun, make_image
) -> None:
    shutil.rmtree(workspace.dataset_dir(run.dataset_id))
    assert dataset_of(workspace, run) is None
    with pytest.raises(NotFoundError, match="were deleted, so this photo cannot join them"):
        add_correction(workspace, run, "odd.png", make_image("green", seed=77), "red")


def test_what_is_no_picture_is_refused(workspace: Workspace, run: TrainingRun) -> None:
    before = dataset_of(workspace, run)
    with pytest.raises(IngestError, match="The photo was not added: it is not a photo") as caught:
        add_correction(workspace, run, "odd.png", b"no picture", "red")
    assert not isinstance(caught.value, UnreadableImageError)
    assert dataset_of(workspace, run) == before
