"""The environment of whoever starts an agent: nothing of it reaches what reads media."""

from pathlib import Path

import psutil

from ffrtmp.domain.job import JobStatus
from tests.integration.agents import AgentProcess, job_with
from tests.media.specs import FFMPEG, make_clip
from tests.security.attacker import Canary, WebServer
from tests.security.target import Target
from workers.ffmpeg.child import MINIMAL_ENVIRONMENT

OWNER = "the-owner-of-the-farm"
WITH_ENVIRONMENT = (
    "import os, sys; os.environ.update(word.split('=', 1) for word in sys.argv[1:]); "
    "os.execv(sys.executable, [sys.executable, '-m', 'workers'])"
)
FROM_THE_GATE = {"http_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}


def environments(agent: AgentProcess) -> dict[str, dict[str, str]]:
    """By what it is, the environment of each child that reads media now."""
    found = {}
    for child in agent.descendants():
        words = " ".join(child.cmdline())
        for kind, word in (("probe", "workers.ffmpeg.probe_child"), ("ffmpeg", "-progress")):
            if word in words:
                found[kind] = child.environ()
    return found


def test_media_are_read_without_anything_of_the_owners_environment(
    target: Target, web: WebServer, tmp_path: Path
) -> None:
    proxy = Canary("127.0.0.1")
    report = tmp_path / "report.log"
    hostile = {
        "FFREPORT": f"file={report}:level=32",
        "AV_LOG_FORCE_COLOR": "1",
        "LD_PRELOAD": "/lib/x86_64-linux-gnu/libm.so.6",
        "LD_LIBRARY_PATH": str(tmp_path),
        "PYTHONPATH": str(Path.cwd()),
        "PYTHONSTARTUP": str(tmp_path / "x.py"),
        "FONTCONFIG_FILE": str(tmp_path / "fonts.conf"),
        "OPENSSL_CONF": str(tmp_path / "openssl.cnf"),
        "FFMPEG_DATADIR": str(tmp_path),
        "HOME": str(tmp_path),
        "HTTPS_PROXY": f"http://{proxy.place}",
        "no_proxy": "*",
        "OWNER": OWNER,
    }
    words = [f"{name}={value}" for name, value in hostile.items()]
    film = make_clip(tmp_path / "film.ts", "-i", str(target.film), "-c", "copy")
    web.serve("film", film.read_bytes())
    seen: dict[str, dict[str, str]] = {}
    with target.other_node(
        tmp_path, command=("-c", WITH_ENVIRONMENT, *words), ffmpeg=FFMPEG
    ) as agent:
        assert psutil.Process(agent.popen.pid).environ()["OWNER"] == OWNER
        web.after["film"] = lambda: seen.update(environments(agent))
        job = target.attack(web.url("film"))
        done = job_with(target.master, job, JobStatus.COMPLETED, JobStatus.FAILED)
        assert done.status is JobStatus.COMPLETED, done.error
        log = target.master.client.logs(job.id).logs
    proxy.close()

    assert set(seen) == {"probe", "ffmpeg"}
    for environment in seen.values():
        assert set(environment) == {*MINIMAL_ENVIRONMENT, *FROM_THE_GATE} & set(environment)
        assert environment["http_proxy"].startswith("http://attempt:")
        assert OWNER not in str(environment)
    assert (proxy.visits, report.exists()) == (0, False)
    assert "\x1b[" not in log
