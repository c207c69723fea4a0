"""A finished run that scores new images."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer_core.backbones.runtime import load_keras
from transfer_core.data.images import decode_image, to_pixels
from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.files import read_json
from transfer_core.language import _
from transfer_core.training.train import MODEL_FILE, SIGNATURE_FILE

if TYPE_CHECKING:
    import keras

_BATCH_SIZE = 32


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one image.

    Args:
        class_names: In the order of the network's outputs.
        scores: A probability for each class, 0-1, summing to 1.
        seconds: From the bytes of the file to the probabilities.
    """

    class_names: tuple[str, ...]
    scores: tuple[float, ...]
    seconds: float

    @property
    def class_name(self) -> str:
        """The most probable class."""
        return self.class_names[int(np.argmax(self.scores))]

    @property
    def probability(self) -> float:
        """How probable it is, 0-1."""
        return max(self.scores)

    @property
    def probabilities(self) -> dict[str, float]:
        """Every class with its probability, the most probable first."""
        ranked = sorted(zip(self.class_names, self.scores, strict=True), key=lambda pair: -pair[1])
        return dict(ranked)


class Predictor:
    """Scores images with a saved model, by the very image path that training used.

    Args:
        model: From raw pixels to probabilities.
        class_names: In the order of the outputs.
        image_size: Side of the input, in pixels.

    Attributes:
        model: As given; what explains it looks inside.
    """

    def __init__(self, model: keras.Model, class_names: Sequence[str], image_size: int) -> None:
        self.class_names = tuple(class_names)
        self.image_size = image_size
        self.model = model

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Load what `train` saved in a folder.

        Raises:
            NotFoundError: If there is no model in it.
            WorkspaceError: If the model is damaged.
        """
        if not (folder / MODEL_FILE).is_file():
            raise NotFoundError(
                _("This run has no model: it was stopped or failed before it had learned anything.")
            )
        signature = read_json(folder / SIGNATURE_FILE)
        load_keras()
        import keras

        try:
            model = keras.saving.load_model(folder / MODEL_FILE, compile=False)
            predictor = cls(model, signature["class_names"], signature["image_size"])
            # The first picture makes TensorFlow lay out its graph; a person should not wait for that.
            predictor.score(np.zeros((1, predictor.image_size, predictor.image_size, 3), np.uint8))
            return predictor
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise WorkspaceError(
                _("The saved model is damaged ({reason}). Train it again.").format(reason=error)
            ) from error

    def predict(self, content: bytes) -> Prediction:
        """Score one picture.

        Args:
            content: The bytes of the file.

        Raises:
            UnreadableImageError: If it is no whole picture.
        """
        started_at = time.perf_counter()
        scores = self.score(to_pixels(decode_image(content), self.image_size)[np.newaxis])[0]
        return Prediction(self.class_names, tuple(map(float, scores)), time.perf_counter() - started_at)

    def score(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Score pictures that have been decoded and resized.

        Args:
            pixels: Raw pixels in 0-255, `[num_images, image_size, image_size, 3]`.

        Returns:
            Probabilities, `[num_images, num_classes]`.
        """
        starts = range(0, len(pixels), _BATCH_SIZE)
        batches = [self.model.predict_on_batch(pixels[start : start + _BATCH_SIZE]) for start in starts]
        return np.concatenate(batches)
