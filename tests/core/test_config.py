"""The choices of a run: types and ranges, messages, and the round trip through JSON."""

import json
import math
from typing import Any

import pytest

from transfer_core.config import TrainingConfig, bounds_of
from transfer_core.errors import InvalidConfigError

COUNTS = {
    "epochs": (1, 1000),
    "fine_tune_epochs": (1, 1000),
    "batch_size": (1, 1024),
    "num_unfrozen_blocks": (0, 1000),
    "seed": (0, 2**31 - 1),
    "hidden_units": (1, 4096),
    "early_stopping_patience": (0, 1000),
    "num_views": (1, 16),
}
NUMBERS = {
    "learning_rate": (1e-9, 1.0),
    "fine_tune_learning_rate": (1e-9, 1.0),
    "dropout": (0.0, 0.95),
    "momentum": (0.0, 0.999),
    "weight_decay": (0.0, 1.0),
    "label_smoothing": (0.0, 0.5),
    "layer_decay": (0.01, 1.0),
    "teacher_share": (0.0, 1.0),
    "teacher_temperature": (1.0, 20.0),
}
BOUNDS = COUNTS | NUMBERS
CHOICES = {
    "schedule": ("head_then_fine_tune", "head_only", "one_phase", "gradual"),
    "weights": ("imagenet", "random"),
    "optimizer": ("adam", "adamw", "sgd"),
    "class_weights": ("auto", "on", "off"),
    "oversampling": (True, False),
    "head": ("auto", "linear", "hidden", "flattened_map"),
    "augmentation": ("off", "light", "medium", "strong"),
    "live_augmentation": (True, False),
    "train_on_all": (True, False),
    "mixed_precision": (True, False),
    "cache_dtype": ("float16", "float32"),
    "augmentation_kinds": ((), ("flip",), ("rotation", "zoom", "color")),
    "unfrozen_layers": ((), ("block7a_project_conv", "top_conv")),
}


def test_every_choice_has_its_range_here() -> None:
    names = set(TrainingConfig.__struct_fields__) - {"backbone", "teacher"}
    assert names == set(BOUNDS) | set(CHOICES)


@pytest.mark.parametrize(("name", "value"), [(name, v) for name, values in CHOICES.items() for v in values])
def test_every_choice_is_allowed_and_survives_the_way_to_disk(name: str, value: Any) -> None:
    config = TrainingConfig(**{name: value})
    assert getattr(config, name) == value
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["no such thing", "", 1, None, ["no", 1], (1,)])
def test_other_choices_are_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidConfigError):
        TrainingConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "title"), [("teacher", "The teacher"), ("backbone", "The pretrained model")]
)
@pytest.mark.parametrize("value", [3, None, ["a"], "a" * 100_001])
def test_teacher_and_backbone_are_names(name: str, title: str, value: Any) -> None:
    assert getattr(TrainingConfig(**{name: "20260101-000000-0123456789abcdef"}), name)
    with pytest.raises(InvalidConfigError, match=rf"{title}: .* is not a list of names\."):
        TrainingConfig(**{name: value})


def test_a_list_of_names_holds_names_of_choices() -> None:
    with pytest.raises(InvalidConfigError, match=r"The unfrozen layers: .* is not a list of names"):
        TrainingConfig(unfrozen_layers=("conv", 1))  # type: ignore[arg-type]
    with pytest.raises(
        InvalidConfigError, match=r"A kind of augmentation: spin is not known. Choose one of: flip,"
    ):
        TrainingConfig(augmentation_kinds=("flip", "spin"))  # type: ignore[arg-type]


def test_values_have_their_declared_types_whatever_json_gave() -> None:
    config = TrainingConfig.from_dict({"layer_decay": 1, "unfrozen_layers": ["conv"]})
    assert config.unfrozen_layers == ("conv",)
    assert isinstance(config.layer_decay, float)


@pytest.mark.parametrize("name", BOUNDS)
def test_forms_take_their_bounds_from_the_declaration(name: str) -> None:
    assert bounds_of(name) == BOUNDS[name]


def test_the_message_of_a_choice_names_what_there_is() -> None:
    with pytest.raises(InvalidConfigError) as caught:
        TrainingConfig(schedule="never")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "The schedule: never is not known. Choose one of: head_then_fine_tune, head_only, one_phase, gradual."
    )


