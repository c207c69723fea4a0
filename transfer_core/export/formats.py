"""Registry of export formats. To add one, add an entry here, a writer in `converters` and a `runtime_*.py` file."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib.metadata import version

from transfer_core.errors import NotFoundError
from transfer_core.language import _, names_list


@dataclass(frozen=True)
class Variant:
    """One model file of a bundle.

    Args:
        name: Unique within the format.
        file: File or folder in the bundle.
        max_difference: Largest accepted difference of a probability from the app's, 0-1: a larger one is a defect of
            the conversion.
    """

    name: str
    file: str
    max_difference: float = 1e-3


@dataclass(frozen=True)
class ExportFormat:
    """Description of an export format.

    Args:
        name: Identifier on the command line and in file names.
        title: Display name.
        purpose: Use of the format, for display.
        file_label: End of the names of its files, after the name of the photos, such as `web-page`.
        variants: Model files in the bundle; the first is the default of `predict.py`. Empty for the code format.
        runtime: PyPI packages that `predict.py` needs besides Pillow and NumPy.
        needs: Optional packages for the export, as pairs of module name and PyPI name.
        written_as: Name of the format that writes the model file, if not this one.
        usage: How to run a model file without `predict.py`, in Markdown for the model card; `{size}` is the side of
            the input in pixels.
        has_page: Whether the bundle has a web page that runs the model in a browser.
        has_numbered_labels: Whether lines of `labels.txt` begin with the index of the class, such as `0 apple`.
        unproved: Sentence for display on the part that the comparison with the app does not cover.
    """

    name: str
    title: str
    purpose: str
    file_label: str
    variants: tuple[Variant, ...]
    runtime: tuple[str, ...]
    needs: tuple[tuple[str, str], ...] = ()
    written_as: str = ""
    usage: str = ""
    has_page: bool = False
    has_numbered_labels: bool = False
    unproved: str = ""

    @property
    def model_format(self) -> str:
        """Name of the format of the model file."""
        return self.written_as or self.name

    @property
    def missing_packages(self) -> list[str]:
        """Packages of `needs` that are not installed."""
        return [package for module, package in self.needs if importlib.util.find_spec(module) is None]

    @property
    def requirements(self) -> list[str]:
        """Lines of `requirements.txt`, pinned to the installed versions that the bundle is tested with."""
        return [f"{package}=={version(package)}" for package in (*self.runtime, "pillow", "numpy")]


_LITERT_NEEDS = (("ai_edge_litert", "ai-edge-litert"),)
_ONNX_NEEDS = (("onnx", "onnx"), ("tf2onnx", "tf2onnx"), ("onnxruntime", "onnxruntime"))

_ONNX_CODE = """

```python
net = cv2.dnn.readNetFromONNX("model.onnx")
photo = cv2.cvtColor(cv2.resize(cv2.imread("photo.jpg"), ({size}, {size})), cv2.COLOR_BGR2RGB)
net.setInput(photo[np.newaxis].astype(np.float32))
probabilities = net.forward()[0]
```
"""


def list_formats() -> list[ExportFormat]:
    """Return every format in display order, with its texts in the language of the visitor."""
    onnx_usage = (
        _(
            "The input `pixels` is float32. The metadata of the file names the classes and the input. In OpenCV "
            "(`blobFromImage` gives another layout):"
        )
        + _ONNX_CODE
    )
    return [
        ExportFormat(
            name="keras",
            title="Keras",
            purpose=_("A Keras model, and a small program to run it."),
            file_label="python-keras",
            variants=(Variant("float32", "model.keras"),),
            runtime=("keras", "tensorflow"),
        ),
        ExportFormat(
            name="savedmodel",
            title="TensorFlow SavedModel",
            purpose=_("For TensorFlow Serving: it takes raw pixels."),
            file_label="server-savedmodel",
            variants=(Variant("float32", "saved_model"),),
            runtime=("tensorflow",),
            usage=_(
                "The input `pixels` is float32. The signature `serving_default` returns only the probabilities. "
                "`with_features` also returns the features for “I don't know”."
            ),
        ),
        ExportFormat(
            name="litert",
            title="LiteRT (TensorFlow Lite)",
            purpose=_("For apps on phones and small computers, in four sizes."),
            file_label="phone-litert",
            # Quantisation changes probabilities.
            variants=(
                Variant("float32", "model_float32.tflite"),
                Variant("float16", "model_float16.tflite", 0.1),
                Variant("dynamic", "model_dynamic.tflite", 0.2),
                Variant("int8", "model_int8.tflite", 0.5),
            ),
            runtime=("ai-edge-litert",),
            needs=_LITERT_NEEDS,
            usage=_(
                "The input is float32, and uint8 in `model_int8.tflite`. The second output, `features`, is for “I "
                "don't know”."
            ),
        ),
        ExportFormat(
            name="teachable",
            title=_("Teachable Machine format"),
            purpose=_("For Frigate, Coral and other programs that take such a model."),
            file_label="teachable-machine",
            variants=(Variant("uint8", "model.tflite", 0.5),),
            runtime=("ai-edge-litert",),
            needs=_LITERT_NEEDS,
            written_as="litert",
            usage=_(
                "The input is uint8. The scores are uint8 too: 0 is impossible, 255 is certain. The second output, "
                "`features`, is for “I don't know”."
            ),
            has_numbered_labels=True,
        ),
        ExportFormat(
            name="onnx",
            title="ONNX",
            purpose=_("For other languages: C++, C#, Java, JavaScript."),
            file_label="onnx",
            variants=(Variant("float32", "model.onnx"),),
            runtime=("onnxruntime",),
            needs=_ONNX_NEEDS,
            usage=onnx_usage,
        ),
        ExportFormat(
            name="web",
            title=_("Web page"),
            purpose=_(
                "One file that opens in any browser, with photos and the live camera. It works offline, and no photo "
                "leaves the device."
            ),
            file_label="web-page",
            variants=(Variant("float32", "model.onnx"),),
            runtime=("onnxruntime",),
            needs=_ONNX_NEEDS,
            usage=onnx_usage,
            written_as="onnx",
            has_page=True,
            unproved=_(
                "The model in the page was tested outside a browser. Browsers decode photos in their own way, so its "
                "probabilities may differ slightly."
            ),
        ),
        ExportFormat(
            name="code",
            title=_("Python script and notebook"),
            purpose=_("Readable Keras code with your settings that trains the same model."),
            file_label="training-script",
            variants=(),
            runtime=("keras", "tensorflow", "scikit-learn"),
        ),
    ]


def get_format(name: str) -> ExportFormat:
    """Return the format called `name`.

    Raises:
        NotFoundError: If there is none; the message lists the known formats.
    """
    for export_format in list_formats():
        if export_format.name == name:
            return export_format
    raise NotFoundError(
        _("There is no export format called {name}. Pick one of: {known}.").format(
            name=name, known=names_list(known.name for known in list_formats())
        )
    )
