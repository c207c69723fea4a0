"""What was different about runs."""

from __future__ import annotations

from pathlib import Path

from transfer_core.config import TrainingConfig
from transfer_core.runs.differences import _titles as titles
from transfer_core.runs.differences import difference_sentence, differences
from transfer_core.runs.training_run import TrainingRun


def run(version: int = 1, **choices: object) -> TrainingRun:
    config = TrainingConfig(**choices)
    return TrainingRun(
        "20261122-140512-0123456789abcdef", Path("run"), config, "d", version, "Colours", ("a", "b")
    )


def said(*runs: TrainingRun) -> str:
    return difference_sentence(differences(runs))


def test_the_sentence_names_all_that_differs_and_nothing_else() -> None:
    assert said(run(), run()) == "Nothing differs: the same choices on the same photos."
    assert said(run(), run(learning_rate=0.1)) == "The only difference is the learning rate."
    both = said(run(), run(num_unfrozen_blocks=2, learning_rate=0.1, seed=4))
    assert both == "Only the depth of fine-tuning, the learning rate and the seed differ."
    assert said(run(1), run(2)) == "The only difference is the photos."


def test_what_changed_nothing_is_left_out() -> None:
    assert differences([run(), run(fine_tune_learning_rate=0.01, hidden_units=9, momentum=0.1)]) == []
    assert differences([run(), run(num_views=9, weight_decay=0.3)]) == []
    deep = [run(num_unfrozen_blocks=1), run(num_unfrozen_blocks=1, fine_tune_learning_rate=0.01)]
    assert [found.choice for found in differences(deep)] == ["fine_tune_learning_rate"]


def test_values_are_in_the_order_of_the_runs() -> None:
    (found,) = differences([run(epochs=3), run(epochs=5), run(epochs=3)])
    assert found.values == (3, 5, 3)


def test_every_choice_has_a_title() -> None:
    assert titles().keys() == set(TrainingConfig.__struct_fields__)
