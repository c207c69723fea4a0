"""The formats a model can be taken away in: adding one is one entry here, one writer and one runtime file."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib.metadata import version

from transfer_core.errors import NotFoundError
from transfer_core.language import _


@dataclass(frozen=True)
class Variant:
    """One model file of a bundle, and how far its answers may be off.

    Args:
        name: Short name, unique in its format.
        file: File or folder in the bundle.
        max_difference: Largest difference of a probability from the app's, 0-1, that is no defect.
        min_same: Smallest share of photos with the same top class that is no defect, 0-1.
        min_same_refusals: Smallest share of photos that both know, or both do not, that is no defect, 0-1.
    """

    name: str
    file: str
    max_difference: float = 1e-3
    min_same: float = 1.0
    min_same_refusals: float = 0.98


@dataclass(frozen=True)
class ExportFormat:
    """A format, as plain data.

    Args:
        name: Identifier on the command line and in file names.
        title: Name for people.
        purpose: What it is good for, one plain sentence.
        variants: The model files that a bundle of it holds; the first is what `predict.py` takes by itself. Code
            has none: it trains a model.
        runtime: The packages that `predict.py` needs besides Pillow and numpy, by their names in the registry.
        needs: Packages that making a bundle needs beyond those of this project, as module and package name.
        written_as: The format whose model file it holds, if that is another one.
        has_page: Whether a page comes with it that runs the model in a browser.
        note: What else to know before choosing it.
        unproved: What the proof says nothing about.
    """

    name: str
    title: str
    purpose: str
    variants: tuple[Variant, ...]
    runtime: tuple[str, ...]
    needs: tuple[tuple[str, str], ...] = ()
    written_as: str = ""
    has_page: bool = False
    note: str = ""
    unproved: str = ""

    @property
    def model_format(self) -> str:
        """Name of the format that its model file is in."""
        return self.written_as or self.name

    @property
    def missing_packages(self) -> list[str]:
        """Packages that have to be installed before a bundle can be made and proved."""
        return [package for module, package in self.needs if importlib.util.find_spec(module) is None]

    @property
    def requirements(self) -> list[str]:
        """What to install beside a bundle, pinned to what it was proved with."""
        return [f"{package}=={version(package)}" for package in (*self.runtime, "pillow", "numpy")]


_ONNX_NEEDS = (("onnx", "onnx"), ("tf2onnx", "tf2onnx"), ("onnxruntime", "onnxruntime"))

_FORMATS = (
    ExportFormat(
        name="keras",
        title="Keras",
        purpose=_("To go on in Python: one file that Keras loads by itself."),
        variants=(Variant("float32", "model.keras"),),
        runtime=("keras", "tensorflow"),
    ),
    ExportFormat(
        name="savedmodel",
        title="TensorFlow SavedModel",
        purpose=_("For servers: TensorFlow Serving answers with it, from raw pixels."),
        variants=(Variant("float32", "saved_model"),),
        runtime=("tensorflow",),
    ),
    ExportFormat(
        name="litert",
        title="LiteRT (TensorFlow Lite)",
        purpose=_("For phones and small computers, in four sizes from exact to a quarter."),
        # Rounding moves probabilities; how far is what the proof shows, and beyond this it is a defect.
        variants=(
            Variant("float32", "model_float32.tflite"),
            Variant("float16", "model_float16.tflite", 0.1, 0.98, 0.95),
            Variant("dynamic", "model_dynamic.tflite", 0.2, 0.95, 0.9),
            Variant("int8", "model_int8.tflite", 0.5, 0.9, 0.9),
        ),
        runtime=("ai-edge-litert",),
        needs=(("ai_edge_litert", "ai-edge-litert"),),
    ),
    ExportFormat(
        name="onnx",
        title="ONNX",
        purpose=_("For other languages and runtimes: C++, C#, Java, JavaScript, Windows."),
        variants=(Variant("float32", "model.onnx"),),
        runtime=("onnxruntime",),
        needs=_ONNX_NEEDS,
    ),
    ExportFormat(
        name="web",
        title=_("Web page"),
        purpose=_(
            "To show it to anyone: one file that opens in a browser, with photos and the live camera, offline. No "
            "photo leaves the device."
        ),
        variants=(Variant("float32", "model.onnx"),),
        runtime=("onnxruntime",),
        needs=_ONNX_NEEDS,
        written_as="onnx",
        has_page=True,
        note=_(
            "TensorFlow.js: its converter cannot be installed beside the TensorFlow used here, so this page runs the "
            "ONNX file instead."
        ),
        unproved=_(
            "Asked was the ONNX file that the page carries, with ONNX Runtime in a process of its own. In a browser "
            "photos are decoded by that browser and resized in JavaScript, so numbers may differ a little more."
        ),
    ),
    ExportFormat(
        name="code",
        title=_("Python script and notebook"),
        purpose=_(
            "To learn how it is done: a readable Keras script with your numbers that trains the same model."
        ),
        variants=(),
        runtime=("keras", "tensorflow"),
    ),
)


def list_formats() -> list[ExportFormat]:
    """Return every format, in the order of the page."""
    return list(_FORMATS)


def get_format(name: str) -> ExportFormat:
    """Return the format of that name.

    Raises:
        NotFoundError: If there is none; the message lists those there are.
    """
    for export_format in _FORMATS:
        if export_format.name == name:
            return export_format
    raise NotFoundError(
        _("There is no export format called {name}. Pick one of: {known}.").format(
            name=name, known=", ".join(known.name for known in _FORMATS)
        )
    )
