"""Mixed precision: forced on the processor, which computes float16 as well, only slowly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.published.tiny import build_tiny
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.image_path import to_pixels
from transfer_core.data.pixels import read_pixels
from transfer_core.events import EpochEnded, PrecisionChosen, RunResumed, TrainingEvent, snapshot_of
from transfer_core.training import precision, trainer
from transfer_core.training.checkpoint import Progress, load_checkpoint, save_checkpoint, training_key
from transfer_core.training.compiled_tail import CompiledTail
from transfer_core.training.features.frozen_network import engine_of, frozen_body, frozen_graph
from transfer_core.training.freezing import POOLING_LAYER, FreezePlan
from transfer_core.training.precision import (
    MIXED_PRECISION,
    Float16OverflowError,
    reason_against_mixed_precision,
    use_float32,
    use_mixed_precision,
)
from transfer_core.training.schedule import PlannedPhase
from transfer_core.training.train import TrainingResult, train

TINY = get_backbone("tiny_random")
# The stated tolerance of docs/training-loop.md: of each probability, against the same training in float32.
TOLERANCE = 0.02


class CutOffError(BaseException):
    """The power went off."""


@dataclass(frozen=True)
class Trained:
    """A training, and all it reported."""

    result: TrainingResult
    events: list[TrainingEvent]
    folder: Path

    @property
    def precisions(self) -> list[tuple[str, str]]:
        return [
            (event.precision, event.reason) for event in self.events if isinstance(event, PrecisionChosen)
        ]

    @property
    def weights(self) -> list[np.ndarray]:
        import keras

        assert self.result.model_path
        weights: list[np.ndarray] = keras.saving.load_model(self.result.model_path).get_weights()
        return weights


@pytest.fixture(scope="module")
def config(even_config: TrainingConfig) -> TrainingConfig:
    return even_config.with_changes(mixed_precision=True, num_unfrozen_blocks=1, dropout=0.3)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in mixed precision, as where a GPU has it."""
    monkeypatch.setattr(trainer, "reason_against_mixed_precision", lambda: "")


@pytest.fixture
def learn(color_dataset: ImageDataset, config: TrainingConfig, tmp_path: Path) -> Callable[..., Trained]:
    """`learn(name, **choices)` trains in a folder of that name, with a cache that all of a test share."""

    def run(
        name: str,
        backbone: Backbone = TINY,
        is_end: Callable[[TrainingEvent], bool] = lambda event: False,
        **choices: Any,
    ) -> Trained:
        events: list[TrainingEvent] = []

        def emit(event: TrainingEvent) -> None:
            events.append(event)
            if is_end(event):
                raise CutOffError

        times = iter(range(1000, 10**6, 100))
        folder = tmp_path / name
        chosen = config.with_changes(**choices)
        result = TrainingResult("interrupted", "", (), None, color_dataset, None)
        with suppress(CutOffError):
            result = train(
                color_dataset,
                chosen,
                folder,
                tmp_path / "cache",
                backbone=backbone,
                emit=emit,
                clock=lambda: float(next(times)),
                keep_checkpoint=True,
            )
        return Trained(result, events, folder)

    return run


def assert_same_bits(one: Trained, another: Trained) -> None:
    for ours, theirs in zip(one.weights, another.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "choices",
    [
        {"epochs": 1},
        {"epochs": 1, "train_on_all": True, "head": "auto"},
        {"epochs": 1, "augmentation": "light", "live_augmentation": True},
        {"epochs": 2, "weights": "random"},
    ],
    ids=["fine-tuned", "all photos", "live", "from scratch"],
)
@pytest.mark.usefixtures("with_gpu")
def test_ends_close_to_float32_with_a_model_in_float32(choices: dict[str, Any], learn, keras_module) -> None:
    mixed, plain = learn("mixed", **choices), learn("plain", mixed_precision=False, **choices)
    assert mixed.precisions == [("mixed_float16", "")]
    assert not plain.precisions
    ours, theirs = mixed.result.out_of_fold.probabilities, plain.result.out_of_fold.probabilities
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)
    assert np.any(mixed.result.validation_outputs != plain.result.validation_outputs)
    model = keras_module.saving.load_model(mixed.result.model_path)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert {weight.dtype for weight in mixed.weights} == {np.dtype(np.float32)}


