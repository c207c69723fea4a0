"""The command that reads the facts of published backbones off their networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import read_backbone_facts
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import RECORDS_FILE, list_backbones

TINY = [backbone for backbone in list_backbones(include_hidden=True) if backbone.hidden]


@pytest.mark.parametrize("backbone", TINY, ids=lambda entry: entry.name)
def test_command_restores_every_fact_of_the_blocks_from_their_last_layers(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = json.loads(RECORDS_FILE.read_text("utf-8"))
    blocks = records[backbone.name]["blocks"]
    for block in blocks:
        for fact in set(block) - {"name", "last_layer"}:
            del block[fact]
    path = tmp_path / "backbones.json"
    path.write_text(json.dumps(records), "utf-8")
    monkeypatch.setattr(read_backbone_facts, "RECORDS_FILE", path)
    monkeypatch.setattr("sys.argv", ["read_backbone_facts", backbone.name])
    read_backbone_facts.main()
    assert path.read_text("utf-8") == RECORDS_FILE.read_text("utf-8")


@pytest.mark.parametrize(
    "last_layers",
    [{"all": "block2_bn"}, {"stem": "no_such_layer", "rest": "block2_relu"}],
    ids=["layers left over", "unknown layer"],
)
def test_command_rejects_blocks_that_do_not_divide_the_network(
    last_layers: dict[str, str], keras_module
) -> None:
    model = TINY[0].build(pretrained=False)
    with pytest.raises(ValueError, match="can be cut behind"):
        read_backbone_facts.read_blocks(model, last_layers)
