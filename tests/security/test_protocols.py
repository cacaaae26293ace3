"""Other protocols where only the node meets them: in a redirect, or as the name of a file."""

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from tests.security.attacker import Canary, WebServer
from tests.security.target import Target

NAMES = (
    "lavfi",
    "/dev/video0:x://y",
    "movie=x",
    "pipe",
    "%03d.png",
    "*.mp4",
    "~/x.mp4",
    "$HOME/x.mp4",
)


def test_redirect_to_any_other_protocol_is_refused(target: Target, web: WebServer) -> None:
    canary = Canary("127.0.0.1")
    file = target.film
    places = (
        *(f"file://{file}", f"file:{file}", f"concat:{file}|{file}", f"subfile:,,start,0:{file}"),
        *(f"crypto:{file}", f"cache:http://{canary.place}/x", f"async:http://{canary.place}/x"),
        *("data:video/mp4;base64,AAAA", "pipe:0", "fd:0", "unix:/run/x", "lavfi:testsrc", "tee:x"),
        *(
            f"{scheme}://{canary.place}/x"
            for scheme in (
                *("ftp", "sftp", "gopher", "gophers", "tcp", "udp", "rtp", "rtsp", "srt"),
                *("rtmp", "rtmpt", "mmsh", "icecast", "tls", "hls+http", "ipfs", "zmq"),
            )
        ),
    )
    jobs = [target.attack(web.redirect(str(number), place)) for number, place in enumerate(places)]

    ended = [target.ended(job) for job in jobs]
    canary.close()

    assert canary.visits == 0
    assert {(job.status, job.attempt) for job in ended} == {(JobStatus.FAILED, 1)}
    assert {job.failure_reason for job in ended} <= {
        FailureClass.INPUT_REFUSED,
        FailureClass.BAD_INPUT,
    }
    assert target.outputs() == []


def test_word_of_ffmpeg_is_the_name_of_a_file_that_is_not_there(target: Target) -> None:
    jobs = [target.attack(name) for name in NAMES]

    ended = [target.ended(job) for job in jobs]

    assert {(job.status, job.attempt) for job in ended} == {(JobStatus.FAILED, 1)}
    assert {job.failure_reason for job in ended} <= {
        FailureClass.INPUT_REFUSED,
        FailureClass.INPUT_MISSING,
    }
    assert target.outputs() == []
