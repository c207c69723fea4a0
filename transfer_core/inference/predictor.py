"""Inference with a finished run: load its model and predict classes for new images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from transfer_core.backbones.runtime import load_keras
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.image_path import UNKNOWN_RANGES, GreyRanges, to_pixels
from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.files import check_shortage, damaged_file, file_version
from transfer_core.inference.calibration import UNCALIBRATED, Calibration
from transfer_core.inference.certainty import Certainty
from transfer_core.inference.rejection import Rejection
from transfer_core.language import _
from transfer_core.training.classifier import CENTRE_LAYER
from transfer_core.training.signature import SIGNATURE_FILE, ModelSignature, signature_damaged
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import Array

if TYPE_CHECKING:
    import keras

_BATCH_SIZE = 32


@dataclass(frozen=True)
class ModelOutputs:
    """Raw model outputs for a batch, before calibration.

    Args:
        features: Pooled features that the head receives, `[num_images, num_features]`; None if the model has no
            such output.
        probabilities: Softmax outputs, `[num_images, num_classes]`.
    """

    features: Array | None
    probabilities: Array

    @classmethod
    def concatenate(cls, parts: Sequence[ModelOutputs]) -> ModelOutputs:
        """Return the outputs of several batches as one."""
        features = [part.features for part in parts if part.features is not None]
        return cls(
            np.concatenate(features) if features else None,
            np.concatenate([part.probabilities for part in parts]),
        )


@dataclass(frozen=True)
class Prediction:
    """Class probabilities of one image, and whether the prediction is rejected.

    Args:
        class_names: In the order of the model's outputs.
        scores: Calibrated probability of each class, 0-1, summing to 1.
        seconds: Time for decoding, resizing and the forward pass.
        is_known: False if the prediction is rejected ("I don't know").
        familiarity: Mean cosine similarity to the nearest training images, -1 to 1; None without a rejection.
    """

    class_names: tuple[str, ...]
    scores: tuple[float, ...]
    seconds: float
    is_known: bool = True
    familiarity: float | None = None

    @property
    def best_guess(self) -> str:
        """The most probable class, also for a rejected prediction."""
        return self.class_names[int(np.argmax(self.scores))]

    @property
    def class_name(self) -> str | None:
        """The predicted class; None for a rejected prediction."""
        return self.best_guess if self.is_known else None

    @property
    def probability(self) -> float:
        """Probability of `best_guess`, 0-1."""
        return max(self.scores)

    @property
    def probabilities(self) -> dict[str, float]:
        """Probability of every class, the most probable first."""
        ranked = sorted(zip(self.class_names, self.scores, strict=True), key=lambda pair: -pair[1])
        return dict(ranked)


class Predictor:
    """A saved model with the preprocessing, calibration and rejection of its run.

    Args:
        model: Maps raw pixels to probabilities, or to pooled features and probabilities.
        class_names: In the order of the outputs.
        image_size: Side of the input, in pixels.
        calibration: Applied to the probabilities.
        rejection: Without it, no prediction is rejected.
        notices: One sentence per damaged file beside the model, for display: the file and the feature it disables.
        grey_ranges: Black and white for photos with more than 8 bits, as for the training photos.
        forward: Computes the outputs of the model for a batch; Keras's own prediction if not given.
    """

    def __init__(
        self,
        model: keras.Model,
        class_names: Sequence[str],
        image_size: int,
        calibration: Calibration | None = None,
        rejection: Rejection | None = None,
        notices: tuple[str, ...] = (),
        grey_ranges: GreyRanges = UNKNOWN_RANGES,
        forward: Callable[[Array], Any] | None = None,
    ) -> None:
        self.class_names = tuple(class_names)
        self.image_size = image_size
        self.calibration = calibration or UNCALIBRATED
        self.rejection = rejection
        self.notices = notices
        self.grey_ranges = grey_ranges
        self.model = model
        self._forward = forward or model.predict_on_batch

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Load the model of a run folder with its calibration and rejection, and warm it up.

        The model itself is loaded once for each version of its files: the first answer after a training uses the one
        that its evaluation loaded. A damaged calibration or rejection is reported in `notices`, not raised.

        Raises:
            NotFoundError: If the folder has no model.
            WorkspaceError: If the model or its signature is damaged.
        """
        loaded = loaded_model(folder)
        signature = ModelSignature.load(folder)
        found = Certainty.load(folder, loaded.model.outputs[0].shape[-1])
        return cls(
            loaded.model,
            signature.class_names,
            signature.image_size,
            found.calibration,
            found.rejection,
            found.notices,
            signature.grey_ranges,
            loaded.forward,
        )

    def predict(self, content: bytes) -> Prediction:
        """Predict one encoded image file.

        Raises:
            UnreadableImageError: If the bytes are no complete image.
        """
        started_at = time.perf_counter()
        pixels = to_pixels(self.decode(content), self.image_size)
        (prediction,) = self.predict_pixels(pixels[np.newaxis])
        return replace(prediction, seconds=time.perf_counter() - started_at)

    def decode(self, content: bytes, name: str = "") -> Image.Image:
        """Decode an image file as the training photos were decoded.

        Args:
            content: The bytes of the file.
            name: Of the file; its ending helps to say what an unreadable one is.

        Returns:
            An upright RGB image of at most 1,024 pixels on its longer side.

        Raises:
            UnreadableImageError: If the bytes are no complete image.
        """
        return decode_image(content, self.grey_ranges, name)

    def predict_pixels(self, pixels: Array) -> list[Prediction]:
        """Predict a batch of decoded images.

        Args:
            pixels: Raw pixels in 0-255, `[num_images, image_size, image_size, 3]`; at least one image.

        Returns:
            One prediction per image, in order; `seconds` is the batch time divided by the number of images.
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
        """Return a predictor of the same model with another rejection."""
        return Predictor(
            self.model,
            self.class_names,
            self.image_size,
            self.calibration,
            rejection,
            self.notices,
            self.grey_ranges,
            self._forward,
        )

    def score(self, pixels: Array) -> Array:
        """Return calibrated probabilities, `[num_images, num_classes]`.

        Args:
            pixels: Raw pixels in 0-255, `[num_images, image_size, image_size, 3]`.
        """
        return self.calibration.apply(self.outputs(pixels).probabilities)

    def outputs(self, pixels: Array) -> ModelOutputs:
        """Return the raw model outputs, before calibration, computed in batches of 32.

        Args:
            pixels: Raw pixels in 0-255, `[num_images, image_size, image_size, 3]`.
        """
        starts = range(0, len(pixels), _BATCH_SIZE)
        return ModelOutputs.concatenate(
            [_model_outputs(self._forward(pixels[start : start + _BATCH_SIZE])) for start in starts]
        )


@dataclass(frozen=True)
class LoadedModel:
    """The model of a run folder with its graph.

    Args:
        model: Maps raw pixels to pooled features and probabilities.
        forward: The same for a batch of any size, traced once.
    """

    model: keras.Model
    forward: Callable[[Array], tuple[Array, Array]]


def loaded_model(folder: Path) -> LoadedModel:
    """Return the model of a run folder, loaded and traced once for each version of its files.

    Raises:
        NotFoundError: If the folder has no model.
        WorkspaceError: If the model or its signature is damaged.
    """
    return _loaded_model(folder, (file_version(folder / MODEL_FILE), file_version(folder / SIGNATURE_FILE)))


# A model takes seconds to load, and as much memory as its weights.
@lru_cache(maxsize=2)
def _loaded_model(folder: Path, versions: tuple[tuple[int, int], ...]) -> LoadedModel:
    model = load_model(folder)
    signature = ModelSignature.load(folder)
    size = signature.image_size
    if model.input_shape[1:] != (size, size, 3) or model.output_shape != (None, len(signature.class_names)):
        raise signature_damaged(folder, _("it belongs to another model"))
    try:
        both = with_features(model)
        forward = _traced(both)
        # Trace the graph now, so that the first prediction is not slow.
        _features, scores = forward(np.zeros((1, size, size, 3), np.uint8))
    except ValueError as error:
        raise _damaged_model(folder) from error
    if not np.isfinite(scores).all():
        raise damaged_file(folder / MODEL_FILE, _("its answers are not numbers"), _cost_of_model())
    return LoadedModel(both, forward)


def forget_loaded_models() -> None:
    """Drop all models in memory; the next answer loads its model again."""
    _loaded_model.cache_clear()


def _traced(model: keras.Model) -> Callable[[Array], tuple[Array, Array]]:
    """Return the forward pass in one graph; Keras's own prediction is traced once more for a second batch size."""
    import tensorflow as tf

    shape = tf.TensorSpec(model.input_shape, tf.float32)
    graph = tf.function(
        lambda pixels: model(pixels, training=False), input_signature=[shape], autograph=False
    )

    def forward(pixels: Array) -> tuple[Array, Array]:
        features, probabilities = graph(tf.constant(pixels, tf.float32))
        return features.numpy(), probabilities.numpy()

    return forward


