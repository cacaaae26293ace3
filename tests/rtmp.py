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
MEDIA_BYTES = 8192
"""More than the handshake and the metadata: a publisher that has sent so much publishes."""


@dataclass
class Publication:
    """One publisher's connection, in monotonic seconds; ``ended_at`` is None while it lasts.

    ``recording`` is what it sent, whole once it has ended.
    """

    began_at: float
    recording: Path
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
        self._connections: list[socket.socket] = []
        self.port = free_port()
        self.url = f"rtmp://127.0.0.1:{self.port}/live/stream"
        self.start()

    @property
    def publishing(self) -> list[Publication]:
        """Who publishes now."""
        return [one for one in self.publications if one.ended_at is None and one.has_media]

    def start(self) -> None:
        """Take publishers, at first or again, at the same address."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Be gone as a server that was killed: nothing listens, every publisher is cut off."""
        hang_up((self._listener,))
        self.hang_up()

    def hang_up(self) -> None:
        """End the connections there are."""
        hang_up(tuple(self._connections))
        self._connections.clear()

    def close(self) -> None:
        """End the server and every publication."""
        self.stop()
        for process, _ in self._sinks:
            process.kill()
            process.wait()

    def recorded(self) -> list[Path]:
        """What each publisher sent that is gone now, in the order that they came."""
        for process, _ in self._sinks[: len(self.publications)]:
            process.wait(timeout=20)
        return [one.recording for one in self.publications]

    def overlaps(self) -> list[tuple[Publication, Publication]]:
        """Publications of the one stream that lasted at the same time."""
        ordered = sorted(self.publications, key=lambda one: one.began_at)
        return [
            (first, second)
            for first, second in pairwise(ordered)
            if first.ended_at is None or first.ended_at > second.began_at
        ]

    def _recording(self, number: int) -> Path:
        return self.folder / f"rtmp-{number}.flv"

    def _sink(self, number: int) -> tuple["subprocess.Popen[bytes]", int]:
        port = free_port()
        location = f"rtmp://127.0.0.1:{port}/live/stream"
        copied = ("-c", "copy", "-f", "flv", f"file:{self._recording(number)}")
        with (self.folder / f"rtmp-{number}.log").open("wb") as log:
            process = subprocess.Popen(
                ["ffmpeg", "-nostdin", "-y", "-listen", "1", "-i", location, *copied],
                executable=find_ffmpeg(None),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        seen = psutil.Process(process.pid)
        wait_until(lambda: [c for c in seen.net_connections("tcp") if c.status == "LISTEN"])
        return process, port

    def _accept(self, listener: socket.socket) -> None:
        while len(self.publications) < len(self._sinks):
            try:
                near, _ = listener.accept()
            except OSError:
                return
            number = len(self.publications)
            publication = Publication(began_at=time.monotonic(), recording=self._recording(number))
            self.publications.append(publication)
            far = socket.create_connection(("127.0.0.1", self._sinks[number][1]))
            self._connections += [near, far]
            carry(near, far, publication)


def carry(near: socket.socket, far: socket.socket, seen: Publication | None = None) -> None:
    """Bytes both ways until one end closes; ``seen`` is told what comes from ``near``."""
    for source, sink, told in ((near, far, seen), (far, near, None)):
        threading.Thread(target=_pump, args=(source, sink, told), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, seen: Publication | None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            if seen is not None:
                seen.received_bytes += len(data)
            sink.sendall(data)
    if seen is not None:
        seen.ended_at = time.monotonic()
    hang_up((source, sink))
