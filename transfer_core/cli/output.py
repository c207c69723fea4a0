"""Printing: progress and notes go to standard error, results to standard output."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import click

from transfer_core.data.checks.notices import read_as_sentence
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
    PlaceLost,
    RunContinued,
    RunPaused,
    RunPlaced,
    RunResumed,
    RunSnapshot,
    StartScored,
    TrainingEvent,
)
from transfer_core.inference.predictor import Prediction
from transfer_core.language import _, percent, said
from transfer_core.runs.run_status import status_of
from transfer_core.runs.training_run import TrainingRun
from transfer_core.schema import CONTROL_CHARACTERS_AND_LINES
from transfer_core.types import OnProgress

_MAX_SHOWN = 200
_SECONDS_BETWEEN_PROGRESS_LINES = 2.0


def print_event(event: TrainingEvent) -> None:
    """Print the progress of a training, one line an event."""
    match event:
        case PhaseStarted():
            words = {
                "teacher": _("teacher"),
                "features": _("features"),
                "head_choice": _("comparing heads"),
                "head": _("head"),
                "fine_tune": _("fine tune"),
                "out_of_fold": _("measuring by cross-validation"),
                "all_photos": _("training on all photos"),
                "saving": _("saving"),
                "evaluation": _("evaluation"),
                "cross_validation": _("cross-validation"),
            }
            print_note(words[event.phase])
        case RunResumed():
            print_note(_("continues after epoch {epoch}").format(epoch=event.epoch))
        case RunPlaced():
            print_note(_("runs on {computer}").format(computer=event.node))
        case PlaceLost():
            print_note(_("lost its computer, waits for another"))
        case RunPaused():
            print_note(_("paused"))
        case RunContinued():
            print_note(_("continues"))
        case PhotosLeftOut():
            print_note(damaged_photos_sentence(list(zip(event.names, event.class_names, strict=False))))
        case ImagesSeen():
            print_note(_("  {count:,} photos").format(count=event.num_done))
        case FoldEnded():
            line = _("  fold {fold} of {num_folds}: accuracy {accuracy}")
            print_note(
                line.format(
                    fold=event.fold, num_folds=event.num_folds, accuracy=percent(event.val_accuracy, 1)
                )
            )
        case StartScored() | EpochEnded():
            line = _("  epoch {epoch}: loss {loss:.3f}, accuracy {accuracy}, validation accuracy {val}")
            epoch = event.epoch if isinstance(event, EpochEnded) else 0
            print_note(
                line.format(
                    epoch=epoch,
                    loss=event.loss,
                    accuracy=percent(event.accuracy, 1),
                    val=percent(event.val_accuracy, 1),
                )
            )


def training_facts(run: TrainingRun, snapshot: RunSnapshot) -> dict[str, Any]:
    """Return the outcome of a training, ready for JSON.

    Args:
        run: The run.
        snapshot: The fold of its events.

    Raises:
        TrainingError: If it ended before the first epoch, or was interrupted.
    """
    best = snapshot.best
    if best is None or snapshot.outcome == "interrupted":
        raise TrainingError(said(snapshot.message))
    evaluation = run.evaluation()
    return {
        "run_id": run.id,
        "run_dir": str(run.folder.resolve()),
        "class_names": list(run.class_names),
        "num_train_images": snapshot.num_train_images,
        "num_validation_images": snapshot.num_validation_images,
        "val_accuracy": best.val_accuracy,
        "val_loss": best.val_loss,
        "best_epoch": best.epoch,
        "trained_on_all": run.is_trained_on_all,
        "out_of_fold": None
        if evaluation is None or evaluation.num_folds < 2
        else {
            "num_folds": evaluation.num_folds,
            "num_images": evaluation.num_images,
            "accuracy": evaluation.accuracy,
            "accuracy_interval": list(evaluation.accuracy_interval),
        },
        "head": {"chosen": snapshot.head.head, "accuracies": snapshot.head.accuracies}
        if snapshot.head
        else None,
        "precision": {"chosen": snapshot.precision.precision, "reason": snapshot.precision.reason}
        if snapshot.precision
        else None,
        "seconds": round(snapshot.seconds, 3),
        "computers": [place.node for place in snapshot.places],
        "history": snapshot.history,
        "fold_accuracies": list(snapshot.fold_accuracies),
    }


def run_facts(run: TrainingRun) -> dict[str, Any]:
    """Return the facts of a run for a list, ready for JSON."""
    snapshot = run.snapshot()
    best = snapshot.best
    return {
        "run_id": run.id,
        "created_at": run.created_at.isoformat(),
        "status": status_of(snapshot, run.folder),
        "message": said(snapshot.message),
        "dataset": run.dataset_name,
        "backbone": run.config.backbone,
        "val_accuracy": best.val_accuracy if best else None,
        "accuracy": snapshot.accuracy,
        "trained_on_all": run.is_trained_on_all,
        "seconds": round(snapshot.seconds, 3),
        "computers": [place.node for place in snapshot.places],
    }


def damaged_run_facts(run_id: str, error: TransferStudioError) -> dict[str, Any]:
    """Return the facts of a run whose files cannot be read; facts that are not known are None."""
    unknown = dict.fromkeys(
        (
            "created_at",
            "dataset",
            "backbone",
            "val_accuracy",
            "accuracy",
            "trained_on_all",
            "seconds",
            "computers",
        )
    )
    return {"run_id": run_id, "status": "damaged", "message": str(error), **unknown}


def prediction_facts(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction, ready for JSON."""
    return {
        "class_name": prediction.class_name,
        "best_guess": prediction.best_guess,
        "probability": prediction.probability,
        "probabilities": prediction.probabilities,
        "is_known": prediction.is_known,
        "familiarity": prediction.familiarity,
    }


