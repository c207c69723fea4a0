"""With real weights: a file that a person brings is as good as it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from transfer_core.backbones.own.exchange import import_weights
from transfer_core.backbones.published.zoo_weights import WEIGHTS_VARIABLE
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.evaluation.audition import probe_accuracies
from transfer_core.runs.own_models import make_source
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.features.feature_cache import pooled_features
from transfer_core.training.train import train
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5"


@pytest.fixture(scope="module")
def weights_dir() -> Path:
    """The folder with a published weights file, with classifier; without it the test is skipped."""
    folder = ROOT.parent / "shared" / "weights"
    if not (folder / FILE).is_file():
        pytest.skip("needs the weights in ../shared/weights, which are not part of the repository")
    return folder


def few_photos(workspace: Workspace, folder: Path, step: int) -> ImageDataset:
    """Every `step`-th photo of a folder, as a dataset."""
    dataset = add_files(create_dataset(workspace, folder.name), folder_source(folder))
    return dataset.with_images(dataset.images[::step], ()).save()


def accuracy(workspace: Workspace, dataset: ImageDataset, name: str) -> float:
    features = pooled_features(dataset, get_backbone(name, workspace), workspace.cache_dir)
    labels = np.array([dataset.class_index(image) for image in dataset.images])
    return float(np.mean(probe_accuracies(features, labels, [image.id for image in dataset.images])))


def test_published_file_with_classifier_beats_random_weights(
    weights_dir: Path, shared_data: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, keras_module
) -> None:
    """In the folder of weights and imported as a source model it gives the same accuracy."""
    dataset = few_photos(workspace, shared_data / "flowers", 4)
    with (weights_dir / FILE).open("rb") as content:
        source_id = import_weights(workspace, "mobilenet_v2", content, FILE)
    found = {"imported": accuracy(workspace, dataset, source_id)}
    with monkeypatch.context() as environment:
        environment.setenv(WEIGHTS_VARIABLE, str(weights_dir))
        assert get_backbone("mobilenet_v2").weights.are_available
        found["in the folder"] = accuracy(workspace, dataset, "mobilenet_v2")
    found["random"] = accuracy(workspace, dataset, "tiny_random")
    assert found["imported"] == found["in the folder"] > 0.7
    assert found["random"] < found["imported"] - 0.2


def test_model_of_flowers_is_fine_tuned_on_clothing(
    shared_data: Path, workspace: Workspace, tmp_path: Path, keras_module
) -> None:
    """From one real set to another: the fine-tuned body still extracts useful features."""
    config = TrainingConfig(num_unfrozen_blocks=1, epochs=10, fine_tune_epochs=1)
    run = TrainingRun.create(workspace, few_photos(workspace, shared_data / "flowers", 4), config)
    execute_run(workspace, run, lambda event: None, lambda: False)
    source = make_source(workspace, run.id)
    assert source.weights_source == "flowers ← EfficientNet-Lite0 ← ImageNet"
    result = train(
        few_photos(workspace, shared_data / "clothing", 2),
        config.with_changes(backbone=source.name),
        tmp_path / "clothing",
        workspace.cache_dir,
        backbone=source,
    )
    assert result.best is not None
    # One in five would be chance.
    assert result.best.val_accuracy > 0.6
