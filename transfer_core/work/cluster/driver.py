"""The driver process of `ClusterExecutor`: `python -m transfer_core.work.cluster.driver`.

It alone speaks to Ray, which ends a driver whose cluster is lost. Requests come in on standard input, one JSON object a
line, and messages go out on standard output in the same way.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from transfer_core.language import _, log_in_english, stored
from transfer_core.work.cluster.actor_pool import ActorPool
from transfer_core.work.cluster.job import FoldJob, RemoteJob
from transfer_core.work.cluster.job_kinds import FOLD
from transfer_core.work.cluster.messages import (
    RUN,
    ClusterProblem,
    FromDriver,
    NodesChanged,
    StartJob,
    decode_to_driver,
    encode,
)
from transfer_core.work.cluster.node_watch import NodeWatch
from transfer_core.work.cluster.settings import ClusterSettings, cluster_settings, host_of
from transfer_core.work.worker import num_threads_beside_an_app

_PACKAGE = Path(__file__).resolve().parents[2]
_LOOPBACK = "127.0.0.1"
_NICENESS_VARIABLE = "RAY_worker_niceness"
_SECONDS_TO_CONNECT = 5
_SECONDS_BETWEEN_TIDYING = 10
_LONGEST_REASON = 200

_logger = logging.getLogger(__name__)


class Driver:
    """Takes the requests of the server, and carries out its jobs.

    Args:
        settings: Where the cluster is.
        incoming: Requests of the server.
        outgoing: Messages to it.
    """

    def __init__(self, settings: ClusterSettings, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()
        self._jobs: dict[str, RemoteJob] = {}
        self._pool = ActorPool(is_beside_app=settings.is_local)
        self._watch = NodeWatch(
            lambda nodes: self.send(NodesChanged(nodes)),
            lambda sentence: self.send(ClusterProblem(stored(sentence))),
        )

    def send(self, message: FromDriver) -> None:
        """Write one line. Any thread may do so. This process exits when the server has died."""
        try:
            with self._sending:
                self._outgoing.write(encode(message) + b"\n")
                self._outgoing.flush()
        except OSError:
            os._exit(1)

    def serve(self) -> None:
        """Take requests until standard input ends."""
        self._watch.start()
        threading.Thread(target=self._tidy_up, daemon=True).start()
        for line in self._incoming:
            request = decode_to_driver(line)
            if isinstance(request, StartJob):
                started = self._new_job(request)
                self._jobs[request.job] = started
                threading.Thread(target=self._carry_out, args=(started,), daemon=True).start()
            elif job := self._jobs.get(request.job):
                job.take(request)

    def _new_job(self, request: StartJob) -> RemoteJob:
        if request.kind == FOLD:
            run = self._run_of(request)
            if run:
                return FoldJob(request, run, self._pool, self.send, self._watch.is_alive)
        return RemoteJob(request, self._pool, self.send, self._watch.is_alive)

    def _run_of(self, request: StartJob) -> RemoteJob | None:
        place = request.workspace, request.arguments["run_id"]
        for job in list(self._jobs.values()):
            of_job = job.request
            if of_job.kind == RUN and (of_job.workspace, of_job.arguments["run_id"]) == place:
                return job
        return None

    def _tidy_up(self) -> None:
        while True:
            time.sleep(_SECONDS_BETWEEN_TIDYING)
            self._pool.end_idle()

    def _carry_out(self, job: RemoteJob) -> None:
        try:
            job.carry_out()
        finally:
            self._jobs.pop(job.id, None)


def connect(settings: ClusterSettings) -> None:
    """Connect to the cluster, or start one on this computer.

    Raises:
        OSError: If nothing answers there.
        ConnectionError: If Ray does not.
    """
    if not settings.is_local:
        # Ray would try for minutes.
        place = urlsplit(f"//{settings.address}")
        socket.create_connection((place.hostname, place.port), _SECONDS_TO_CONNECT).close()
    else:
        # By default Ray lets its workers run only when nobody else wants the processor.
        os.environ[_NICENESS_VARIABLE] = "0"
    import ray

    # Workers look for modules in the folder of the driver first: another copy of the app in the same place on their
    # computer would be used in place of the code that travels.
    os.chdir(Path.home().anchor)
    options: dict[str, Any] = {"address": settings.address}
    if settings.is_local:
        options |= {"num_cpus": num_threads_beside_an_app(), "include_dashboard": settings.has_dashboard}
    # Ray finds the node of this computer by itself at any other address, also 127.0.0.2.
    if settings.is_local or host_of(settings.address) in ("localhost", _LOOPBACK):
        options["_node_ip_address"] = _LOOPBACK
    ray.init(
        **options,
        log_to_driver=False,
        configure_logging=False,
        logging_level=logging.ERROR,
        runtime_env={"py_modules": [str(_PACKAGE)], "excludes": ["__pycache__"]},
    )


def main() -> None:
    """Connect, then carry out jobs until standard input ends."""
    log_in_english()
    # Output of libraries must not get between the JSON lines.
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    settings = cluster_settings()
    try:
        connect(settings)
    except Exception as error:
        _logger.exception("The cluster was not reached")
        text = (isinstance(error, OSError) and error.strerror) or str(error).strip() or type(error).__name__
        reason = text.split("\n")[0][:_LONGEST_REASON]
        sentence = _("The cluster {address} does not answer ({reason}).").format(
            address=settings.address, reason=reason
        )
        outgoing.write(encode(ClusterProblem(stored(sentence))) + b"\n")
        outgoing.flush()
        sys.exit(1)
    # A stop goes to the app, which closes the connection when it ends. Ray has set handlers of its own.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.SIG_IGN)
    Driver(settings, sys.stdin.buffer, outgoing).serve()
    import ray

    ray.shutdown()


if __name__ == "__main__":
    main()
