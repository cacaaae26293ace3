"""Runs one GStreamer pipeline: ``player.py ORDER``, as a script, by a Python that has ``gi``.

ORDER is JSON: ``pipeline``, a description in GStreamer's own words with a sink called ``sink``;
``url`` where that publishes; and for a file ``location``, ``demuxer``, ``audio_track`` (None for
no sound), ``from_seconds`` and ``until_seconds``. What comes out of the demuxer goes into the
pipeline's elements ``video`` and ``audio``. ``needs`` are elements without which it does not
start. Nothing but ``pipeline`` is ever parsed.

Speaks as ffmpeg's ``-progress`` does on standard output. Ends with EXIT_CONNECTION where the
server is at fault or the start went wrong in a way that another does not, EXIT_INPUT where the file
is at fault, EXIT_FAILED otherwise; the last line on standard error says why.
"""

import json
import signal
import sys
import time
from typing import Any

import gi  # type: ignore[import-not-found,import-untyped,unused-ignore]

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # type: ignore  # noqa: E402

EXIT_FAILED = 70
EXIT_INPUT = 65
EXIT_CONNECTION = 69
REPORT_MILLISECONDS = 500
START_SECONDS = 6
"""Longer than any pipeline takes to its first buffer: one that stands still begins anew."""
SECOND = 1_000_000_000


class Player:
    """One pipeline, from its start to its end."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.parse_launch(order["pipeline"])
        self.sink = self.pipeline.get_by_name("sink")
        self.frames = self.bytes = 0
        self.first: int | None = None
        self.latest = 0
        self.code = 0
        self.began_at = time.monotonic()
        self.held: list[tuple[Any, Any, Any]] = []
        if order.get("url"):
            self.sink.set_property("location", order["url"])
        self.sink.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self._on_sent)
        frames = self.pipeline.get_by_name("frames")
        frames.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, self._on_frame)
        if order.get("location"):
            self._read_file()

    def run(self) -> int:
        """Play to the end; the exit code."""
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::eos", lambda *_: self.loop.quit())
        bus.connect("message::error", self._on_error)
        for number in (signal.SIGTERM, signal.SIGINT):
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, self._on_signal)
        GLib.timeout_add(REPORT_MILLISECONDS, self._report)
        GLib.timeout_add_seconds(START_SECONDS, self._on_late)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self._report(is_end=True)
        self.pipeline.set_state(Gst.State.NULL)
        return self.code

    def _read_file(self) -> None:
        self.source = Gst.ElementFactory.make("filesrc", "source")
        self.source.set_property("location", self.order["location"])
        self.demuxer = Gst.ElementFactory.make(self.order["demuxer"], "demuxer")
        self.pipeline.add(self.source)
        self.pipeline.add(self.demuxer)
        self.source.link(self.demuxer)
        self.demuxer.connect("pad-added", self._on_track)
        self.demuxer.connect("no-more-pads", lambda _: GLib.idle_add(self._join))
        self.tracks = {"video": 0, "audio": 0}

    def _on_track(self, _demuxer: Any, pad: Any) -> None:
        """Hold each wanted track where it is until all are known, so that one seek moves all."""
        caps = pad.get_current_caps() or pad.query_caps(None)
        kind = caps.get_structure(0).get_name().partition("/")[0]
        if kind not in self.tracks:
            return
        number, self.tracks[kind] = self.tracks[kind], self.tracks[kind] + 1
        wanted = 0 if kind == "video" else self.order["audio_track"]
        if number == wanted:
            probe = pad.add_probe(
                Gst.PadProbeType.BLOCK_DOWNSTREAM, lambda *_: Gst.PadProbeReturn.OK
            )
            self.held.append((pad, kind, probe))

    def _join(self) -> bool:
        for pad, kind, _ in self.held:
            entry = self.pipeline.get_by_name(kind)
            pad.link(entry.get_static_pad("sink"))
        start, stop = self.order["from_seconds"], self.order["until_seconds"]
        if start or stop is not None:
            flags = Gst.SeekFlags.FLUSH | Gst.SeekFlags.ACCURATE
            ends = Gst.SeekType.NONE if stop is None else Gst.SeekType.SET
            until = -1 if stop is None else int(stop * SECOND)
            self.demuxer.seek(
                1.0, Gst.Format.TIME, flags, Gst.SeekType.SET, int(start * SECOND), ends, until
            )
        for pad, _, probe in self.held:
            pad.remove_probe(probe)
        return False

    def _on_frame(self, _pad: Any, _info: Any) -> Any:
        self.frames += 1
        return Gst.PadProbeReturn.OK

    def _on_sent(self, _pad: Any, info: Any) -> Any:
        buffer = info.get_buffer()
        self.bytes += buffer.get_size()
        if buffer.pts != Gst.CLOCK_TIME_NONE:
            self.first = buffer.pts if self.first is None else self.first
            self.latest = max(self.latest, buffer.pts)
        return Gst.PadProbeReturn.OK

    def _on_error(self, _bus: Any, message: Any) -> None:
        error, detail = message.parse_error()
        is_server = message.src is self.sink
        is_resource = error.domain in ("gst-resource-error-quark", "gst-stream-error-quark")
        is_input = bool(self.order.get("location")) and is_resource
        said = " ".join((detail or "").split())
        # a seek that meets decoders while they are linked: the next start does not
        is_race = "not-linked" in said
        is_passing = is_server or is_race
        self.code = EXIT_CONNECTION if is_passing else EXIT_INPUT if is_input else EXIT_FAILED
        sys.stderr.write(f"[info] {said}\n[error] {message.src.get_name()}: {error.message}\n")
        self.loop.quit()

    def _on_late(self) -> bool:
        if self.first is None:
            self.code = EXIT_CONNECTION
            sys.stderr.write(f"[error] nothing was sent for {START_SECONDS} s\n")
            self.loop.quit()
        return False

    def _on_signal(self) -> bool:
        self.code = EXIT_FAILED
        sys.stderr.write("[error] ended by a signal\n")
        self.loop.quit()
        return False

    def _report(self, *, is_end: bool = False) -> bool:
        sent = (self.latest - (self.first or 0)) / SECOND
        ran = max(0.001, time.monotonic() - self.began_at)
        sys.stdout.write(
            f"frame={self.frames}\nfps={self.frames / ran:.2f}\ntotal_size={self.bytes}\n"
            f"out_time_us={int(sent * 1e6)}\ndrop_frames=0\nspeed={sent / ran:.3f}x\n"
            f"progress={'end' if is_end else 'continue'}\n"
        )
        sys.stdout.flush()
        return True


def main() -> int:
    """Run the order; its exit code."""
    Gst.init(None)
    order = json.loads(sys.argv[1])
    for name in order.get("needs", ()):
        if Gst.ElementFactory.find(name) is None:
            sys.stderr.write(f"[error] GStreamer has no element {name}\n")
            return EXIT_FAILED
    try:
        return Player(order).run()
    except GLib.Error as error:
        sys.stderr.write(f"[error] {error.message}\n")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
