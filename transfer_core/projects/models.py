"""The model of a run on its way: facts and arrays. What arrives is put into a network that this app builds itself."""

from __future__ import annotations

import math
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from transfer_core.backbones.own.source_model import ARRAYS_FILE, check_outputs, kinds_of_arrays, load_arrays
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.errors import ProjectError
from transfer_core.files import replacing
from transfer_core.inference.predictor import load_model
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.classifier import build_classifier
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.train import MODEL_FILE

# Names and shapes of the arrays, beside their numbers.
_MOST_HEADER_BYTES = 2 * 10**6


@dataclass(frozen=True)
class NetworkFacts:
    """All that is needed to build the network of a run again.

    Args:
        architecture: Name of the published network that its body is.
        head: The new layers.
        hidden_units: Size of the hidden layer, where the head has one, 1-4096.
    """

    architecture: str
    head: Literal["linear", "hidden", "flattened_map"]
    hidden_units: int = 1

    def plan(self) -> FreezePlan:
        """Return the body and the head.

        Raises:
            NotFoundError: If this app has no such network.
        """
        return FreezePlan(get_backbone(self.architecture), head=self.head, hidden_units=self.hidden_units)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain values, ready for JSON."""
        return asdict(self)


def write_arrays(run: TrainingRun, architecture: str, path: Path) -> NetworkFacts:
    """Write the numbers of a run's model, and return what else there is to know about it.

    Args:
        run: A run of this computer with a model.
        architecture: Name of the published network that its body is.
        path: Where the arrays are to be.

    Raises:
        NotFoundError: If it has no model.
        WorkspaceError: If the model is damaged, or the disk refuses.
    """
    model = load_model(run.folder)
    layers = {layer.name: layer for layer in model.layers}
    arrays = {
        f"{name}/{number}": array
        for name, layer in layers.items()
        for number, array in enumerate(layer.get_weights())
        if layer.weights
    }
    with replacing(path) as beside:
        np.savez(beside, allow_pickle=False, **arrays)
    if "flatten" in layers:
        return NetworkFacts(architecture, "flattened_map")
    if "hidden_layer" in layers:
        return NetworkFacts(architecture, "hidden", layers["hidden_layer"].units)
    return NetworkFacts(architecture, "linear")


def check_arrays(path: Path, num_values: int) -> None:
    """Make sure, before a network is built, that a file is as large as its numbers: no small one has a large built.

    Args:
        path: The arrays.
        num_values: How many numbers the network has.

    Raises:
        OSError: If there is no such file.
        ProjectError: If it holds another number of them, or holds them packed, which this app does not.
        ValueError: If it is no file of arrays.
    """
    held = sum(math.prod(shape) for shape, _dtype in kinds_of_arrays(path).values())
    with zipfile.ZipFile(path) as file:
        is_packed = any(member.compress_type != zipfile.ZIP_STORED for member in file.infolist())
    num_bytes = 4 * num_values
    is_large_enough = num_bytes <= path.stat().st_size <= num_bytes + _MOST_HEADER_BYTES
    if held != num_values or is_packed or not is_large_enough:
        raise ProjectError(_("its weights are not as many as its network has"))


def rebuild_model(run: TrainingRun, facts: NetworkFacts) -> None:
    """Build the network of a run, put its numbers in, and save it as `train` would have.

    Args:
        run: It has arrays, which are deleted once the model is there. The facts beside them have been checked.
        facts: What the network is.

    Raises:
        ProjectError: If the arrays are of another network.
        WeightsError: If they are damaged.
        WorkspaceError: If writing fails.
    """
    plan, num_classes = facts.plan(), len(run.class_names)
    path = run.folder / ARRAYS_FILE
    check_arrays(path, plan.backbone.num_parameters + plan.num_head_parameters(num_classes))
    load_keras()
    model = build_classifier(plan, num_classes, run.config, plan.backbone.build(pretrained=False))
    load_arrays(path, model)
    check_outputs(model)
    with replacing(run.folder / MODEL_FILE) as beside:
        model.save(beside)
    path.unlink()
