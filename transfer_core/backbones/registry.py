"""Find backbones by name: the published ones, recorded in `published/backbones.json`, and a person's own models.

A new published backbone is one record there and, if `keras.applications` does not have it, a builder here.
`python -m tools.read_backbone_facts` fills in what can be read off its network.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from difflib import get_close_matches
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer_core.backbones.backbone import RANDOM_WEIGHTS, Backbone, Block
from transfer_core.backbones.families import backbone_title, when_to_pick
from transfer_core.backbones.own.source_model import FACTS_FILE, source_model_backbone
from transfer_core.backbones.published.careful import CombinedWeights, build_careful
from transfer_core.backbones.published.efficientnet_lite import PackageWeights, build_efficientnet_lite
from transfer_core.backbones.published.tiny import RandomWeights, build_tiny
from transfer_core.backbones.published.zoo import build_zoo_network
from transfer_core.backbones.published.zoo_weights import WeightsFile, ZooWeights
from transfer_core.config import TrainingConfig
from transfer_core.errors import NotFoundError
from transfer_core.language import _, names_list
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    import keras

DEFAULT_BACKBONE = TrainingConfig().backbone
RECORDS_FILE = Path(__file__).parent / "published" / "backbones.json"

_BUILDERS: dict[str, Callable[..., keras.Model]] = {
    "careful": build_careful,
    "efficientnet_lite": build_efficientnet_lite,
    "keras.applications": build_zoo_network,
    "tiny": build_tiny,
}
_FLOAT_BYTES = 4


def list_backbones(*, include_hidden: bool = False) -> list[Backbone]:
    """Return every published backbone that a person can choose, in the order of the records.

    Args:
        include_hidden: Also return those that only tests use.
    """
    return [backbone for backbone in _published().values() if include_hidden or not backbone.hidden]


def bundled_backbones() -> list[Backbone]:
    """Return the single networks that come with the app and need no download."""
    return [backbone for backbone in list_backbones() if isinstance(backbone.weights, PackageWeights)]


def get_backbone(name: str, workspace: Workspace | None = None) -> Backbone:
    """Return the backbone of that name.

    Args:
        name: Name of a published backbone, or id of an own model.
        workspace: Where own models are looked up; without it only published backbones are found.

    Raises:
        NotFoundError: If there is none; the message names the nearest, or those that come with the app.
        WorkspaceError: If the files of an own model are damaged.
    """
    published = _published()
    if name in published:
        return published[name]
    if workspace is not None:
        with suppress(NotFoundError):
            folder = workspace.source_dir(name)
            if (folder / FACTS_FILE).is_file():
                return source_model_backbone(folder, get_backbone)
    near = get_close_matches(name, [backbone.name for backbone in list_backbones()])
    known = near or [backbone.name for backbone in bundled_backbones()]
    raise NotFoundError(
        _(
            "There is no backbone called {name}. Choose another, such as {known}. The Model page lists all."
        ).format(name=name[:60], known=names_list(known))
    )


@cache
def _published() -> dict[str, Backbone]:
    records = json.loads(RECORDS_FILE.read_text("utf-8"))
    return {name: _backbone(name, record) for name, record in records.items()}


def _backbone(name: str, record: dict[str, Any]) -> Backbone:
    preprocessing = record["options"].get("preprocessing", "inside")
    blocks = tuple(Block(**block) for block in record["blocks"])
    computed = {
        "name": name,
        "title": backbone_title(name, record["title"]),
        "when_to_pick": when_to_pick(name, record["family"]),
        "preprocessing": "inside" if preprocessing == "efficientnet" else preprocessing,
        "blocks": blocks,
        "architecture": architecture_of(name, record),
        "network": name,
        **_weights_facts(name, record),
    }
    size = sum(block.num_parameters for block in blocks) * _FLOAT_BYTES / 1e6
    given = {key: value for key, value in record.items() if key not in ("builder", "options")}
    return Backbone(**{"megabytes": round(size, 1), **given, **computed})


def architecture_of(name: str, record: dict[str, Any]) -> Callable[[], keras.Model]:
    """Return the function that builds the network of a record with fresh weights."""
    builder = _BUILDERS[record["builder"]]
    return partial(builder, name=name, image_size=record["image_size"], **record["options"])


def _weights_facts(name: str, record: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a backbone that depend on where its weights come from."""
    match record["weights"]:
        case {"package": package, "sha256": sha256}:
            source = _("ImageNet (1.28 million photos, 1,000 classes), in the Python package {package}")
            return {
                "weights": PackageWeights(package, sha256),
                "weights_source": source.format(package=package),
                "lineage": ("ImageNet",),
            }
        case {"packages": packages}:
            source = _("ImageNet (1.28 million photos, 1,000 classes), in the Python packages {packages}")
            return {
                "weights": CombinedWeights(
                    tuple(
                        (network, PackageWeights(part["package"], part["sha256"]))
                        for network, part in packages.items()
                    )
                ),
                "weights_source": source.format(
                    packages=names_list(part["package"] for part in packages.values())
                ),
                "lineage": ("ImageNet",),
            }
        case {"files": files}:
            return {
                "weights": ZooWeights(
                    record["title"],
                    tuple(WeightsFile(**file) for file in files),
                    is_blue_first=record["options"]["preprocessing"] == "caffe",
                ),
                "weights_source": _("ImageNet (1.28 million photos, 1,000 classes), downloaded from Keras"),
                "lineage": ("ImageNet",),
            }
        case {"seed": seed}:
            return {
                "weights": RandomWeights(name, seed),
                "weights_source": _("Random values"),
                "lineage": (RANDOM_WEIGHTS,),
            }
    raise ValueError(f"the record of {name} does not say where its weights come from")