def prediction_line(image: str, prediction: Prediction) -> str:
    """Return a prediction as a line."""
    if prediction.is_known:
        return f"{image}: {prediction.class_name} ({percent(prediction.probability, 1)})"
    return _("{image}: I don't know (best guess: {name}, {share})").format(
        image=image, name=prediction.best_guess, share=percent(prediction.probability, 1)
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
    """Replace infinity and NaN by None: JSON has neither."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {name: _without_gaps(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_without_gaps(inner) for inner in value]
    return value


def dataset_facts(dataset: ImageDataset, problems: Iterable[Problem]) -> dict[str, Any]:
    """Return the contents of a dataset and its problems, ready for JSON."""
    return {
        "dataset_id": dataset.id,
        "version": dataset.version,
        "read_as": read_as_sentence(dataset.read_as) if dataset.read_as else None,
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
    return [{"name": file.name, "kind": file.kind, "reason": said(file.reason)} for file in files]


def print_note(line: str) -> None:
    """Print one line to standard error: standard output belongs to the result."""
    click.echo(escaped(line), err=True)


def escaped(line: str) -> str:
    """Return a line in which no name can move the cursor, turn the text around or begin another line.

    Args:
        line: For people or in JSON, where the escapes stand for the same characters as before.
    """
    return CONTROL_CHARACTERS_AND_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def print_download(title: str) -> OnProgress:
    """Return a progress callback for a download that prints a line every two seconds.

    Args:
        title: Name of the download.
    """
    printed_at = 0.0

    def report_bytes(num_bytes: int, num_all: int) -> None:
        nonlocal printed_at
        if time.monotonic() - printed_at >= _SECONDS_BETWEEN_PROGRESS_LINES:
            printed_at = time.monotonic()
            line = _("{title}: {done:.0f} of {all:.0f} MB")
            print_note(line.format(title=title, done=num_bytes / 1e6, all=num_all / 1e6))

    return report_bytes


def error_message(error: Exception) -> str:
    """Return one line that says what went wrong, for any error."""
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
    return _("Something unexpected went wrong ({what}).").format(what=what[:_MAX_SHOWN])
