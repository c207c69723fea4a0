"""Every error a person may see: each message says what happened, what was expected and what to do.

```
TransferStudioError
├── InvalidConfigError      a choice of a run is out of its range
├── IngestError             files cannot be added to a dataset
│   ├── UnreadableImageError    one file is not a picture we can read
│   └── DamagedPhotosError      stored photos can no longer be read
├── NotFoundError           no dataset, run or backbone has this id
├── WeightsError            pretrained weights are missing or damaged
├── TrainingError           a training cannot go on
│   └── InsufficientResourcesError  memory or disk is too small now
├── ExportError             a model cannot be taken away in a format
├── ProjectError            a project cannot be saved or opened
└── WorkspaceError          a file in the workspace cannot be read or written
```
"""

from typing import Literal

UnreadableKind = Literal[
    "damaged",
    "not_an_image",
    "other_format",
    "too_small",
    "too_large",
    "unsafe",
    "unreadable",
    "no_class",
    "missing",
    "packing",
    "duplicate",
]


class TransferStudioError(Exception):
    """The root of all errors that carry a sentence for a person."""


class InvalidConfigError(TransferStudioError):
    """A choice of a run is out of its range."""


class IngestError(TransferStudioError):
    """Files cannot be added to a dataset."""


class UnreadableImageError(IngestError):
    """One file is not a picture that can be read.

    Args:
        message: In words that continue "left out because ...".
        kind: The reason as a code, for lists that group and count.
    """

    def __init__(self, message: str = "", kind: UnreadableKind = "damaged") -> None:
        super().__init__(message)
        self.kind = kind


class DamagedPhotosError(IngestError):
    """Stored photos of a dataset are damaged or missing: they could be read when they were added.

    Args:
        message: Which, and what to do.
        image_ids: Their ids.
    """

    def __init__(self, message: str, image_ids: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.image_ids = image_ids


class NotFoundError(TransferStudioError):
    """No dataset, run or backbone has this id."""


class WeightsError(TransferStudioError):
    """Pretrained weights are missing or damaged."""


class TrainingError(TransferStudioError):
    """A training cannot start or cannot go on."""


class InsufficientResourcesError(TrainingError):
    """Memory or disk is too small now; the training can go on when there is room."""


class ExportError(TransferStudioError):
    """A model cannot be taken away in a format."""


class ProjectError(TransferStudioError):
    """A project cannot be saved or opened."""


class WorkspaceError(TransferStudioError):
    """A file in the workspace cannot be read or written."""
