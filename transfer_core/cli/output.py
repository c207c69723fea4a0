"""What the command line prints: progress and notes on standard error, results on standard output."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import click

from transfer_core.data.checks.photo_check import Problem
from transfer_core.data.damage import damaged_photos_sentence
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import LeftOut, Split
from transfer_core.errors import TrainingError, TransferStudioError
from transfer_core.events import (
    EpochEnded,
    FoldEnded,
    ImagesSeen,
    PhaseStarted,
    PhotosLeftOut,
    RunContinued,
    RunPaused,
    RunResumed,
    RunSnapshot,
    TrainingEvent,
)
from transfer_core.inference.predictor import Prediction
from transfer_core.language import _
from transfer_core.runs.run_status import status_of
from transfer_core.runs.training_run import TrainingRun
from transfer_core.schema import CONTROL_CHARACTERS_AND_LINES
from transfer_core.types import OnProgress

_MAX_SHOWN = 200
_SECONDS_BETWEEN_NOTES = 2.0


def tell(event: TrainingEvent) -> None:
    """Write progress to standard error, one line an event."""
    match event:
        case PhaseStarted():
            words = {
                "teacher": _("teacher"),
                "features": _("features"),
                "head": _("head"),
                "fine_tune": _("fine tune"),
                "evaluation": _("evaluation"),
                "cross_validation": _("cross-validation"),
            }
            note(words[event.phase])
        case RunResumed():
            note(_("goes on after epoch {epoch}").format(epoch=event.epoch))
        case RunPaused():
            note(_("paused"))
        case RunContinued():
            note(_("goes on"))
        case PhotosLeftOut():
            note(damaged_photos_sentence(list(zip(event.names, event.class_names, strict=False))))
        case ImagesSeen():
            note(_("  {count:,} images").format(count=event.num_done))
        case FoldEnded():
            line = _("  part {fold} of {num_folds}: {accuracy:.1%} right")
            note(line.format(fold=event.fold, num_folds=event.num_folds, accuracy=event.val_accuracy))
        case EpochEnded():
            line = _(
                "  epoch {epoch}: loss {loss:.3f}, accuracy {accuracy:.1%}, validation accuracy {val:.1%}"
            )
            note(
                line.format(
                    epoch=event.epoch, loss=event.loss, accuracy=event.accuracy, val=event.val_accuracy
                )
            )


def training_facts(run: TrainingRun, snapshot: RunSnapshot) -> dict[str, Any]:
    """Return what a training came to, ready for JSON.

    Args:
        run: The run.
        snapshot: The fold of its events.

    Raises:
        TrainingError: If it ended before anything was learned, or was interrupted.
    """
    best = snapshot.best
    if best is None or snapshot.outcome == "interrupted":
        raise TrainingError(snapshot.message)
    return {
        "run_id": run.id,
        "run_dir": str(run.folder.resolve()),
        "class_names": list(run.class_names),
        "num_train_images": snapshot.num_train_images,
        "num_validation_images": snapshot.num_validation_images,
        "val_accuracy": best.val_accuracy,
        "val_loss": best.val_loss,
        "best_epoch": best.epoch,
        "seconds": round(snapshot.seconds, 3),
        "history": snapshot.history,
        "fold_accuracies": list(snapshot.fold_accuracies),
    }


def run_facts(run: TrainingRun) -> dict[str, Any]:
    """Return a run in a few facts, ready for JSON."""
    snapshot = run.snapshot()
    best = snapshot.best
    return {
        "run_id": run.id,
        "created_at": run.created_at.isoformat(),
        "status": status_of(snapshot, run.folder),
        "message": snapshot.message,
        "dataset": run.dataset_name,
        "backbone": run.config.backbone,
        "val_accuracy": best.val_accuracy if best else None,
        "seconds": round(snapshot.seconds, 3),
    }


def damaged_run_facts(run_id: str, error: TransferStudioError) -> dict[str, Any]:
    """Return the facts of a run whose files cannot be read: those of `run_facts`, as far as they are known.

    Args:
        run_id: Its id.
        error: What is wrong with it.
    """
    unknown = dict.fromkeys(("created_at", "dataset", "backbone", "val_accuracy", "seconds"))
    return {"run_id": run_id, "status": "damaged", "message": str(error), **unknown}


def prediction_facts(prediction: Prediction) -> dict[str, Any]:
    """Return what a model makes of an image, ready for JSON."""
    return {
        "class_name": prediction.class_name,
        "probability": prediction.probability,
        "probabilities": prediction.probabilities,
        "is_known": prediction.is_known,
        "familiarity": prediction.familiarity,
    }


def prediction_line(image: str, prediction: Prediction) -> str:
    """Return what a model makes of an image, in one line."""
    if prediction.is_known:
        return f"{image}: {prediction.class_name} ({prediction.probability:.1%})"
    return _("{image}: I don't know (best guess: {name}, {share:.1%})").format(
        image=image, name=prediction.class_name, share=prediction.probability
    )


def report(as_json: bool, facts: dict[str, Any], lines: list[str]) -> None:
    """Print the result of a command.

    Args:
        as_json: Print one JSON object rather than lines.
        facts: The result for programs.
        lines: The result for people.
    """
    if as_json:
        click.echo(escaped(json.dumps(_without_gaps(facts), ensure_ascii=False, allow_nan=False)))
    else:
        click.echo("\n".join(map(escaped, lines)))


def _without_gaps(value: Any) -> Any:
    """Put null in the place of infinity and of what is not a number: JSON has neither."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: _without_gaps(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_without_gaps(inner) for inner in value]
    return value


