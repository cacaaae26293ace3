"""One of the two runs of a two-pass encode, purely."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ffrtmp.domain.media import Codec

FIRST: Final = 1
SECOND: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """``number`` 1 only writes statistics into ``folder``, 2 reads them and encodes."""

    number: int
    folder: Path

    def options(self, codec: Codec, name: str) -> tuple[str, ...]:
        """What the encoder of the rendition ``name`` is told, beside what x265 is."""
        if codec is Codec.HEVC:
            return ()
        return ("-pass", str(self.number), "-passlogfile", str(self.folder / name))

    def x265_parameters(self, name: str) -> tuple[str, ...]:
        """The same for x265, whose wrapper in ffmpeg has no such options."""
        return (f"pass={self.number}", f"stats={_escaped(str(self.folder / name))}")


def _escaped(text: str) -> str:
    """A value within ``-x265-params``."""
    return "".join(f"\\{letter}" if letter in "\\':" else letter for letter in text)
