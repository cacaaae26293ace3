"""``ffrtmp jobs submit``: a job's body from flags, and the wait for its end."""

import re
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.exits import SubmitUnsure, UsageError
from cli.jobs import announce, show_job
from cli.media_flags import MediaFlags, media
from cli.options import Session, with_session
from cli.watch import watch
from ffrtmp.client import AnswerLost, MasterClient, MasterUnavailable, MasterUnreachable
from ffrtmp.domain.media import Audio, Engine, Hardware, OutputMode, Preset
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.schemas import MAX_RETRIES_LIMIT, JobAnswer

IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
REPEAT_SECONDS = 10.0
"""For how long a submit whose answer was lost is repeated: the restart of a master fits."""
REPEAT_PAUSE_SECONDS = 0.5
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@with_session
def submit(
    session: Session,
    *,
    more: MediaFlags,
    scenario: Annotated[str, typer.Option(help="such as 1080p30-h264, live-4K60-h265, batch-720p")],
    source: Annotated[
        str | None,
        media(
            "--input",
            say="file or URL (http, s3; for streams rtmp, srt); none makes a labelled test source",
        ),
    ] = None,
    to: Annotated[
        str | None,
        media(
            "--to",
            say="file, folder or URL (http, s3) to write; none goes to the output folder",
        ),
    ] = None,
    queue: Annotated[Queue, typer.Option(help="live before default before batch")] = Queue.DEFAULT,
    priority: Annotated[Priority, typer.Option(help="order inside the queue")] = Priority.MEDIUM,
    codec: Annotated[str | None, media("--codec", say="h264, h265, hevc, av1 or vp9")] = None,
    bitrate: Annotated[str | None, media("--bitrate", say="such as 2500k or 5M")] = None,
    preset: Annotated[Preset | None, media("--preset", say="speed against quality")] = None,
    crf: Annotated[int | None, media("--crf", say="constant quality, instead of --bitrate")] = None,
    resolution: Annotated[str | None, media("--resolution", say="such as 1280x720 or 720p")] = None,
    fps: Annotated[str | None, media("--fps", say="such as 30, 29.97 or 30000/1001")] = None,
    duration: Annotated[
        str | None, media("--duration", say="only so much of the input: 10s, 2m")
    ] = None,
    audio: Annotated[Audio | None, media("--audio", say="auto, aac, opus, copy or none")] = None,
    hardware: Annotated[Hardware | None, media("--hardware", say="where it must encode")] = None,
    engine: Annotated[Engine | None, media("--engine", say="which program encodes")] = None,
    rtmp_url: Annotated[
        str | None, media("--rtmp-url", say="publish there instead of writing a file")
    ] = None,
    overwrite: Annotated[
        bool, media("--overwrite", say="replace the output file where there is one")
    ] = False,
    max_retries: Annotated[
        int | None, typer.Option(min=0, max=MAX_RETRIES_LIMIT, help="failures that are tried again")
    ] = None,
    timeout: Annotated[str | None, typer.Option(help="longest run of one attempt: 90s, 1h")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="the same key and job again: the first job, not a second")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="return at the job's end; exit 1 unless it completed")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="as --wait, and show what ffmpeg says")
    ] = False,
) -> None:
    """Submit one job."""
    if idempotency_key is not None and not IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise UsageError("--idempotency-key has 1 to 255 printable ASCII characters, no blanks")
    parameters = {
        "input": absolute(source),
        "output": absolute(to),
        "codec": codec,
        "bitrate": bitrate,
        "preset": preset,
        "crf": crf,
        "resolution": resolution,
        "fps": fps,
        "duration": duration,
        "audio": audio,
        "hardware": hardware,
        "output_mode": None if rtmp_url is None else OutputMode.RTMP,
        "rtmp_url": rtmp_url,
        "overwrite": overwrite or None,
        "resource_limits": more.limits() | _given(timeout_sec=timeout) or None,
        **more.parameters(),
    }
    body = _given(
        scenario=scenario,
        queue=queue,
        priority=priority,
        engine=engine,
        max_retries=max_retries,
        parameters=_given(**parameters),
    )
    with session.client() as master:
        job = submit_once(master, body, key=idempotency_key or uuid.uuid4().hex)
        if not (wait or follow):
            announce(session, job)
            return
        ended = watch(master, job, show_log=follow, text_log=not session.wants_json)
        show_job(session, ended.job)
        ended.require_completed()


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(submit)


def submit_once(master: MasterClient, body: Mapping[str, Any], *, key: str) -> JobAnswer:
    """Submit, and again under the same key where the answer was lost: one job in the end.

    SubmitUnsure where no answer comes for REPEAT_SECONDS after that.
    """
    try:
        return master.submit(body, idempotency_key=key)
    except AnswerLost:
        give_up_at = time.monotonic() + REPEAT_SECONDS
    while time.monotonic() < give_up_at:
        time.sleep(REPEAT_PAUSE_SECONDS)
        try:
            return master.submit(body, idempotency_key=key)
        except (MasterUnreachable, MasterUnavailable) as error:
            last = error
    raise SubmitUnsure(
        f"no answer says whether the master took the job: {last}; the same command with"
        f" --idempotency-key {key} makes no second one"
    )


def absolute(location: str | None) -> str | None:
    """A local path from the root; a URL as it is."""
    if location is None or URL.match(location) or not location:
        return location
    path = Path(location).expanduser()
    return str(path.resolve() if ".." in path.parts else path.absolute())


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
