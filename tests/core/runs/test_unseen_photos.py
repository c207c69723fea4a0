"""Labelled photos that a run has never met, and the game that is played with them."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.conftest import write_catalogue
from tests.core.conftest import FinishedRun
from transfer_core.data.samples import get_sample
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import UnreadableImageError
from transfer_core.recipes import LOCALE_VARIABLE
from transfer_core.runs.guessing import NUM_PHOTOS, draw_quiz
from transfer_core.runs.new_photos import add_new_photos
from transfer_core.runs.unseen_photos import image_file, unseen_photos


def new_photos(make_image, num_of_each: int) -> list[ImportedFile]:
    return [
        ImportedFile((color, f"{color}-{number}.png"), partial(make_image, color, seed=7_000 + number), color)
        for color in ("red", "blue", "green")
        for number in range(num_of_each)
    ]


def test_photos_of_the_training_are_never_among_them(own: FinishedRun, make_image) -> None:
    assert unseen_photos(own.run, own.dataset) == []
    learned = own.dataset.images[0]
    known = ImportedFile(
        (learned.class_name, "known.jpg"), own.dataset.image_path(learned).read_bytes, learned.class_name
    )
    add_new_photos(own.run, [known, *new_photos(make_image, 2)], learned_from=own.dataset)
    found = unseen_photos(own.run, own.dataset)
    assert sorted(photo.name for photo in found) == sorted(
        f"{color}-{number}.png" for color in ("red", "blue", "green") for number in range(2)
    )
    # One of each class in turn.
    assert len({photo.class_name for photo in found[:3]}) == 3


def test_those_of_a_ready_made_set_have_classes_that_the_model_knows(own: FinishedRun) -> None:
    of_sample = replace(own.dataset, sample="pictures")
    assert unseen_photos(own.run, of_sample) == []
    knows_food = replace(own.run.signature, class_names=("animals", "food"))
    knows_food.save(own.run.folder)
    aside = [photo.class_name for photo in get_sample("pictures").new_files()]
    assert Counter(photo.class_name for photo in unseen_photos(own.run, of_sample)) == {
        name: aside.count(name) for name in ("animals", "food")
    }


def test_those_of_a_ready_made_set_are_known_in_the_language_it_was_taken_in(
    own: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_catalogue(tmp_path, "de", {"food": "Essen"})
    monkeypatch.setenv(LOCALE_VARIABLE, str(tmp_path))
    replace(own.run.signature, class_names=("Essen", "Tiere")).save(own.run.folder)
    found = unseen_photos(own.run, replace(own.dataset, sample="pictures"))
    assert found and {photo.class_name for photo in found} == {"Essen"}


def test_a_word_of_two_languages_does_not_decide_which_one_it_was(
    own: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_catalogue(tmp_path, "fr", {"t-shirt": "t-shirt", "hat": "chapeau"})
    monkeypatch.setenv(LOCALE_VARIABLE, str(tmp_path))
    replace(own.run.signature, class_names=("chapeau", "t-shirt")).save(own.run.folder)
    found = unseen_photos(own.run, replace(own.dataset, sample="clothes"))
    assert {photo.class_name for photo in found} == {"chapeau", "t-shirt"}


def test_a_photo_whose_file_is_missing_is_refused_in_words(own: FinishedRun, tmp_path: Path) -> None:
    elsewhere = replace(own.dataset, folder=tmp_path)
    with pytest.raises(UnreadableImageError, match="its file is missing"):
        image_file(elsewhere, elsewhere.images[0]).read()


def test_a_quiz_takes_new_photos_first_and_has_others_in_the_next_round(own: FinishedRun, make_image) -> None:
    evaluation = own.run.evaluation()
    add_new_photos(own.run, new_photos(make_image, 6), learned_from=own.dataset)
    quiz = draw_quiz(own.run, own.dataset, evaluation, round_number=0)
    assert not quiz.is_validation and len(quiz.photos) == NUM_PHOTOS
    assert min(Counter(photo.class_name for photo in quiz.photos).values()) == 3
    names = [photo.file.name for photo in quiz.photos]
    again, later = (draw_quiz(own.run, own.dataset, evaluation, number) for number in (0, 1))
    assert [photo.file.name for photo in again.photos] == names
    assert [photo.file.name for photo in later.photos] != names


def test_without_enough_of_them_validation_photos_bring_their_stored_answers(
    own: FinishedRun, make_image
) -> None:
    evaluation = own.run.evaluation()
    assert evaluation is not None
    add_new_photos(own.run, new_photos(make_image, 1), learned_from=own.dataset)
    quiz = draw_quiz(own.run, own.dataset, evaluation, round_number=0)
    assert quiz.is_validation
    said = {outcome.name: outcome.predicted_class_name for outcome in evaluation.outcomes}
    assert {photo.file.name: photo.said for photo in quiz.photos}.items() <= said.items()
    assert quiz.num_right([photo.class_name for photo in quiz.photos]) == len(quiz.photos)
    wrong = quiz.answered(["none of them"] * len(quiz.photos))
    assert wrong.num_right([photo.said for photo in wrong.photos]) == 0


def test_there_is_no_quiz_without_photos(own: FinishedRun) -> None:
    assert draw_quiz(own.run, None, own.run.evaluation(), 0).photos == ()
