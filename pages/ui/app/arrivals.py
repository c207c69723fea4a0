"""What comes from the browser piece by piece: folders, recordings, frames of the live camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources.imported_file import ImportedFile

if TYPE_CHECKING:
    from transfer_core.inference.predictor import Prediction


@dataclass
class Upload:
    """A folder on its way, from the browser or from the server's own disk.

    Args:
        id: Given by the browser, or the folder below the one that is allowed on the server.
        before: The dataset as it was.
        after: The dataset with what has arrived.
        num_batches: How many batches have been taken in.
        num_saved: How many of these are on disk.
        waiting: Files that have arrived and are not on disk yet.
        num_waiting_bytes: Their size, as they were sent.
        is_resumed: Whether the browser goes on with an upload that broke off.
        begun: The parts so far of a file that is larger than a batch.
        awaited: Each file of the folder by its path, with its class, without its content.
        num_known: Files that had come in before.
        is_complete: Whether the last batch has been taken in.
        is_stopped: Whether the person stopped it.
        has_failed: Whether it broke off because something could not be saved.
        is_shown: Whether the page has been drawn with it.
        problem: Why it could not be used, for the person.
    """

    id: str
    before: ImageDataset
    after: ImageDataset
    num_batches: int = 0
    num_saved: int = 0
    waiting: list[ImportedFile] = field(default_factory=list)
    num_waiting_bytes: int = 0
    is_resumed: bool = False
    begun: bytes = b""
    awaited: dict[str, ImportedFile] = field(default_factory=dict)
    num_known: int = 0
    is_complete: bool = False
    is_stopped: bool = False
    has_failed: bool = False
    is_shown: bool = False
    problem: str = ""


@dataclass
class Recording:
    """Frames of one press of the camera's button.

    Args:
        id: Given by the browser; also the burst of its images.
        dataset: Where the frames go, as it was before the first.
        class_name: Their class.
        num_messages: How many messages of the browser have been taken in.
        num_frames: How many frames came, those that show exactly the same as another one included.
        is_complete: Whether the button was let go and the last frame is in.
        is_shown: Whether the page has been drawn with it.
        problem: Why it broke off, for the person.
    """

    id: str
    dataset: ImageDataset
    class_name: str = ""
    num_messages: int = 0
    num_frames: int = 0
    is_complete: bool = False
    is_shown: bool = False
    problem: str = ""


@dataclass(frozen=True)
class LiveAnswer:
    """What models say about one frame of the live camera.

    Args:
        viewing: Given by the browser: from switching the camera on to switching it off.
        number: Of the frame.
        predictions: One of each model; none where the frame could not be read.
    """

    viewing: str
    number: int
    predictions: tuple[Prediction, ...] = ()
