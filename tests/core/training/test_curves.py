"""Explanations of curves: each rule on an idealized curve."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from transfer_core.events import EpochEnded, Outcome, Phase, RunSnapshot
from transfer_core.training.curves import read_curves, smoothed


def snapshot(
    losses: Sequence[float],
    val_losses: Sequence[float],
    accuracies: Sequence[float] = (0.9,),
    val_accuracies: Sequence[float] = (0.85,),
    outcome: Outcome | None = "finished",
    phases: Sequence[Phase] = ("head",),
    num_validation_images: int = 100,
) -> RunSnapshot:
    """A run with these curves; a shorter list goes on with its last number."""

    def at(values: Sequence, place: int):
        return values[min(place, len(values) - 1)]

    epochs = tuple(
        EpochEnded(
            float(place),
            place + 1,
            at(phases, place),
            loss,
            at(accuracies, place),
            at(val_losses, place),
            at(val_accuracies, place),
        )
        for place, loss in enumerate(losses)
    )
    return RunSnapshot(
        epochs=epochs, outcome=outcome, num_epochs=len(epochs), num_validation_images=num_validation_images
    )


FALLING = [1.6, 1.2, 0.9, 0.7, 0.55, 0.45, 0.38, 0.32, 0.28, 0.25]


def read(*arguments: object, **options: object) -> list[str]:
    return read_curves(snapshot(*arguments, **options), num_classes=5)


def test_too_few_epochs_for_a_sentence() -> None:
    assert read_curves(RunSnapshot(), 5) == []
    assert read(FALLING[:3], FALLING[:3]) == []


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
@pytest.mark.parametrize("num_before", [0, 6])
def test_loss_of_nan(loss: float, num_before: int) -> None:
    (sentence,) = read([*FALLING[:num_before], loss], FALLING)
    assert "no longer a number" in sentence
    assert "a tenth of the learning rate" in sentence


def test_single_validation_loss_of_nan_is_ignored() -> None:
    val_losses = [*FALLING[:4], float("nan"), *FALLING[5:]]
    assert "no longer a number" not in " ".join(read(FALLING, val_losses))


@pytest.mark.parametrize("outcome", [None, "finished"])
def test_memorising(outcome: Outcome | None) -> None:
    sentence, *_others = read(FALLING, [1.5, 1.1, 0.9, 0.8, 0.75, 0.7, 0.75, 0.8, 0.85, 0.9], outcome=outcome)
    assert sentence.startswith("Validation loss has risen for 4 epochs while training loss falls")
    assert "More photos or stronger augmentation help" in sentence


@pytest.mark.parametrize(
    ("losses", "val_losses"),
    [
        (FALLING, [1.5, 1.1, 0.9, 0.8, 0.75, 0.7, 0.705, 0.71, 0.702, 0.715]),  # it wavers within 5 %
        (FALLING, [1.5, 1.1, 0.9, 0.8, 0.75, 0.7, 0.65, 0.60, 0.7, 0.75]),  # two epochs are no trend
        ([*FALLING[:6], 0.5, 0.52, 0.53, 0.54], [1.5, 1.1, 0.9, 0.8, 0.75, 0.7, 0.75, 0.8, 0.85, 0.9]),
    ],
)
def test_not_memorising(losses: list[float], val_losses: list[float]) -> None:
    assert "memorise" not in " ".join(read(losses, val_losses))


def test_still_improving() -> None:
    assert read(FALLING, FALLING, outcome=None) == [
        "Validation loss still falls: the model is getting better."
    ]
    assert read(FALLING, FALLING) == ["Validation loss was still falling at the end. More epochs may help."]


def test_no_advice_to_train_longer_when_more_epochs_cannot_help() -> None:
    assert "More epochs" not in " ".join(read(FALLING, FALLING, [1.0]))
    ended_early = replace(snapshot(FALLING, FALLING), num_epochs=50)
    assert read_curves(ended_early, 5) == []


def test_done_early() -> None:
    flat = [1.0, 0.5, 0.302, *[0.3] * 20]
    (sentence,) = read([1.0, 0.5, *[0.25] * 21], flat)
    assert sentence.startswith("No real improvement since epoch 3")
    assert "improvement" not in " ".join(read([1.0, 0.5, 0.25, 0.25, 0.25], flat[:5]))


def test_learning_rate_too_high() -> None:
    jumping = [1.6, 0.9, 1.4, 0.8, 1.3, 0.9, 1.5, 0.9]
    (sentence,) = read(jumping, jumping)
    assert "the steps are too big" in sentence
    rising = [1.0, 1.1, 1.2, 1.3, 1.4]
    assert "the steps are too big" in read(rising, rising)[0]
    wavering = [1.6, 1.2, 1.25, 1.0, 1.05, 0.9, 0.92, 0.8]
    assert "too big" not in " ".join(read(wavering, wavering))


def test_only_the_present_phase_stumbles() -> None:
    phases: list[Phase] = ["head"] * 6 + ["fine_tune"] * 5
    losses = [1.6, 0.9, 1.4, 0.8, 1.3, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert "too big" not in " ".join(read(losses, losses, phases=phases))
    assert "too big" in " ".join(read(losses[:6], losses[:6], phases=phases))


def test_no_better_than_guessing() -> None:
    (sentence,) = read([1.61] * 6, [1.61] * 6, [0.2], [0.22])
    assert sentence.startswith("After 6 epochs the model is no better than guessing.")
    assert "right classes" in sentence


def test_half_right_is_a_guess_between_two_classes_and_an_achievement_among_ten() -> None:
    curves = snapshot([0.69] * 6, [0.69] * 6, [0.5], [0.52])
    assert "guessing" in " ".join(read_curves(curves, 2))
    assert "guessing" not in " ".join(read_curves(curves, 10))


def test_underfitting() -> None:
    flat = [1.5, 1.1, 1.0, *[0.99] * 9]
    assert any("let more blocks learn" in found for found in read(flat, flat, [0.6], [0.58]))
    assert not any("let more blocks" in found for found in read(FALLING, FALLING, [0.6], [0.58]))


def test_gap_between_training_and_validation() -> None:
    flat = [1.5, 0.8, 0.5, *[0.45] * 9]
    assert any("close this gap" in found for found in read(flat, flat, [0.98], [0.8]))
    assert not any("close this gap" in found for found in read(flat, flat, [0.9], [0.85]))


def test_all_right_on_few_photos() -> None:
    perfect = snapshot(FALLING, FALLING, [1.0], [1.0], num_validation_images=12)
    (sentence,) = read_curves(perfect, 5)
    assert "All 12 validation photos are correct, but they are few" in sentence
    many = snapshot(FALLING, FALLING, [1.0], [1.0], num_validation_images=200)
    assert read_curves(many, 5) == []


def test_at_most_two_sentences() -> None:
    for course in (FALLING, [1.0, 0.5, *[0.3] * 20], [1.5, 1.1, 0.7, 0.75, 0.8, 0.85, 0.9]):
        for accuracy in (0.3, 0.6, 0.99, 1.0):
            assert len(read(course, course, [accuracy], [0.5 * accuracy], num_validation_images=20)) <= 2


def test_validation_loss_always_nan() -> None:
    assert read(FALLING, [float("nan")]) == []


def test_jumps_of_a_loss_near_zero_are_noise() -> None:
    tiny = [0.9, 0.2, 0.004, 0.001, 0.003, 0.0008, 0.002, 0.0009, 0.004, 0.001]
    assert "too big" not in " ".join(read(tiny, tiny))
    assert "memorise" not in " ".join(read(tiny, [*tiny[:4], 0.002, 0.004, 0.006, 0.01, 0.02, 0.03]))


def test_smoothed_losses_follow_without_jumping_or_lagging() -> None:
    assert smoothed([]) == []
    assert smoothed([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    noisy = [1.0 + 0.5 * (-1) ** place for place in range(200)]
    calm = smoothed(noisy)
    assert max(calm) - min(calm) < 0.35
    falling = [float(100 - place) for place in range(100)]
    assert smoothed(falling)[10:-10] == pytest.approx(falling[10:-10])
    assert smoothed([1.0, float("nan"), 1.0]) == pytest.approx([1.0, 1.0, 1.0])
