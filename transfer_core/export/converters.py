"""Converters from a saved Keras model to each export format: SavedModel, LiteRT, ONNX."""

from __future__ import annotations

import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.export.formats import ExportFormat
from transfer_core.inference.predictor import load_model, with_features
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import Array, Pixels

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ExportInput:
    """A model to convert.

    Args:
        folder: Run folder with `model.keras`.
        labels: Class names in the order of the outputs.
        samples: Training images, `[num_images, size, size, 3]` in 0-255, to calibrate the quantisation.
    """

    folder: Path
    labels: Sequence[str]
    samples: Pixels

    def load_model(self) -> keras.Model:
        """Load the model with its pooled features as a named output, which rejection needs."""
        import keras

        model = with_features(load_model(self.folder))
        features, probabilities = model.outputs
        return keras.Model(model.input, {"features": features, "probabilities": probabilities})


def write_model(export_input: ExportInput, export_format: ExportFormat, folder: Path) -> None:
    """Write every variant of a format into an existing folder."""
    _WRITERS[export_format.model_format](export_input, export_format, folder)


def _write_keras(export_input: ExportInput, export_format: ExportFormat, folder: Path) -> None:
    shutil.copyfile(export_input.folder / MODEL_FILE, folder / export_format.variants[0].file)


def _write_saved_model(export_input: ExportInput, export_format: ExportFormat, folder: Path) -> None:
    export_input.load_model().export(folder / export_format.variants[0].file, verbose=False)


def _write_onnx(export_input: ExportInput, export_format: ExportFormat, folder: Path) -> None:
    model = export_input.load_model()
    # Keras exports only models that were called once.
    model(export_input.samples[:1].astype(np.float32))
    with warnings.catch_warnings():
        # Keras accesses `np.object`, which NumPy has removed.
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        model.export(folder / export_format.variants[0].file, format="onnx", verbose=False)


def _write_litert(export_input: ExportInput, export_format: ExportFormat, folder: Path) -> None:
    import tensorflow as tf

    saved_model = folder / "saved_model"
    export_input.load_model().export(saved_model, verbose=False)

    def examples() -> Iterator[list[Array]]:
        for sample in export_input.samples:
            yield [sample[np.newaxis].astype(np.float32)]

    for variant in export_format.variants:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
        if variant.name != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if variant.name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if variant.name == "int8":
            converter.representative_dataset = examples
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
        path = folder / variant.file
        path.write_bytes(converter.convert())
        _append_labels(path, export_input.labels)
    shutil.rmtree(saved_model)


def _append_labels(path: Path, labels: Sequence[str]) -> None:
    """Append the labels in the way of TensorFlow Lite's metadata: as a zip archive after the model."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", labels_text(labels))


def labels_text(labels: Sequence[str]) -> str:
    """Return one label per line; line breaks within a label become spaces, since readers count lines."""
    return "".join(f"{' '.join(label.split())}\n" for label in labels)


_WRITERS: dict[str, Callable[[ExportInput, ExportFormat, Path], None]] = {
    "keras": _write_keras,
    "savedmodel": _write_saved_model,
    "litert": _write_litert,
    "onnx": _write_onnx,
}
