"""Photos that the whole class uploads at the same time, by each way that the app offers."""

from __future__ import annotations

import asyncio
import base64
import io
import time
import urllib.request
import uuid
import zipfile
from collections.abc import Sequence
from typing import Any

from streamlit.proto.Common_pb2 import FileURLs
from streamlit.proto.WidgetStates_pb2 import WidgetState

from benchmarks.classroom.browsing import noting
from benchmarks.classroom.pupils import Pupil
from benchmarks.classroom.report import Report
from benchmarks.classroom.tab import ANSWER_SECONDS, LostAnswer, Tab
from transfer_core.data.dataset import ImageDataset

_CLASSES = ("mug", "pen")
_BATCH_BYTES = 4 * 1024**2
_BATCH_FILES = 24
_MOST_SECONDS = 120


async def upload(pupils: Sequence[Pupil], photos: Sequence[bytes], report: Report) -> None:
    """Let everyone upload the same photos at once, a third by each way, and count what has arrived on the disk."""
    ways = {"class cards": _by_cards, "a folder": _by_folder, "a zip": _by_zip}
    before = [set(pupil.workspace.dataset_ids()) for pupil in pupils]
    began_at = time.perf_counter()

    async def upload_of(pupil: Pupil, way: str) -> None:
        with noting(pupil, report):
            await ways[way](pupil.tab, photos)

    names = [list(ways)[place % len(ways)] for place in range(len(pupils))]
    await asyncio.gather(*map(upload_of, pupils, names))
    seconds = time.perf_counter() - began_at
    num_arrived = 0
    for pupil, way, earlier in zip(pupils, names, before, strict=True):
        count = _num_arrived(pupil, earlier)
        num_arrived += count
        if count != len(photos):
            report.lost(
                f"{pupil.name} uploaded {len(photos)} photos by {way}; {count} of them are on the disk."
            )
    megabytes = len(pupils) * sum(map(len, photos)) / 10**6
    report.add(
        f"{len(pupils)} × {len(photos)} photos at the same time ({megabytes:.0f} MB, by {', '.join(ways)})",
        f"{num_arrived} on the disk after {seconds:.0f} s",
        f"all within {_MOST_SECONDS} s",
    )


def _num_arrived(pupil: Pupil, earlier: set[str]) -> int:
    """Return the photos of new datasets that are listed and whose file is there."""
    new = [
        ImageDataset.load(pupil.workspace, one) for one in pupil.workspace.dataset_ids() if one not in earlier
    ]
    return sum(dataset.image_path(image).is_file() for dataset in new for image in dataset.images)


async def _by_cards(tab: Tab, photos: Sequence[bytes]) -> None:
    await tab.open()
    page, number = _browser_id(), 0
    messages: list[dict[str, Any]] = []
    for place, name in enumerate(_CLASSES):
        own = photos[place :: len(_CLASSES)]
        for batch in _batches(own):
            files = [{"name": f"photo-{one}.jpg", "content": _base64(own[one])} for one in batch]
            messages.append({"kind": "photos", "class_name": name, "recording": "", "files": files})
        messages.append({"kind": "end"})
    for number, message in enumerate(messages, 1):
        numbered = {**message, "page": page, "number": number}
        await tab.act(tab.screen.send_from_component("class_cards", "message", numbered))
        data = await _answered(tab, "class_cards", number)
        if data["problem"]:
            raise LostAnswer(data["problem"])


async def _by_folder(tab: Tab, photos: Sequence[bytes]) -> None:
    await tab.open("Images")
    paths = [f"things/{_CLASSES[place % len(_CLASSES)]}/{place:02d}.jpg" for place in range(len(photos))]
    upload_id, batches = _browser_id(), list(_batches(photos))
    dataset = None
    for number, batch in enumerate(batches, 1):
        parts = [
            {
                "path": paths[one],
                "content": _base64(photos[one]),
                "offset": 0,
                "is_end": True,
                "is_too_large": False,
            }
            for one in batch
        ]
        message = {
            "upload": upload_id,
            "number": number,
            "name": "things",
            "dataset": dataset,
            "listing": {"paths": paths, "tables": []} if number == 1 else None,
            "files": parts,
            "is_last": number == len(batches),
            "is_stopped": False,
        }
        await tab.act(tab.screen.send_from_component("folder_upload", "batch", message))
        if number < len(batches):
            dataset = (await _answered(tab, "folder_upload", number))["dataset"]


async def _by_zip(tab: Tab, photos: Sequence[bytes]) -> None:
    await tab.open("Images")
    await tab.act(tab.screen.choose("A zip or tar file"))
    fields = tab.screen.elements("file_uploader")
    if not fields:
        raise LostAnswer("The field for a zip did not come.")
    content = _zip(photos)
    urls = (await tab.file_urls("things.zip")).file_urls_response.file_urls[0]
    await asyncio.to_thread(_put, tab, urls, "things.zip", content)
    state = WidgetState(id=fields[0].file_uploader.id)
    state.file_uploader_state_value.uploaded_file_info.add(
        name="things.zip", size=len(content), file_id=urls.file_id, file_urls=urls
    )
    await tab.act(tab.screen.hand_over_file(state))


async def _answered(tab: Tab, component: str, number: int) -> dict[str, Any]:
    """Return what a component got from the server after this message of its own.

    Raises:
        LostAnswer: If the server does not acknowledge it.
    """
    until = time.perf_counter() + ANSWER_SECONDS
    while (data := tab.screen.component_data(component))["acknowledged"] < number:
        if time.perf_counter() > until:
            raise LostAnswer(f"Message {number} of the component {component} was not acknowledged.")
        await asyncio.sleep(0.05)
    return data


def _put(tab: Tab, urls: FileURLs, name: str, content: bytes) -> None:
    """Upload a file as the front end does.

    Raises:
        LostAnswer: If the server refuses it.
    """
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    try:
        headers = {"Cookie": tab.cookie, "Origin": tab.url}
        with urllib.request.urlopen(
            urllib.request.Request(f"{tab.url}/_stcore/health", headers=headers)
        ) as answer:
            crumbs = [line.partition(";")[0] for line in answer.headers.get_all("Set-Cookie", [])]
        token = next(
            (crumb.partition("=")[2] for crumb in crumbs if crumb.startswith("_streamlit_xsrf=")), ""
        )
        headers["Cookie"] = "; ".join([*filter(None, [tab.cookie]), *crumbs])
        headers |= {"X-Xsrftoken": token, "Content-Type": f"multipart/form-data; boundary={boundary}"}
        body = b"".join([head.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
        address = f"{tab.url}/{urls.upload_url.lstrip('/')}"
        request = urllib.request.Request(address, body, headers, method="PUT")
        urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise LostAnswer(f"The upload of a zip failed: {error}.") from error


def _zip(photos: Sequence[bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for place, photo in enumerate(photos):
            archive.writestr(f"{_CLASSES[place % len(_CLASSES)]}/{place:02d}.jpg", photo)
    return file.getvalue()


def _batches(photos: Sequence[bytes]) -> list[list[int]]:
    """Return the places of the photos of each batch, as the front end packs them."""
    batches: list[list[int]] = [[]]
    num_bytes = 0
    for place, photo in enumerate(photos):
        if batches[-1] and (len(batches[-1]) == _BATCH_FILES or num_bytes + len(photo) > _BATCH_BYTES):
            batches.append([])
            num_bytes = 0
        batches[-1].append(place)
        num_bytes += len(photo)
    return batches


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _browser_id() -> str:
    return f"{time.time_ns() // 10**6}-{uuid.uuid4().hex[:11]}"
