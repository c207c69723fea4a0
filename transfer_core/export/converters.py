"""Converters from a saved Keras model to each export format: SavedModel, LiteRT, ONNX."""

from __future__ import annotations

import json
import shutil
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer_core.export.formats import ExportFormat
from transfer_core.inference.predictor import load_model, with_features
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import Array, Pixels

if TYPE_CHECKING:
    import keras

INPUT = "pixels"
PROBABILITIES = "probabilities"
FEATURES = "features"
# Appended to the bytes of the ONNX file, it adds the features as an output: joined protobuf messages are merged.
ONNX_FEATURES_FILE = "features_output.pb"


@dataclass(frozen=True)
class ExportInput:
    """A model to convert.

    Args:
        folder: Run folder with `model.keras`.
        facts: Class names in the order of the probabilities, and the preprocessing, as in `signature.json`.
        samples: Training images, `[num_images, size, size, 3]` in 0-255, to calibrate the quantisation.
    """

    folder: Path
    facts: Mapping[str, Any]
    samples: Pixels

    def load_model(self) -> keras.Model:
        """Load the model with its pooled features as a second named output, which rejection needs."""
        import keras

        model = with_features(load_model(self.folder))
        features, probabilities = model.outputs
        return keras.Model(model.input, {PROBABILITIES: probabilities, FEATURES: features})


def write_model(export_input: ExportInput, export_format: ExportFormat, folder: Path) -> None:
    """Write every variant of a format into an existing folder."""
    _WRITERS[export_format.model_format](export_input, export_format, folder)


def _write_keras(export_input: ExportInput, export_format: ExportFormat, folder: Path) -> None:
    shutil.copyfile(export_input.folder / MODEL_FILE, folder / export_format.variants[0].file)


def _write_saved_model(export_input: ExportInput, export_format: ExportFormat, folder: Path) -> None:
    import keras

    model = export_input.load_model()
    # TensorFlow sorts outputs by name, so the first signature, which servers use, has only the probabilities.
    classifier = keras.Model(model.input, {PROBABILITIES: model.output[PROBABILITIES]})
    pixels = [_input_spec(model)]
    archive = keras.export.ExportArchive()
    archive.track_and_add_endpoint("serve", classifier, pixels)
    archive.track_and_add_endpoint("with_features", model, pixels)
    archive.write_out(folder / export_format.variants[0].file, verbose=False)


def _input_spec(model: keras.Model, batch_size: int | None = None) -> keras.InputSpec:
    import keras

    return keras.InputSpec(shape=(batch_size, *model.input_shape[1:]), dtype="float32", name=INPUT)


def _write_onnx(export_input: ExportInput, export_format: ExportFormat, folder: Path) -> None:
    import keras

    model = export_input.load_model()
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            # tf2onnx would make further inputs of the model from its tensors.
            layer.mean = keras.ops.convert_to_numpy(layer.mean)
            layer.variance = keras.ops.convert_to_numpy(layer.variance)
    path = folder / export_format.variants[0].file
    with warnings.catch_warnings():
        # Keras accesses `np.object`, which NumPy has removed.
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        model.export(path, format="onnx", verbose=False, input_signature=[_input_spec(model)])
    _describe_onnx(path, export_input.facts)


def _describe_onnx(path: Path, facts: Mapping[str, Any]) -> None:
    """Add facts to the metadata of an ONNX file, and move its output of features into a file of its own.

    ONNX Runtime and OpenCV 5 take the first output by default and OpenCV 4 the last, so there is only one.
    """
    import onnx

    model = onnx.load(path)
    outputs = {output.name: output for output in model.graph.output}
    addition = onnx.ModelProto()
    addition.graph.output.append(outputs[FEATURES])
    path.with_name(ONNX_FEATURES_FILE).write_bytes(addition.SerializeToString())
    model.graph.output.remove(outputs[FEATURES])
    onnx.helper.set_model_props(model, {name: _as_text(fact) for name, fact in facts.items()})
    onnx.save(model, path)


def _as_text(fact: Any) -> str:
    return fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False)


def _write_litert(export_input: ExportInput, export_format: ExportFormat, folder: Path) -> None:
    import tensorflow as tf

    saved_model = folder / "saved_model"
    model = export_input.load_model()
    # Delegates and the compiler of the Edge TPU need a fixed batch size.
    model.export(saved_model, verbose=False, input_signature=[_input_spec(model, batch_size=1)])
    for variant in export_format.variants:
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model))
        if variant.name != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if variant.name == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if variant.name in ("int8", "uint8"):
            converter.representative_dataset = lambda: calibration_batches(export_input.samples)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.uint8
        if variant.name == "uint8":
            converter.inference_output_type = tf.uint8
        path = folder / variant.file
        path.write_bytes(_with_probabilities_first(converter.convert()))
        _append_labels(path, export_input.facts["class_names"])
    shutil.rmtree(saved_model)


def calibration_batches(samples: Pixels) -> Iterator[list[Array]]:
    """Yield batches of one image, `[1, size, size, 3]`, float32 in 0-255, that cover this range.

    The quantiser then gives the input the scale 1, so scripts may set the pixels of a photo without looking at it.
    """
    samples = samples.copy()
    samples[0, 0, 0], samples[0, 0, 1] = 0, 255
    for sample in samples:
        yield [sample[np.newaxis].astype(np.float32)]


def _with_probabilities_first(content: bytes) -> bytearray:
    """Return a LiteRT model whose first output is the probabilities: the converter's order is arbitrary."""
    from ai_edge_litert import schema_py_generated as schema

    changed = bytearray(content)
    model = schema.Model.GetRootAs(changed)
    signature = model.SignatureDefs(0)
    names = [signature.Outputs(place).Name() for place in range(signature.OutputsLength())]
    probabilities = signature.Outputs(names.index(PROBABILITIES.encode())).TensorIndex()
    # An array over the bytes of the file, so that the assignment changes them.
    outputs = model.Subgraphs(0).OutputsAsNumpy()
    outputs[:] = sorted(outputs, key=lambda tensor: tensor != probabilities)
    return changed


def _append_labels(path: Path, labels: Sequence[str]) -> None:
    """Append the labels in the way of TensorFlow Lite's metadata: as a zip archive after the model."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", labels_text(labels))


def labels_text(labels: Sequence[str], *, is_numbered: bool = False) -> str:
    """Return one label per line, after its index if numbered, such as `0 apple`.

    Line breaks within a label become spaces, since readers count lines.
    """
    lines = (" ".join(label.split()) for label in labels)
    return "".join(f"{number} {line}\n" if is_numbered else f"{line}\n" for number, line in enumerate(lines))


_WRITERS: dict[str, Callable[[ExportInput, ExportFormat, Path], None]] = {
    "keras": _write_keras,
    "savedmodel": _write_saved_model,
    "litert": _write_litert,
    "onnx": _write_onnx,
}