@pytest.mark.usefixtures("with_gpu")
def test_scores_are_those_of_the_saved_model_in_float32(learn, color_dataset, keras_module) -> None:
    mixed = learn("mixed", cache_dtype="float32")
    images = mixed.result.out_of_fold.images
    pixels = [read_pixels(color_dataset.image_path(image), TINY.image_size) for image in images]
    model = keras_module.saving.load_model(mixed.result.model_path)
    found = model.predict_on_batch(np.stack(pixels).astype(np.float32))
    np.testing.assert_allclose(mixed.result.out_of_fold.probabilities, found, rtol=0, atol=1e-5)
    assert np.abs(mixed.result.validation_outputs - found).max() > 1e-5


@pytest.mark.usefixtures("with_gpu")
def test_familiar_photos_are_not_measured_by_features_in_float16(learn) -> None:
    """The evaluation computes them from the saved model where the training has none."""
    choices = {"num_unfrozen_blocks": 0, "head": "auto", "train_on_all": True, "epochs": 1}
    assert learn("mixed", **choices).result.out_of_fold.features is None
    plain = learn("plain", mixed_precision=False, **choices).result.out_of_fold
    assert plain.num_folds > 1 and plain.features is not None


@pytest.mark.usefixtures("with_gpu")
def test_resumes_to_the_bit(learn) -> None:
    whole = learn("whole")

    def is_in_fine_tuning(event: TrainingEvent) -> bool:
        return isinstance(event, EpochEnded) and event.epoch == 5

    assert learn("cut", is_end=is_in_fine_tuning).result.outcome == "interrupted"
    resumed = learn("cut")
    assert isinstance(resumed.events[0], RunResumed)
    assert resumed.precisions == [("mixed_float16", "")]
    assert_same_bits(whole, resumed)


def test_goes_on_where_there_is_no_gpu_and_says_so(learn, monkeypatch) -> None:
    with monkeypatch.context() as on_gpu:
        on_gpu.setattr(trainer, "reason_against_mixed_precision", lambda: "")
        learn("moved", is_end=lambda event: isinstance(event, EpochEnded) and event.epoch == 5)
    moved = learn("moved")
    assert isinstance(moved.events[0], RunResumed)
    assert moved.precisions == [("float32", "no_gpu")]
    assert moved.result.outcome == "finished"


def test_without_a_gpu_it_is_the_training_in_float32(learn) -> None:
    choices = {"num_unfrozen_blocks": 0, "epochs": 1}
    assert_same_bits(learn("wanted", **choices), learn("plain", mixed_precision=False, **choices))


def test_checkpoints_of_earlier_versions_keep_their_key(color_dataset, config) -> None:
    assert training_key(color_dataset, config) == training_key(
        color_dataset, config.with_changes(mixed_precision=False)
    )


@pytest.mark.parametrize(
    ("gpu", "reason"),
    [
        ({}, "no_gpu"),
        ({"device_name": "Tesla P100", "compute_capability": (6, 0)}, "old_gpu"),
        ({"device_name": "of another maker"}, "old_gpu"),
        ({"device_name": "Tesla V100", "compute_capability": (7, 0)}, ""),
        ({"device_name": "A100", "compute_capability": (10, 0)}, ""),
    ],
)
def test_needs_a_gpu_with_compute_capability_7(gpu: dict[str, Any], reason: str, monkeypatch) -> None:
    monkeypatch.setattr(precision, "gpu_details", lambda: gpu)
    assert reason_against_mixed_precision() == reason


def test_features_of_each_precision_and_device_have_their_own_key(tmp_path, monkeypatch) -> None:
    engines = [engine_of(TINY, tmp_path, is_mixed=is_mixed) for is_mixed in (False, True)]
    monkeypatch.setattr(
        "transfer_core.training.features.frozen_network.gpu_details", lambda: {"device_name": "V100"}
    )
    engines += [engine_of(TINY, tmp_path, is_mixed=is_mixed) for is_mixed in (False, True)]
    assert len(set(engines)) == 4


def test_scaling_of_pixels_and_the_shared_network_remain_float32(keras_module) -> None:
    body = TINY.build()
    use_mixed_precision(body)
    policies = {layer.name: layer.dtype_policy.name for layer in body.layers}
    assert policies.pop("pixels") == policies.pop("stem_rescaling") == "float32"
    assert set(policies.values()) == {MIXED_PRECISION}
    assert {layer.dtype_policy.name for layer in frozen_body(TINY).layers} == {"float32"}
    use_float32(body)
    assert {layer.dtype_policy.name for layer in body.layers} == {"float32"}


def test_features_of_pretrained_layers_are_close_to_float32(sample_picture: bytes, tmp_path) -> None:
    backbone = get_backbone("efficientnet_lite0")
    pixels = to_pixels(decode_image(sample_picture), backbone.image_size)
    plain, mixed = (
        frozen_graph(backbone, [POOLING_LAYER], tmp_path, engine).outputs(pixels)[0]
        for engine in ("", MIXED_PRECISION)
    )
    difference = np.linalg.norm(mixed - plain) / np.linalg.norm(plain)
    assert 0 < difference < 0.02


