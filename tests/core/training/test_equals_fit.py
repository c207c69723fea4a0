"""Training on cached features is the same mathematics as a plain `fit` through the whole network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.pixels import pixel_batches
from transfer_core.training import train as train_module
from transfer_core.training.batches import epoch_order
from transfer_core.training.classifier import build_classifier
from transfer_core.training.compiled_tail import set_random_states
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.optimizers import build_optimizer
from transfer_core.training.phase_trainer import PhaseTrainer, Scores
from transfer_core.training.schedule import planned_phases

NUM_EPOCHS = 2


@pytest.fixture(scope="module")
def few_images(color_dataset: ImageDataset) -> ImageDataset:
    """Every other photo for training, and one of each class for validation."""
    checked = {image.class_name: image for image in color_dataset.images_in("validation")}
    images = (*color_dataset.images_in("train")[::2], *checked.values())
    return replace(color_dataset, images=images)


def weights_by_plain_fit(dataset: ImageDataset, config: TrainingConfig) -> list[np.ndarray]:
    """Train as any Keras script does: pixels through the whole network, in every epoch."""
    import keras

    (phase,) = planned_phases(config)
    images = dataset.images_in("train")
    paths = [dataset.image_path(image) for image in images]
    pixels = np.concatenate(list(pixel_batches(paths, phase.plan.backbone.image_size))).astype(np.float32)
    labels = np.array([dataset.class_index(image) for image in images])

    def batches() -> Iterator[Any]:
        for epoch in range(1, NUM_EPOCHS + 1):
            order = epoch_order(labels, False, config.seed, epoch)
            for start in range(0, len(order), config.batch_size):
                chosen = order[start : start + config.batch_size]
                yield pixels[chosen], labels[chosen]

    model = build_classifier(phase.plan, len(dataset.class_names), config)
    phase.plan.apply(model)
    num_steps = -(-len(labels) // config.batch_size)
    model.compile(
        build_optimizer(phase, config, model, num_steps * NUM_EPOCHS), "sparse_categorical_crossentropy"
    )
    generator = model.get_layer("dropout").seed_generator
    model.fit(
        batches(),
        steps_per_epoch=num_steps,
        epochs=NUM_EPOCHS,
        verbose=0,
        shuffle=False,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: set_random_states([generator], config.seed, epoch + 1)
            )
        ],
    )
    return model.get_weights()


@pytest.mark.parametrize(
    ("backbone", "num_unfrozen_blocks"),
    [("tiny_random", 0), ("tiny_random", 1), ("tiny_random", 3), ("efficientnet_lite0", 2)],
)
def test_weights_are_those_of_a_plain_fit(
    backbone: str, num_unfrozen_blocks: int, few_images: ImageDataset, tmp_path: Path, monkeypatch
) -> None:
    config = TrainingConfig(
        backbone=backbone,
        num_unfrozen_blocks=num_unfrozen_blocks,
        schedule="one_phase",
        cache_dtype="float32",
        epochs=NUM_EPOCHS,
        batch_size=5,
        learning_rate=0.01,
        fine_tune_learning_rate=0.01,
        optimizer="sgd",
        class_weights="off",
    )
    trained: list[np.ndarray] = []

    def keep_last_weights(model: Any, *_others: Any) -> None:
        trained.extend(model.get_weights())

    # The last weights are compared, so every epoch is to be better than the one before.
    losses = itertools.count(10.0, -1.0)
    monkeypatch.setattr(PhaseTrainer, "_validate", lambda self: Scores(next(losses), 1.0))
    monkeypatch.setattr(train_module, "_save", keep_last_weights)
    train_module.train(few_images, config, tmp_path, tmp_path)
    plain = weights_by_plain_fit(few_images, config)
    start = build_classifier(FreezePlan.of(config), len(few_images.class_names), config).get_weights()
    num_changed = 0
    for ours, theirs, before in zip(trained, plain, start, strict=True):
        assert np.linalg.norm(ours - theirs) <= 1e-4 * np.linalg.norm(theirs)
        num_changed += not np.array_equal(ours, before)
    assert num_changed == 2 + sum(weights_that_learn(config))


def weights_that_learn(config: TrainingConfig) -> list[int]:
    from transfer_core.training.layer_facts import layer_facts

    plan = FreezePlan.of(config)
    names = {block.name for block in plan.unfrozen_blocks}
    return [1 for layer in layer_facts(plan.backbone) if layer.can_learn and layer.block_name in names]
