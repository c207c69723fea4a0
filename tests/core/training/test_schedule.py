"""The phases of a training: trainable layers, epochs and learning rates."""

from __future__ import annotations

import gc
from itertools import count, pairwise
from typing import Any

import numpy as np
import pytest

from transfer_core.config import TrainingConfig
from transfer_core.events import BatchEnded, EpochEnded, PhaseStarted, TrainingEvent
from transfer_core.inference.predictor import load_model
from transfer_core.training.classifier import OUTPUT_LAYER, build_classifier
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.layer_facts import layers_by_block
from transfer_core.training.layer_rates import with_rate_shares
from transfer_core.training.optimizers import build_optimizer, learning_rate_schedule, make_optimizer
from transfer_core.training.schedule import planned_phases
from transfer_core.training.train import train

RATES = {"learning_rate": 0.01, "fine_tune_learning_rate": 0.001}


def phases_of(**choices: Any) -> list[tuple[str, int, int, float]]:
    config = TrainingConfig(backbone="tiny_random", epochs=7, fine_tune_epochs=5, **RATES, **choices)
    phases = planned_phases(config)
    assert sum(phase.num_epochs for phase in phases) == config.num_epochs_in_all
    return [
        (phase.name, phase.plan.num_unfrozen_blocks, phase.num_epochs, phase.learning_rate)
        for phase in phases
    ]


@pytest.mark.parametrize(
    ("choices", "phases"),
    [
        ({}, [("head", 0, 7, 0.01)]),
        ({"num_unfrozen_blocks": 2}, [("head", 0, 7, 0.01), ("fine_tune", 2, 5, 0.001)]),
        ({"num_unfrozen_blocks": 2, "schedule": "head_only"}, [("head", 0, 7, 0.01)]),
        ({"num_unfrozen_blocks": 2, "schedule": "one_phase"}, [("fine_tune", 2, 7, 0.001)]),
        ({"schedule": "one_phase"}, [("head", 0, 7, 0.01)]),
        (
            {"num_unfrozen_blocks": 3, "schedule": "gradual"},
            [
                ("head", 0, 7, 0.01),
                ("fine_tune", 1, 1, 0.001),
                ("fine_tune", 2, 2, 0.001),
                ("fine_tune", 3, 2, 0.001),
            ],
        ),
        ({"unfrozen_layers": ("block2_conv",)}, [("head", 0, 7, 0.01), ("fine_tune", 0, 5, 0.001)]),
        ({"weights": "random"}, [("fine_tune", 3, 7, 0.01)]),
        ({"weights": "random", "schedule": "gradual"}, [("fine_tune", 3, 7, 0.01)]),
    ],
)
def test_phases(choices: dict[str, Any], phases: list[tuple[str, int, int, float]], keras_module) -> None:
    assert phases_of(**choices) == phases


@pytest.mark.parametrize(
    ("choices", "names"),
    [
        ({"schedule": "head_only"}, ["head"]),
        ({"schedule": "one_phase"}, ["fine_tune"]),
        ({"schedule": "gradual"}, ["head", "fine_tune", "fine_tune"]),
        ({"weights": "random", "optimizer": "sgd"}, ["fine_tune"]),
        ({"head": "flattened_map", "optimizer": "adamw", "weight_decay": 0.1}, ["head", "fine_tune"]),
        ({"augmentation": "light", "live_augmentation": True, "layer_decay": 0.5}, ["head", "fine_tune"]),
    ],
)
def test_every_choice_trains_to_its_end(
    choices: dict[str, Any], names: list[str], color_dataset, even_config, tmp_path
) -> None:
    events = []
    config = even_config.with_changes(num_unfrozen_blocks=2, epochs=2, **choices)
    result = train(color_dataset, config, tmp_path, tmp_path, emit=events.append)
    started = [event.phase for event in events if isinstance(event, PhaseStarted)]
    assert [name for name in started if name not in ("features", "saving")] == names
    assert len(result.epochs) == config.num_epochs_in_all
    assert result.model_path.is_file()
    assert all(np.isfinite(result.history["val_loss"]))


