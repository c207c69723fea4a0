"""An exported Keras bundle can be imported as a source model, without ever loading its model file."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.core.conftest import FinishedRun
from transfer_core.backbones.own.exchange import import_source
from transfer_core.backbones.registry import get_backbone
from transfer_core.errors import WeightsError
from transfer_core.workspace import Workspace


@pytest.fixture
def members(unpacked) -> dict[str, bytes]:
    with zipfile.ZipFile(unpacked("keras").bundle.path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: dict[str, bytes]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    buffer.seek(0)
    return buffer


def with_model(members: dict[str, bytes], model: bytes, **facts: object) -> io.BytesIO:
    """Return the bundle with another model file and, like an attacker, with the matching checksum."""
    place = next(name for name in members if name.endswith("source.json"))
    found = json.loads(members[place]) | {"weights_sha256": hashlib.sha256(model).hexdigest()} | facts
    name = place.replace("source.json", "model.keras")
    return zipped({**members, place: json.dumps(found).encode(), name: model})


def test_import_reads_the_arrays_and_never_loads_the_model(
    members: dict[str, bytes],
    finished_run: FinishedRun,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained = keras.saving.load_model(finished_run.folder / "model.keras", compile=False)
    monkeypatch.setattr(keras.saving, "load_model", lambda *args, **kwargs: pytest.fail("was loaded"))
    monkeypatch.setattr(keras.models, "load_model", lambda *args, **kwargs: pytest.fail("was loaded"))
    source = get_backbone(import_source(workspace, zipped(members)), workspace)
    assert source.weights_source == "Colours ← Tiny network for tests ← random weights"
    body = source.build()
    for layer in body.layers:
        for mine, theirs in zip(
            layer.get_weights(), trained.get_layer(layer.name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)
    names = {path.name for path in workspace.source_dir(source.name).iterdir()}
    assert names == {"facts.json", "weights.npz"}


def test_changed_or_foreign_bundles_are_rejected(members: dict[str, bytes], workspace: Workspace) -> None:
    place = next(name for name in members if name.endswith("model.keras"))
    model = members[place]
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    forged = {name: content for name, content in inside.items() if name != "model.weights.h5"}
    rejected = {
        "checksum is another": zipped({**members, place: model[:-1] + b"x"}),
        "another network": with_model(members, model, architecture="mobilenet_tiny"),
        "does not know the network": with_model(members, model, architecture="no_such_network"),
        "facts are not as expected": with_model(members, model, lineage="abc"),
        "larger than those": with_model(members, bytes(30_000_000)),
        "cannot be read": with_model(
            members, zipped({**forged, "model.weights.h5": b"\x89HDF" + bytes(2_000)}).getvalue()
        ),
        "can carry code": with_model(members, zipped(forged).getvalue()),
        "can carry code.*": with_model(members, b"not a zip"),
        "not a model of Transfer Studio": zipped(
            {name: content for name, content in members.items() if "source" not in name}
        ),
    }
    for reason, content in rejected.items():
        with pytest.raises(WeightsError, match=reason):
            import_source(workspace, content)
    bomb = zipped({**forged, "model.weights.h5": bytes(30_000_000)}).getvalue()
    with pytest.raises(WeightsError, match="larger than those"):
        import_source(workspace, with_model(members, bomb))
    assert workspace.source_ids() == []
    assert not list(workspace.sources_dir.glob(".*"))


def test_other_formats_have_no_source_facts(unpacked) -> None:
    assert not (Path(unpacked("code").folder) / "source.json").exists()
