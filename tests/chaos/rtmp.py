"""A real RTMP server that remembers who published when: an ffmpeg that listens per publisher."""

import contextlib
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import psutil

from tests.chaos.proxy import hang_up
from tests.waiting import free_port, wait_until
from workers.ffmpeg.binary import find_ffmpeg

CHUNK_BYTES = 1 << 16
NULL_OUTPUT = ("-c", "copy", "-f", "null", "-")
MEDIA_BYTES = 8192
"""More than the handshake and the metadata: a publisher that has sent so much publishes."""


@dataclass
class Publication:
    """One publisher's connection, in monotonic seconds; ``ended_at`` is None while it lasts."""

    began_at: float
    ended_at: float | None = None
    received_bytes: int = 0

    @property
    def has_media(self) -> bool:
        """Whether pictures have come."""
        return self.received_bytes > MEDIA_BYTES


@dataclass
class RtmpServer:
    """``url`` takes up to ``publishers`` publishers, one ffmpeg each."""

    folder: Path
    publishers: int = 3
    publications: list[Publication] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sinks = [self._sink(number) for number in range(self.publishers)]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtmp://127.0.0.1:{self._listener.getsockname()[1]}/live/stream"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def publishing(self) -> list[Publication]:
        """Who publishes now."""
        return [one for one in self.publications if one.ended_at is None and one.has_media]

    def close(self) -> None:
        """End the server and every publication."""
        self._listener.close()
        for process, _ in self._sinks:
            process.kill()
            process.wait()

    def overlaps(self) -> list[tuple[Publication, Publication]]:
        """Publications of the one stream that lasted at the same time."""
        ordered = sorted(self.publications, key=lambda one: one.began_at)
        return [
            (first, second)
            for first, second in pairwise(ordered)
            if first.ended_at is None or first.ended_at > second.began_at
        ]

    def _sink(self, number: int) -> tuple["subprocess.Popen[bytes]", int]:
        port = free_port()
        location = f"rtmp://127.0.0.1:{port}/live/stream"
        with (self.folder / f"rtmp-{number}.log").open("wb") as log:
            process = subprocess.Popen(
                ["ffmpeg", "-nostdin", "-listen", "1", "-i", location, *NULL_OUTPUT],
                executable=find_ffmpeg(None),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        seen = psutil.Process(process.pid)
        wait_until(lambda: [c for c in seen.net_connections("tcp") if c.status == "LISTEN"])
        return process, port

    def _accept(self) -> None:
        for _, port in self._sinks:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            publication = Publication(began_at=time.monotonic())
            self.publications.append(publication)
            far = socket.create_connection(("127.0.0.1", port))
            for source, sink, seen in ((near, far, publication), (far, near, None)):
                threading.Thread(target=_pump, args=(source, sink, seen), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, seen: Publication | None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            if seen is not None:
                seen.received_bytes += len(data)
            sink.sendall(data)
    if seen is not None:
        seen.ended_at = time.monotonic()
    hang_up((source, sink))
