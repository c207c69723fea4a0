"""A finished run that scores new images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer_core.backbones.runtime import load_keras
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.image_path import to_pixels
from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.files import check_shortage, damaged_file
from transfer_core.inference.calibration import UNCALIBRATED, Calibration
from transfer_core.inference.certainty import Certainty
from transfer_core.inference.rejection import Rejection
from transfer_core.language import _
from transfer_core.training.signature import ModelSignature, signature_damaged
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import Array

if TYPE_CHECKING:
    import keras

_BATCH_SIZE = 32


@dataclass(frozen=True)
class ModelOutputs:
    """What a model makes of images, as it comes out of the network.

    Args:
        features: What the last layer but those on top sees, pooled, `[num_images, num_features]`; None where it is
            not known.
        probabilities: Before any calibration, `[num_images, num_classes]`.
    """

    features: Array | None
    probabilities: Array

    @classmethod
    def joined(cls, parts: Sequence[ModelOutputs]) -> ModelOutputs:
        """Return the looks at several batches, one after another."""
        features = [part.features for part in parts if part.features is not None]
        return cls(
            np.concatenate(features) if features else None,
            np.concatenate([part.probabilities for part in parts]),
        )


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one image.

    Args:
        class_names: In the order of the network's outputs.
        scores: A probability for each class, 0-1, summing to 1; calibrated where the run has a temperature.
        seconds: From the bytes of the file to the probabilities.
        is_known: False when the picture is so unlike what was learned that the honest answer is "I don't know".
        familiarity: How much it is like what was learned; None where that is not known.
    """

    class_names: tuple[str, ...]
    scores: tuple[float, ...]
    seconds: float
    is_known: bool = True
    familiarity: float | None = None

    @property
    def class_name(self) -> str:
        """The most probable class, the best guess where the picture is not known."""
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
        model: From raw pixels to probabilities, or to pooled features and probabilities.
        class_names: In the order of the outputs.
        image_size: Side of the input, in pixels.
        calibration: Applied to the probabilities.
        rejection: Says which pictures are unlike what was learned; without it none are.
        notices: Files beside the model that are damaged, and what that costs, in sentences for a person.

    Attributes:
        model: As given; what explains it looks inside.
    """

    def __init__(
        self,
        model: keras.Model,
        class_names: Sequence[str],
        image_size: int,
        calibration: Calibration | None = None,
        rejection: Rejection | None = None,
        notices: tuple[str, ...] = (),
    ) -> None:
        self.class_names = tuple(class_names)
        self.image_size = image_size
        self.calibration = calibration or UNCALIBRATED
        self.rejection = rejection
        self.notices = notices
        self.model = model

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Load what `train` saved in a folder.

        Damage in what lies beside the model is in `notices`: it costs no answers.

        Raises:
            NotFoundError: If there is no model in it.
            WorkspaceError: If the model or its signature is damaged.
        """
        model = load_model(folder)
        signature = ModelSignature.load(folder)
        class_names, image_size = signature.class_names, signature.image_size
        if model.input_shape[1:] != (image_size, image_size, 3) or model.output_shape != (
            None,
            len(class_names),
        ):
            raise signature_damaged(folder, _("it is of another model"))
        try:
            both = with_features(model)
            found = Certainty.load(folder, both.outputs[0].shape[-1])
            predictor = cls(both, class_names, image_size, found.calibration, found.rejection, found.notices)
            # The first picture makes TensorFlow lay out its graph; a person should not wait for that.
            scores = predictor.score(np.zeros((1, image_size, image_size, 3), np.uint8))
        except ValueError as error:
            raise _damaged_model(folder) from error
        if not np.isfinite(scores).all():
            raise damaged_file(folder / MODEL_FILE, _("its answers are no numbers"), _cost_of_model())
        return predictor

    def predict(self, content: bytes) -> Prediction:
        """Score one picture.

        Args:
            content: The bytes of the file.

        Raises:
            UnreadableImageError: If it is no whole picture.
        """
        started_at = time.perf_counter()
        (prediction,) = self.predict_pixels(to_pixels(decode_image(content), self.image_size)[np.newaxis])
        return replace(prediction, seconds=time.perf_counter() - started_at)

    def predict_pixels(self, pixels: Array) -> list[Prediction]:
        """Score several pictures at once, which takes less time than one after another.

        Args:
            pixels: Raw pixels in 0-255, `[num_images, image_size, image_size, 3]`; at least one image.

        Returns:
            A prediction for each, in their order; the seconds are each one's share, without decoding.
        """
        started_at = time.perf_counter()
        outputs = self.outputs(pixels)
        scores = self.calibration.apply(outputs.probabilities)
        familiarities: list[float | None] = [None] * len(pixels)
        if self.rejection and outputs.features is not None:
            familiarities = [float(value) for value in self.rejection.familiarity(outputs.features)]
        seconds = (time.perf_counter() - started_at) / len(pixels)
        return [
            Prediction(
                self.class_names,
                tuple(map(float, row)),
                seconds,
                not self.rejection or self.rejection.is_known(float(row.max()), familiarity),
                familiarity,
            )
            for row, familiarity in zip(scores, familiarities, strict=True)
        ]

    def with_rejection(self, rejection: Rejection | None) -> Predictor:
        """Return the same model with other thresholds."""
        return Predictor(
            self.model, self.class_names, self.image_size, self.calibration, rejection, self.notices
        )

    def score(self, pixels: Array) -> Array:
        """Score pictures that have been decoded and resized.

        Args:
            pixels: Raw pixels in 0-255, `[num_images, image_size, image_size, 3]`.

        Returns:
            Probabilities, calibrated where the run has a temperature, `[num_images, num_classes]`.
        """
        return self.calibration.apply(self.outputs(pixels).probabilities)

    def outputs(self, pixels: Array) -> ModelOutputs:
        """Return what the network makes of pictures, before any calibration.

        Args:
            pixels: Raw pixels in 0-255, `[num_images, image_size, image_size, 3]`.
        """
        starts = range(0, len(pixels), _BATCH_SIZE)
        return ModelOutputs.joined(
            [
                _model_outputs(self.model.predict_on_batch(pixels[start : start + _BATCH_SIZE]))
                for start in starts
            ]
        )


