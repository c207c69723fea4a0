"""Source models: a person's own models, stored so that new runs can build on them and other computers trust them.

A source model is a folder with facts in JSON and the weights of the body of a trained model, so it outlives its run.
Nothing in it is executed: the facts are validated against a schema, and each array's name, shape and dtype against
the network that the registry builds.
"""

from __future__ import annotations

import re
import tokenize
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.families import family_words, origin_words
from transfer_core.backbones.published.zoo_weights import checksum_of, has_checksum
from transfer_core.data.sources.zip_archive import UNPACKING_ERRORS, size_of_list
from transfer_core.errors import WeightsError
from transfer_core.file_cache import FileCache
from transfer_core.files import check_shortage, read_json, replacing, write_json
from transfer_core.language import _
from transfer_core.schema import CONTROL_CHARACTERS_AND_LINES
from transfer_core.types import Array

if TYPE_CHECKING:
    import keras

FACTS_FILE = "facts.json"
ARRAYS_FILE = "weights.npz"
# In an exported Keras bundle: the facts of a source model, with the checksum of the model file.
BUNDLE_FACTS_FILE = "source.json"
BUNDLE_MODEL_FILE = "model.keras"
MOST_CLASSES = 1000
_FORMAT = "transfer-studio-source"
_FORMAT_VERSION = 1
_MOST_LETTERS = 255
_MOST_GENERATIONS = 20
# Of the directory of a zip of arrays: enough for ten thousand.
_MOST_BYTES_OF_LIST = 2**22

# Raised by NumPy and zipfile on truncated or modified files of arrays (found with mutated files).
NOT_ARRAYS = (
    *UNPACKING_ERRORS,
    KeyError,
    TypeError,
    SyntaxError,
    MemoryError,
    NotImplementedError,
    tokenize.TokenError,
)

ArrayKind = tuple[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True)
class SourceModelFacts:
    """The facts of a source model.

    Args:
        architecture: Name of the published backbone with the same architecture.
        title: Name of its training photos.
        class_names: Its classes; empty for an imported weights file.
        lineage: What its body was trained on before, the latest first, such as
            `("EfficientNet-Lite0", "ImageNet")`.
        weights_sha256: Checksum of the file of arrays.

    Raises:
        ValueError: If a fact has the wrong type or is too long.
    """

    architecture: str
    title: str
    class_names: tuple[str, ...]
    lineage: tuple[str, ...]
    weights_sha256: str

    def __post_init__(self) -> None:
        texts: tuple[object, ...] = (self.architecture, self.title, *self.class_names, *self.lineage)
        is_sound = (
            all(map(_is_name, texts))
            and len(self.class_names) <= MOST_CLASSES
            and len(self.lineage) <= _MOST_GENERATIONS
            and re.fullmatch(r"[0-9a-f]{64}", str(self.weights_sha256))
        )
        if not is_sound:
            raise ValueError("a fact is not of the kind it should be")

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {"format": _FORMAT, "version": _FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SourceModelFacts:
        """Validate and return facts from a file.

        Raises:
            WeightsError: If they are invalid.
        """
        try:
            if (values["format"], values["version"]) != (_FORMAT, _FORMAT_VERSION):
                raise ValueError
            given = {field.name: values[field.name] for field in fields(cls)}
            for name in ("class_names", "lineage"):
                if not isinstance(given[name], list):
                    raise TypeError
                given[name] = tuple(given[name])
            return cls(**given)
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                _(
                    "This is not a model that Transfer Studio saved as a source: its facts are not as expected. Save "
                    "it again where it was trained, with “Save as a file”."
                )
            ) from error


def _is_name(text: object) -> bool:
    is_short = isinstance(text, str) and 0 < len(text) <= _MOST_LETTERS
    return is_short and not CONTROL_CHARACTERS_AND_LINES.search(str(text))


@dataclass(frozen=True)
class SourceModelWeights:
    """The weights of a source model.

    Args:
        folder: Folder of the source model.
        checksum: SHA-256 of the file of arrays.
    """

    folder: Path
    checksum: str

    @property
    def are_available(self) -> bool:
        """Whether the file exists."""
        return (self.folder / ARRAYS_FILE).is_file()

    def load(self, model: keras.Model) -> None:
        """Set the weights of a built backbone.

        Raises:
            WeightsError: If the file is missing, damaged or of another network.
        """
        path = self.folder / ARRAYS_FILE
        if not has_checksum(path, self.checksum):
            raise WeightsError(
                _(
                    "The weights of your own model in {folder} have been changed or damaged: their checksum is "
                    "another. Make it a source again, or import it again."
                ).format(folder=self.folder.name)
            )
        load_arrays(path, model)


