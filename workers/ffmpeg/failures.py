"""What an ffmpeg run that went wrong died of, read from its own words.

The patterns come from the real output of ffmpeg 9.0 (tests/unit/test_ffmpeg_failures.py holds
the samples), those of devices that are hard to break from its sources (tests/media/gpu_lines.py);
older versions say the same without the ``[error]`` marks.
"""

import re
import signal as signals
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ffrtmp.domain.retry import FailureClass

MAX_MESSAGE_LENGTH: Final = 500
CAUGHT_SIGNAL: Final = 255
"""ffmpeg's exit code after a signal that it caught to finish its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why, and the one line of output that says so."""

    failure_class: FailureClass
    message: str


def classify(*, exit_code: int | None, signal: int | None, stderr: str) -> Failure:
    """The failure of one run.

    An ``exit_code`` of 0 is for a run whose output turned out wrong: ffmpeg also ends with 0
    after an input that broke off, and then the class is the input's, not ``output_wrong``.
    """
    complaints = list(_complaints(stderr))
    for pattern, failure_class in _RULES if exit_code != 0 else _BROKEN_OFF:
        for line in complaints:
            if pattern.search(line):
                return Failure(failure_class=failure_class, message=_quoted(line))
    if exit_code == 0:
        return Failure(failure_class=FailureClass.OUTPUT_WRONG, message="ffmpeg saw no error")
    if exit_code == CAUGHT_SIGNAL and (caught := _CAUGHT.search(stderr)):
        signal = int(caught[1])
    if signal is not None:
        return _ended_by(signal)
    how = f"ffmpeg ended with exit code {exit_code}"
    if complaints:
        how += f": {_quoted(complaints[-1])}"
    return Failure(failure_class=FailureClass.ENCODER, message=how)


def _ended_by(signal: int) -> Failure:
    name = signals.Signals(signal).name if signal in set(signals.Signals) else str(signal)
    if signal == signals.SIGXFSZ:
        return Failure(
            failure_class=FailureClass.LIMIT_EXCEEDED, message="ffmpeg reached a file size limit"
        )
    return Failure(failure_class=FailureClass.KILLED, message=f"ffmpeg was ended by {name}")


_LEVEL = re.compile(r"\[(info|verbose|debug|warning|error|fatal|panic)\] ")
_MARKS = re.compile(r"^(\[[^\]\n]* @ 0x[0-9a-f]+\] |\[(?:warning|error|fatal|panic)\] )+")
_CAUGHT = re.compile(r"^(?:\[info\] )?Exiting normally, received signal (\d{1,2})\.$", re.MULTILINE)
_ECHO = re.compile(
    r"^(Error (opening|while opening) (input|output) files? (file:|https?:|rtmps?:|srt:)"
    r"|Input #|Output #)"
)


def _complaints(stderr: str) -> Iterator[str]:
    """Lines that may say what is wrong: never those that only repeat names out of the media."""
    has_levels = _LEVEL.search(stderr) is not None
    for raw in stderr.splitlines():
        level = _LEVEL.search(raw)
        if has_levels and (level is None or level[1] in ("info", "verbose", "debug")):
            continue
        line = _MARKS.sub("", raw).strip()
        if line and not _ECHO.match(line):
            yield line


def _quoted(line: str) -> str:
    return line if len(line) <= MAX_MESSAGE_LENGTH else line[: MAX_MESSAGE_LENGTH - 1] + "…"


def _rules(*rules: tuple[str, FailureClass]) -> tuple[tuple[re.Pattern[str], FailureClass], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), found) for pattern, found in rules)


_C = FailureClass
_NETWORK = (
    r"Connection refused$|Connection reset by peer$|Connection timed out$|Broken pipe$"
    r"|Network is unreachable$|No route to host$|Operation timed out$"
)

