"""Grad-CAM localises a class, for any head and any class, and depends on the trained weights."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.image_path import to_pixels
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.inference.explanation import GradCam, heat_sentence, overlay
from transfer_core.inference.predictor import Predictor
from transfer_core.training.classifier import build_classifier
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

PICTURES = Path(__file__).parents[3] / "transfer_core" / "data" / "sample_pictures" / "pictures"
SIDES = ("left", "right")


def composed(path: Path, side: str) -> Image.Image:
    """Paste a photo onto the left or right half of a plain square."""
    canvas = Image.new("RGB", (224, 224), (236, 236, 236))
    with Image.open(path) as opened:
        canvas.paste(opened.convert("RGB").resize((110, 110)), (0 if side == "left" else 114, 57))
    return canvas


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def one_sided_files() -> list[tuple[str, Path, str]]:
    """Class, photo and side of each composed image; both classes appear on both sides."""
    return [
        (class_name, path, SIDES[number % 2])
        for class_name in ("animals", "vehicles")
        for number, path in enumerate(sorted((PICTURES / class_name).glob("*.jpg"))[:16])
    ]


@pytest.fixture(scope="module")
def explained(
    one_sided_files: list[tuple[str, Path, str]], tmp_path_factory: pytest.TempPathFactory
) -> Predictor:
    """EfficientNet-Lite0 trained to classify animals and vehicles."""
    workspace = Workspace(tmp_path_factory.mktemp("explained"))
    files = [
        ImportedFile((class_name, f"{number}.png"), lambda p=path, s=side: png(composed(p, s)))
        for number, (class_name, path, side) in enumerate(one_sided_files)
    ]
    dataset = add_files(create_dataset(workspace, "Sides"), files)
    train(dataset, TrainingConfig(epochs=15), workspace.root / "run", workspace.cache_dir)
    return Predictor.load(workspace.root / "run")


@pytest.fixture(scope="module")
def pixels(one_sided_files: list[tuple[str, Path, str]]) -> np.ndarray:
    return np.stack([to_pixels(composed(path, side), 224) for _class, path, side in one_sided_files])


@pytest.fixture(scope="module")
def heat(
    explained: Predictor, pixels: np.ndarray, one_sided_files: list[tuple[str, Path, str]]
) -> np.ndarray:
    grad_cam = GradCam(explained.model, "top_relu", explained.class_names)
    return grad_cam.heat_maps(pixels, [class_name for class_name, _path, _side in one_sided_files])


def test_heat_is_on_the_side_of_the_object(
    heat: np.ndarray, one_sided_files: list[tuple[str, Path, str]]
) -> None:
    assert heat.shape == (32, 224, 224) and heat.dtype == np.float32
    np.testing.assert_array_equal((heat.min(axis=(1, 2)) >= 0) & (heat.max(axis=(1, 2)) == 1), True)
    on_the_left = heat[:, :, :112].sum(axis=(1, 2)) / heat.sum(axis=(1, 2))
    is_left = np.array([side == "left" for _class, _path, side in one_sided_files])
    assert on_the_left[is_left].min() > 0.6
    assert on_the_left[~is_left].max() < 0.4


def test_random_weights_change_the_map(explained: Predictor, pixels: np.ndarray, heat: np.ndarray) -> None:
    """Adebayo et al. (2018), "Sanity Checks for Saliency Maps": a mere edge detector would give the same map."""
    backbone = get_backbone("efficientnet_lite0")
    plan = FreezePlan(backbone, len(backbone.blocks), is_from_scratch=True)
    random = build_classifier(plan, 2, TrainingConfig())
    other = GradCam(random, backbone.blocks[-1].last_layer, explained.class_names).heat_maps(
        pixels[:8], ["animals"] * 8
    )
    correlations = [
        np.corrcoef(trained.ravel(), untrained.ravel())[0, 1] if untrained.any() else 0.0
        for trained, untrained in zip(heat, other, strict=False)
    ]
    assert np.mean(np.abs(correlations)) < 0.5


def test_another_class_has_another_map(explained: Predictor, pixels: np.ndarray, heat: np.ndarray) -> None:
    grad_cam = GradCam(explained.model, "top_relu", explained.class_names)
    other = grad_cam.heat_maps(pixels[:4], ["vehicles"] * 4)
    assert np.abs(other - heat[:4]).mean(axis=(1, 2)).min() > 0.05


@pytest.mark.parametrize("head", ["linear", "hidden", "flattened_map"])
def test_every_head_is_explained_for_every_class(
    head: str, color_dataset: ImageDataset, tiny_config: TrainingConfig, tmp_path: Path
) -> None:
    train(color_dataset, replace(tiny_config, head=head, epochs=1), tmp_path, tmp_path / "cache")
    predictor = Predictor.load(tmp_path)
    grad_cam = GradCam.of(predictor, tmp_path)
    assert grad_cam.layer_name == "block2_relu"
    pixels = np.stack(
        [
            to_pixels(Image.open(color_dataset.image_path(image)).convert("RGB"), 32)
            for image in color_dataset.images[:3]
        ]
    )
    maps = [grad_cam.heat_maps(pixels, [name] * 3) for name in predictor.class_names]
    assert all(heat.shape == (3, 32, 32) and heat.min() >= 0 and heat.max() <= 1 for heat in maps)
    assert any(heat.any() for heat in maps)
    assert not np.array_equal(maps[0], maps[1])


def test_a_signature_without_last_layer_uses_the_model(
    finished_run, predictor: Predictor, tmp_path: Path
) -> None:
    folder = shutil.copytree(finished_run.folder, tmp_path / "run")
    signature = json.loads((folder / "signature.json").read_text())
    assert GradCam.of(predictor, folder).layer_name == signature.pop("last_layer") == "block2_relu"
    # A recorded layer takes precedence, even if the head is built on another.
    for recorded, used in (
        ("block1_relu", "block1_relu"),
        (None, "block2_relu"),
        ([], "block2_relu"),
        ("unknown", "block2_relu"),
    ):
        (folder / "signature.json").write_text(json.dumps({**signature, "last_layer": recorded}))
        assert GradCam.of(predictor, folder).layer_name == used
    (folder / "signature.json").write_text(json.dumps(signature))
    assert GradCam.of(predictor, folder).layer_name == "block2_relu"


def test_average_weights_every_photo_equally(finished_run, predictor: Predictor) -> None:
    grad_cam = GradCam.of(predictor, finished_run.folder)
    dataset = finished_run.dataset
    paths = [dataset.image_path(image) for image in dataset.images if image.class_name == "red"]
    pixels = np.stack([to_pixels(Image.open(path).convert("RGB"), 32) for path in paths])
    expected = grad_cam.heat_maps(pixels, ["red"] * len(paths)).sum(axis=0)
    average = grad_cam.average(paths, "red")
    np.testing.assert_allclose(average.heat, expected / expected.max(), atol=1e-5)
    np.testing.assert_allclose(average.photo, pixels.mean(axis=0), atol=0.51)
    assert average.num_images == 8


def spot(rows: slice, columns: slice) -> np.ndarray:
    heat = np.zeros((70, 70), np.float32)
    heat[rows, columns] = 1
    return heat


def test_heat_sentence_names_the_part_and_warns_of_a_shortcut() -> None:
    middle = heat_sentence("cats", spot(slice(25, 45), slice(25, 45)))
    assert middle == "The model recognises cats mostly by something in the middle of its photos."
    corner = heat_sentence("cats", spot(slice(0, 9), slice(60, 70)))
    assert corner.startswith("The model recognises cats mostly by something at the top right of its photos.")
    assert "shortcut" in corner
    assert "all over" in heat_sentence("cats", np.ones((70, 70)) + spot(slice(0, 9), slice(0, 9)) / 4)
    assert "No part" in heat_sentence("cats", spot(slice(0, 0), slice(0, 0)))


def test_overlay_is_transparent_without_heat() -> None:
    colors = overlay(np.array([[0, 0.25], [0.5, 1]], np.float32))
    assert colors.dtype == np.uint8 and colors.shape == (2, 2, 4)
    assert colors[..., 3].tolist() == [[0, 128], [180, 255]]
    assert colors[1, 1, :3].tolist() == [240, 249, 33]
