"""Real live sources: an ffmpeg that sends a test picture to whoever asks for it."""

import contextlib
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import psutil

from tests.chaos.proxy import hang_up
from tests.rtmp import carry
from tests.waiting import free_port, wait_until
from workers.ffmpeg.binary import find_ffmpeg

WIDTH, HEIGHT = 320, 180
_PICTURE = (
    *("-re", "-f", "lavfi", "-i", f"testsrc2=size={WIDTH}x{HEIGHT}:rate=30"),
    *("-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"),
    *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "15"),
    *("-pix_fmt", "yuv420p", "-c:a", "aac"),
)


def sender(*arguments: str) -> "subprocess.Popen[bytes]":
    """An ffmpeg that sends the picture, and a tone, where the arguments say."""
    return subprocess.Popen(
        ["ffmpeg", "-nostdin", "-loglevel", "quiet", *_PICTURE, *arguments],
        executable=find_ffmpeg(None),
        stdin=subprocess.DEVNULL,
    )


@dataclass
class RtmpSource:
    """Sends to everyone who plays ``url``, each from the beginning."""

    accepted: int = 0
    _senders: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _connections: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtmp://127.0.0.1:{self._listener.getsockname()[1]}/live/source"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        hang_up((self._listener,))
        self.break_off()

    def break_off(self) -> None:
        """End every connection, as a source that is killed."""
        for process in self._senders:
            process.kill()
            process.wait()
        hang_up(tuple(self._connections))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.accepted += 1
                far = socket.create_connection(("127.0.0.1", self._serve()))
                self._connections += [near, far]
                carry(near, far)

    def _serve(self) -> int:
        port = free_port()
        process = sender("-f", "flv", "-listen", "1", f"rtmp://127.0.0.1:{port}/live/source")
        self._senders.append(process)
        seen = psutil.Process(process.pid)
        wait_until(lambda: [c for c in seen.net_connections("tcp") if c.status == "LISTEN"])
        return port


class SrtSource:
    """Sends to whoever calls ``url``, one after the other."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"srt://127.0.0.1:{self._port}?streamid=source"
        self._is_closed = False
        self._sender = self._serve()
        self._thread = threading.Thread(target=self._serve_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closed = True
        self._sender.kill()
        self._thread.join()

    def _serve_on(self) -> None:
        while True:
            self._sender.wait()
            if self._is_closed:
                return
            self._sender = self._serve()

    def _serve(self) -> "subprocess.Popen[bytes]":
        return sender("-f", "mpegts", f"srt://127.0.0.1:{self._port}?mode=listener")
