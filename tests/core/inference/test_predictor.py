"""Predictions do not depend on batching or EXIF rotation, and damaged models and signatures are rejected."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from PIL import Image

from transfer_core.cli.output import prediction_facts
from transfer_core.data.images.decoding import decode_image, image_id
from transfer_core.data.images.image_path import GreyRanges
from transfer_core.data.pixels import pixel_batches
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import NotFoundError, UnreadableImageError, WorkspaceError
from transfer_core.evaluation.evaluation import evaluate
from transfer_core.evaluation.labelled_folder import labelled_folder
from transfer_core.inference.answers import answer_files
from transfer_core.inference.predictor import Prediction, Predictor, load_model
from transfer_core.training.signature import ModelSignature

EXIF_ORIENTATION = 0x0112
SIX_MEANS_ROTATED = 6


@pytest.fixture
def copy_of_run(finished_run, tmp_path: Path) -> Path:
    """Copy of a run folder, to be damaged."""
    return Path(shutil.copytree(finished_run.folder, tmp_path / "run"))


def png(image: Image.Image, orientation: int | None = None) -> bytes:
    buffer = io.BytesIO()
    exif = Image.Exif()
    if orientation:
        exif[EXIF_ORIENTATION] = orientation
    image.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


@pytest.fixture
def upright(make_image) -> Image.Image:
    """An image without rotational symmetry: blue with a red corner."""
    image = Image.new("RGB", (60, 40), (20, 40, 220))
    image.paste((230, 30, 30), (0, 0, 35, 12))
    return image


def test_single_and_batch_scores_are_equal(finished_run, predictor: Predictor) -> None:
    dataset = finished_run.dataset
    paths = [dataset.image_path(image) for image in dataset.images]
    (pixels,) = pixel_batches(paths, predictor.image_size)
    together = predictor.score(pixels)
    alone = [predictor.predict(path.read_bytes()).scores for path in paths]
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_images_of_several_batches_keep_their_order(predictor: Predictor, noise_pixels) -> None:
    many = np.concatenate([noise_pixels + 10 * number for number in range(9)])
    scores = predictor.score(many)
    assert scores.shape == (72, 3)
    np.testing.assert_allclose(scores[64:], predictor.score(many[64:]), atol=1e-5)


def test_exif_orientation_is_applied(predictor: Predictor, upright: Image.Image) -> None:
    expected = predictor.predict(png(upright))
    sideways = upright.transpose(Image.Transpose.ROTATE_90)
    turned = predictor.predict(png(sideways, SIX_MEANS_ROTATED))
    assert turned.best_guess == expected.best_guess
    assert turned.scores == pytest.approx(expected.scores, abs=1e-5)
    not_turned = predictor.predict(png(sideways))
    assert not_turned.scores != pytest.approx(expected.scores, abs=1e-3)


def test_copies_rotated_by_exif_keep_their_class(finished_run, predictor: Predictor) -> None:
    for record in finished_run.dataset.images[::5]:
        path = finished_run.dataset.image_path(record)
        with Image.open(path) as image:
            sideways = image.transpose(Image.Transpose.ROTATE_90)
        prediction = predictor.predict(png(sideways, SIX_MEANS_ROTATED))
        assert prediction.best_guess == predictor.predict(path.read_bytes()).best_guess


def test_scores_sum_to_one_over_all_classes(predictor: Predictor, make_image) -> None:
    prediction = predictor.predict(make_image("red"))
    assert prediction.class_names == ("blue", "green", "red")
    assert sum(prediction.scores) == pytest.approx(1, abs=1e-5)
    assert prediction.seconds > 0


def test_a_rejected_prediction_has_a_best_guess_but_no_class() -> None:
    prediction = Prediction(("ant", "bee"), (0.6, 0.4), 0.01, is_known=False)
    assert (prediction.class_name, prediction.best_guess, prediction.probability) == (None, "ant", 0.6)
    facts = prediction_facts(prediction)
    assert (facts["class_name"], facts["best_guess"], facts["is_known"]) == (None, "ant", False)


def test_prediction_ranks_the_classes() -> None:
    prediction = Prediction(("ant", "bee", "cat"), (0.2, 0.5, 0.3), 0.01)
    assert (prediction.class_name, prediction.best_guess, prediction.probability) == ("bee", "bee", 0.5)
    assert list(prediction.probabilities.items()) == [("bee", 0.5), ("cat", 0.3), ("ant", 0.2)]


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8\xff\xe0 cut off"])
def test_content_that_is_no_image_raises(content: bytes, predictor: Predictor) -> None:
    with pytest.raises(UnreadableImageError):
        predictor.predict(content)


def test_truncated_image_raises(predictor: Predictor, make_image) -> None:
    with pytest.raises(UnreadableImageError, match="cut off or damaged"):
        predictor.predict(make_image("red", image_format="JPEG")[:-200])


def test_run_without_a_model(copy_of_run: Path) -> None:
    (copy_of_run / "model.keras").unlink()
    with pytest.raises(NotFoundError, match="There is no model"):
        Predictor.load(copy_of_run)


def test_model_without_its_signature(copy_of_run: Path) -> None:
    (copy_of_run / "signature.json").unlink()
    with pytest.raises(WorkspaceError, match=r"signature\.json of .* is missing\. The model cannot answer"):
        Predictor.load(copy_of_run)


def test_signature_without_fields(copy_of_run: Path) -> None:
    (copy_of_run / "signature.json").write_text("{}")
    with pytest.raises(WorkspaceError, match="damaged"):
        Predictor.load(copy_of_run)


@pytest.mark.parametrize("damage", ["empty", "truncated", "changed inside", "no archive"])
def test_damaged_model(damage: str, copy_of_run: Path) -> None:
    path = copy_of_run / "model.keras"
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "empty": b"",
            "truncated": content[:middle],
            "changed inside": content[:middle] + b"\xff" * 64 + content[middle + 64 :],
            "no archive": b"this is no model",
        }[damage]
    )
    with pytest.raises(
        WorkspaceError, match=r"model\.keras of .* is damaged: it is not a complete model\. .* Train again"
    ):
        Predictor.load(copy_of_run)


class TestDeepPhotos:
    RANGES = GreyRanges(integers=(0, 4095))

    @pytest.fixture
    def folder(self, copy_of_run: Path) -> Path:
        """The run, as if its training photos had had 12 bits."""
        replace(ModelSignature.load(copy_of_run), grey_ranges=self.RANGES).save(copy_of_run)
        return copy_of_run

    @pytest.fixture
    def dark(self) -> bytes:
        """A 12-bit photo of which 255 is the brightest value."""
        values = np.tile(np.arange(256, dtype=np.uint16), (64, 1))
        return png(Image.fromarray(values))

    def test_the_signature_has_the_ranges_of_the_dataset(self, finished_run) -> None:
        dataset = replace(finished_run.dataset, grey_ranges=self.RANGES)
        model = load_model(finished_run.folder)
        assert ModelSignature.of(model, dataset, finished_run.run.backbone).grey_ranges == self.RANGES

    def test_a_photo_is_as_bright_as_in_the_training(self, folder: Path, dark: bytes) -> None:
        predictor = Predictor.load(folder)
        assert predictor.grey_ranges == self.RANGES
        assert predictor.with_rejection(None).grey_ranges == self.RANGES
        assert predictor.decode(dark).getextrema() == ((0, 16),) * 3
        assert decode_image(dark).getextrema() == ((0, 255),) * 3
        file = ImportedFile(("dark.png",), lambda: dark)
        (answer,) = answer_files(predictor, [file])
        assert answer.prediction
        assert answer.image_id == image_id(predictor.decode(dark))
        assert answer.prediction.scores == pytest.approx(predictor.predict(dark).scores, abs=1e-5)

    def test_a_labelled_folder_is_as_bright_as_in_the_training(
        self, folder: Path, dark: bytes, tmp_path: Path
    ) -> None:
        predictor = Predictor.load(folder)
        (tmp_path / "photos" / "red").mkdir(parents=True)
        (tmp_path / "photos" / "red" / "dark.png").write_bytes(dark)
        images, _left_out = labelled_folder(
            tmp_path / "photos", predictor.class_names, ranges=predictor.grey_ranges
        )
        assert [image.image_id for image in images] == [image_id(predictor.decode(dark))]
        (outcome,) = evaluate(predictor, images).outcomes
        assert outcome.probability == pytest.approx(predictor.predict(dark).probability, abs=1e-5)
