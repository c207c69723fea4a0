"""Cross-validation chooses the head, and the training uses it."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.config import TrainingConfig
from transfer_core.errors import InvalidConfigError
from transfer_core.events import EpochEnded, HeadChosen, PhaseStarted, StepsDone
from transfer_core.inference.predictor import with_features
from transfer_core.training.head_choice import (
    HeadChoice,
    chosen_event,
    reason_against_head,
    recipe_of,
    with_head,
)
from transfer_core.training.heads import LINEAR_HEADS, HeadRecipe
from transfer_core.training.signature import head_of
from transfer_core.training.train import train


def test_learning_rate_fits_the_head(even_config) -> None:
    assert with_head(even_config, "hidden").learning_rate == even_config.learning_rate
    assert with_head(even_config, "flattened_map").learning_rate < even_config.learning_rate
    assert with_head(even_config, "lda").learning_rate > even_config.learning_rate
    assert with_head(TrainingConfig(learning_rate=1.0), "lda").learning_rate == 1.0


def test_event_keeps_the_recipe() -> None:
    recipe = HeadRecipe("lda", 30.0, 0.02)
    assert recipe_of(chosen_event(1.0, HeadChoice(recipe, {"lda": 0.5}, {}, None, None))) == recipe
    assert recipe_of(HeadChosen(1.0, "hidden", {})) is None


def trained(dataset, config, folder):
    events = []
    result = train(dataset, config, folder, folder, emit=events.append)
    return result, events


@pytest.mark.parametrize("train_on_all", [False, True])
def test_auto_compares_the_heads_and_takes_the_average_on_ties(
    train_on_all: bool, color_dataset, even_config, tmp_path
) -> None:
    config = even_config.with_changes(head="auto", train_on_all=train_on_all)
    result, events = trained(color_dataset, config, tmp_path)
    (chosen,) = (event for event in events if isinstance(event, HeadChosen))
    assert result.head == chosen
    assert set(chosen.accuracies) == set(LINEAR_HEADS)
    assert chosen.head == "average"
    assert "head_choice" in [event.phase for event in events if isinstance(event, PhaseStarted)]
    assert sum(isinstance(event, EpochEnded) for event in events) == config.epochs


@pytest.mark.parametrize("kind", LINEAR_HEADS)
def test_model_of_all_photos_is_the_closed_form(
    kind: str, color_dataset, even_config, tmp_path, keras_module, noise_pixels
) -> None:
    config = even_config.with_changes(head=kind, train_on_all=True)
    result, _events = trained(color_dataset, config, tmp_path)
    assert result.out_of_fold is not None and result.head is not None
    assert len(result.out_of_fold.labels) == len(color_dataset.images)
    assert result.out_of_fold.accuracy == pytest.approx(result.head.accuracies[kind])
    model = with_features(keras_module.saving.load_model(tmp_path / "model.keras"))
    learned = result.out_of_fold.features
    head = recipe_of(result.head).fit(learned, result.out_of_fold.labels)
    features, probabilities = model.predict_on_batch(noise_pixels)
    np.testing.assert_allclose(probabilities, head.probabilities(features), atol=1e-4)


def test_last_epoch_of_the_live_training_is_the_closed_form(
    color_dataset, even_config, tmp_path, keras_module, monkeypatch
) -> None:
    goals = []
    fit = HeadRecipe.fit
    monkeypatch.setattr(HeadRecipe, "fit", lambda *args: goals.append(fit(*args)) or goals[-1])
    config = even_config.with_changes(head="average", epochs=1)
    trained(color_dataset, config, tmp_path)
    model = keras_module.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(model.get_layer("new_layer").kernel, goals[-1].kernel, rtol=1e-6)
    np.testing.assert_allclose(model.get_layer("centre").moving_mean, goals[-1].mean, rtol=1e-6)


def test_head_is_fitted_before_blocks_are_fine_tuned(color_dataset, even_config, tmp_path) -> None:
    config = even_config.with_changes(head="average", num_unfrozen_blocks=1, train_on_all=True)
    result, _events = trained(color_dataset, config, tmp_path)
    assert result.outcome == "finished"
    assert len(result.epochs) == config.epochs + config.fine_tune_epochs


def test_a_stop_ends_the_comparison_after_a_fold(color_dataset, even_config, tmp_path) -> None:
    events = []
    train(
        color_dataset,
        even_config.with_changes(head="auto"),
        tmp_path,
        tmp_path,
        emit=events.append,
        should_stop=lambda: any(isinstance(event, StepsDone) for event in events),
    )
    assert sum(isinstance(event, StepsDone) for event in events) == 1


def test_head_that_is_trained_at_once_with_the_blocks_is_linear(
    color_dataset, even_config, tmp_path, keras_module
) -> None:
    config = even_config.with_changes(head="auto", num_unfrozen_blocks=1, schedule="one_phase")
    result, _events = trained(color_dataset, config, tmp_path)
    assert result.head is None
    assert head_of(keras_module.saving.load_model(tmp_path / "model.keras")) == "linear"


FREE_CHOICES = [
    {"augmentation": "light", "num_views": 2},
    {"oversampling": True},
    {"label_smoothing": 0.1},
    {"teacher": "20250101-000000-abcd"},
]


@pytest.mark.parametrize("choices", FREE_CHOICES[:3], ids=str)
def test_auto_is_linear_with_choices_that_a_closed_form_cannot_use(
    choices: dict, color_dataset, even_config, tmp_path, keras_module
) -> None:
    config = even_config.with_changes(head="auto", train_on_all=True, **choices)
    result, events = trained(color_dataset, config, tmp_path)
    assert result.head is None and result.is_trained_on_all
    assert not [event for event in events if isinstance(event, HeadChosen)]
    assert head_of(keras_module.saving.load_model(tmp_path / "model.keras")) == "linear"


@pytest.mark.parametrize("kind", LINEAR_HEADS)
@pytest.mark.parametrize("choices", FREE_CHOICES, ids=str)
def test_named_closed_form_refuses_choices_that_it_cannot_use(
    kind: str, choices: dict, color_dataset, even_config, tmp_path
) -> None:
    config = even_config.with_changes(head=kind, **choices)
    with pytest.raises(InvalidConfigError, match="choose the linear one"):
        trained(color_dataset, config, tmp_path)
    assert not reason_against_head(config.with_changes(head="linear"))
    assert not reason_against_head(config.with_changes(weights="random"))
    assert not reason_against_head(even_config.with_changes(head=kind))
