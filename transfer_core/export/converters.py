"""A saved Keras model written in another format. Each writer gets a model and leaves its files in a folder."""

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
class Source:
    """What is exported.

    Args:
        folder: Of the run, with its `model.keras`.
        labels: Class names in the order of the outputs.
        samples: A few of the images it learned from, `[num_images, size, size, 3]` in 0-255; they show the
            quantiser which numbers occur.
    """

    folder: Path
    labels: Sequence[str]
    samples: Pixels

    def load_model(self) -> keras.Model:
        """Load it, with the features it sees as an output of their own: what is unlike them all is refused."""
        import keras

        model = with_features(load_model(self.folder))
        features, probabilities = model.outputs
        return keras.Model(model.input, {"features": features, "probabilities": probabilities})


def write_model(source: Source, export_format: ExportFormat, folder: Path) -> None:
    """Write every variant of a format.

    Args:
        source: What is exported.
        export_format: In which format.
        folder: Where the files go; it is there.
    """
    _WRITERS[export_format.model_format](source, export_format, folder)


def _write_keras(source: Source, export_format: ExportFormat, folder: Path) -> None:
    shutil.copyfile(source.folder / MODEL_FILE, folder / export_format.variants[0].file)


def _write_saved_model(source: Source, export_format: ExportFormat, folder: Path) -> None:
    source.load_model().export(folder / export_format.variants[0].file, verbose=False)


def _write_onnx(source: Source, export_format: ExportFormat, folder: Path) -> None:
    model = source.load_model()
    # Keras asks that a model has been called once.
    model(source.samples[:1].astype(np.float32))
    with warnings.catch_warnings():
        # Keras looks for a name that numpy has taken away.
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        model.export(folder / export_format.variants[0].file, format="onnx", verbose=False)


def _write_litert(source: Source, export_format: ExportFormat, folder: Path) -> None:
    import tensorflow as tf

    saved_model = folder / "saved_model"
    source.load_model().export(saved_model, verbose=False)

    def examples() -> Iterator[list[Array]]:
        for sample in source.samples:
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
        _append_labels(path, source.labels)
    shutil.rmtree(saved_model)


def _append_labels(path: Path, labels: Sequence[str]) -> None:
    """Put the labels into the file, as TensorFlow Lite's metadata does: a zip archive behind the model."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", labels_text(labels))


def labels_text(labels: Sequence[str]) -> str:
    """Return labels one a line, as readers of `labels.txt` count them: line breaks in a label become spaces."""
    return "".join(f"{' '.join(label.split())}\n" for label in labels)


_WRITERS: dict[str, Callable[[Source, ExportFormat, Path], None]] = {
    "keras": _write_keras,
    "savedmodel": _write_saved_model,
    "litert": _write_litert,
    "onnx": _write_onnx,
}