@pytest.mark.parametrize("name", BOUNDS)
def test_both_bounds_are_allowed_and_nothing_beyond(name: str) -> None:
    lowest, highest = BOUNDS[name]
    step = 1 if name in COUNTS else 1e-3
    for value in (lowest, highest):
        assert getattr(TrainingConfig(**{name: value}), name) == value
    for value in (lowest - step, highest + step, -math.inf, math.inf, math.nan):
        with pytest.raises(InvalidConfigError):
            TrainingConfig(**{name: value})


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", ["1", None, True, [1]])
def test_other_kinds_are_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidConfigError):
        TrainingConfig(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_is_a_whole_number(name: str) -> None:
    with pytest.raises(InvalidConfigError):
        TrainingConfig(**{name: 2.5})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "The number of epochs is 0. Choose a number from 1 to 1000."),
        (
            {"fine_tune_epochs": 1001},
            "The number of fine-tuning epochs is 1001. Choose a number from 1 to 1000.",
        ),
        ({"batch_size": 2000}, "The batch size is 2000. Choose a number from 1 to 1024."),
        (
            {"num_unfrozen_blocks": -1},
            "The number of unfrozen blocks is -1. Choose a number from 0 to 1000.",
        ),
        ({"learning_rate": 0}, "The learning rate is 0. Choose a number from 1e-09 to 1.0."),
        (
            {"fine_tune_learning_rate": 2.0},
            "The fine-tuning learning rate is 2.0. Choose a number from 1e-09 to 1.0.",
        ),
        ({"dropout": 1.0}, "Dropout is 1.0. Choose a number from 0.0 to 0.95."),
        ({"seed": -1}, "The seed is -1. Choose a number from 0 to 2147483647."),
    ],
)
def test_the_message_names_the_choice_the_value_and_the_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        TrainingConfig(**changes)
    assert str(caught.value) == message


def test_it_cannot_be_changed_but_copied_with_changes() -> None:
    config = TrainingConfig()
    with pytest.raises(AttributeError):
        config.epochs = 3  # type: ignore[misc]
    changed = config.with_changes(epochs=3)
    assert (config.epochs, changed.epochs) == (50, 3)
    assert changed.with_changes(epochs=50) == config


def test_changes_are_checked_as_well() -> None:
    with pytest.raises(InvalidConfigError):
        TrainingConfig().with_changes(batch_size=0)


def test_round_trip_through_json() -> None:
    config = TrainingConfig("tiny", 3, 7, 5, 0.02, 2e-5, 16, 0.1, 99)
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_names_are_passed_over_and_missing_ones_take_their_default() -> None:
    assert TrainingConfig.from_dict({"epochs": 9, "of_a_later_version": 1}) == TrainingConfig(epochs=9)


def test_values_from_disk_are_checked() -> None:
    with pytest.raises(InvalidConfigError):
        TrainingConfig.from_dict({"epochs": "many"})


@pytest.mark.parametrize(
    ("changes", "num_epochs"),
    [
        ({}, 7),
        ({"num_unfrozen_blocks": 1}, 12),
        ({"unfrozen_layers": ("top_conv",)}, 12),
        ({"num_unfrozen_blocks": 1, "schedule": "head_only"}, 7),
        ({"num_unfrozen_blocks": 1, "schedule": "one_phase"}, 7),
        ({"num_unfrozen_blocks": 1, "schedule": "gradual"}, 12),
        ({"num_unfrozen_blocks": 9, "schedule": "gradual"}, 16),
        ({"weights": "random"}, 7),
    ],
)
def test_epochs_of_all_phases(changes: dict[str, Any], num_epochs: int) -> None:
    config = TrainingConfig(epochs=7, fine_tune_epochs=5, **changes)
    assert config.num_epochs_in_all == num_epochs


def test_augmentation_needs_a_strength_and_a_kind() -> None:
    assert TrainingConfig(augmentation="light").has_augmentation
    assert not TrainingConfig(augmentation="off").has_augmentation
    assert not TrainingConfig(augmentation="light", augmentation_kinds=()).has_augmentation