def rates_used(gradient_descent: Any, num_steps: int) -> list[float]:
    """Return how far an SGD without momentum moves a number in each step, which is the rate of the step."""
    import keras

    number = keras.Variable(0.0)
    places = [0.0]
    for _step in range(num_steps):
        gradient_descent.apply([keras.ops.ones(())], [number])
        places.append(float(number))
    return [earlier - later for earlier, later in pairwise(places)]


def kept_after_decay(optimizer: Any, model: Any) -> dict[str, float]:
    """Return which share of its kernel each layer keeps in a step whose gradients are all 0."""
    import keras

    kernels = {weight.path: weight.numpy() for weight in model.trainable_variables}
    optimizer.apply(
        [keras.ops.zeros(weight.shape) for weight in model.trainable_variables], model.trainable_variables
    )
    return {
        weight.path.split("/")[0]: float(weight.numpy().sum() / kernels[weight.path].sum())
        for weight in model.trainable_variables
        if weight.name == "kernel"
    }


def num_training_graphs() -> int:
    gc.collect()
    kept = [found for found in gc.get_objects() if type(found).__name__ == "FuncGraph"]
    return sum("one_step_on_data" in graph.name for graph in kept)


class TestOptimizers:
    @pytest.fixture
    def parts(self, keras_module, even_config):
        def make(**choices: Any) -> Any:
            config = even_config.with_changes(num_unfrozen_blocks=3, schedule="one_phase", **choices)
            (phase,) = planned_phases(config)
            model = build_classifier(phase.plan, 3, config)
            phase.plan.apply(model)
            return phase, config, model

        return make

    @pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
    def test_kind_and_numbers_are_the_chosen_ones(self, name: str, parts) -> None:
        phase, config, model = parts(optimizer=name, weight_decay=0.3, momentum=0.8)
        optimizer = build_optimizer(phase, config, model, 100)
        assert type(optimizer).__name__.lower() == name
        assert optimizer.weight_decay == (None if name == "adam" else 0.3)
        assert name != "sgd" or optimizer.momentum == 0.8

    def test_rate_rises_for_a_tenth_and_fades(self, parts) -> None:
        phase, config, model = parts(optimizer="sgd", momentum=0.0)
        rates = rates_used(build_optimizer(phase, config, model, 100), 100)
        np.testing.assert_allclose(rates[:10], phase.learning_rate * np.arange(1, 11) / 10, rtol=1e-5)
        assert all(earlier > later for earlier, later in pairwise(rates[9:]))
        assert 0 < rates[-1] < phase.learning_rate / 1000

    @pytest.mark.parametrize("num_steps", [1, 2, 3, 4, 9, 10, 15, 24, 25, 100])
    def test_every_step_has_a_rate_and_a_single_one_the_full_rate(self, num_steps: int, keras_module) -> None:
        schedule = learning_rate_schedule(0.01, num_steps)
        restored = keras_module.optimizers.schedules.deserialize(
            keras_module.optimizers.schedules.serialize(schedule)
        )
        rates = [float(restored(step)) for step in range(num_steps)]
        assert min(rates) > 0
        assert max(rates) == pytest.approx(0.01)
        assert rates[0] >= 0.01 / max(round(num_steps / 10), 1) - 1e-9

    @pytest.mark.parametrize(
        ("num_steps", "shares"), [(1, [1]), (2, [1, 0.5]), (3, [1, 0.75, 0.25])], ids=["1", "2", "3"]
    )
    def test_a_few_steps_begin_at_the_whole_rate(self, num_steps: int, shares: list[float], parts) -> None:
        phase, config, model = parts(optimizer="sgd", momentum=0.0)
        rates = rates_used(build_optimizer(phase, config, model, num_steps), num_steps)
        assert rates == pytest.approx([phase.learning_rate * share for share in shares], rel=1e-5)

    @pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
    def test_blocks_near_the_input_have_lower_rates(self, name: str, parts, keras_module) -> None:
        phase, config, model = parts(layer_decay=0.5, optimizer=name, momentum=0.0)
        optimizer = make_optimizer(0.1, phase, config, model)
        before = [weight.numpy() for weight in model.trainable_variables]
        gradients = [keras_module.ops.ones(weight.shape) for weight in model.trainable_variables]
        optimizer.apply(gradients, model.trainable_variables)
        moved = {
            weight.path.split("/")[0]: float(np.abs(weight.numpy() - old).mean())
            for weight, old in zip(model.trainable_variables, before, strict=True)
        }
        by_block = layers_by_block(model, phase.plan.backbone)
        learned = [next(moved[n] for n in names if n in moved) for names in by_block.values()]
        shares = [moved["new_layer"] / share for share in (8, 4, 2)]
        np.testing.assert_allclose(learned, shares, rtol=0.02)

    @pytest.mark.parametrize("name", ["adamw", "sgd"])
    def test_blocks_near_the_input_decay_more_slowly(self, name: str, parts) -> None:
        """Keras decays in a private method: this fails when that method is no longer the one called."""
        phase, config, model = parts(layer_decay=0.1, optimizer=name, weight_decay=0.5)
        kept = kept_after_decay(make_optimizer(0.1, phase, config, model), model)
        by_block = layers_by_block(model, phase.plan.backbone)
        shares = [next(kept[n] for n in names if n in kept) for names in by_block.values()]
        assert shares == pytest.approx([1 - 0.05 * 0.1**distance for distance in (3, 2, 1)], abs=1e-6)
        assert kept["new_layer"] == pytest.approx(0.95, abs=1e-6)

    def test_a_training_leaves_no_graph_behind(self, parts) -> None:
        """TensorFlow keeps graphs in which gradients are summed over replicas: fails when Keras sums elsewhere."""

        def train_a_batch() -> None:
            phase, config, model = parts()
            model.compile(build_optimizer(phase, config, model, 1), "sparse_categorical_crossentropy")
            model.train_on_batch(np.zeros((2, 32, 32, 3), np.float32), np.array([0, 1]))

        train_a_batch()
        before = num_training_graphs()
        train_a_batch()
        assert num_training_graphs() == before

    @pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
    def test_with_equal_shares_it_is_the_optimizer_of_keras(self, name: str, parts, keras_module) -> None:
        kinds = {
            "adam": lambda kind: kind(0.1),
            "adamw": lambda kind: kind(0.1, weight_decay=0.5),
            "sgd": lambda kind: kind(0.1, momentum=0.9, weight_decay=0.5),
        }
        classes = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
        kind = getattr(keras_module.optimizers, classes[name])
        ends = []
        for optimizer in (kinds[name](kind), kinds[name](with_rate_shares(kind, {}))):
            variable = keras_module.Variable([1.0, -2.0])
            for gradient in ([0.3, 0.1], [-0.2, 0.4]):
                optimizer.apply([keras_module.ops.convert_to_tensor(gradient)], [variable])
            ends.append(variable.numpy())
        np.testing.assert_allclose(*ends, rtol=1e-6)

    @pytest.mark.parametrize("layer_decay", [1.0, 0.1])
    @pytest.mark.parametrize("name", ["adamw", "sgd"])
    def test_biases_are_not_decayed(self, name: str, layer_decay: float, parts, keras_module) -> None:
        phase, config, model = parts(optimizer=name, weight_decay=0.5, layer_decay=layer_decay)
        new_layer = model.get_layer("new_layer")
        new_layer.bias.assign([1.0, 1.0, 1.0])
        kernel = new_layer.kernel.numpy()
        optimizer = make_optimizer(0.1, phase, config, model)
        optimizer.apply(
            [keras_module.ops.zeros(weight.shape) for weight in model.trainable_variables],
            model.trainable_variables,
        )
        assert new_layer.bias.numpy().tolist() == [1.0, 1.0, 1.0]
        np.testing.assert_allclose(new_layer.kernel.numpy(), kernel * 0.95, rtol=1e-5)