# What one device cannot do another may, and the CPU does.
_INCAPABLE = (
    r"^Codec not supported$|^(Width|Height) \d+ exceeds \d+$|^Max B-frames \d+ exceed \d+$"
    r"|^(YUV4\d\dP|10 bit encode|(RC )?lookahead( level)?|Temporal AQ|Weighted Prediction"
    r"|Lossless encoding|CABAC entropy coding) not supported\b"
    r"|Interlaced encoding is not supported\. Supported level"
    r"|B frames? (as references?|reference mode) (is|are) not supported"
    r"|not supported by the device$"
    r"|(InitializeEncoder failed|preset configuration): (invalid|unsupported) param"
    r"|Selected ratecontrol mode is unsupported|Low power mode is unsupported"
    r"|^Current (codec|profile|frame|picture|resolution|pixel)[a-z ]{0,12} is unsupported"
    r"|parameters are not supported by the QSV runtime|This version of runtime doesn't support"
    r"|No usable (encoding|render target)|RT format \S+ not supported by driver"
    r"|Driver does not support (any|encoding|\S+ RC mode)\b|Hardware does not support encoding"
    r"|^Hardware is lacking required capabilities$|^No support for codec \S+ profile -?\d+\.$"
    r"|^Video (width|height) \d+ not within range from|^Video macroblock count \d+ exceeds maximum"
    r"|not supported for hardware decode\.$|support hardware accelerated \w+ decoding\.$"
    r"|Error initializing the MFX video decoder: (unsupported|(incompatible|invalid) video param)"
)
# What a device that should do it fails at.
_NVENC = (
    r"Cannot load (libcuda|nvcuda|libnvidia-encode|nvEncodeAPI|NvEncodeAPI|cu[A-Z])"
    r"|Could not dynamically load CUDA|CUDA_ERROR_|\bcu[A-Z]\w+\(.{0,200}\) failed"
    r"|Failed creating CUDA context for NVENC"
    r"|(OpenEncodeSessionEx|InitializeEncoder|CreateInputBuffer|CreateBitstreamBuffer"
    r"|GetSequenceParams|SetIOCudaStreams|EncodePicture) failed"
    r"|Failed (un)?locking (bitstream|(nvenc )?input) buffer|Failed unmapping input resource"
    r"|Error (registering|mapping) an input resource|failed to reconfigure nvenc"
    r"|Cannot get the preset configuration|Failed to query nvenc max|Failed to create nvenc"
    r"|Driver does not support the required nvenc API|The minimum required Nvidia driver for nvenc"
    r"|No (CUDA |NVENC )?capable devices found|Requested GPU \d+, but only \d+ GPUs"
    r"|Provided device doesn't support required NVENC features"
    r"|\bcuvid[A-Z]\w+\(.{0,200}\) failed|Failed loading nvcuvid|^No decoder surfaces left$"
)
_QSV = (
    r"Error creating a MFX |Error initializing (an|an internal|the) MFX |Error during set display"
    r"|Error (getting handle|joining) session|Error setting a HW handle"
    r"|Error (during encoding|initializing the encoder|synchronizing the operation): .+ \(-?\d+\)$"
    r"|(device failed|device lost|GPU Hang) \(-\d+\)"
    r"|Error (querying( \(IOSurf\))?|retrieving) (the )?enc\w+ param"
    r"|Error (during QSV decoding\.|initializing the MFX video decoder|querying IO surface"
    r"|querying VPP params|running VPP): .+ \(-?\d+\)$|Failed to create a qsvvpp"
)
_VAAPI = (
    r"Failed to initiali[sz]e VAAPI|Failed to create a? ?VAAPI|(No|open a) VA display\b"
    r"|Device creation failed|hardware device setup failed"
    r"|Failed to (begin|end) picture (en|de)code|Failed to upload (en|de)code parameters"
    r"|Failed to create (decode (configuration|context)|processing pipeline)"
    r"|Failed to sync (surface|to (output buffer|picture) completion)"
    r"|Failed to (map|unmap) output buffers|Failed to create (temp )?encode pipeline"
    r"|Failed to [a-z ]{1,40}(image|surface)[^:]{0,80}: \d+ \("
    r"|Failed to query [a-z ]{1,40} attributes?: \d+ \("
    r"|implib-gen: .*failed to load library"
)
_DEVICE = f"{_NVENC}|{_QSV}|{_VAAPI}"

