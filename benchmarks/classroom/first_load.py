"""The first load of the page by a whole class at once: every file that a browser fetches, by as many clients."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.classroom.pupils import Pupil
from benchmarks.classroom.report import Report

if TYPE_CHECKING:
    from playwright.async_api import Browser

# So many connections to one server has a browser at once.
_CONNECTIONS = 6
_SECONDS = 60
_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class _Fetched:
    num_bytes: int
    is_compressed: bool
    is_kept: bool


async def load_first(chromium: Browser, pupils: Sequence[Pupil], report: Report) -> None:
    """Fetch everything that one browser fetched for its first page, for everyone at once."""
    paths = await _paths_of_a_page(chromium, pupils[0])
    began_at = time.perf_counter()
    loop = asyncio.get_running_loop()
    connections = ThreadPoolExecutor(_CONNECTIONS * len(pupils))
    try:
        work = [
            loop.run_in_executor(connections, _fetch, pupil, paths[place::_CONNECTIONS])
            for pupil in pupils
            for place in range(_CONNECTIONS)
        ]
        answers = await asyncio.gather(*work, return_exceptions=True)
    finally:
        # A connection that hangs must not keep the others waiting beyond the time of the benchmark.
        connections.shutdown(wait=False, cancel_futures=True)
    seconds = time.perf_counter() - began_at
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    if failed:
        report.lost(f"{len(failed)} of {len(work)} connections failed at the first load: {failed[0]}")
    fetched = [one for answer in answers if not isinstance(answer, BaseException) for one in answer]
    megabytes = sum(one.num_bytes for one in fetched) / len(pupils) / 10**6
    report.add(
        f"first load of the page by {len(pupils)} browsers at once",
        f"{seconds:.1f} s, {len(paths)} requests and {megabytes:.2f} MB each",
    )
    kept = sum(one.is_kept for one in fetched) / max(len(fetched), 1)
    compressed = sum(one.is_compressed for one in fetched) / max(len(fetched), 1)
    report.add(
        "of these requests",
        f"{100 * compressed:.0f} % answered compressed, {100 * kept:.0f} % kept by the browser",
    )


async def _paths_of_a_page(chromium: Browser, pupil: Pupil) -> list[str]:
    """Return what a browser without anything in its cache fetches for the welcome page, in its order."""
    context = await chromium.new_context(base_url=pupil.tab.url)
    try:
        name, _equals, value = pupil.tab.cookie.partition("=")
        await context.add_cookies([{"name": name, "value": value, "url": pupil.tab.url}])
        page = await context.new_page()
        found: list[str] = []
        page.on("request", lambda request: found.append(request.url) if request.method == "GET" else None)
        await page.goto(f"/?{pupil.choices}")
        await page.get_by_test_id("stPageLink").first.wait_for(timeout=1000 * _SECONDS)
        await page.wait_for_load_state("networkidle", timeout=1000 * _SECONDS)
    finally:
        await context.close()
    return [
        parts._replace(scheme="", netloc="").geturl()
        for parts in map(urlsplit, found)
        if parts.scheme == "http" and parts.path
    ]


def _fetch(pupil: Pupil, paths: Sequence[str]) -> list[_Fetched]:
    """Fetch some paths over one connection.

    Raises:
        OSError: If an answer is missing.
        http.client.HTTPException: If the server breaks off.
    """
    parts = urlsplit(pupil.tab.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_SECONDS)
    headers = {"Cookie": pupil.tab.cookie, "Accept-Encoding": "gzip, deflate"}
    fetched = []
    try:
        for path in paths:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status >= 400:
                raise OSError(f"{path} was answered with {answer.status}")
            kept = answer.getheader("Cache-Control", "")
            age = kept.partition("max-age=")[2].partition(",")[0]
            is_kept = age.isdigit() and int(age) >= _DAY
            fetched.append(_Fetched(len(content), bool(answer.getheader("Content-Encoding")), is_kept))
    finally:
        connection.close()
    return fetched
