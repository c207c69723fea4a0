"""Move the model of a run as facts and arrays. The receiving app builds the network itself and loads the arrays."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct, structs

from transfer_core.backbones.own.exchange import MOST_HEADER_BYTES
from transfer_core.backbones.own.source_model import ARRAYS_FILE, check_outputs, kinds_of_arrays, load_arrays
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import HiddenUnits
from transfer_core.errors import ProjectError
from transfer_core.files import replacing
from transfer_core.inference.predictor import load_model
from transfer_core.language import _
from transfer_core.runs.training_run import TrainingRun
from transfer_core.schema import Text
from transfer_core.training.classifier import build_classifier
from transfer_core.training.freezing import FreezePlan
from transfer_core.training.signature import LayeredHead, head_of
from transfer_core.training.train import MODEL_FILE


class NetworkFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """The facts from which the network of a run is built again.

    Args:
        architecture: Name of its published backbone.
        head: The new layers.
        hidden_units: Size of the hidden layer, if the head has one, 1-4096.
    """

    architecture: Text
    head: LayeredHead
    hidden_units: HiddenUnits = 1

    def plan(self) -> FreezePlan:
        """Return the plan of backbone and head.

        Raises:
            NotFoundError: If this app has no such network.
        """
        return FreezePlan(get_backbone(self.architecture), head=self.head, hidden_units=self.hidden_units)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain values, ready for JSON."""
        return structs.asdict(self)


def write_arrays(run: TrainingRun, architecture: str, path: Path) -> NetworkFacts:
    """Write the weights of a run's model, and return the facts of its network.

    Args:
        run: A run of the workspace with a model.
        architecture: Name of its published backbone.
        path: The target.

    Raises:
        NotFoundError: If it has no model.
        WorkspaceError: If the model is damaged, or writing fails.
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
    head = head_of(model)
    if head == "hidden":
        return NetworkFacts(architecture, head, layers["hidden_layer"].units)
    return NetworkFacts(architecture, head)


def check_arrays(path: Path, num_values: int) -> None:
    """Raise an error unless a file has as many weights as the network, so that no small file causes a large build.

    Args:
        path: The arrays.
        num_values: Weights of the network.

    Raises:
        OSError: If there is no such file.
        ProjectError: If it has another number of weights, or compressed ones, which this app does not write.
        ValueError: If it is no file of arrays.
    """
    held = sum(math.prod(shape) for shape, _dtype in kinds_of_arrays(path).values())
    with zipfile.ZipFile(path) as file:
        is_packed = any(member.compress_type != zipfile.ZIP_STORED for member in file.infolist())
    num_bytes = 4 * num_values
    is_large_enough = num_bytes <= path.stat().st_size <= num_bytes + MOST_HEADER_BYTES
    if held != num_values or is_packed or not is_large_enough:
        raise ProjectError(_("the number of its weights does not match its model"))


def rebuild_model(run: TrainingRun, facts: NetworkFacts) -> None:
    """Build the network of a run, load its weights, and save it as `train` does.

    Args:
        run: Unpacked. Its arrays are deleted once the model is saved.
        facts: Of its network, checked.

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
