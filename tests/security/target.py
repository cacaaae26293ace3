"""What is attacked: a real master with one real node, which may read one folder and 127.0.0.1, and
write that and another."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ffrtmp.client import MasterRefused
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import JobAnswer
from tests.integration.agents import AgentProcess, Master, job_with, kill_tree
from tests.media.specs import make_clip
from tests.waiting import free_port

SECRET = "the-secret-of-this-node"


class Target:
    """``media`` and ``out`` are the node's roots, ``secret`` a film outside of them that names
    SECRET."""

    def __init__(self, folder: Path, master: Master) -> None:
        self.master = master
        self.media = folder / "media"
        self.media.mkdir()
        self.out = folder / "out"
        self.out.mkdir()
        self.film = film(self.media / "film.mp4")
        self.secret = film(folder / "secret.mp4")
        self.agent = AgentProcess(
            master.url,
            folder / "node",
            slots=4,
            media_roots=[self.media],
            output_roots=[self.out, self.media],
            allow_networks=["127.0.0.1/32"],
            metrics_port=free_port(),
        ).ready()

    def attack(self, location: str, **parameters: Any) -> JobAnswer:
        """A job on this input, accepted by the master."""
        return self.master.client.submit(
            {
                "scenario": "test-360p",
                "parameters": {"input": location, "duration": 0.2, "preset": "ultrafast"}
                | parameters,
            }
        )

    def refusal(self, **parameters: Any) -> tuple[int, str | None]:
        """Status and field of a submit that the master does not accept."""
        try:
            self.master.client.submit({"scenario": "test", "parameters": parameters})
        except MasterRefused as refused:
            return refused.status, refused.field
        raise AssertionError(f"accepted: {parameters}")

    def ended(self, job: JobAnswer) -> JobAnswer:
        """The job once it has failed, with everything that may be read of it checked for SECRET."""
        failed = job_with(self.master, job, JobStatus.FAILED, JobStatus.COMPLETED)
        said = self.master.client.logs(job.id).logs + failed.model_dump_json()
        assert SECRET not in said
        return failed

    @contextlib.contextmanager
    def idle(self) -> Iterator[None]:
        """The node takes nothing meanwhile."""
        known = {node.address: node.id for node in self.master.client.nodes().nodes}
        own = known[self.agent.state.name]
        self.master.client.drain(own)
        try:
            yield
        finally:
            self.master.client.undrain(own)

    @contextlib.contextmanager
    def other_node(self, folder: Path, **settings: Any) -> Iterator[AgentProcess]:
        """A node with these settings that takes every job meanwhile."""
        given: dict[str, Any] = {
            "media_roots": [self.media],
            "allow_networks": ["127.0.0.1/32"],
        }
        with self.idle():
            other = AgentProcess(
                self.master.url, folder / f"other-{uuid.uuid4().hex[:8]}", **(given | settings)
            )
            try:
                yield other.ready()
            finally:
                other.end()
                kill_tree(other)

    def outputs(self) -> list[Path]:
        """Whatever the node has written."""
        return [path for path in (self.agent.state / "output").rglob("*") if path.is_file()]


def film(path: Path) -> Path:
    """A short film with SECRET in it, as a title."""
    source = ("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=0.4")
    return make_clip(path, *source, "-preset", "ultrafast", "-metadata", f"title={SECRET}")
