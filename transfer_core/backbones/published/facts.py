"""What was read off the built networks: blocks, weights files, and the checksums Keras knows.

`tools/read_backbone_facts.py` writes the file; the tests hold it against the networks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from transfer_core.backbones.backbone import Block

FACTS_FILE = Path(__file__).with_name("facts.json")


@dataclass(frozen=True)
class WeightsFile:
    """A weights file as Keras publishes it.

    Args:
        name: What Keras calls it on disk.
        url: Where it is published.
        checksum: MD5 (32 digits) or SHA-256 (64 digits), or empty where Keras has none.
    """

    name: str
    url: str
    checksum: str


@dataclass(frozen=True)
class ReadFacts:
    """What was read off one network.

    Args:
        blocks: From input to output.
        files: The file without classifier and the one with it; none for a network that is not Keras's.
    """

    blocks: tuple[Block, ...]
    files: tuple[WeightsFile, ...]


@cache
def read_facts() -> dict[str, ReadFacts]:
    """Return them by the name of the backbone."""
    found = json.loads(FACTS_FILE.read_text("utf-8"))
    return {
        name: ReadFacts(
            tuple(Block(*row) for row in facts["blocks"]),
            tuple(WeightsFile(*file) for file in facts["files"]),
        )
        for name, facts in found.items()
    }