_RULES: Final = _rules(
    # the disk: it makes everything after it fail too
    (r"No space left on device\)?$|Disk quota exceeded\)?$", _C.NO_SPACE),
    # the remote input
    (r"Server returned 404|HTTP error (404|410)\b", _C.INPUT_MISSING),
    (r"Server returned 40[13]|HTTP error (401|403)\b", _C.INPUT_REFUSED),
    (r"Server returned 400|HTTP error 400\b", _C.INPUT_REFUSED),
    (r"Server returned [45]XX|HTTP error (4|5)\d\d\b", _C.CONNECTION),
    (r"Failed to resolve hostname|Temporary failure in name resolution", _C.CONNECTION),
    (_NETWORK, _C.CONNECTION),
    (r"Stream ends prematurely at", _C.CONNECTION),
    (r"SSL routines|TLS handshake|certificate verify failed|Unable to open .*tls", _C.CONNECTION),
    # a media server that refuses a stream, which may be another's for a moment, or not there yet
    (r"(^|\] )Server error: ", _C.CONNECTION),
    (
        r"Error opening output rtmps?://\S*: (Input/output error|End of file|Unknown error"
        r"|Operation not permitted|Invalid data found|Error number)",
        _C.CONNECTION,
    ),
    (r"Protocol '\S*' not on whitelist", _C.INPUT_REFUSED),
    (r"Format not on whitelist", _C.BAD_INPUT),
    (r"Protocol not found$|Port missing in uri", _C.INPUT_REFUSED),
    (r"Error opening input: Input/output error$", _C.CONNECTION),
    # the encoder's device: what fails for want of it, memory included, is not at fault
    (_INCAPABLE, _C.INCAPABLE),
    (_DEVICE, _C.HARDWARE),
    # memory is the node's, and another node may have more
    (r"Cannot allocate memory\)?$", _C.KILLED),
    # the output
    (
        r"Error opening output .*: (Permission denied|Read-only file system|Is a directory"
        r"|No such file or directory|Operation not permitted|File name too long)$",
        _C.OUTPUT_REFUSED,
    ),
    (r"Error opening output .*: Input/output error$", _C.NO_SPACE),
    # the local input
    (r"Error opening input: (No such file or directory|Not a directory)$", _C.INPUT_MISSING),
    (r"Error opening input: (Permission denied|Operation not permitted)$", _C.INPUT_REFUSED),
    (
        r"Error opening input: (Is a directory|Too many levels of symbolic links)$",
        _C.INPUT_REFUSED,
    ),
    (r"moov atom not found", _C.BAD_INPUT),
    (r"Stream map '.*' matches no streams", _C.BAD_INPUT),
    (r"does not contain any stream$", _C.BAD_INPUT),
    (r"Error opening input: (Invalid data found|End of file)", _C.BAD_INPUT),
    (r"Output file is empty, nothing was encoded", _C.BAD_INPUT),
    (r"Decode error rate .* exceeds maximum", _C.BAD_INPUT),
    (r"Cannot determine format of input .* after EOF", _C.BAD_INPUT),
    # what was asked for
    (r"Unknown encoder '|Encoder not found$|No such filter: '|Filter not found$", _C.UNSUPPORTED),
    (r"Unrecognized option '|Option not found$|Error parsing a filter", _C.UNSUPPORTED),
    (r"Unknown input format: '|Requested output format '.*' is not known", _C.UNSUPPORTED),
    (r"are supported for WebM|codec not currently supported in container", _C.UNSUPPORTED),
    (r"invalid preset '|Error setting preset|Invalid channel layout", _C.UNSUPPORTED),
    (r"Cannot parse expression for|Invalid too big or non positive size", _C.UNSUPPORTED),
    (r"Impossible to convert between the formats", _C.UNSUPPORTED),
    (r"Unknown pixel format requested|not divisible by 2 \(", _C.UNSUPPORTED),
    (r"for parameter '\S+' out of range|Unable to parse \"\w+\" option", _C.UNSUPPORTED),
    (r"The bit rate \d+ bps is unsupported", _C.UNSUPPORTED),
    (r"Unable to choose an output format", _C.UNSUPPORTED),
    (r"Picture size \d+x\d+ is invalid", _C.UNSUPPORTED),
    (r"Could not write header \(incorrect codec parameters", _C.UNSUPPORTED),
    # older versions name the file before the reason; a missing one is the input: outputs are ours
    (r": No such file or directory$", _C.INPUT_MISSING),
    (r": Permission denied$", _C.INPUT_REFUSED),
    (r": Invalid data found when processing input$", _C.BAD_INPUT),
)

_BROKEN_OFF: Final = _rules(
    (r"Stream ends prematurely at", _C.CONNECTION),
    (_NETWORK, _C.CONNECTION),
    (r"Error during demuxing: (Input/output error|Connection)", _C.CONNECTION),
    (r"partial file$|File ended prematurely|Truncating packet|moov atom not found", _C.BAD_INPUT),
    (r"Error during demuxing: Invalid data", _C.BAD_INPUT),
    (r"Output file is empty|Empty output", _C.BAD_INPUT),
    (r"corrupt decoded frame|error while decoding MB|Invalid NAL unit size", _C.BAD_INPUT),
    (r"invalid as first byte of an EBML|Decoding error: Invalid data", _C.BAD_INPUT),
)