def dataset_facts(dataset: ImageDataset, problems: Iterable[Problem]) -> dict[str, Any]:
    """Return what a dataset holds and what is wrong with it, ready for JSON.

    Args:
        dataset: The images.
        problems: What was found.
    """
    return {
        "dataset_id": dataset.id,
        "version": dataset.version,
        "class_names": list(dataset.class_names),
        "num_images": len(dataset.images),
        "counts": dataset.counts(),
        "split_by": dataset.split_by,
        "num_train_images": len(dataset.images_in("train")),
        "num_validation_images": len(dataset.images_in("validation")),
        "num_test_images": len(dataset.images_in("test")),
        "counts_by_split": {split: dataset.counts(split) for split in get_args(Split)},
        "problems": [problem.to_dict() for problem in problems],
        "left_out": left_out_facts(dataset.left_out),
    }


def left_out_facts(files: Iterable[LeftOut]) -> list[dict[str, str]]:
    """Return files that were left out with their reasons, ready for JSON."""
    return [{"name": file.name, "kind": file.kind, "reason": file.reason} for file in files]


def note(line: str) -> None:
    """Write one line to standard error: standard output belongs to the result."""
    click.echo(escaped(line), err=True)


def escaped(line: str) -> str:
    """Return a line in which no name can move the cursor, turn the text around or begin another line.

    Args:
        line: For people or in JSON, where the escapes stand for the same characters as before.
    """
    return CONTROL_CHARACTERS_AND_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def noted(title: str) -> OnProgress:
    """Return what is told the bytes of a download, and notes them now and then.

    Args:
        title: Of what comes.
    """
    told_at = 0.0

    def tell(num_bytes: int, num_all: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _SECONDS_BETWEEN_NOTES:
            told_at = time.monotonic()
            line = _("{title}: {done:.0f} of {all:.0f} MB")
            note(line.format(title=title, done=num_bytes / 1e6, all=num_all / 1e6))

    return tell


def error_message(error: Exception) -> str:
    """Say in one line what went wrong, whatever it was."""
    match error:
        case TransferStudioError():
            return str(error)
        case click.ClickException():
            return " ".join(error.format_message().split())
        case OSError(strerror=str(reason), filename=str() | Path() as file):
            return _("{reason}: {file}").format(reason=reason, file=str(file)[:_MAX_SHOWN])
        case OSError(strerror=str(reason)):
            return reason
        case MemoryError():
            return _("There is too little free memory for this. Close other programs, then try again.")
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return _("Something went wrong that was not expected ({what}).").format(what=what[:_MAX_SHOWN])
