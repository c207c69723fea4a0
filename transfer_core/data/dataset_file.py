"""The dataset's own file: its facts as JSON, also as earlier versions of the app wrote them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from transfer_core.data.records import Edit, ImageRecord, LeftOut

if TYPE_CHECKING:
    from transfer_core.data.dataset import ImageDataset


def facts_to_dict(dataset: ImageDataset) -> dict[str, Any]:
    """Return everything but the dataset's place, ready for JSON."""
    names = [field.name for field in fields(dataset) if field.name not in ("id", "folder", "filling")]
    values = {name: getattr(dataset, name) for name in names}
    # Not asdict(), which copies every value of ten thousand images.
    for name in ("images", "excluded", "left_out", "edits"):
        values[name] = [vars(fact) for fact in values[name]]
    return values


def facts_from_dict(values: dict[str, Any]) -> dict[str, Any]:
    """Rebuild the facts that `facts_to_dict` gave.

    Raises:
        KeyError: If a fact is missing.
        TypeError: If a fact is of another kind.
    """
    images = [ImageRecord(**image) for image in values["images"]]
    return {
        **values,
        "images": tuple(images),
        "excluded": tuple(ImageRecord(**image) for image in values.get("excluded", ())),
        "left_out": tuple(_left_out(file) for file in values["left_out"]),
        "edits": tuple(_edit(edit) for edit in values.get("edits", ())),
        "class_names": tuple(values["class_names"]),
    }


def _left_out(values: dict[str, Any]) -> LeftOut:
    # Version 0.1 knew only whether the operating system had put the file there.
    values = dict(values)
    if values.pop("is_system_file", False):
        values["kind"] = "system"
    return LeftOut(**values)


def _edit(values: dict[str, Any]) -> Edit:
    before = tuple((str(image_id), str(name), bool(out)) for image_id, name, out in values["before"])
    return Edit(**{**values, "before": before})
