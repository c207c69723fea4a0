"""Export of a run as a zip: model, code to run it, model card, and a comparison with the app's predictions."""

from __future__ import annotations

import logging
import platform
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.backbones.own.source_model import (
    BUNDLE_FACTS_FILE,
    BUNDLE_MODEL_FILE,
    SourceModelFacts,
)
from transfer_core.backbones.published.zoo_weights import checksum_of
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images import image_path
from transfer_core.data.images.decoding import ALLOWED_FORMATS
from transfer_core.data.pixels import readable_batches
from transfer_core.errors import ExportError, NotFoundError, UnreadableImageError, WorkspaceError
from transfer_core.export.code import write_code
from transfer_core.export.converters import ONNX_FEATURES_FILE, ExportInput, labels_text, write_model
from transfer_core.export.formats import ExportFormat, get_format
from transfer_core.export.model_card import model_card
from transfer_core.export.parity import MAX_IMAGES, Parity, ScoredPhoto, compare
from transfer_core.export.preparation import prepare
from transfer_core.export.web_page import write_web_page
from transfer_core.export.web_runtime import get_runtime
from transfer_core.files import read_json, replacing, write_json
from transfer_core.inference.calibration import Calibration
from transfer_core.inference.predictor import Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.language import _, percent
from transfer_core.runs.own_models import lineage_of, title_of
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.train import MODEL_FILE
from transfer_core.types import Pixels
from transfer_core.workspace import Workspace

_logger = logging.getLogger(__name__)

EXPORTS_DIR = "exports"
EXPORT_STAGES = (_("Converting"), _("Testing the exported file"), _("Packing"))
_FACTS_FILE = "parity.json"
_FILES = Path(__file__).with_name("bundle_files")
_NUM_SAMPLES = 100
_LONGEST_SLUG = 40
_FORMAT_VERSION = 1


