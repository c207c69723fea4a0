"""The command line: one JSON object or clear lines on standard output, one line for each error."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import MakeImage, near_duplicate
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import get_backbone, list_backbones
from transfer_core.cli.main import cli, main
from transfer_core.cli.output import print_event, report
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.errors import TrainingError
from transfer_core.events import PhaseStarted, PlaceLost, RunEnded, RunPlaced, RunStarted
from transfer_core.language import said
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_folder import EVENTS_FILE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training import variants
from transfer_core.training.advice import recommend
from transfer_core.training.variants import compare_variants
from transfer_core.work.live_run import LiveRun
from transfer_core.workspace import Workspace

ROOT = Path(__file__).resolve().parents[3]
TRAINING_KEYS = {
    "run_id",
    "run_dir",
    "class_names",
    "num_train_images",
    "num_validation_images",
    "val_accuracy",
    "val_loss",
    "seconds",
    "history",
}
COMMANDS = (
    "backbones",
    "compare",
    "evaluate",
    "ingest",
    "predict",
    "resume",
    "runs",
    "stop",
    "sweep",
    "train",
)
TRAIN_PHASE = "transfer_core.training.trainer.Trainer._phase_trainer"
TINY = ("--backbone", "tiny_random", "--epochs", "1")


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code and what it printed."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.exit_code == 0, self.err
        return json.loads(self.out)

    def assert_one_line_of_error(self, *words: str) -> None:
        assert self.exit_code not in (0, None)
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("Error: ")
        assert all(word in lines[0] for word in words), lines[0]


Run = Callable[..., Finished]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`run("runs", "--json")` runs a command in this process."""

    def run_command(*arguments: object) -> Finished:
        monkeypatch.setattr("sys.argv", ["transfer_core", *map(str, arguments)])
        capfd.readouterr()
        return Finished(main(), *capfd.readouterr())

    return run_command


@pytest.fixture
def own(run: Run, workspace: Workspace) -> Run:
    """The same, in a workspace of its own."""
    return lambda *arguments: run(*arguments, "--workspace", workspace.root)


@pytest.fixture
def shared(run: Run, finished_run) -> Run:
    """The same, in the workspace of the finished run."""
    return lambda *arguments: run(*arguments, "--workspace", finished_run.workspace.root)


