"""The samples hold what their descriptions claim, and no picture for testing is among those for learning."""

import hashlib
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT
from transfer_core.data import samples
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.samples import Sample, get_sample, list_samples
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import NotFoundError
from transfer_core.language import speaking
from transfer_core.recipes import LOCALE_VARIABLE

PICTURES_DIR = Path(samples.__file__).parent / "sample_pictures"


def counts(files: list[ImportedFile]) -> Counter[str | None]:
    return Counter(file.class_name for file in files)


def pixel_hashes(files: list[ImportedFile]) -> set[str]:
    return {hashlib.sha256(decode_image(file.read()).tobytes()).hexdigest() for file in files}


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A language that knows some of the classes."""
    catalogue = (
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\nmsgid "food"\nmsgstr "Essen"\n'
    )
    (tmp_path / "de.po").write_text(catalogue, "utf-8")
    monkeypatch.setenv(LOCALE_VARIABLE, str(tmp_path))
    return "de"


def test_classes_are_named_in_the_language_of_the_person(german: str) -> None:
    with speaking(german):
        files = get_sample("pictures").files()
    assert set(counts(files)) == {"animals", "clothing", "Essen", "vehicles"}
    # They are written to files as they are.
    assert {type(file.parts[0]) for file in files} == {str}


def test_real_photos_come_first() -> None:
    assert [sample.name for sample in list_samples()] == ["clothes", "pictures", "digits"]


@pytest.mark.parametrize("sample", list_samples(), ids=lambda sample: sample.name)
class TestEachSample:
    def test_it_is_found_by_name(self, sample: Sample) -> None:
        assert get_sample(sample.name).title == sample.title

    def test_the_description_counts_right(self, sample: Sample) -> None:
        total, each = (int(number) for number in re.findall(r"\b(\d{2,})\b", sample.description))
        by_class = counts(sample.files())
        assert by_class.total() == total
        assert set(by_class.values()) == {each}

    def test_the_new_files_are_of_the_same_classes(self, sample: Sample) -> None:
        by_class = counts(sample.new_files())
        assert set(by_class) == set(counts(sample.files()))
        assert min(by_class.values()) >= 2

    def test_the_preview_shows_one_of_its_files_for_each_class(self, sample: Sample) -> None:
        preview = sample.preview()
        assert counts(preview) == dict.fromkeys(counts(sample.files()), 1)
        assert pixel_hashes(preview) <= pixel_hashes(sample.files())

    def test_no_picture_is_there_twice(self, sample: Sample) -> None:
        learned, new = pixel_hashes(sample.files()), pixel_hashes(sample.new_files())
        assert len(learned) == len(sample.files())
        assert len(new) == len(sample.new_files())
        assert not learned & new


@pytest.mark.parametrize("name", ["clothes", "pictures"])
def test_the_description_names_the_classes(name: str) -> None:
    sample = get_sample(name)
    assert all(str(name) in sample.description for name in counts(sample.files()))


def test_the_digits_are_called_by_their_name() -> None:
    assert set(counts(get_sample("digits").files())) == set("0123456789")


def test_a_preview_needs_no_scikit_learn() -> None:
    code = (
        "import sys; from transfer_core.data.samples import list_samples; "
        "[file.read() for sample in list_samples() for file in sample.preview()]; assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_sample_that_does_not_exist() -> None:
    with pytest.raises(NotFoundError) as caught:
        get_sample("unicorns")
    assert str(caught.value) == "There is no sample called unicorns. There are: clothes, pictures, digits."


def test_the_pictures_are_small_and_their_licence_is_with_them() -> None:
    files = [path for path in PICTURES_DIR.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    photos = [*(PICTURES_DIR / "clothes").rglob("*.jpg"), *(PICTURES_DIR / "new_clothes").rglob("*.jpg")]
    assert all(max(decode_image(path.read_bytes()).size) <= 320 for path in photos)
    assert "CC0-1.0" in (PICTURES_DIR / "LICENSE.txt").read_text("utf-8")
    assert len((PICTURES_DIR / "LICENSE.txt").read_text("utf-8").split()) > 50
    assert {path.suffix for path in files} <= {".png", ".jpg", ".txt"}


def test_digits_are_the_same_each_time_they_are_drawn() -> None:
    first = {file.path: file.read() for file in get_sample("digits").new_files()}
    samples._digits.cache_clear()
    assert {file.path: file.read() for file in get_sample("digits").new_files()} == first


def test_each_digit_has_a_name_and_bytes_of_its_own() -> None:
    files = get_sample("digits").files()
    assert len({file.path for file in files}) == len({file.read() for file in files}) == len(files)


def test_a_digit_is_dark_on_white() -> None:
    image = decode_image(get_sample("digits").files()[0].read())
    assert image.size == (96, 96)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert min(image.convert("L").tobytes()) < 60


def test_no_sample_or_lesson_is_about_faces_or_feelings() -> None:
    """In the EU, recognising emotions in schools is forbidden."""
    words = re.compile(r"\b(faces?|smileys?|feelings?|emotions?|moods?|happy|sad|angry)\b", re.IGNORECASE)
    for sample in list_samples():
        classes = [str(file.class_name) for file in sample.preview()]
        assert not words.search(" ".join([sample.title, sample.description, *classes]))
    for path in (ROOT / "pages" / "ui" / "learn").glob("*.py"):
        assert not words.search(path.read_text("utf-8")), path.name
