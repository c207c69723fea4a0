"""Export source models as a zip, and import them from a zip, an exported Keras model or a Keras weights file."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import BinaryIO

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.families import origin_name
from transfer_core.backbones.own.source_model import (
    ARRAYS_FILE,
    BUNDLE_FACTS_FILE,
    BUNDLE_MODEL_FILE,
    FACTS_FILE,
    SourceModelFacts,
    SourceModelWeights,
    check_outputs,
    write_source_model,
)
from transfer_core.backbones.published.zoo_weights import has_checksum, read_zoo_weights
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.backbones.weights_file import read_weights, set_weights
from transfer_core.config import bounds_of
from transfer_core.data.quota import check_space
from transfer_core.data.sources.zip_archive import size_of_list
from transfer_core.errors import NotFoundError, WeightsError, WorkspaceError
from transfer_core.files import move, parse_json, replacing, write_json
from transfer_core.language import _
from transfer_core.workspace import Workspace, new_id

_MOST_FACTS_BYTES = 10**6
# Of the directory of a zip: a source model has two files, an exported model about twenty.
_MOST_BYTES_OF_LIST = 2**20
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Names and shapes of the arrays, beside their numbers.
MOST_HEADER_BYTES = 2 * 10**6
_CHUNK_BYTES = 2**20
# Raised by zipfile on truncated or modified files. An OSError is about the disk.
_NOT_A_ZIP = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)
_KERAS_WEIGHTS_FILE = "model.weights.h5"
_MOST_HIDDEN_UNITS = int(bounds_of("hidden_units")[1])


def export_source(workspace: Workspace, source_id: str, path: Path) -> None:
    """Write a source model as a zip that `import_source` reads on another computer.

    Args:
        workspace: Where the source model is.
        source_id: Its id.
        path: Destination.

    Raises:
        NotFoundError: If there is no such model.
        WorkspaceError: If writing fails.
    """
    folder = workspace.source_dir(source_id)
    if not (folder / FACTS_FILE).is_file():
        raise NotFoundError(_("There is no own model with the id {id} any more.").format(id=source_id))
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as file:
        for name in (FACTS_FILE, ARRAYS_FILE):
            file.write(folder / name, name)


def import_source(workspace: Workspace, content: BinaryIO) -> str:
    """Import a source model, or a model exported for Keras, from a zip of this app on any computer.

    Args:
        workspace: Where the source model is created.
        content: The zip. Nothing in it is executed.

    Returns:
        Id of the new source model.

    Raises:
        IngestError: If the person's part of the disk is full.
        WeightsError: If it is another kind of file, damaged, or does not match the architecture that it names.
        WorkspaceError: If writing fails.
    """
    load_keras()
    with _new_source(workspace) as (source_id, folder):
        try:
            if size_of_list(content) > _MOST_BYTES_OF_LIST:
                raise WeightsError(_not_ours())
            with zipfile.ZipFile(content) as file:
                place = _bundle_folder(file)
                if place is None:
                    _import_zip(file, folder)
                else:
                    _import_bundle(file, place, folder)
        except NotFoundError as error:
            raise WeightsError(
                _("This version of the app does not know the network of this model. Update the app.")
            ) from error
        except _NOT_A_ZIP as error:
            raise WeightsError(_not_ours()) from error
    return source_id


def import_weights(workspace: Workspace, backbone_name: str, content: BinaryIO, name: str) -> str:
    """Import a Keras weights file (`.h5`, with or without classifier) as a source model.

    Args:
        workspace: Where the source model is created.
        backbone_name: Name of the published backbone that the weights belong to.
        content: The file. Only its arrays are read.
        name: Of the file; becomes the title of the model.

    Returns:
        Id of the new source model.

    Raises:
        IngestError: If the person's part of the disk is full.
        NotFoundError: If there is no such published backbone.
        WeightsError: If the file is damaged or of another network.
        WorkspaceError: If writing fails.
    """
    network = get_backbone(backbone_name)
    load_keras()
    model = network.build(pretrained=False)
    set_weights(model, read_zoo_weights(content, model, name, is_blue_first=network.preprocessing == "caffe"))
    check_outputs(model)
    facts = {
        "architecture": network.name,
        "title": Path(name).stem[:100],
        "class_names": (),
        "lineage": (origin_name(network.name, network.title),),
    }
    with _new_source(workspace) as (source_id, folder):
        write_source_model(folder, model, network, facts)
    return source_id


@contextmanager
def _new_source(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    """Yield an id and a scratch folder, and move the folder into the workspace if the block raises nothing."""
    source_id = new_id()
    check_space(workspace)
    try:
        with workspace.scratch_folder() as folder:
            yield source_id, folder
            move(folder, workspace.sources_dir / source_id)
    except OSError as error:
        raise WorkspaceError(
            _("The model could not be saved: {reason}. Free some space, then try again.").format(reason=error)
        ) from error


def _bundle_folder(file: zipfile.ZipFile) -> str | None:
    """Return the folder in a zip, with its slash, that holds an exported Keras model with its facts."""
    names = set(file.namelist())
    places = [name.removesuffix(BUNDLE_FACTS_FILE) for name in names if name.endswith(BUNDLE_FACTS_FILE)]
    found = [place for place in places if place.count("/") <= 1 and place + BUNDLE_MODEL_FILE in names]
    return found[0] if len(found) == 1 else None


def _import_zip(file: zipfile.ZipFile, folder: Path) -> None:
    if {member.filename for member in file.infolist()} != {FACTS_FILE, ARRAYS_FILE}:
        raise WeightsError(_not_ours())
    facts = _read_facts(file, FACTS_FILE)
    network = get_backbone(facts.architecture)
    _extract(file, ARRAYS_FILE, folder / ARRAYS_FILE, network, 4 * network.num_parameters)
    body = network.build(pretrained=False)
    SourceModelWeights(folder, facts.weights_sha256).load(body)
    check_outputs(body)
    write_json(folder / FACTS_FILE, facts.to_dict())


def _import_bundle(file: zipfile.ZipFile, place: str, folder: Path) -> None:
    """Read the arrays of a Keras model file without loading it with Keras, which could execute foreign code."""
    facts = _read_facts(file, place + BUNDLE_FACTS_FILE)
    network = get_backbone(facts.architecture)
    largest_head = network.num_features * network.blocks[-1].output_size ** 2 + _MOST_HIDDEN_UNITS + 1
    most_bytes = 4 * (
        network.num_parameters
        + largest_head * max(len(facts.class_names), 1)
        + (network.num_features + 1) * _MOST_HIDDEN_UNITS
    )
    model_path, weights_path = folder / BUNDLE_MODEL_FILE, folder / _KERAS_WEIGHTS_FILE
    _extract(file, place + BUNDLE_MODEL_FILE, model_path, network, most_bytes)
    if not has_checksum(model_path, facts.weights_sha256):
        raise WeightsError(
            _("The model in this file has been changed or damaged: its checksum is another. Export it again.")
        )
    with zipfile.ZipFile(model_path) as inside:
        if _KERAS_WEIGHTS_FILE not in inside.namelist():
            raise WeightsError(_not_ours())
        _extract(inside, _KERAS_WEIGHTS_FILE, weights_path, network, most_bytes)
    body = network.build(pretrained=False)
    set_weights(body, read_weights(weights_path, body, BUNDLE_MODEL_FILE))
    check_outputs(body)
    given = {field.name: getattr(facts, field.name) for field in fields(facts)}
    del given["weights_sha256"]
    write_source_model(folder, body, network, given)
    model_path.unlink()
    weights_path.unlink()


def _read_facts(file: zipfile.ZipFile, name: str) -> SourceModelFacts:
    member = file.getinfo(name)
    if member.file_size > _MOST_FACTS_BYTES or member.compress_type not in _PACKINGS:
        raise WeightsError(_not_ours())
    with file.open(name) as opened:
        content = opened.read(_MOST_FACTS_BYTES)
    try:
        values = parse_json(content)
    except ValueError as error:
        raise WeightsError(_not_ours()) from error
    return SourceModelFacts.from_dict(values)


def _extract(file: zipfile.ZipFile, name: str, path: Path, network: Backbone, most_bytes: int) -> None:
    """Extract a file from a zip; stop at the size that the network can need, whatever the zip claims."""
    # Other compressions can be crafted to need any amount of memory.
    if file.getinfo(name).compress_type not in _PACKINGS:
        raise WeightsError(_not_ours())
    num_bytes = 0
    with file.open(name) as packed, path.open("wb") as target:
        while chunk := packed.read(_CHUNK_BYTES):
            num_bytes += len(chunk)
            if num_bytes > most_bytes + MOST_HEADER_BYTES:
                raise WeightsError(
                    _(
                        "The weights in this file are larger than those of {network}. Save the model again."
                    ).format(network=network.title)
                )
            target.write(chunk)


def _not_ours() -> str:
    return _(
        "This is not a model of Transfer Studio. Model files of other programs are not opened, because they can carry "
        "code. Use “Save as a file” on the Model page where it was trained. "
        "Plain weights (.h5) of a model in the list work too."
    )