class TestLearningChoices:
    @pytest.fixture
    def losses(self, color_dataset, even_config, tmp_path):
        def run(**choices: Any) -> list[EpochEnded]:
            config = even_config.with_changes(**choices)
            return list(train(color_dataset, config, tmp_path / "out", tmp_path).epochs)

        return run

    def test_early_stopping_ends_a_phase_that_gets_no_better(self, losses, tmp_path) -> None:
        epochs = losses(epochs=200, learning_rate=0.3, early_stopping_patience=4)
        assert len(epochs) < 200
        best = min(range(len(epochs)), key=lambda place: epochs[place].val_loss)
        assert len(epochs) - 1 - best == 4

    def test_label_smoothing_raises_training_loss_only(self, losses) -> None:
        plain = losses(epochs=30, dropout=0.0, learning_rate=0.05)
        smooth = losses(epochs=30, dropout=0.0, learning_rate=0.05, label_smoothing=0.2)
        assert smooth[-1].loss > 0.4 > plain[-1].loss
        assert smooth[-1].val_accuracy == plain[-1].val_accuracy == 1.0
        assert smooth[-1].val_loss < smooth[-1].loss

    def test_class_weights_change_what_is_learned(self, losses, monkeypatch) -> None:
        even = losses(epochs=2, class_weights="off")
        monkeypatch.setattr(
            "transfer_core.training.trainer.class_weights",
            lambda dataset, config: {"blue": 5.0, "green": 1.0, "red": 1.0},
        )
        assert losses(epochs=2)[0].loss > even[0].loss

    def test_live_views_are_new_in_each_epoch(self, losses) -> None:
        live = {"augmentation": "strong", "live_augmentation": True, "dropout": 0.0, "learning_rate": 1e-9}
        losses_by_epoch = [epoch.loss for epoch in losses(epochs=3, **live)]
        assert len(set(losses_by_epoch)) == 3
        assert [epoch.loss for epoch in losses(epochs=3, **live)] == losses_by_epoch
        same = [epoch.loss for epoch in losses(epochs=3, dropout=0.0, learning_rate=1e-9)]
        assert max(same) - min(same) < 1e-4 < max(losses_by_epoch) - min(losses_by_epoch)

    def test_memory_and_the_rate_of_the_step_just_taken_are_reported(
        self, color_dataset, even_config, tmp_path, keras_module
    ) -> None:
        config = even_config.with_changes(num_unfrozen_blocks=1, optimizer="sgd", momentum=0.0)
        events: list[TrainingEvent] = []
        seconds = count(1000.0)
        train(color_dataset, config, tmp_path, tmp_path, emit=events.append, clock=lambda: next(seconds))
        model = build_classifier(FreezePlan.of(config), 3, config)
        used = []
        for phase in planned_phases(config):
            num_steps = 3 * phase.num_epochs
            used += rates_used(build_optimizer(phase, config, model, num_steps), num_steps)
        reported = [event.learning_rate for event in events if isinstance(event, BatchEnded)]
        assert reported == pytest.approx(used, rel=1e-4)
        assert 0 < min(reported) < max(reported) <= config.learning_rate
        ended = [event for event in events if isinstance(event, EpochEnded)]
        assert [event.learning_rate for event in ended] == reported[2::3]
        assert all(event.memory_bytes > 10**8 for event in ended)

    def test_one_epoch_of_one_batch_trains_the_head(self, color_dataset, even_config, tmp_path) -> None:
        config = even_config.with_changes(epochs=1, batch_size=100)
        result = train(color_dataset, config, tmp_path, tmp_path)
        (epoch,) = result.epochs
        assert epoch.learning_rate == pytest.approx(config.learning_rate)
        trained = load_model(tmp_path).get_layer(OUTPUT_LAYER).kernel.numpy()
        start = build_classifier(FreezePlan.of(config), 3, config).get_layer(OUTPUT_LAYER).kernel.numpy()
        # Adam moves each weight by about the rate in its first step.
        assert np.median(np.abs(trained - start)) == pytest.approx(config.learning_rate, rel=0.1)
