"""The guessing game: people sort a few photos into classes, then meet what the model says about the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.unseen_photos import image_file, in_turn, unseen_photos

NUM_PHOTOS = 10


@dataclass(frozen=True)
class QuizPhoto:
    """A photo of the game.

    Args:
        file: The photo with its true class.
        said: What the model says; empty while that is not known.
    """

    file: ImportedFile
    said: str = ""

    @property
    def class_name(self) -> str:
        """Its true class."""
        return self.file.class_name or ""


@dataclass(frozen=True)
class Quiz:
    """The photos of one round.

    Args:
        photos: In the order of the game.
        is_validation: Whether they are validation photos. The model then has its answers from the evaluation, where
            each photo was scored by a model that was not trained on it.
    """

    photos: tuple[QuizPhoto, ...]
    is_validation: bool = False

    def answered(self, said: Sequence[str]) -> Quiz:
        """Return a copy with what the model says about each photo."""
        photos = zip(self.photos, said, strict=True)
        return replace(self, photos=tuple(replace(photo, said=name) for photo, name in photos))

    def num_right(self, answers: Sequence[str]) -> int:
        """Return how many answers, one for each photo, are the true class."""
        return sum(photo.class_name == answer for photo, answer in zip(self.photos, answers, strict=True))


def draw_quiz(
    run: TrainingRun, dataset: ImageDataset | None, evaluation: Evaluation | None, round_number: int
) -> Quiz:
    """Draw the photos of a round, spread over the classes; the same ones for the same round.

    Photos that the model has never met come first; where there are fewer than 10, validation photos are used.

    Args:
        run: A run with a model.
        dataset: Its images, where they still exist.
        evaluation: Its stored evaluation.
        round_number: Another round has other photos, as far as there are more.
    """
    unseen = [QuizPhoto(photo) for photo in unseen_photos(run, dataset)]
    if len(unseen) >= NUM_PHOTOS:
        return Quiz(_drawn(unseen, round_number))
    validated = _validated(dataset, evaluation)
    if len(validated) > len(unseen):
        return Quiz(_drawn(validated, round_number), is_validation=True)
    return Quiz(_drawn(unseen, round_number))


def _validated(dataset: ImageDataset | None, evaluation: Evaluation | None) -> list[QuizPhoto]:
    if dataset is None or evaluation is None:
        return []
    pairs = [(dataset.by_id.get(outcome.image_id), outcome) for outcome in evaluation.outcomes]
    return [
        QuizPhoto(image_file(dataset, image), outcome.predicted_class_name)
        for image, outcome in pairs
        if image and image.class_name in evaluation.class_names
    ]


def _drawn(photos: list[QuizPhoto], round_number: int) -> tuple[QuizPhoto, ...]:
    generator = np.random.default_rng(round_number)
    shuffled = [photos[place] for place in generator.permutation(len(photos))]
    spread = in_turn(shuffled)[:NUM_PHOTOS]
    return tuple(spread[place] for place in generator.permutation(len(spread)))