def source_model_backbone(folder: Path, get_architecture: Callable[[str], Backbone]) -> Backbone:
    """Return a source model as a backbone.

    Args:
        folder: Folder of the source model; its name becomes the name of the backbone.
        get_architecture: Returns the published backbone of a name.

    Raises:
        NotFoundError: If there is no published backbone with its architecture.
        WeightsError: If its facts are invalid.
        WorkspaceError: If they cannot be read.
    """
    path = folder / FACTS_FILE
    facts = _loaded.get(path, lambda: SourceModelFacts.from_dict(read_json(path)))
    return replace(
        get_architecture(facts.architecture),
        name=folder.name,
        title=facts.title,
        family="own",
        when_to_pick=family_words("own").when_to_pick,
        imagenet_accuracy=None,
        accuracy_source="",
        weights_source=" ← ".join(map(origin_words, (facts.title, *facts.lineage))),
        weights=SourceModelWeights(folder, facts.weights_sha256),
        lineage=facts.lineage,
        hidden=False,
    )


def write_source_model(
    folder: Path, model: keras.Model, network: Backbone, facts: dict[str, Any]
) -> SourceModelFacts:
    """Write the body of a model as a source model.

    Args:
        folder: Destination.
        model: A model that contains the layers of `network`.
        network: The published backbone with the same architecture.
        facts: The fields of `SourceModelFacts` without the checksum.

    Returns:
        The facts with the checksum.

    Raises:
        WorkspaceError: If writing fails.
    """
    layers = [layer for layer in network.build(pretrained=False).layers if layer.weights]
    arrays = {
        f"{layer.name}/{number}": array
        for layer in layers
        for number, array in enumerate(model.get_layer(layer.name).get_weights())
    }
    with replacing(folder / ARRAYS_FILE) as beside:
        np.savez(beside, allow_pickle=False, **arrays)
    checked = SourceModelFacts(**facts, weights_sha256=checksum_of(folder / ARRAYS_FILE))
    write_json(folder / FACTS_FILE, checked.to_dict())
    return checked


def load_arrays(path: Path, model: keras.Model) -> None:
    """Set the weights of a network from a file of arrays, after validating each name, shape and dtype.

    Raises:
        WeightsError: If the file is damaged or of another network. The network is then unchanged.
    """
    layers = [layer for layer in model.layers if layer.weights]
    expected = {
        f"{layer.name}/{number}": (tuple(weight.shape), np.dtype(weight.dtype))
        for layer in layers
        for number, weight in enumerate(layer.weights)
    }
    try:
        _check_headers(path, expected)
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in expected}
            check_finite(arrays)
    except NOT_ARRAYS as error:
        check_shortage(error)
        raise WeightsError(
            _(
                "The weights of this model cannot be used ({reason}). Save it again where it was trained, with “Save "
                "as a file”."
            ).format(reason=error)
        ) from error
    for layer in layers:
        layer.set_weights([arrays[f"{layer.name}/{number}"] for number in range(len(layer.weights))])


def kinds_of_arrays(path: Path) -> dict[str, ArrayKind]:
    """Return shape and dtype of each array in an `.npz` file by name, without reading any array.

    Raises:
        ValueError: If it is another kind of file, or an array is in another format.
    """
    kinds: dict[str, ArrayKind] = {}
    try:
        with path.open("rb") as content:
            if size_of_list(content) > _MOST_BYTES_OF_LIST:
                raise ValueError(_("it lists too many arrays"))
        with zipfile.ZipFile(path) as file:
            for member in file.infolist():
                name = member.filename.removesuffix(".npy")
                with file.open(member) as array:
                    if name in kinds or np.lib.format.read_magic(array) != (1, 0):
                        raise ValueError(_("{name} is of another format").format(name=name[:60]))
                    shape, _order, dtype = np.lib.format.read_array_header_1_0(array)
                kinds[name] = shape, dtype
    except NOT_ARRAYS as error:
        check_shortage(error)
        raise ValueError(str(error)) from error
    return kinds


def check_finite(arrays: Mapping[str, Array]) -> None:
    """Raise if an array holds infinity or NaN.

    Raises:
        ValueError: With the name of the first such array.
    """
    name = next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)
    if name is not None:
        raise ValueError(_("{name} holds infinity or NaN").format(name=name[:60]))


def check_outputs(model: keras.Model) -> None:
    """Raise if a network outputs infinity or NaN for random pixels: finite weights can still overflow.

    Args:
        model: A network that takes raw pixels in 0-255.

    Raises:
        WeightsError: If it does.
    """
    pixels = np.random.default_rng(0).integers(0, 256, (1, *model.input_shape[1:])).astype(np.float32)
    if not np.isfinite(np.asarray(model(pixels, training=False))).all():
        raise WeightsError(
            _(
                "The weights of this model are damaged: its answers are infinity or NaN. Save it again where it was "
                "trained."
            )
        )


def _check_headers(path: Path, expected: dict[str, ArrayKind]) -> None:
    found = kinds_of_arrays(path)
    if found.keys() != expected.keys():
        raise ValueError(_("it has other layers than the network"))
    misfit = next((name for name, kind in expected.items() if found[name] != kind), None)
    if misfit:
        raise ValueError(_("{name} has another shape than in the network").format(name=misfit))


_loaded: FileCache[SourceModelFacts] = FileCache(max_bytes=4 * 1024**2)