def load_model(folder: Path) -> keras.Model:
    """Load the Keras model of a run folder, which maps raw pixels in 0-255 to probabilities.

    Raises:
        NotFoundError: If the folder has no model.
        WorkspaceError: If the model is damaged.
    """
    if not (folder / MODEL_FILE).is_file():
        raise NotFoundError(_("There is no model: the training was stopped or failed too early."))
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
    # Keras, h5py and zipfile raise a dozen error types for a truncated or changed file.
    except Exception as error:
        check_shortage(error)
        raise _damaged_model(folder) from error


def with_features(model: keras.Model) -> keras.Model:
    """Return a classifier with its pooled features as a second output, sharing all layers.

    Args:
        model: Classifier that ends in the layers of `build_classifier`.

    Returns:
        Model with the outputs features `[batch, num_features]` and probabilities `[batch, num_classes]`.
    """
    import keras

    names = {layer.name for layer in model.layers}
    if "flatten" in names:
        features = keras.layers.GlobalAveragePooling2D()(model.get_layer("flatten").input)
    else:
        # An extra layer, because a tail split at the features has them as its input tensor.
        behind = CENTRE_LAYER if CENTRE_LAYER in names else "dropout"
        features = keras.layers.Identity()(model.get_layer(behind).input)
    return keras.Model(model.input, [features, model.output])


def _damaged_model(folder: Path) -> WorkspaceError:
    return damaged_file(folder / MODEL_FILE, _("it is not a complete model"), _cost_of_model())


def _cost_of_model() -> str:
    return _("The run keeps its results, but it cannot answer. Train again to have a model.")


def _model_outputs(outputs: Any) -> ModelOutputs:
    features, probabilities = outputs if isinstance(outputs, list | tuple) else (None, outputs)
    return ModelOutputs(features, probabilities)
