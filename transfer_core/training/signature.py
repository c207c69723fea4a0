"""What a finished model is, kept beside it: the registry may know its backbone differently by then, or not at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from transfer_core.backbones.backbone import Backbone, Block
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import Head
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError, TransferStudioError, WeightsError
from transfer_core.files import read_json
from transfer_core.language import _
from transfer_core.training.freezing import POOLING_LAYER
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    import keras

SIGNATURE_FILE = "signature.json"
# The facts of a backbone that say what a model of it is; the others only help to choose one.
_TEXTS = ("title", "preprocessing", "licence", "network")
_BLOCK_KINDS = get_type_hints(Block)


@dataclass(frozen=True)
class RecordedWeights:
    """The weights that a finished model began with: known by their checksum, no longer needed.

    Args:
        checksum: As `Weights.checksum`.
        are_available: Never, since only the trained model is kept.
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


def signature_of(model: keras.Model, dataset: ImageDataset, backbone: Backbone) -> dict[str, Any]:
    """Return everything that whoever uses a trained model has to know about it, ready for JSON.

    Args:
        model: What `build_classifier` returned, trained.
        dataset: Its class names are those of the outputs.
        backbone: What the model was built on.
    """
    return {
        "class_names": list(dataset.class_names),
        "image_size": backbone.image_size,
        "resize": "squeeze to a square, bicubic with antialiasing",
        "value_range": [0, 255],
        "backbone": backbone.name,
        "head": head_of(model),
        "last_layer": last_feature_layer(model),
        "network": {
            **{name: getattr(backbone, name) for name in _TEXTS},
            "lineage": list(backbone.lineage),
            "weights_checksum": backbone.weights.checksum,
            "blocks": [asdict(block) for block in backbone.blocks],
        },
        "versions": {name: version(name) for name in ("keras", "tensorflow")},
    }


def head_of(model: keras.Model) -> Head:
    """Return which new layers the training has put on top; the choices may have left that to it."""
    names = {layer.name for layer in model.layers}
    if "flatten" in names:
        return "flattened_map"
    return "hidden" if "hidden_layer" in names else "linear"


def last_feature_layer(model: keras.Model) -> str:
    """Return the layer of the backbone whose feature map the new layers get."""
    head = "flatten" if head_of(model) == "flattened_map" else POOLING_LAYER
    feature_map = model.get_layer(head).input
    return next(str(layer.name) for layer in model.layers if layer.output is feature_map)


def recorded_last_layer(folder: Path, model: keras.Model) -> str:
    """Return the layer whose feature map the new layers of a saved model get, as its signature recorded it.

    Args:
        folder: Where the signature is. Earlier versions did not record the layer; then the model itself says it.
        model: The saved model.
    """
    try:
        recorded = read_json(folder / SIGNATURE_FILE).get("last_layer")
    except TransferStudioError:
        recorded = None
    is_there = any(layer.name == recorded for layer in model.layers)
    return str(recorded) if is_there else last_feature_layer(model)


def finished_backbone(folder: Path, name: str) -> Backbone:
    """Return the facts of a finished model's backbone as they were when it was trained.

    Args:
        folder: Folder of a run, where the model and its signature are.
        name: Of the backbone in the choices of the run. It is asked of the registry where the signature is missing
            or, as in earlier versions, lacks these facts.

    Returns:
        The facts. Its weights cannot be loaded, since they have changed in the training.

    Raises:
        NotFoundError: If neither the signature nor the registry has it.
    """
    try:
        return _recorded(read_json(folder / SIGNATURE_FILE), name)
    except (TransferStudioError, KeyError, TypeError, ValueError):
        return get_backbone(name, Workspace.of_run(folder))


def _recorded(signature: dict[str, Any], name: str) -> Backbone:
    facts, image_size = signature["network"], signature["image_size"]
    if signature["backbone"] != name:
        raise ValueError
    texts = {key: facts[key] for key in _TEXTS}
    lineage, checksum = facts["lineage"], facts["weights_checksum"]
    # A project from elsewhere may hold anything.
    if not all(
        isinstance(text, str) and text.isprintable() for text in (*texts.values(), *lineage, checksum)
    ):
        raise TypeError
    if type(image_size) is not int or image_size <= 0:
        raise TypeError
    return replace(
        _template(facts["network"]),
        **texts,
        name=name,
        image_size=image_size,
        blocks=tuple(_block(values) for values in facts["blocks"]),
        weights=RecordedWeights(checksum),
        lineage=tuple(lineage),
    )


def _block(values: dict[str, Any]) -> Block:
    if any(type(values[name]) is not kind for name, kind in _BLOCK_KINDS.items()):
        raise TypeError
    return Block(**values)


def _template(network: str) -> Backbone:
    """Return the published network for what is not recorded; a stand-in where this version no longer has it."""
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