def run_process(*arguments: object, **environment: str) -> Finished:
    """Run a command as a person does, in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "transfer_core", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Finished(finished.returncode, finished.stdout, finished.stderr)


def raising(error: BaseException) -> Callable[..., None]:
    def function(*_arguments: object) -> None:
        raise error

    return function


def config_of_only_run(workspace: Workspace) -> TrainingConfig:
    (run_id,) = workspace.run_ids()
    return TrainingRun.load(workspace, run_id).config


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


class TestHelp:
    def test_alone_it_shows_what_it_can_do(self) -> None:
        finished = run_process()
        assert (finished.exit_code, finished.err) == (0, "")
        assert finished.out.startswith("Usage: python -m transfer_core")

    def test_help(self, run: Run) -> None:
        finished = run("--help")
        assert (finished.exit_code, finished.err) == (0, "")
        for command in COMMANDS:
            assert f"  {command} " in finished.out

    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_of_each_command(self, command: str, run: Run) -> None:
        finished = run(command, "--help")
        assert (finished.exit_code, finished.err) == (0, "")
        assert f"Usage: python -m transfer_core {command} [OPTIONS]" in finished.out
        assert "--json" in finished.out
        assert "--workspace" in finished.out


class TestTrain:
    def test_process_prints_one_json_object_and_no_noise(self, tmp_path: Path) -> None:
        finished = run_process("train", "sample:pictures", *TINY, "--json", "--workspace", tmp_path)
        facts = finished.json
        assert len(facts["class_names"]) == 4
        assert facts["num_train_images"] + facts["num_validation_images"] == 160
        lines = finished.err.splitlines()
        assert lines[0] == "features"
        assert lines[lines.index("saving") - 1].startswith("  epoch 1: loss")
        allowed = re.compile(r"features|head|saving|evaluation|  epoch .*|  \d+ photos")
        assert [line for line in lines if not allowed.fullmatch(line)] == []

    def test_facts_are_all_there_and_true(self, own: Run, image_folder: Path, workspace: Workspace) -> None:
        options = ("--epochs", 2, "--unfreeze-blocks", 1, "--mixed-precision")
        facts = own("train", image_folder, *TINY[:2], *options, "--json").json
        assert facts["precision"] == {"chosen": "float32", "reason": "no_gpu"}
        assert facts.keys() >= TRAINING_KEYS
        assert facts["class_names"] == ["blue", "green", "red"]
        assert (facts["num_train_images"], facts["num_validation_images"]) == (18, 6)
        assert workspace.run_ids() == [facts["run_id"]]
        assert Path(facts["run_dir"]) == workspace.run_dir(facts["run_id"]).resolve()
        assert facts["seconds"] > 0
        history = facts["history"]
        # Fine-tuning takes ten epochs, or as many as the rest when these are fewer.
        assert {name: len(numbers) for name, numbers in history.items()} == dict.fromkeys(
            ("loss", "accuracy", "val_loss", "val_accuracy"), 4
        )
        assert facts["val_loss"] == min(history["val_loss"])
        assert facts["val_accuracy"] == history["val_accuracy"][facts["best_epoch"] - 1]

    def test_choices_reach_the_run(
        self, own: Run, image_folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(TRAIN_PHASE, raising(TrainingError("Enough is seen.")))
        chosen = TrainingConfig(
            backbone="tiny_random",
            num_unfrozen_blocks=1,
            epochs=2,
            fine_tune_epochs=1,
            learning_rate=0.02,
            fine_tune_learning_rate=0.002,
            batch_size=5,
            dropout=0.3,
            seed=7,
            schedule="gradual",
            unfrozen_layers=("stem_conv", "block1_conv"),
            optimizer="sgd",
            momentum=0.5,
            weight_decay=0.01,
            label_smoothing=0.1,
            class_weights="on",
            oversampling=True,
            head="hidden",
            hidden_units=16,
            early_stopping_patience=4,
            layer_decay=0.5,
            augmentation="strong",
            augmentation_kinds=("flip", "zoom"),
            num_views=3,
            live_augmentation=True,
            cache_dtype="float32",
            mixed_precision=True,
        )
        options = (
            *("--backbone", "tiny_random", "--unfreeze-blocks", 1, "--epochs", 2, "--fine-tune-epochs", 1),
            *("--learning-rate", 0.02, "--fine-tune-learning-rate", 0.002, "--batch-size", 5),
            *("--dropout", 0.3, "--seed", 7, "--schedule", "gradual", "--unfreeze-layer", "stem_conv"),
            *("--unfreeze-layer", "block1_conv", "--optimizer", "sgd", "--momentum", 0.5),
            *("--weight-decay", 0.01, "--label-smoothing", 0.1, "--class-weights", "on", "--oversampling"),
            *("--head", "hidden", "--hidden-units", 16, "--patience", 4, "--layer-decay", 0.5),
            *("--augmentation", "strong", "--augmentation-kind", "flip", "--augmentation-kind", "zoom"),
            *("--views", 3, "--live-augmentation", "--cache-dtype", "float32", "--mixed-precision"),
        )
        own("train", image_folder, *options)
        assert config_of_only_run(workspace) == chosen

    def test_every_choice_has_an_option(self, run: Run) -> None:
        text = " ".join(run("train", "--help").out.split())
        defaults = TrainingConfig()
        names = {parameter.name for parameter in cli.commands["train"].params}
        assert defaults.to_dict().keys() <= names
        assert "from scratch" in text

    def test_recommended_choices_are_taken_and_explained(
        self, own: Run, image_folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(TRAIN_PHASE, raising(TrainingError("Enough is seen.")))
        finished = own("train", image_folder, "--recommended", "--backbone", "tiny_random", "--batch-size", 4)
        dataset = ImageDataset.load(workspace, workspace.dataset_ids()[0])
        recommended = recommend(dataset, get_backbone("tiny_random"))
        read_as, *reasons = finished.err.splitlines()[: len(recommended.reasons) + 1]
        assert read_as == "Read as 3 classes, from folders."
        assert reasons == recommended.reasons
        assert config_of_only_run(workspace) == recommended.config.with_changes(batch_size=4)

    @pytest.mark.parametrize(
        ("options", "backbone"),
        [((), "efficientnet_lite0_lite2"), (("--backbone", "efficientnet_lite0"), "efficientnet_lite0")],
        ids=["compared", "named"],
    )
    def test_careful_version_is_taken_where_a_comparison_is_stored(
        self,
        own: Run,
        image_folder: Path,
        workspace: Workspace,
        monkeypatch: pytest.MonkeyPatch,
        options: tuple[str, ...],
        backbone: str,
    ) -> None:
        def features(dataset: ImageDataset, entry: Backbone, cache_dir: Path, *, images, should_stop) -> Any:
            noise = 0.1 if entry.name == "efficientnet_lite0_lite2" else 2.0
            labels = np.array([dataset.class_index(image) for image in images])
            return np.eye(8)[labels] + np.random.default_rng(0).normal(0, noise, (len(images), 8))

        monkeypatch.setattr(
            "transfer_core.cli.training.execute_run", raising(TrainingError("Enough is seen."))
        )
        dataset = add_files(create_dataset(workspace, "colors"), folder_source(image_folder))
        with monkeypatch.context() as patched:
            patched.setattr(variants, "pooled_features", features)
            compare_variants(dataset, get_backbone("efficientnet_lite0"), workspace.cache_dir)
        finished = own("train", dataset.id, "--recommended", *options)
        assert ("Two models look at each photo" in finished.err) == (not options)
        assert config_of_only_run(workspace).backbone == backbone

    def test_series_are_printed_after_the_training(
        self, own: Run, image_folder: Path, workspace: Workspace
    ) -> None:
        dataset = add_files(create_dataset(workspace, "colors"), folder_source(image_folder))
        alike = {image.id: dataset.images[0].id for image in dataset.images[:3]}
        dataset.with_series(alike).save()
        finished = own("train", dataset.id, *TINY, "--json")
        assert finished.exit_code == 0
        assert "3 of your photos come in series of one scene." in finished.err

    def test_from_a_zip_and_from_the_dataset_it_became(
        self, own: Run, image_folder: Path, tmp_path: Path, workspace: Workspace
    ) -> None:
        archive = shutil.make_archive(str(tmp_path / "colors"), "zip", image_folder)
        dataset = own("ingest", archive, "--json").json
        assert dataset["counts"] == {"blue": 8, "green": 8, "red": 8}
        facts = own("train", dataset["dataset_id"], *TINY, "--json").json
        assert facts["num_train_images"] == dataset["num_train_images"] == 18
        assert workspace.dataset_ids() == [dataset["dataset_id"]]
        assert own("train", archive, *TINY, "--json").json["history"] == facts["history"]

    def test_without_json_the_result_is_one_line(self, own: Run, image_folder: Path) -> None:
        finished = own("train", image_folder, *TINY)
        assert finished.exit_code == 0
        assert len(finished.out.splitlines()) == 1
        assert "validation photos, in" in finished.out

    def test_workspace_may_come_from_the_environment(
        self, run: Run, workspace: Workspace, image_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_WORKSPACE", str(workspace.root))
        assert workspace.dataset_ids() == []
        dataset = run("ingest", image_folder, "--json").json
        assert workspace.dataset_ids() == [dataset["dataset_id"]]


class TestTrainErrors:
    """In processes of their own: what a person sees is what counts, and none of these loads TensorFlow."""

    def test_unknown_backbone(self, image_folder: Path, tmp_path: Path) -> None:
        finished = run_process(
            "train", image_folder, "--backbone", "resnet9000", "--workspace", tmp_path / "w"
        )
        finished.assert_one_line_of_error("resnet9000", "resnet50")
        assert not (tmp_path / "w").exists()

    def test_source_that_is_not_there(self, tmp_path: Path) -> None:
        finished = run_process("train", tmp_path / "nowhere", "--workspace", tmp_path)
        finished.assert_one_line_of_error("is no folder, no archive, and no id of a dataset")

    def test_zip_that_is_no_zip(self, tmp_path: Path) -> None:
        (tmp_path / "photos.zip").write_text("this is no zip")
        finished = run_process("train", tmp_path / "photos.zip", "--workspace", tmp_path, "--json")
        finished.assert_one_line_of_error("photos.zip is not a zip file")

    def test_one_class(self, image_folder: Path, tmp_path: Path) -> None:
        shutil.rmtree(image_folder / "red")
        shutil.rmtree(image_folder / "green")
        finished = run_process("train", image_folder, "--workspace", tmp_path / "w")
        finished.assert_one_line_of_error("only one class: blue")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--epochs", 0), "The number of epochs is 0. Choose a number from 1 to 1000."),
        (("--epochs", -3), "The number of epochs is -3"),
        (("--epochs", "many"), "Invalid value for '--epochs'"),
        (("--unfreeze-blocks", 1, "--fine-tune-epochs", 0), "The number of fine-tuning epochs is 0"),
        (("--learning-rate", 0), "The learning rate is 0"),
        (("--learning-rate", "nan"), "The learning rate is nan"),
        (("--batch-size", 0), "The batch size is 0"),
        (("--unfreeze-blocks", 10), "Choose 0 to 9"),
        (("--colour", "red"), "No such option"),
    ],
)
def test_choice_out_of_range(options: tuple[object, ...], words: str, own: Run, workspace: Workspace) -> None:
    own("train", "sample:pictures", *options).assert_one_line_of_error(words)
    assert not workspace.root.exists()


def test_bad_sources(own: Run, tmp_path: Path) -> None:
    own("ingest", "sample:nothing").assert_one_line_of_error("no sample called nothing", "pictures")
    (tmp_path / "empty").mkdir()
    own("ingest", tmp_path / "empty").assert_one_line_of_error("There are no photos in it")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    own("train", tmp_path / "empty.zip").assert_one_line_of_error("There are no photos in it")


def test_unknown_command(own: Run, run: Run) -> None:
    run("teach").assert_one_line_of_error("No such command 'teach'")
    run("train").assert_one_line_of_error("Missing argument")


def test_training_that_fails_is_one_last_line_and_a_failed_run(
    own: Run, image_folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        TRAIN_PHASE,
        raising(TrainingError("The training went out of bounds.")),
    )
    finished = own("train", image_folder, *TINY, "--json")
    assert (finished.exit_code, finished.out) == (1, "")
    assert finished.err.splitlines()[-1] == "Error: The training went out of bounds."
    assert "Traceback" not in finished.err
    (failed,) = own("runs", "--json").json["runs"]
    assert (failed["status"], failed["val_accuracy"]) == ("failed", None)


def test_unexpected_error_in_a_training_is_one_last_line_and_a_failed_run(
    own: Run, image_folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TRAIN_PHASE, raising(ZeroDivisionError("deep\ndown")))
    finished = own("train", image_folder, *TINY, "--json")
    assert (finished.exit_code, finished.out) == (1, "")
    assert "Traceback" not in finished.err
    last = finished.err.splitlines()[-1]
    assert last == "Error: Something unexpected went wrong (ZeroDivisionError: deep down)."
    (failed,) = own("runs", "--json").json["runs"]
    assert failed["status"] == "failed"
    message = said(TrainingRun.load(workspace, failed["run_id"]).snapshot().message)
    assert message == "Something unexpected went wrong (ZeroDivisionError)."


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied", "photos.zip"), "Permission denied: photos.zip"),
        (OSError(28, "No space left on device"), "Error: No space left on device"),
        (OSError("no number"), "(OSError: no number)"),
        (ValueError(), "(ValueError:)"),
    ],
)
def test_whatever_goes_wrong_is_one_line(
    error: Exception, words: str, own: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos.zip").touch()
    monkeypatch.setattr("transfer_core.cli.datasets.open_source", raising(error))
    own("ingest", tmp_path / "photos.zip").assert_one_line_of_error(words)


@pytest.mark.parametrize("command", ["ingest", "train"])
def test_overlong_path_is_one_line(command: str, own: Run) -> None:
    own(command, "x" * 5000).assert_one_line_of_error("File name too long: xxx")


def test_overlong_folder_is_one_line(shared: Run, finished_run) -> None:
    shared("evaluate", finished_run.run.id, "x" * 5000).assert_one_line_of_error("too long")


@pytest.mark.parametrize("seed", [-1, 2**31])
@pytest.mark.parametrize("command", ["ingest", "train"])
def test_seed_out_of_range_is_one_line(command: str, seed: int, own: Run, image_folder: Path) -> None:
    own(command, image_folder, "--seed", seed).assert_one_line_of_error(f"The seed is {seed}.")


def test_numbers_that_json_lacks_become_null(capfd: pytest.CaptureFixture[str]) -> None:
    """A training that goes out of bounds ends with such a loss, and keeps the epochs before."""
    report(True, {"history": {"loss": [0.5, math.nan], "val_loss": (math.inf, 0.4)}}, [])
    facts = json.loads(capfd.readouterr().out, parse_constant=pytest.fail)
    assert facts == {"history": {"loss": [0.5, None], "val_loss": [None, 0.4]}}


@pytest.mark.parametrize("phase", ["features", "head", "fine_tune", "evaluation"])
def test_words_for_the_phases_can_be_translated(
    phase: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("transfer_core.cli.output._", str.upper)
    print_event(PhaseStarted(1.0, phase, 5))
    assert capfd.readouterr().err == phase.replace("_", " ").upper() + "\n"


def test_interrupted_from_the_keyboard(
    own: Run, image_folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TRAIN_PHASE, raising(KeyboardInterrupt()))
    finished = own("train", image_folder, *TINY)
    assert finished.exit_code == 130
    assert finished.err.splitlines()[-1] == "Stopped."
    (fact,) = own("runs", "--json").json["runs"]
    assert (fact["status"], fact["message"]) == ("interrupted", "Interrupted from the keyboard.")


class TestResumeAndStop:
    def test_interrupted_run_goes_on(
        self, own: Run, image_folder: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(TRAIN_PHASE, raising(KeyboardInterrupt()))
            own("train", image_folder, *TINY)
        (run_id,) = workspace.run_ids()
        facts = own("resume", run_id, "--json").json
        assert facts.keys() >= TRAINING_KEYS
        assert facts["run_id"] == run_id
        assert own("runs", "--json").json["runs"][0]["status"] == "finished"
        own("resume", run_id).assert_one_line_of_error("Only an interrupted training can continue")

    def test_unknown_run(self, own: Run) -> None:
        for command in ("resume", "stop"):
            own(command, "20200101-000000-0123456789abcdef").assert_one_line_of_error("20200101-000000")

    def test_run_that_is_over_cannot_be_stopped(self, shared: Run, finished_run) -> None:
        shared("stop", finished_run.run.id).assert_one_line_of_error("Only a training that is running")

    def test_run_that_another_program_trains_is_stopped_and_waited_for(
        self, own: Run, workspace: Workspace, color_dataset: ImageDataset
    ) -> None:
        live = LiveRun(TrainingRun.create(workspace, color_dataset, TrainingConfig()))
        live.log.append(RunStarted(1.0, 18, 6, 3))

        def train_until_stopped() -> None:
            while not live.should_stop():
                time.sleep(0.02)
            live.log.append(RunEnded(2.0, "stopped", "Stopped on request."))
            live.release()

        training = threading.Thread(target=train_until_stopped, daemon=True)
        training.start()
        assert own("runs", "--json").json["runs"][0]["status"] == "running"
        facts = own("stop", live.run.id, "--json").json
        training.join(60)
        assert (facts["run_id"], facts["status"]) == (live.run.id, "stopped")

    def test_second_program_that_would_train_the_same_run_is_refused(
        self, own: Run, workspace: Workspace, color_dataset: ImageDataset
    ) -> None:
        live = LiveRun(TrainingRun.create(workspace, color_dataset, TrainingConfig()))
        own("resume", live.run.id).assert_one_line_of_error("Only an interrupted training can continue")
        live.release()


@pytest.fixture
def unmet_folder(image_folder: Path, make_image: MakeImage) -> Path:
    """The folder with other blue pictures: its own look like those that the finished run learned from."""
    for number, path in enumerate(sorted((image_folder / "blue").iterdir())):
        path.write_bytes(make_image("blue", seed=400 + number, image_format="JPEG"))
    return image_folder


class TestOtherCommands:
    def test_backbones(self, run: Run) -> None:
        facts = run("backbones", "--json").json["backbones"]
        assert [fact["name"] for fact in facts] == [backbone.name for backbone in list_backbones()]
        assert facts[0]["num_parameters"] == 3_413_024
        assert facts[0]["num_blocks"] == 9
        assert len(run("backbones").out.splitlines()) == len(facts)

    def test_ingest(self, own: Run, image_folder: Path) -> None:
        (image_folder / "red" / "notes.txt").write_text("not a picture")
        facts = own("ingest", image_folder, "--json").json
        assert facts["num_images"] == facts["num_train_images"] + facts["num_validation_images"] == 24
        assert [file["name"] for file in facts["left_out"]] == ["red/notes.txt"]
        assert "excluded: red/notes.txt" in own("ingest", image_folder).out

    def test_brightness_of_deep_photos(self, own: Run, tmp_path: Path) -> None:
        for place in range(8):
            folder = tmp_path / "scans" / "ab"[place % 2]
            folder.mkdir(parents=True, exist_ok=True)
            values = np.random.default_rng(place).integers(0, 4096, (32, 32), dtype=np.uint16)
            Image.fromarray(values).save(folder / f"{place}.png")
        assert "The values of 8 photos go from 0 to 4,095." in own("ingest", tmp_path / "scans").out
        kept = own("ingest", tmp_path / "scans", "--brightness", "keep").out
        assert "stretched" not in kept
        assert "8 photos are nearly black." in kept

    def test_seed_draws_other_validation_images(
        self, own: Run, image_folder: Path, workspace: Workspace
    ) -> None:
        def drawn(seed: int) -> list[str]:
            dataset_id = own("ingest", image_folder, "--seed", seed, "--json").json["dataset_id"]
            facts = json.loads((workspace.dataset_dir(dataset_id) / "dataset.json").read_text())
            return sorted(image["name"] for image in facts["images"] if image["split"] == "validation")

        assert drawn(1) == drawn(1) != drawn(2)

    def test_runs_newest_first(self, shared: Run, finished_run) -> None:
        listed = shared("runs", "--json").json["runs"]
        assert [fact["run_id"] for fact in listed] == finished_run.workspace.run_ids()
        fact = next(fact for fact in listed if fact["run_id"] == finished_run.run.id)
        assert (fact["status"], fact["dataset"], fact["backbone"]) == ("finished", "Colours", "tiny_random")
        assert fact["val_accuracy"] == finished_run.run.snapshot().best.val_accuracy
        assert finished_run.run.id in shared("runs").out

    @pytest.mark.parametrize("content", ["{", '{"config": null, "dataset": {}, "class_names": []}'])
    def test_runs_with_one_that_is_damaged(
        self, content: str, own: Run, workspace: Workspace, color_dataset: ImageDataset
    ) -> None:
        config = TrainingConfig(backbone="tiny_random")
        good, bad = (TrainingRun.create(workspace, color_dataset, config) for _number in range(2))
        (bad.folder / "config.json").write_text(content)
        finished = own("runs", "--json")
        facts = {fact["run_id"]: fact for fact in finished.json["runs"]}
        assert facts.keys() == {good.id, bad.id}
        assert (facts[good.id]["status"], facts[bad.id]["status"]) == ("interrupted", "damaged")
        assert facts[good.id].keys() == facts[bad.id].keys()
        (line,) = [line for line in own("runs").out.splitlines() if "damaged" in line]
        assert line.startswith(f"{bad.id}  damaged  config.json of {bad.id} is damaged: ")

    def test_runs_of_a_cluster_name_their_computers(
        self, own: Run, workspace: Workspace, color_dataset: ImageDataset
    ) -> None:
        run = TrainingRun.create(workspace, color_dataset, TrainingConfig(backbone="tiny_random"))
        assert own("runs").out.splitlines() == [f"{run.id}  interrupted  {run.dataset_name}  tiny_random"]
        log = EventLog(run.folder / EVENTS_FILE)
        log.append(RunPlaced(1.0, "lab-3", "10.0.0.3", "Xeon", 1))
        log.append(RunStarted(2.0, 18, 6, 3))
        log.append(PlaceLost(3.0, "node"))
        log.append(RunPlaced(4.0, "lab-4", "10.0.0.4", "Xeon", 1))
        (facts,) = own("runs", "--json").json["runs"]
        assert facts["computers"] == ["lab-3", "lab-4"]
        assert own("runs").out.rstrip().endswith("  tiny_random  lab-3, lab-4")

    def test_no_runs_yet(self, own: Run) -> None:
        assert own("runs", "--json").json == {"runs": []}

    def test_evaluate_on_the_validation_images(self, shared: Run, finished_run) -> None:
        facts = shared("evaluate", finished_run.run.id, "--json").json
        assert facts.pop("run_id") == finished_run.run.id
        on_disk = json.loads((finished_run.folder / "evaluation.json").read_text())
        assert facts["confusion_matrix"] == on_disk["confusion_matrix"]
        # From cached features of half precision, where the other is from the files.
        assert facts["log_loss"] == pytest.approx(on_disk["log_loss"], abs=0.01)
        assert facts["num_images"] == 6
        assert facts.keys() == {"left_out", "trained_on_all", *on_disk}
        assert {"accuracy_interval", "per_class", "macro_f1", "weighted", "top2", "roc_auc"} <= facts.keys()
        assert {"ece", "temperature", "outcomes"} <= facts.keys()

    def test_evaluate_on_the_training_images(self, shared: Run, finished_run) -> None:
        facts = shared("evaluate", finished_run.run.id, "--split", "train", "--json").json
        learned = {image.id for image in finished_run.dataset.images_in("train")}
        assert {outcome["image_id"] for outcome in facts["outcomes"]} == learned
        shared("evaluate", finished_run.run.id, "--split", "test").assert_one_line_of_error("has never seen")

    def test_evaluate_on_a_folder(self, shared: Run, finished_run, unmet_folder: Path) -> None:
        facts = shared("evaluate", finished_run.run.id, unmet_folder, "--json").json
        assert facts["num_images"] == 24
        assert sum(map(sum, facts["confusion_matrix"])) == 24
        assert facts["outcomes"][0]["name"] == "blue/blue-0.jpg"
        assert "on 24 photos" in shared("evaluate", finished_run.run.id, unmet_folder).out

    def test_evaluate_on_a_folder_with_photos_of_its_training(
        self, shared: Run, finished_run, unmet_folder: Path, make_image
    ) -> None:
        content = make_image("red", seed=1, noise=90)
        (unmet_folder / "red" / "same.png").write_bytes(content)
        (unmet_folder / "red" / "near.jpg").write_bytes(near_duplicate(content))
        facts = shared("evaluate", finished_run.run.id, unmet_folder, "--json").json
        assert (facts["num_images"], facts["num_met"]) == (24, 2)
        assert not {"red/same.png", "red/near.jpg"} & {outcome["name"] for outcome in facts["outcomes"]}
        sentence = "2 of 26 photos look like training photos. Without them accuracy is "
        assert sentence in shared("evaluate", finished_run.run.id, unmet_folder).out
        for path in unmet_folder.glob("*/*-*"):
            path.unlink()
        finished = shared("evaluate", finished_run.run.id, unmet_folder)
        finished.assert_one_line_of_error("has already seen all of these photos", "copies of them")

    def test_evaluate_on_bad_folders(
        self, shared: Run, finished_run, image_folder: Path, tmp_path: Path
    ) -> None:
        def evaluate(folder: Path) -> Finished:
            return shared("evaluate", finished_run.run.id, folder)

        evaluate(tmp_path / "nowhere").assert_one_line_of_error("nowhere is not a folder")
        evaluate(image_folder / "red").assert_one_line_of_error(
            "no photos in subfolders", "name of the class"
        )
        (image_folder / "red").rename(image_folder / "violet")
        evaluate(image_folder).assert_one_line_of_error("does not know the class violet", "blue, green, red")
        shutil.rmtree(image_folder / "violet")
        (image_folder / "blue" / "notes.txt").write_text("not a picture")
        shutil.rmtree(image_folder / "green")
        for path in (image_folder / "blue").glob("*.jpg"):
            path.unlink()
        evaluate(image_folder).assert_one_line_of_error("notes.txt", "not a photo")

    def test_evaluate_on_a_folder_with_some_bad_files(
        self, shared: Run, finished_run, unmet_folder: Path
    ) -> None:
        (unmet_folder / "blue" / "notes.txt").write_text("not a picture")
        (unmet_folder / "green").rename(unmet_folder / "GREEN")
        finished = shared("evaluate", finished_run.run.id, unmet_folder, "--json")
        assert finished.json["num_images"] == 24
        reason = "it is not a photo, whatever its name says"
        assert finished.json["left_out"] == [
            {"name": "blue/notes.txt", "kind": "not_an_image", "reason": reason}
        ]
        assert finished.err.splitlines() == [f"Skipped: blue/notes.txt ({reason})"]

    def test_evaluate_after_the_split_was_changed(
        self, own: Run, image_folder: Path, workspace: Workspace
    ) -> None:
        run_id = own("train", image_folder, *TINY, "--json").json["run_id"]
        before = own("evaluate", run_id, "--json").json
        (dataset_id,) = workspace.dataset_ids()
        ImageDataset.load(workspace, dataset_id).with_split(0.5, seed=99).save()
        after = own("evaluate", run_id, "--json").json
        assert [image["name"] for image in after["outcomes"]] == [
            image["name"] for image in before["outcomes"]
        ]

    def test_predict(self, shared: Run, finished_run, image_folder: Path) -> None:
        paths = [str(path) for path in files_of(image_folder)[:3]]
        facts = shared("predict", finished_run.run.id, *paths, "--json").json
        assert list(facts) == paths
        for fact in facts.values():
            assert fact.keys() == {
                "class_name",
                "best_guess",
                "probability",
                "probabilities",
                "is_known",
                "familiarity",
            }
            assert fact["probabilities"].keys() == {"blue", "green", "red"}
            assert fact["probability"] == max(fact["probabilities"].values())
            assert fact["probabilities"][fact["best_guess"]] == fact["probability"]
        assert len(shared("predict", finished_run.run.id, *paths).out.splitlines()) == 3

    def test_predict_with_good_and_bad_images(self, finished_run, image_folder: Path, tmp_path: Path) -> None:
        good, bad = files_of(image_folder)[0], tmp_path / "bad.jpg"
        bad.write_text("no picture at all")
        images = (bad, good, tmp_path / "missing.jpg", tmp_path)
        root = finished_run.workspace.root
        finished = run_process("predict", finished_run.run.id, *images, "--json", "--workspace", root)
        assert finished.exit_code == 1
        assert list(json.loads(finished.out)) == [str(good)]
        (line,) = finished.err.splitlines()
        assert line.startswith("Error: Some photos could not be read.")
        for words in ("bad.jpg: it is not a photo", "missing.jpg: No such file", "Is a directory"):
            assert words in line

    def test_unknown_run(self, own: Run, tmp_path: Path) -> None:
        unknown = "20200101-000000-0123456789abcdef"
        own("evaluate", unknown, "--json").assert_one_line_of_error(unknown)
        own("predict", unknown, tmp_path / "x.jpg").assert_one_line_of_error(unknown)
        own("predict", "nonsense", tmp_path / "x.jpg").assert_one_line_of_error("nonsense")

    def test_workspace_that_cannot_be_used(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        run("runs", "--workspace", tmp_path / "file").assert_one_line_of_error("file")
        run("runs", "--workspace", tmp_path / "file" / "w").assert_one_line_of_error("cannot be used")
