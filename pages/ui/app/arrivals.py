"""State of what arrives in pieces: folder uploads, recordings, accepted photos, frames of the live camera."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ReadAs
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.layout_choice import LayoutChoice, LayoutQuestion

if TYPE_CHECKING:
    from transfer_core.inference.predictor import Prediction


@dataclass
class PhoneCode:
    """A code with which a phone adds photos.

    Args:
        dataset_id: The photos; the first one may create them.
        token: Part of its address.
        made_at: Seconds since 1970.
        used_at: When it was last opened here or photos of it arrived, in the same seconds.
    """

    dataset_id: str
    token: str
    made_at: float
    used_at: float


@dataclass
class Upload:
    """A folder that is being uploaded from the browser or read from the server's disk.

    Args:
        id: Made by the browser; for a folder of the server its path below the allowed folder.
        before: The dataset before the upload.
        after: The dataset with the files that have arrived.
        num_batches: Batches that were processed.
        num_saved: Batches whose files are on disk.
        waiting: Files that have arrived but are not on disk yet.
        num_waiting_bytes: Their size in base64.
        is_resumed: Whether the browser continues an interrupted upload.
        begun: The first parts of a file that is larger than a batch.
        awaited: The listed files by path, with their class, without content.
        num_known: Files that the dataset already had.
        is_complete: Whether the last batch was processed.
        is_stopped: Whether the person stopped the upload.
        has_failed: Whether saving failed, which ended the upload.
        is_shown: Whether the page was drawn after the end.
        problem: Error message for the person.
        notice: Sentence for the person about an upload that was given up without an error.
        name: Of a new dataset.
        read_as: How its files were understood.
        listing: The browser's list of files, kept while the person is asked what the folders mean.
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
    notice: str = ""
    name: str = ""
    read_as: ReadAs | None = None
    listing: dict[str, Any] | None = None

    @property
    def is_clean(self) -> bool:
        """Whether it has ended with nothing to say about it."""
        return self.is_complete and not (self.problem or self.notice or self.num_known or self.is_stopped)


@dataclass
class AskedLayout:
    """A question to the person about the folders of an upload.

    Args:
        question: The possible meanings.
        thumbnails: JPEG files by folder or class.
        choice: The answer, as soon as there is one.
        is_declined: Whether the person said that no meaning is right.
        is_drawn: Whether it is on the page that is drawn now.
    """

    question: LayoutQuestion
    thumbnails: dict[str, list[bytes]] = field(default_factory=dict)
    choice: LayoutChoice | None = None
    is_declined: bool = False
    is_drawn: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the person has neither chosen nor declined."""
        return self.choice is None and not self.is_declined

    def choose(self, choice: LayoutChoice) -> None:
        """Keep the answer, and drop the photos: they would hold a whole archive in memory."""
        self.question, self.thumbnails = replace(self.question, samples={}), {}
        self.choice = choice


@dataclass
class Recording:
    """The frames that were recorded during one press of the record button.

    Args:
        id: Made by the browser; the `burst` of the images.
        dataset: The dataset before the first frame.
        num_messages: Messages of the browser that were processed.
        num_frames: Frames that have arrived, duplicates included.
        is_complete: Whether the button was released and the last frame has arrived.
        is_shown: Whether the page was drawn after the end.
        is_discarded: Whether the person threw it away.
        problem: Error message for the person.
    """

    id: str
    dataset: ImageDataset
    class_name: str = ""
    num_messages: int = 0
    num_frames: int = 0
    is_complete: bool = False
    is_shown: bool = False
    is_discarded: bool = False
    problem: str = ""


@dataclass
class CardMessages:
    """The messages of the class cards in the quick start.

    Args:
        page: Made by the browser for each time that it loads the page.
        num_messages: Messages that were processed.
        is_under_way: Whether more photos follow at once.
        is_shown: Whether the page was drawn after the latest change.
        deleted: Name of the class that was deleted by the latest message; empty if none was.
        problem: Error message for the person.
    """

    page: str
    num_messages: int = 0
    is_under_way: bool = False
    is_shown: bool = True
    deleted: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Accepted:
    """Photos that have waited without a label and were added to a class last.

    Args:
        dataset_id: Of the dataset.
        class_name: Their label.
        image_ids: Of the photos.
    """

    dataset_id: str
    class_name: str
    image_ids: tuple[str, ...]


@dataclass(frozen=True)
class LiveAnswer:
    """The predictions for one frame of the live camera.

    Args:
        viewing: Made by the browser each time the camera is switched on.
        number: Of the frame.
        predictions: One for each model; empty if the frame could not be decoded.
    """

    viewing: str
    number: int
    predictions: tuple[Prediction, ...] = ()