def load_model(folder: Path) -> keras.Model:
    """Load the Keras model that `train` saved in a folder: from raw pixels to probabilities.

    Raises:
        NotFoundError: If there is no model in it.
        WorkspaceError: If the model is damaged.
    """
    if not (folder / MODEL_FILE).is_file():
        raise NotFoundError(
            _("This run has no model: it was stopped or failed before it had learned anything.")
        )
    load_keras()
    import keras

    try:
        return keras.saving.load_model(folder / MODEL_FILE, compile=False)
    except MemoryError as error:
        raise WorkspaceError(
            _("There is too little free memory to load the model of {folder}. Close other programs.").format(
                folder=folder.name
            )
        ) from error
    # Keras, h5py and zipfile raise a dozen kinds of errors on a file that was cut off or changed.
    except Exception as error:
        check_shortage(error)
        raise _damaged_model(folder) from error


def with_features(model: keras.Model) -> keras.Model:
    """Return a classifier that also tells the pooled features which its new layers weigh.

    Args:
        model: A whole classifier that ends in the layers of `build_classifier`.

    Returns:
        The same layers with two outputs: features `[batch, num_features]` and probabilities.
    """
    import keras

    names = {layer.name for layer in model.layers}
    if "flatten" in names:
        features = keras.layers.GlobalAveragePooling2D()(model.get_layer("flatten").input)
    else:
        # A layer of its own, so that the features may also be the input of a tail.
        features = keras.layers.Identity()(model.get_layer("dropout").input)
    return keras.Model(model.input, [features, model.output])


def _damaged_model(folder: Path) -> WorkspaceError:
    return damaged_file(folder / MODEL_FILE, _("it is no whole model"), _cost_of_model())


def _cost_of_model() -> str:
    return _("The run keeps its results, but it cannot answer. Train again to have a model.")


def _model_outputs(outputs: Any) -> ModelOutputs:
    features, probabilities = outputs if isinstance(outputs, list | tuple) else (None, outputs)
    return ModelOutputs(features, probabilities)
