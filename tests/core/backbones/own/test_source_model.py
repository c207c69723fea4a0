"""A person's own models as backbones: written, taken elsewhere, checked; nothing from outside is ever run."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_catalogue
from tests.core.backbones.published.test_zoo import save_as_keras_publishes
from tests.core.conftest import FinishedRun
from transfer_core.backbones.families import origin_name, origin_words
from transfer_core.backbones.own.exchange import export_source, import_source, import_weights
from transfer_core.backbones.own.source_model import ARRAYS_FILE, FACTS_FILE
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError, TrainingError, WeightsError
from transfer_core.export.code import write_code
from transfer_core.language import speaking
from transfer_core.recipes import LOCALE_VARIABLE
from transfer_core.runs.own_models import make_source, runs_to_build_on
from transfer_core.runs.sweep import SweepPlan
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import move_to_trash
from transfer_core.training.features.feature_cache import pooled_features
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace


@pytest.fixture
def exported(own: FinishedRun, tmp_path: Path) -> Path:
    make_source(own.workspace, own.run.id)
    path = tmp_path / "flowers.source.zip"
    export_source(own.workspace, own.run.id, path)
    return path


def body_kernels(model) -> list[np.ndarray]:
    return [layer.kernel.numpy() for layer in model.layers if layer.name.endswith("_conv")]


def test_source_model_has_the_trained_body_and_its_lineage(own: FinishedRun, keras_module) -> None:
    assert [run.id for run in runs_to_build_on(own.workspace)] == [own.run.id]
    source = make_source(own.workspace, own.run.id)
    trained = keras_module.saving.load_model(own.folder / "model.keras", compile=False)
    fresh = get_backbone("tiny_random").build()
    for found, expected in zip(body_kernels(source.build()), body_kernels(trained), strict=True):
        np.testing.assert_array_equal(found, expected)
    # Its last block was fine-tuned.
    assert not np.array_equal(body_kernels(source.build())[-1], body_kernels(fresh)[-1])
    assert source.weights_source == "Colours ← Tiny network for tests ← random weights"
    assert (source.name, source.network, source.is_own) == (own.run.id, "tiny_random", True)
    assert source.blocks == get_backbone("tiny_random").blocks
    assert not list(runs_to_build_on(own.workspace))


def test_the_origin_is_stored_in_english_and_shown_in_the_language(
    own: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful = get_backbone("efficientnet_lite0_careful")
    write_catalogue(tmp_path, "de", {"random weights": "Zufall", "EfficientNet-Lite0, careful": "Sorgsam"})
    monkeypatch.setenv(LOCALE_VARIABLE, str(tmp_path))
    with speaking("de"):
        assert str(careful.title) == origin_words("EfficientNet-Lite0, careful") == "Sorgsam"
        assert origin_name(careful.name, careful.title) == "EfficientNet-Lite0, careful"
        source = make_source(own.workspace, own.run.id)
        assert source.weights_source == "Colours ← Tiny network for tests ← Zufall"
    assert source.lineage == ("Tiny network for tests", "random weights")
    source = get_backbone(source.name, own.workspace)
    assert source.weights_source == "Colours ← Tiny network for tests ← random weights"


def test_new_run_with_other_classes_builds_on_it_and_outlives_the_deleted_run(
    own: FinishedRun, color_dataset: ImageDataset, tiny_config: TrainingConfig, tmp_path: Path, keras_module
) -> None:
    source = make_source(own.workspace, own.run.id)
    move_to_trash(own.workspace, "run", own.run.id)
    shutil.copytree(color_dataset.folder, own.workspace.dataset_dir(color_dataset.id))
    dataset = ImageDataset.load(own.workspace, color_dataset.id)
    kept = [image for image in dataset.images if image.class_name != "red"]
    dataset = dataset.with_images(kept, ()).save()
    run = TrainingRun.create(own.workspace, dataset, tiny_config.with_changes(backbone=source.name))
    assert run.backbone == source
    events = []
    execute_run(own.workspace, run, events.append, lambda: False)
    assert events[-1].outcome == "finished"
    trained = keras_module.saving.load_model(run.folder / "model.keras", compile=False)
    assert trained.output.shape[-1] == 2
    for found, expected in zip(body_kernels(trained), body_kernels(source.build()), strict=True):
        np.testing.assert_array_equal(found, expected)
    write_code(run, dataset, tmp_path)
    exported_body = keras_module.saving.load_model(tmp_path / "backbone.keras", compile=False)
    for found, expected in zip(body_kernels(exported_body), body_kernels(source.build()), strict=True):
        np.testing.assert_array_equal(found, expected)
    plan = SweepPlan.of(dataset, run.config, [0, len(source.blocks)], 1, source)
    assert plan.depths == (0, len(source.blocks))
    grandchild = make_source(own.workspace, run.id)
    assert grandchild.lineage == ("Colours", "Tiny network for tests", "random weights")
    assert grandchild.network == "tiny_random"


def test_cached_features_of_another_source_are_never_taken(own: FinishedRun, tmp_path: Path) -> None:
    source = make_source(own.workspace, own.run.id)
    assert source.weights.checksum != get_backbone("tiny_random").weights.checksum
    for backbone in (get_backbone("tiny_random"), source):
        found: list[int] = []
        pooled_features(own.dataset, backbone, tmp_path, on_progress=found.append)
        assert found[0] == 0


def test_run_without_a_model_cannot_be_built_on(
    workspace: Workspace, color_dataset: ImageDataset, tiny_config: TrainingConfig
) -> None:
    run = TrainingRun.create(workspace, color_dataset, tiny_config)
    with pytest.raises(TrainingError, match="Only a finished model can be built on"):
        make_source(workspace, run.id)
    with pytest.raises(NotFoundError):
        make_source(workspace, "../../etc/passwd")


def test_own_models_are_found_in_their_workspace_alone(own: FinishedRun, tmp_path: Path) -> None:
    source = make_source(own.workspace, own.run.id)
    assert get_backbone(source.name, own.workspace) == source
    for workspace in (None, Workspace(tmp_path / "of another person")):
        with pytest.raises(NotFoundError, match="no backbone called"):
            get_backbone(source.name, workspace)


def test_taken_to_another_computer_it_is_the_same(
    exported: Path, own: FinishedRun, tmp_path: Path, keras_module
) -> None:
    elsewhere = Workspace(tmp_path / "elsewhere")
    with exported.open("rb") as content:
        source_id = import_source(elsewhere, content)
    assert source_id != own.run.id
    taken, original = get_backbone(source_id, elsewhere), get_backbone(own.run.id, own.workspace)
    assert taken.weights_source == original.weights_source
    for found, expected in zip(taken.build().get_weights(), original.build().get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert elsewhere.source_ids() == [source_id]


def test_damaged_arrays_are_noticed_when_they_are_used(own: FinishedRun, keras_module) -> None:
    source = make_source(own.workspace, own.run.id)
    path = own.workspace.source_dir(own.run.id) / ARRAYS_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="changed or damaged"):
        source.build()


def changed(path: Path, members: dict[str, bytes]) -> io.BytesIO:
    """The zip with other members in place of its own."""
    with zipfile.ZipFile(path) as file:
        found = {name: file.read(name) for name in file.namelist()} | members
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in found.items():
            file.writestr(name, content)
    buffer.seek(0)
    return buffer


def arrays(**values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **values)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "facts",
    [
        {"architecture": "../../x"},
        {"architecture": "no_such_network"},
        {"title": ""},
        {"title": 3},
        {"title": "x" * 1000},
        {"class_names": "abc"},
        {"class_names": ["x"] * 1001},
        {"lineage": [["a"]]},
        {"weights_sha256": "../x"},
        {"version": 99},
        {"format": "something else"},
    ],
)
def test_facts_of_another_kind_are_refused(exported: Path, workspace: Workspace, facts: dict) -> None:
    with zipfile.ZipFile(exported) as file:
        values = json.loads(file.read(FACTS_FILE)) | facts
    before = workspace.source_ids()
    with pytest.raises(WeightsError):
        import_source(workspace, changed(exported, {FACTS_FILE: json.dumps(values).encode()}))
    assert workspace.source_ids() == before
    assert not list(workspace.sources_dir.glob(".*"))


@pytest.mark.parametrize(
    "members",
    [
        {FACTS_FILE: b"not JSON"},
        {FACTS_FILE: b"[" * 200_000},
        {FACTS_FILE: b"[1]"},
        {"model.keras": b"x"},
        {"../evil.py": b"x"},
        {ARRAYS_FILE: b"x"},
        {ARRAYS_FILE: bytes(20_000_000)},
        {ARRAYS_FILE: arrays(kernel=np.zeros(3, np.float32))},
        {ARRAYS_FILE: arrays(kernel=np.array([{"a": 1}]))},
    ],
)
def test_archives_of_another_kind_are_refused(
    exported: Path, workspace: Workspace, members: dict[str, bytes]
) -> None:
    with pytest.raises(WeightsError):
        import_source(workspace, changed(exported, members))
    assert len(workspace.source_ids()) == 1


def test_array_with_a_huge_shape_is_rejected_before_it_is_read(
    exported: Path, workspace: Workspace, keras_module
) -> None:
    """Also with a checksum that fits: the shape is compared before any number is read."""
    import hashlib

    with zipfile.ZipFile(exported) as file:
        facts = json.loads(file.read(FACTS_FILE))
        content = io.BytesIO(file.read(ARRAYS_FILE))
    buffer = io.BytesIO()
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for number, name in enumerate(old.namelist()):
            array = old.read(name)
            if number == 0:
                header = io.BytesIO()
                np.lib.format.write_array_header_1_0(
                    header, {"descr": "<f4", "fortran_order": False, "shape": (10**6, 10**6)}
                )
                array = header.getvalue()
            new.writestr(name, array)
    facts["weights_sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    members = {FACTS_FILE: json.dumps(facts).encode(), ARRAYS_FILE: buffer.getvalue()}
    with pytest.raises(WeightsError, match="another shape"):
        import_source(workspace, changed(exported, members))


def test_other_peoples_model_files_are_refused_with_the_reason(
    own: FinishedRun, workspace: Workspace, keras_module
) -> None:
    model = (own.folder / "model.keras").read_bytes()
    for content in (model, b"\x89HDF\r\n\x1a\n", b"", model[:100]):
        with pytest.raises(WeightsError, match="can carry code"):
            import_source(workspace, io.BytesIO(content))


def test_weights_file_becomes_a_source_model(tmp_path: Path, workspace: Workspace, keras_module) -> None:
    network = get_backbone("mobilenet_tiny").build()
    save_as_keras_publishes(network, tmp_path / "birds.h5")
    with (tmp_path / "birds.h5").open("rb") as content:
        source_id = import_weights(workspace, "mobilenet_tiny", content, "birds.h5")
    source = get_backbone(source_id, workspace)
    assert source.weights_source == "birds ← Tiny network for tests"
    for found, expected in zip(source.build().get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    with (tmp_path / "birds.h5").open("rb") as content, pytest.raises(WeightsError, match="another network"):
        import_weights(workspace, "tiny_random", content, "birds.h5")


@pytest.mark.parametrize("value", [np.nan, -np.inf, 3e38])
def test_weights_with_which_no_network_can_answer_are_refused(
    exported: Path, workspace: Workspace, value: float, keras_module
) -> None:
    with zipfile.ZipFile(exported) as file:
        facts = json.loads(file.read(FACTS_FILE))
        with np.load(io.BytesIO(file.read(ARRAYS_FILE))) as numbers:
            content = arrays(**{name: np.full_like(numbers[name], value) for name in numbers.files})
    facts["weights_sha256"] = hashlib.sha256(content).hexdigest()
    forged = changed(exported, {FACTS_FILE: json.dumps(facts).encode(), ARRAYS_FILE: content})
    before = workspace.source_ids()
    with pytest.raises(WeightsError, match="infinity or NaN"):
        import_source(workspace, forged)
    assert workspace.source_ids() == before


def test_a_weights_file_of_infinite_numbers_is_refused(
    workspace: Workspace, tmp_path: Path, keras_module
) -> None:
    network = get_backbone("mobilenet_tiny").build()
    network.set_weights([np.full_like(array, np.inf) for array in network.get_weights()])
    save_as_keras_publishes(network, tmp_path / "weights.h5")
    with (
        (tmp_path / "weights.h5").open("rb") as content,
        pytest.raises(WeightsError, match="infinity or NaN"),
    ):
        import_weights(workspace, "mobilenet_tiny", content, "weights.h5")
    assert workspace.source_ids() == []


def test_a_zip_with_a_long_list_of_members_is_refused_before_it_is_read(workspace: Workspace) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for number in range(12_000):
            file.writestr(f"{number:060}", b"")
    with pytest.raises(WeightsError, match="not a model of Transfer Studio"):
        import_source(workspace, buffer)
