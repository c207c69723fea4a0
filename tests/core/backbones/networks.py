"""Which networks are built in the tests: building all of them takes minutes."""

from __future__ import annotations

import os

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import bundled_backbones, get_backbone, list_backbones

# One command tries all of them: TRANSFER_STUDIO_ALL_BACKBONES=1 python -m pytest tests/core/backbones
ALL_VARIABLE = "TRANSFER_STUDIO_ALL_BACKBONES"
# The smallest of each family; together they have every kind of preprocessing.
REPRESENTATIVES = (
    "mobilenet_v3_small",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "convnext_tiny",
    "resnet50",
    "densenet121",
    "xception",
    "nasnet_mobile",
    "vgg16",
)
_QUICK = ("efficientnet_lite0", "mobilenet_v3_small", "convnext_tiny")


def _chosen(names: tuple[str, ...]) -> list[Backbone]:
    if os.environ.get(ALL_VARIABLE) == "1":
        return list_backbones(include_hidden=True)
    return [
        *map(get_backbone, names),
        *(entry for entry in list_backbones(include_hidden=True) if entry.hidden),
    ]


_CAREFUL = tuple(backbone.name for backbone in list_backbones() if backbone.is_frozen_only)
BUILT = _chosen((*(backbone.name for backbone in bundled_backbones()), *_CAREFUL, *REPRESENTATIVES))
BUILT_QUICK = _chosen(_QUICK)
