"""The head is chosen by cross-validation on the training images."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.events import HeadChosen
from transfer_core.training.head_choice import best_head, compare_heads, comparison_images, with_head
from transfer_core.training.train import train

DRAWS = np.random.default_rng(0)
LABELS = np.repeat([0, 1], 30)


def maps_told_apart_by(place: bool, content: bool) -> np.ndarray:
    """Noise of 2 × 2 places with 8 channels, in which a class has a mark of its own kind or in its own place."""
    maps = DRAWS.normal(0, 0.3, (60, 2, 2, 8)).astype(np.float32)
    for row, label in zip(maps, LABELS, strict=True):
        row[0, label if place else 0, label if content else 0] += 3
    return maps


def compared(maps: np.ndarray) -> dict[str, float]:
    accuracies = compare_heads(maps.mean(axis=(1, 2)), maps, LABELS, seed=1)
    assert accuracies is not None
    return accuracies


def test_flattened_map_is_chosen_if_the_position_matters() -> None:
    accuracies = compared(maps_told_apart_by(place=True, content=False))
    assert accuracies["linear"] < 0.7
    assert best_head(accuracies) == "flattened_map"


def test_where_the_content_decides_pooling_is_kept() -> None:
    accuracies = compared(maps_told_apart_by(place=False, content=True))
    assert accuracies["linear"] > 0.9
    assert best_head(accuracies) in ("linear", "hidden")


def test_same_seed_gives_the_same_accuracies() -> None:
    maps = maps_told_apart_by(place=False, content=True)
    assert compared(maps) == compared(maps)


@pytest.mark.parametrize(
    ("accuracies", "head"),
    [
        (None, "hidden"),
        ({"linear": 0.8, "hidden": 0.8, "flattened_map": 0.8}, "hidden"),
        ({"linear": 0.81, "hidden": 0.8, "flattened_map": 0.8}, "hidden"),
        ({"linear": 0.85, "hidden": 0.8, "flattened_map": 0.86}, "linear"),
        ({"linear": 0.8, "hidden": 0.82, "flattened_map": 0.9}, "flattened_map"),
    ],
)
def test_differences_within_chance_do_not_decide(accuracies, head: str) -> None:
    assert best_head(accuracies) == head


def test_classes_of_one_image_cannot_be_compared() -> None:
    labels = np.array([0, 0, 1])
    assert compare_heads(np.ones((3, 4)), np.ones((3, 2, 2, 4)), labels, seed=1) is None


def test_only_training_images_are_compared_and_not_too_many(color_dataset, monkeypatch) -> None:
    images = comparison_images(color_dataset, seed=1)
    assert images == color_dataset.images_in("train")
    monkeypatch.setattr("transfer_core.training.head_choice.MOST_IMAGES", 5)
    few = comparison_images(color_dataset, seed=1)
    assert len(few) == 5
    assert few == comparison_images(color_dataset, seed=1) != comparison_images(color_dataset, seed=2)


def test_head_on_the_map_gets_a_lower_learning_rate(tiny_config) -> None:
    assert with_head(tiny_config, "hidden").learning_rate == tiny_config.learning_rate
    assert with_head(tiny_config, "flattened_map").learning_rate < tiny_config.learning_rate


@pytest.mark.parametrize(
    ("best", "layer"), [("linear", None), ("hidden", "hidden_layer"), ("flattened_map", "flatten")]
)
def test_training_uses_the_best_head(
    best: str, layer: str | None, color_dataset, tiny_config, tmp_path, keras_module, monkeypatch
) -> None:
    shapes = []

    def compare(pooled, maps, labels, seed):
        shapes.append((pooled.shape, maps.shape, labels.shape))
        return {head: float(head == best) for head in ("linear", "hidden", "flattened_map")}

    monkeypatch.setattr("transfer_core.training.trainer.compare_heads", compare)
    events = []
    config = tiny_config.with_changes(head="auto", epochs=1, hidden_units=8)
    result = train(color_dataset, config, tmp_path, tmp_path, emit=events.append)
    assert shapes == [((18, 32), (18, 4, 4, 32), (18,))]
    (chosen,) = (event for event in events if isinstance(event, HeadChosen))
    assert (chosen.head, chosen.accuracies[best]) == (best, 1.0)
    assert result.head == chosen
    names = {each.name for each in keras_module.saving.load_model(tmp_path / "model.keras").layers}
    assert names & {"hidden_layer", "flatten"} == ({layer} if layer else set())


def test_images_choose_the_head(color_dataset, tiny_config, tmp_path) -> None:
    events = []
    train(
        color_dataset, tiny_config.with_changes(head="auto", epochs=1), tmp_path, tmp_path, emit=events.append
    )
    (chosen,) = (event for event in events if isinstance(event, HeadChosen))
    assert set(chosen.accuracies) == {"linear", "hidden", "flattened_map"}
    assert chosen.head == best_head(chosen.accuracies)
