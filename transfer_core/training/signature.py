"""The signature of a trained model, stored beside it: the registry may change its backbone later, or drop it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from transfer_core.backbones.backbone import Backbone, Block
from transfer_core.backbones.families import backbone_title, origin_name
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import Head
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.image_path import UNKNOWN_RANGES, GreyRanges
from transfer_core.errors import NotFoundError, WeightsError, WorkspaceError
from transfer_core.facts_file import FactsFile
from transfer_core.language import _
from transfer_core.schema import CONTROL_CHARACTERS_AND_LINES, Text
from transfer_core.training.classifier import CENTRE_LAYER
from transfer_core.training.freezing import POOLING_LAYER
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    import keras

SIGNATURE_FILE = "signature.json"
# Heads that differ in their layers: softmax regression and LDA have those of their average.
LayeredHead = Literal["average", "linear", "hidden", "flattened_map"]
_LARGEST_IMAGE_SIZE = 2048


@dataclass(frozen=True)
class RecordedWeights:
    """The weights that a finished model began with: known by their checksum, no longer needed.

    Args:
        checksum: As `Weights.checksum`.
        are_available: False, since only the trained model is kept.
    """

    checksum: str
    are_available: bool = False

    def load(self, model: keras.Model) -> None:
        """Refuse.

        Raises:
            WeightsError: Always.
        """
        raise WeightsError(
            _("The pretrained weights of a finished model are not kept. Load its model instead.")
        )


class RecordedNetwork(msgspec.Struct, frozen=True):
    """The facts of a backbone that define a model of it; the others only help to choose one."""

    title: str
    preprocessing: str
    licence: str
    network: str
    lineage: tuple[str, ...]
    weights_checksum: str
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        # A project from elsewhere may hold anything.
        texts = (self.title, self.preprocessing, self.licence, self.network, *self.lineage)
        if any(map(CONTROL_CHARACTERS_AND_LINES.search, (*texts, self.weights_checksum))):
            raise ValueError("a text holds control characters")


class _Essentials(msgspec.Struct, frozen=True):
    """The part of a signature without which a model cannot answer, or not be scored fairly."""

    class_names: Annotated[tuple[Text, ...], msgspec.Meta(min_length=2)]
    image_size: Annotated[int, msgspec.Meta(ge=1, le=_LARGEST_IMAGE_SIZE)]
    is_trained_on_all: bool = False

    def __post_init__(self) -> None:
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError("a class is there twice")


class ModelSignature(_Essentials, frozen=True, kw_only=True):
    """The definition of a trained model, written beside it and the only truth about it from then on.

    Args:
        class_names: In the order of the outputs.
        image_size: Side of the square input, in pixels.
        is_trained_on_all: Whether it has learned from the validation images as well; False in files of earlier
            versions.
        resize: How a photo becomes such a square, for people who read the file.
        value_range: Lowest and highest value of the input.
        grey_ranges: Black and white for photos with more than 8 bits, as in the dataset.
        backbone: The name of the backbone in the choices of the run; empty in files of earlier versions.
        head: The layers on top of the backbone; None in files of earlier versions.
        last_layer: The layer of the backbone whose feature map the head gets; empty in files of earlier versions.
        network: The facts of the backbone as they were; None in files of earlier versions.
        versions: Of the libraries that trained it.
    """

    resize: str = "squeeze to a square, bicubic with antialiasing"
    value_range: tuple[int, int] = (0, 255)
    grey_ranges: GreyRanges = UNKNOWN_RANGES
    backbone: str = ""
    head: Head | None = None
    last_layer: str = ""
    network: RecordedNetwork | None = None
    versions: dict[str, str] = {}

    @classmethod
    def of(
        cls,
        model: keras.Model,
        dataset: ImageDataset,
        backbone: Backbone,
        *,
        is_trained_on_all: bool = False,
    ) -> ModelSignature:
        """Return the signature of a model that has just been trained.

        Args:
            model: What `build_classifier` returned, trained.
            dataset: Its class names are those of the outputs.
            backbone: What the model was built on.
            is_trained_on_all: Whether it has learned from the validation images as well.
        """
        return cls(
            dataset.class_names,
            backbone.image_size,
            is_trained_on_all,
            grey_ranges=dataset.grey_ranges,
            backbone=backbone.name,
            head=head_of(model),
            last_layer=last_feature_layer(model),
            network=RecordedNetwork(
                origin_name(backbone.name, backbone.title),
                backbone.preprocessing,
                backbone.licence,
                backbone.network,
                backbone.lineage,
                backbone.weights.checksum,
                backbone.blocks,
            ),
            versions={name: version(name) for name in ("keras", "tensorflow")},
        )

    @classmethod
    def load(cls, folder: Path) -> ModelSignature:
        """Read the signature of the model in a folder, once for each version of the file.

        A signature of an earlier version lacks optional facts. When one of them is damaged, all count as lacking:
        the model still answers.

        Raises:
            WorkspaceError: If the file is missing, or one of the first three facts is damaged.
        """
        try:
            return _SIGNATURE.read(folder)
        except WorkspaceError:
            essentials = _ESSENTIALS.read(folder)
        return cls(essentials.class_names, essentials.image_size, essentials.is_trained_on_all)

    def save(self, folder: Path) -> None:
        """Write it beside the model.

        Raises:
            WorkspaceError: If writing fails.
        """
        _SIGNATURE.write(folder, self)

    def trained_backbone(self) -> Backbone | None:
        """Return the facts of the backbone as they were when it was trained; None where they were not recorded.

        Its weights cannot be loaded, since they have changed in the training.
        """
        if self.network is None:
            return None
        return replace(
            _template(self.network.network),
            title=backbone_title(self.backbone, self.network.title),
            preprocessing=self.network.preprocessing,
            licence=self.network.licence,
            network=self.network.network,
            name=self.backbone,
            image_size=self.image_size,
            blocks=self.network.blocks,
            weights=RecordedWeights(self.network.weights_checksum),
            lineage=self.network.lineage,
        )


def signature_damaged(folder: Path, reason: str) -> WorkspaceError:
    """Return the error about a signature that does not fit the model beside it."""
    return _SIGNATURE.damaged(folder, reason)


def _cost() -> str:
    return _("The model cannot answer without it. Restore the file from a copy.")


_SIGNATURE = FactsFile(SIGNATURE_FILE, ModelSignature, _cost)
_ESSENTIALS = FactsFile(SIGNATURE_FILE, _Essentials, _cost)


def head_of(model: keras.Model) -> LayeredHead:
    """Return the kind of head of a classifier by its layers; the choices may have left it to a comparison."""
    names = {layer.name for layer in model.layers}
    if "flatten" in names:
        return "flattened_map"
    if CENTRE_LAYER in names:
        return "average"
    return "hidden" if "hidden_layer" in names else "linear"


def last_feature_layer(model: keras.Model) -> str:
    """Return the layer of the backbone whose feature map the new layers get."""
    head = "flatten" if head_of(model) == "flattened_map" else POOLING_LAYER
    feature_map = model.get_layer(head).input
    return next(str(layer.name) for layer in model.layers if layer.output is feature_map)


def recorded_last_layer(folder: Path, model: keras.Model) -> str:
    """Return the layer whose feature map the head of a saved model gets, as its signature recorded it.

    Args:
        folder: Where the signature is. Where it did not record the layer, the model itself says it.
        model: The saved model.
    """
    recorded = ""
    with suppress(WorkspaceError):
        recorded = ModelSignature.load(folder).last_layer
    is_there = any(layer.name == recorded for layer in model.layers)
    return recorded if is_there else last_feature_layer(model)


def finished_backbone(folder: Path, name: str) -> Backbone:
    """Return the facts of a finished model's backbone as they were when it was trained.

    Args:
        folder: Where the model and its signature are.
        name: Of the backbone in the choices of the run. Only where the signature is missing or, as in earlier
            versions, did not record the facts, the registry gives today's.

    Raises:
        NotFoundError: If neither the signature nor the registry has it.
    """
    with suppress(WorkspaceError):
        signature = ModelSignature.load(folder)
        if signature.backbone == name and (backbone := signature.trained_backbone()):
            return backbone
    return get_backbone(name, Workspace.of_run(folder))


def _template(network: str) -> Backbone:
    """Return the published network for facts that are not recorded; a stand-in if this version lacks it."""
    try:
        return get_backbone(network)
    except NotFoundError:
        return Backbone(
            name=network,
            title=network,
            family="",
            when_to_pick="",
            image_size=0,
            smallest_image_size=0,
            preprocessing="",
            blocks=(),
            megabytes=0.0,
            imagenet_accuracy=None,
            accuracy_source="",
            licence="",
            weights_source="",
            weights=RecordedWeights(""),
            architecture=partial(get_backbone, network),
            network=network,
            lineage=(),
        )