@dataclass(frozen=True)
class ExportBundle:
    """A finished export.

    Args:
        format_name: Name of the `ExportFormat`.
        path: The zip file.
        name: For the file that a person saves, without its suffix, such as `flowers-web-page`; also the folder in it.
        parities: Comparison with the app's predictions, one per model file.
        has_present_limits: False if the run's rejection thresholds were changed after the export.
        has_present_model: False if the run's model or temperature was changed after the export.
    """

    format_name: str
    path: Path
    name: str
    parities: tuple[Parity, ...]
    has_present_limits: bool = True
    has_present_model: bool = True

    @property
    def is_passed(self) -> bool | None:
        """Whether every model file answers like the app; None without model files."""
        return all(parity.is_passed for parity in self.parities) if self.parities else None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, the size of the zip in bytes and `is_passed` as JSON values."""
        return {
            "format": self.format_name,
            "path": str(self.path),
            "name": self.name,
            "num_bytes": self.path.stat().st_size,
            "is_passed": self.is_passed,
            "parity": [parity.to_dict() for parity in self.parities],
        }


def export_run(
    workspace: Workspace,
    run: TrainingRun,
    format_name: str,
    output_dir: Path | None = None,
    *,
    on_step: Callable[[str], None] = lambda step: None,
) -> ExportBundle:
    """Convert a run's model, compare its predictions with the app's in a fresh process, and write a zip.

    Calls `prepare`, which may download a runtime.

    Args:
        workspace: Workspace of the run's dataset.
        run: Run with a model.
        format_name: Name of the `ExportFormat`.
        output_dir: Folder for the zip. By default `exports/` in the run folder, where `exported` finds it.
        on_step: Called with each of `EXPORT_STAGES` when it begins, and with notices for display.

    Raises:
        ExportError: If a package is missing, the conversion fails, or the exported model does not run.
        NotFoundError: If the format is unknown or the run has no model.
        WorkspaceError: If writing fails.
    """
    export_format = get_format(format_name)
    prepare(workspace, format_name)
    converting, _testing, packing = EXPORT_STAGES
    on_step(converting)
    predictor = Predictor.load(run.folder)
    for notice in predictor.notices:
        on_step(notice)
    stored = bundle_path(run.folder, format_name)
    path = output_dir / stored.name if output_dir else stored
    with _scratch_folder(workspace) as scratch:
        parities = _write_bundle(workspace, run, export_format, predictor, scratch, on_step)
        if not run.has_model:
            # Writing would recreate the folder, and a deleted run is restored only where no folder is.
            raise ExportError(_("The run was deleted while it was being exported."))
        on_step(packing)
        name = download_name(run, export_format)
        _zip(scratch, path, name)
        facts = {
            "parity": [parity.to_dict() for parity in parities],
            "refuses": _thresholds(predictor.rejection),
            "model": _model_facts(run),
        }
        write_json(path.with_suffix(".json"), facts)
    return ExportBundle(format_name, path, name, parities)


def exported(run: TrainingRun, format_name: str) -> ExportBundle | None:
    """Return the existing export in the run folder, or None."""
    path = bundle_path(run.folder, format_name)
    try:
        facts = read_json(path.with_suffix(".json"))
        bundle = ExportBundle(
            format_name,
            path,
            download_name(run, get_format(format_name)),
            tuple(Parity.from_dict(values) for values in facts["parity"]),
            facts["refuses"] == _thresholds(Rejection.load(run.folder)),
            # Exports of earlier versions have no such entry.
            facts.get("model") in (None, _model_facts(run)),
        )
    except (WorkspaceError, KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile, OSError):
        return None
    return bundle if path.is_file() else None


def bundle_path(run_folder: Path, format_name: str) -> Path:
    """Return the place of an export in the folder of its run."""
    return run_folder / EXPORTS_DIR / f"{run_folder.name}-{format_name}.zip"


def download_name(run: TrainingRun, export_format: ExportFormat) -> str:
    """Return the name of an export for a person, in ASCII, such as `flowers-web-page`."""
    ascii_name = unicodedata.normalize("NFKD", run.dataset_name.casefold()).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name)[:_LONGEST_SLUG].strip("-")
    return f"{slug or 'model'}-{export_format.file_label}"


def _write_bundle(
    workspace: Workspace,
    run: TrainingRun,
    export_format: ExportFormat,
    predictor: Predictor,
    folder: Path,
    on_step: Callable[[str], None],
) -> tuple[Parity, ...]:
    """Write all files of a bundle and return the comparison of each model file with the app."""
    dataset = _dataset_of(workspace, run)
    _write(run, export_format, predictor, dataset, folder)
    if export_format.has_page:
        _write_page(workspace, run, export_format, folder)
    photos = _scored_photos(run, dataset, predictor) if export_format.variants else []
    if photos:
        on_step(EXPORT_STAGES[1])
    parities = tuple(
        compare(folder, variant, photos, predictor.rejection) for variant in export_format.variants
    )
    write_json(folder / _FACTS_FILE, _parity_facts(export_format, parities))
    card = model_card(run, dataset, parities, export_format)
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    return parities


def _model_facts(run: TrainingRun) -> dict[str, Any]:
    """Return the CRCs inside `model.keras` and the temperature: they identify a model, also in a copied folder."""
    with zipfile.ZipFile(run.folder / MODEL_FILE) as file:
        checksums = {member.filename: member.CRC for member in file.infolist()}
    return {"checksums": checksums, "temperature": Calibration.load(run.folder).temperature}


def _dataset_of(workspace: Workspace, run: TrainingRun) -> ImageDataset | None:
    try:
        return ImageDataset.load(workspace, run.dataset_id)
    except NotFoundError:
        return None


@contextmanager
def _scratch_folder(workspace: Workspace) -> Iterator[Path]:
    try:
        with workspace.scratch_folder() as folder:
            yield folder
    except OSError as error:
        raise WorkspaceError(
            _("The export could not be saved: {reason}. Free some space, then try again.").format(
                reason=error.strerror or error
            )
        ) from error


def _write(
    run: TrainingRun,
    export_format: ExportFormat,
    predictor: Predictor,
    dataset: ImageDataset | None,
    folder: Path,
) -> None:
    samples = _samples(dataset, predictor.image_size)
    export_input = ExportInput(run.folder, _input_facts(predictor), samples)
    try:
        if export_format.variants:
            write_model(export_input, export_format, folder)
        else:
            write_code(run, dataset, folder)
    # Converters raise errors of many libraries.
    except Exception as error:
        raise ExportError(
            _("This model cannot be written as {title}: {reason}").format(
                title=export_format.title, reason=error
            )
        ) from error
    (folder / "requirements.txt").write_text("\n".join(export_format.requirements) + "\n", encoding="utf-8")
    if export_format.variants:
        _write_inference_files(run, export_format, predictor, folder)
    if (folder / BUNDLE_MODEL_FILE).is_file():
        _write_source_facts(run, predictor, folder)


def _write_inference_files(
    run: TrainingRun, export_format: ExportFormat, predictor: Predictor, folder: Path
) -> None:
    write_json(folder / "signature.json", _signature(run, export_format, predictor))
    labels = labels_text(predictor.class_names, is_numbered=export_format.has_numbered_labels)
    (folder / "labels.txt").write_text(labels, encoding="utf-8")
    if predictor.rejection is not None:
        np.savez_compressed(folder / "known.npz", **predictor.rejection.arrays())
    write_json(folder / "messages.json", _messages())
    shutil.copyfile(_FILES / "predict.py", folder / "predict.py")
    shutil.copyfile(_FILES / f"runtime_{export_format.model_format}.py", folder / "model_runtime.py")
    shutil.copyfile(image_path.__file__, folder / "image_path.py")


def _write_source_facts(run: TrainingRun, predictor: Predictor, folder: Path) -> None:
    """Write the facts that `import_source` needs to use the bundle as a source model."""
    # Without them the bundle still predicts: it only has too many classes or ancestors for a source model.
    with suppress(ValueError):
        facts = SourceModelFacts(
            run.backbone.network,
            title_of(run),
            predictor.class_names,
            lineage_of(run),
            checksum_of(folder / BUNDLE_MODEL_FILE),
        )
        write_json(folder / BUNDLE_FACTS_FILE, facts.to_dict())


def _write_page(workspace: Workspace, run: TrainingRun, export_format: ExportFormat, folder: Path) -> None:
    origin = _("Made with Transfer Studio (run {id}) from {backbone}.").format(
        id=run.id, backbone=run.backbone.title
    )
    runtime = get_runtime(workspace.runtimes_dir)
    model = (folder / export_format.variants[0].file).read_bytes()
    features_output = (folder / ONNX_FEATURES_FILE).read_bytes()
    write_web_page(folder, model + features_output, run.dataset_name, origin, runtime)


def _parity_facts(export_format: ExportFormat, parities: tuple[Parity, ...]) -> dict[str, Any]:
    facts = {"format": export_format.name, "parity": [parity.to_dict() for parity in parities]}
    return {**facts, "unproved": export_format.unproved} if export_format.unproved else facts


def _samples(dataset: ImageDataset | None, image_size: int) -> Pixels:
    """Return up to 100 evenly spaced training images, `[num_images, size, size, 3]`; noise without a dataset."""
    images = dataset.images_in("train") if dataset else []
    if dataset is None or not images:
        # Uniform noise still shows the quantiser the full input range.
        return np.random.default_rng(0).integers(0, 256, (8, image_size, image_size, 3), np.uint8)
    indices = np.linspace(0, len(images) - 1, min(_NUM_SAMPLES, len(images)), dtype=int)
    paths = [dataset.image_path(images[index]) for index in indices]
    return np.concatenate([pixels for _positions, pixels in readable_batches(paths, image_size)])


def _input_facts(predictor: Predictor) -> dict[str, Any]:
    """Return the class names and the preprocessing, for `signature.json` and the metadata of a model file."""
    return {
        "class_names": list(predictor.class_names),
        "image_size": predictor.image_size,
        "layout": "NHWC",
        "channels": "RGB",
        "value_range": [0, 255],
        "grey_ranges": list(predictor.grey_ranges),
        "resize": "squeeze to a square, bicubic with antialiasing (image_path.py)",
    }


def _signature(run: TrainingRun, export_format: ExportFormat, predictor: Predictor) -> dict[str, Any]:
    return {
        "format_version": _FORMAT_VERSION,
        **_input_facts(predictor),
        "formats": ALLOWED_FORMATS,
        "temperature": predictor.calibration.temperature,
        "refuses": _thresholds(predictor.rejection),
        "models": [{"name": variant.name, "file": variant.file} for variant in export_format.variants],
        "backbone": run.backbone.title,
        "run": run.id,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("keras", "tensorflow", "numpy", "pillow")},
        },
    }


def _messages() -> dict[str, str]:
    """Return what `predict.py` prints for people, in the current language."""
    return {
        "description": _("Classify photos."),
        "photos": _("Photos. Without any, their paths are read from the input."),
        "model": _("The model file to use."),
        "json": _("Print one JSON object for each photo."),
        "known": _("{image}: {name} ({share})"),
        "unknown": _("{image}: I don't know (best guess: {name}, {share})"),
        "unreadable": _("{image}: cannot be read ({reason})"),
        "heic": _("HEIC photos need one more package: pip install pillow-heif"),
        "percent": percent(0).replace("0", "{number}"),
    }


def _thresholds(rejection: Rejection | None) -> dict[str, float] | None:
    if rejection is None:
        return None
    return {
        "min_familiarity": rejection.min_familiarity,
        "min_probability": rejection.min_probability,
        "num_neighbors": rejection.num_neighbors,
    }


def _scored_photos(run: TrainingRun, dataset: ImageDataset | None, predictor: Predictor) -> list[ScoredPhoto]:
    """Return up to 100 evenly spaced validation photos with the app's predictions, without unreadable ones."""
    if dataset is None:
        return []
    validation_ids = run.validation_ids()
    images = [image for image in dataset.images if image.id in validation_ids]
    indices = np.linspace(0, len(images) - 1, min(MAX_IMAGES, len(images)), dtype=int)
    photos = []
    for image in (images[index] for index in indices):
        path = dataset.image_path(image)
        try:
            prediction = predictor.predict(path.read_bytes())
        except (OSError, UnreadableImageError):
            _logger.warning("Comparing without %s: it is missing or damaged", path)
            continue
        photos.append(ScoredPhoto(path, image.name, image.class_name, prediction))
    return photos


def _zip(folder: Path, path: Path, name: str) -> None:
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, Path(name, file.relative_to(folder)))
