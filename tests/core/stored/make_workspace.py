"""Make the stored workspace of this version: `python -m tests.core.stored.make_workspace FOLDER`.

It leaves three files in the folder: `version-1-workspace.zip`, which is everything the app keeps on disk but its cache;
`version-1-project.zip`, a project of some of it; and `version-1-workspace.json`, the facts of both. Those of a version
that has been released are never made again: the script shows how they were made, and makes those of the next one.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from PIL import Image

from transfer_core.backbones.own.source_model import FACTS_FILE, SourceModelFacts
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.open_source import open_source
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.errors import WorkspaceError
from transfer_core.events import (
    BatchEnded,
    EpochEnded,
    PhaseStarted,
    RunContinued,
    RunEnded,
    RunPaused,
    RunStarted,
    TrainingEvent,
)
from transfer_core.export.bundle import export_run, exported
from transfer_core.files import read_json
from transfer_core.inference.predictor import Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project
from transfer_core.runs.corrections import add_correction
from transfer_core.runs.distillation import Distillation
from transfer_core.runs.new_photos import add_new_photos, new_photos_of
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.own_models import make_source
from transfer_core.runs.run_status import run_status
from transfer_core.runs.sweep import SweepPlan, list_sweeps
from transfer_core.runs.training_run import SPLIT_FILE, TrainingRun
from transfer_core.training import phase_trainer
from transfer_core.work.execute import execute_run_safely
from transfer_core.work.live_run import LiveRun
from transfer_core.work.run_queue import RunQueue
from transfer_core.workspace import Workspace

COLORS = {"blue": (30, 60, 200), "green": (40, 170, 60), "red": (210, 40, 40)}
TINY = TrainingConfig(backbone="tiny_random", epochs=2, batch_size=16, cache_dtype="float32")
# Places on this machine.
NOT_STORED = {"folder", "path", "filling"}
BACKBONE_FACTS = (
    *("name", "title", "preprocessing", "licence", "network", "image_size", "lineage", "blocks"),
)
SNAPSHOT_FACTS = (
    *(
        "num_train_images",
        "num_validation_images",
        "num_epochs",
        "assumed_seconds",
        "idle_seconds",
        "seconds",
    ),
    *("left_out", "fold_accuracies", "outcome", "message", "best_epoch"),
)


def main(output_dir: Path) -> None:
    """Make the three files."""
    with tempfile.TemporaryDirectory() as scratch:
        workspace = Workspace(Path(scratch) / "workspace")
        maker = Maker(workspace, Path(scratch) / "photos", output_dir / "version-1-project.zip")
        maker.make()
        pack(workspace.root, output_dir / "version-1-workspace.zip")
        expected = maker.expected()
    lines = [f'"{kind}": {json.dumps(facts, ensure_ascii=False)}' for kind, facts in expected.items()]
    content = "{\n" + ",\n".join(lines) + "\n}\n"
    (output_dir / "version-1-workspace.json").write_text(content, encoding="utf-8")


class Maker:
    """Works in a workspace as a person would, and remembers the ids."""

    def __init__(self, workspace: Workspace, photos: Path, project: Path) -> None:
        self.workspace = workspace
        self.photos = photos
        self.project = project
        self.datasets: dict[str, ImageDataset] = {}
        self.run_ids: dict[str, str] = {}
        self.events: dict[str, list[TrainingEvent]] = {}

    def make(self) -> None:
        """Make everything."""
        self.add_colours()
        self.add_folders()
        self.add_parts()
        self.train("finished", self.finished_config(), "Colours")
        finished = self.run("finished")
        self.train("distilled", TINY.with_changes(teacher=finished.id, teacher_share=0.5), "Colours")
        make_source(self.workspace, finished.id)
        on_own = TINY.with_changes(backbone=finished.id, optimizer="sgd", weight_decay=0.001)
        self.train("on_own_model", on_own, "Folders")
        self.train_sweep()
        self.leave_waiting()
        self.fail()
        self.decorate(finished)

    def add_colours(self) -> None:
        """Add photos from a folder, a zip, an upload and a recording, and change labels in every way."""
        folder = self.photos / "colours"
        for color in COLORS:
            for number in range(14):
                write(folder / color / f"{color}-{number}.png", photo(color, number))
        write(folder / "Thumbs.db", b"of the system")
        write(folder / "loose.png", photo("red", 90))
        write(folder / "blue" / "broken.png", photo("blue", 91)[:300])
        write(folder / "blue" / "text.png", b"no picture")
        write(folder / "blue" / "small.png", photo("blue", 92, side=4))
        write(folder / "blue" / "twin.png", photo("blue", 0))
        write(folder / "green" / "stray.png", photo("blue", 1))
        dataset = self.added(create_dataset(self.workspace, "Colours"), folder)
        archive = self.photos / "more.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for color in COLORS:
                file.writestr(f"{color}/zipped.png", photo(color, 20))
            file.writestr("grey/grey-1.png", photo((128, 128, 128), 21))
        dataset = self.added(dataset, archive)
        dataset = add_files(dataset, [uploaded_file("photo of me.png", photo("red", 30))], class_name="Red")
        frames = [ImportedFile((f"frame-{n}.png",), partial(photo, "green", 40, shift=n)) for n in range(4)]
        dataset = add_files(dataset, frames, class_name="green", burst="recording 1")
        dataset = dataset.with_split(0.65, 7).save()
        ids = {image.name: image.id for image in dataset.images}
        dataset = dataset.relabelled([ids["red-3.png"]], "green").save()
        dataset = dataset.relabelled_each({ids["red-4.png"]: "blue", ids["blue-4.png"]: "red"}).save()
        dataset = dataset.without([ids["blue-5.png"], ids["blue-6.png"]]).save()
        dataset = dataset.restored([ids["blue-6.png"]]).save()
        dataset = dataset.without_class("grey").save()
        dataset = dataset.renamed_class("red", "rosso").save()
        dataset = dataset.confirmed([ids["green-2.png"], ids["blue-7.png"]]).save()
        again = self.photos / "again" / "blue"
        write(again / "blue-5.png", photo("blue", 5))  # it was excluded
        write(again / "blue-8.png", photo("blue", 8))
        write(again / "late.png", photo("blue", 50))
        self.datasets["Colours"] = self.added(dataset, again.parent)

    def add_folders(self) -> None:
        """Add photos that come with a split of their own, as a table of path, class and split."""
        rows = ["path,class,split"]
        for number, split in enumerate(("train", "train", "train", "validation", "test")):
            for color in ("blue", "red"):
                name = f"{color}-{number}.png"
                write(self.photos / "table" / name, photo(color, 200 + number))
                rows.append(f"{name},{color},{split}")
        write(self.photos / "table" / "labels.csv", "\n".join(rows).encode())
        dataset = create_dataset(self.workspace, "Folders", sample="digits")
        self.datasets["Folders"] = self.added(dataset, self.photos / "table" / "labels.csv")

    def add_parts(self) -> None:
        """Add photos whose parts take turns in the validation."""
        for color in ("green", "red"):
            for number in range(6):
                write(self.photos / "parts" / color / f"{number}.png", photo(color, 300 + number))
        dataset = self.added(create_dataset(self.workspace, "Parts"), self.photos / "parts")
        self.datasets["Parts"] = dataset.with_split(0.3, 3, split_by="folds", num_folds=2).save()

    def finished_config(self) -> TrainingConfig:
        """Return choices most of which are not the usual ones."""
        return TINY.with_changes(
            epochs=3,
            fine_tune_epochs=2,
            num_unfrozen_blocks=1,
            learning_rate=0.02,
            fine_tune_learning_rate=0.005,
            dropout=0.1,
            seed=5,
            unfrozen_layers=("block1_conv",),
            optimizer="adamw",
            weight_decay=0.01,
            label_smoothing=0.05,
            class_weights="on",
            oversampling=True,
            head="hidden",
            hidden_units=16,
            early_stopping_patience=4,
            layer_decay=0.5,
            augmentation="light",
            augmentation_kinds=("flip", "color"),
            num_views=2,
        )

    def train_sweep(self) -> None:
        """Train the first run of a series to its end, and let the second be cut off after a checkpoint."""
        dataset = self.datasets["Parts"]
        choices = TINY.with_changes(
            head="auto",
            fine_tune_epochs=1,
            fine_tune_learning_rate=0.02,
            dropout=0.4,
            batch_size=4,
            hidden_units=8,
        )
        plan = SweepPlan.of(dataset, choices, (0, 1), 1)
        (_, _, first), (_, _, second) = plan.configs(choices)
        self.train("cross_validated", first, "Parts", plan.marks)
        save_project(
            self.workspace,
            plan_project(self.workspace, dataset.id, [self.run_ids["cross_validated"]]),
            self.project,
        )
        # Photos in the cache are not read again.
        shutil.rmtree(self.workspace.cache_dir)
        dataset.image_path(dataset.images_in("train")[0]).write_bytes(b"damaged")
        run = TrainingRun.create(self.workspace, dataset, second, plan.marks)
        phase_trainer._SECONDS_BETWEEN_CHECKPOINTS = 0.0

        def cut_off(event: TrainingEvent) -> None:
            if isinstance(event, PhaseStarted) and event.phase == "fine_tune":
                raise WorkspaceError("The disk was full.")

        self.carry_out("interrupted", run, cut_off)

    def leave_waiting(self) -> None:
        """Leave a run in the queue of a process that ends, one stopped in the queue, and one in the trash."""
        queue = RunQueue(self.workspace, execute_run_safely, lambda work: None)
        for role in ("queued", "stopped", "deleted"):
            config = TINY.with_changes(schedule="gradual", num_unfrozen_blocks=2, weights="imagenet")
            self.run_ids[role] = queue.submit(self.datasets["Colours"], config)
        for role in ("stopped", "deleted"):
            queue.request_stop(self.run_ids[role])
        RunNotes("thrown away").save(self.workspace.run_dir(self.run_ids["deleted"]))
        queue.delete(self.run_ids["deleted"])

    def fail(self) -> None:
        """Leave a run that went out of bounds, with events that a short training does not send."""
        config = TINY.with_changes(learning_rate=1.0, schedule="one_phase", live_augmentation=True)
        run = TrainingRun.create(self.workspace, self.datasets["Colours"], config)
        self.run_ids["failed"] = run.id
        live = LiveRun(run)
        for event in (
            RunStarted(1000.0, 19, 27, 2, (0.5, 2.0)),
            PhaseStarted(1001.0, "head", 4),
            BatchEnded(1002.0, 1, 1, float("inf"), 0.25, 16, float("nan"), 1.0, 0.5),
            RunPaused(1003.0),
            RunContinued(1013.0),
            EpochEnded(1014.0, 1, "head", float("nan"), 0.5, float("-inf"), 0.375, 0.5, None),
            RunEnded(1015.0, "failed", "The loss is no longer a number: “∞”."),
        ):
            live.log.append(event)
            self.events.setdefault("failed", []).append(event)
        live.release()

    def decorate(self, run: TrainingRun) -> None:
        """Do with a finished run what a person can do with it."""
        notes = RunNotes("best so far", "two lines\nand an é", True)
        notes.save(run.folder)
        rejection = Rejection.load(run.folder)
        assert rejection
        rejection.with_min_probability(0.4).save_thresholds(run.folder)
        export_run(self.workspace, run, "keras")
        files = [ImportedFile((color, "new.png"), partial(photo, color, 400)) for color in ("blue", "Rosso")]
        add_new_photos(run, files, learned_from=self.datasets["Colours"])
        content = photo("green", 500)
        self.datasets["Colours"] = add_correction(self.workspace, run, "wrong.png", content, "green")

    def added(self, dataset: ImageDataset, path: Path) -> ImageDataset:
        """Add what lies at a path."""
        with open_source(path) as files:
            return add_files(dataset, files)

    def run(self, role: str) -> TrainingRun:
        """Load one of the runs."""
        return TrainingRun.load(self.workspace, self.run_ids[role])

    def train(
        self,
        role: str,
        config: TrainingConfig,
        dataset: str,
        marks: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        """Train a run to its end."""
        run = TrainingRun.create(self.workspace, self.datasets[dataset], config, marks)
        self.carry_out(role, run)
        assert run.outcome == "finished", run.snapshot().message

    def carry_out(self, role: str, run: TrainingRun, cut_off: Any = lambda event: None) -> None:
        """Carry out a run as the queue does it, and keep its events."""
        self.run_ids[role] = run.id
        self.events[role] = []
        live = LiveRun(run)

        def emit(event: TrainingEvent) -> None:
            cut_off(event)
            live.log.append(event)
            self.events[role].append(event)

        execute_run_safely(self.workspace, run, emit, lambda: False)
        live.release()

    def expected(self) -> dict[str, Any]:
        """Return the facts by kind. The interrupted run is trained to its end meanwhile, for its answers."""
        runs = {role: self.run(role) for role in self.run_ids if role != "deleted"}
        finished = runs["finished"]
        (sweep,) = list_sweeps(self.workspace)
        facts = {
            "datasets": {name: facts_of(dataset) for name, dataset in self.datasets.items()},
            "run_ids": self.run_ids,
            "runs": {role: self.facts_of_run(role, run) for role, run in runs.items()},
            "models": {role: facts_of_model(run) for role, run in runs.items() if run.has_model},
            "source": facts_of(
                SourceModelFacts.from_dict(read_json(self.workspace.source_dir(finished.id) / FACTS_FILE))
            ),
            "sweep": facts_of(sweep.plan),
            "sweep_points": facts_of(
                sweep.points(lambda run_id: TrainingRun.load(self.workspace, run_id).snapshot())
            ),
            "distillation": facts_of(Distillation.load(runs["distilled"])),
            "new_photos": facts_of(new_photos_of(finished, self.datasets["Colours"])),
            "export": facts_of(exported(finished, "keras")),
        }
        self.carry_out("interrupted", runs["interrupted"])
        return {**facts, "resumed": answers_of(self.run("interrupted"))}

    def facts_of_run(self, role: str, run: TrainingRun) -> dict[str, Any]:
        """Return what is known about a run, whether or not it has a model."""
        snapshot = run.snapshot()
        has_split = (run.folder / SPLIT_FILE).is_file()
        return {
            "run": facts_of(run),
            "status": run_status(run),
            "train_ids": sorted(run.train_ids()) if has_split else None,
            "validation_ids": sorted(run.validation_ids()) if has_split else None,
            "notes": facts_of(RunNotes.load(run.folder)),
            "snapshot": {name: facts_of(getattr(snapshot, name)) for name in SNAPSHOT_FACTS},
            "events": [
                [type(event).__name__, facts_of(event)] for event in self.events.get(role, run.events())
            ],
        }


def facts_of_model(run: TrainingRun) -> dict[str, Any]:
    """Return what is known about a trained model, and its answers."""
    predictor = Predictor.load(run.folder)
    rejection = predictor.rejection
    assert rejection
    limits = ("min_familiarity", "familiar_share", "min_probability", "num_neighbors")
    return {
        "evaluation": facts_of(run.evaluation()),
        "calibration": facts_of(predictor.calibration),
        "rejection": {name: getattr(rejection, name) for name in limits},
        "backbone": {name: facts_of(getattr(run.backbone, name)) for name in BACKBONE_FACTS},
        "weights_checksum": run.backbone.weights.checksum,
        "predictions": answers_of(run),
    }


def answers_of(run: TrainingRun) -> list[dict[str, Any]]:
    """Return what a trained model says of photos of noise."""
    return [
        {name: facts_of(getattr(prediction, name)) for name in ("class_names", "scores", "familiarity")}
        for prediction in Predictor.load(run.folder).predict_pixels(pixels())
    ]


def facts_of(value: Any) -> Any:
    """Return the fields of a dataclass or struct, and of all in it, as plain values."""
    if is_dataclass(value) or isinstance(value, Struct):
        names = (
            value.__struct_fields__ if isinstance(value, Struct) else [field.name for field in fields(value)]
        )
        return {name: facts_of(getattr(value, name)) for name in names if name not in NOT_STORED}
    if isinstance(value, tuple | list):
        return [facts_of(part) for part in value]
    return value


def photo(color: str | tuple[int, int, int], seed: int, side: int = 16, shift: int = 0) -> bytes:
    """Draw a few soft spots of about one colour; `shift` moves them a little, as the next frame would."""
    base = COLORS.get(color.casefold(), (200, 60, 60)) if isinstance(color, str) else color
    spots = np.random.default_rng(seed).integers(-60, 61, (4, 4, 3)) + np.array(base)
    image = Image.fromarray(spots.clip(0, 255).astype(np.uint8)).resize(
        (side, side), Image.Resampling.BICUBIC
    )
    buffer = io.BytesIO()
    image.point(lambda value: min(value + shift, 255)).save(buffer, "PNG")
    return buffer.getvalue()


def pixels() -> np.ndarray[Any, Any]:
    """Return photos of noise for the tiny network."""
    return np.random.default_rng(5).integers(0, 256, (4, 32, 32, 3), np.uint8)


def write(path: Path, content: bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def pack(root: Path, path: Path) -> None:
    """Put a workspace into a zip, without its cache."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(root.rglob("*")):
            name = file.relative_to(root).as_posix()
            if file.is_file() and not name.startswith("cache/"):
                archive.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