class TestLossScale:
    """Steps whose gradients are too large for float16."""

    @pytest.fixture
    def tail(self, keras_module, config: TrainingConfig) -> CompiledTail:
        inputs = keras_module.Input((4,))
        hidden = keras_module.layers.Dense(
            8, kernel_initializer=keras_module.initializers.HeNormal(seed=1), dtype=MIXED_PRECISION
        )(inputs)
        outputs = keras_module.layers.Dense(
            3, activation="softmax", kernel_initializer=keras_module.initializers.HeNormal(seed=2)
        )(hidden)
        model = keras_module.Model(inputs, outputs)
        phase = PlannedPhase("fine_tune", FreezePlan(TINY, 1), 2, 0.1)
        return CompiledTail(phase, model, config, model, None, 3)

    @pytest.fixture
    def batch(self) -> tuple[np.ndarray, np.ndarray]:
        draws = np.random.default_rng(0)
        return draws.normal(size=(8, 4)).astype(np.float32), draws.integers(3, size=8)

    def test_are_skipped(self, tail, batch) -> None:
        before = tail.model.get_weights()
        scale = tail.model.optimizer.dynamic_scale
        scale.assign(1e30)
        tail.train_on_batch(*batch)
        for ours, theirs in zip(tail.model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert float(scale.numpy()) == pytest.approx(5e29)
        scale.assign(8.0)
        tail.train_on_batch(*batch)
        assert np.any(tail.model.get_weights()[0] != before[0])

    def test_of_a_tail_that_restarts_is_the_first_again(self, tail, batch) -> None:
        start = tail.model.get_weights()
        tail.model.optimizer.dynamic_scale.assign(1e30)
        tail.train_on_batch(*batch)
        tail.restart(None, 3)
        tail.model.set_weights(start)
        tail.train_on_batch(*batch)
        assert float(tail.model.optimizer.dynamic_scale.numpy()) == 2.0**15
        assert np.any(tail.model.get_weights()[0] != start[0])

    def test_is_in_checkpoints(self, tail, batch, tmp_path) -> None:
        scale, step = tail.model.optimizer.dynamic_scale, tail.model.optimizer.step_counter
        scale.assign(64.0)
        tail.train_on_batch(*batch)
        save_checkpoint(tmp_path, "key", tail.checkpoint(Progress(), []))
        scale.assign(1.0)
        step.assign(0)
        checkpoint = load_checkpoint(tmp_path, "key")
        assert checkpoint is not None
        tail.restore(checkpoint)
        assert (float(scale.numpy()), int(step.numpy())) == (64.0, 1)

    def test_a_loss_that_is_no_number_changes_nothing(self, tail, batch) -> None:
        features, labels = batch
        before = tail.model.get_weights()
        with pytest.raises(Float16OverflowError):
            tail.train_on_batch(features * 1e6, labels)
        for ours, theirs in zip(tail.model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@dataclass(frozen=True)
class LargeWeights:
    """Random weights whose last feature map is too large for float16."""

    factor: float
    checksum: str = "large"
    are_available: bool = True

    def load(self, model: Any) -> None:
        TINY.weights.load(model)
        kernel = model.get_layer("block2_conv").kernel
        kernel.assign(kernel * self.factor)


def build_unclipped() -> Any:
    model = build_tiny(name="tiny_random", image_size=TINY.image_size)
    for block in ("stem", "block1", "block2"):
        model.get_layer(f"{block}_relu").max_value = None
    return model


@pytest.mark.parametrize("num_unfrozen_blocks", [0, 1], ids=["features", "fine-tuning"])
@pytest.mark.usefixtures("with_gpu")
def test_a_backbone_that_overflows_is_trained_in_float32(num_unfrozen_blocks: int, learn) -> None:
    backbone = replace(TINY, weights=LargeWeights(1e6), architecture=build_unclipped)
    choices = {
        "num_unfrozen_blocks": num_unfrozen_blocks,
        "epochs": 1,
        "learning_rate": 1e-6,
        "fine_tune_learning_rate": 1e-9,
        "cache_dtype": "float32",
    }
    fallen_back = learn("mixed", backbone, **choices)
    plain = learn("plain", backbone, mixed_precision=False, **choices)
    assert fallen_back.precisions == [("mixed_float16", ""), ("float32", "overflow")]
    assert fallen_back.result.outcome == "finished"
    assert snapshot_of(fallen_back.events).precision.reason == "overflow"
    assert_same_bits(fallen_back, plain)
