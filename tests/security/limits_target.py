"""A master with short limits, and what its API process holds."""

import contextlib
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.integration.agents import KEY, Master
from tests.waiting import free_port, wait_until

MEBIBYTE = 1 << 20


class LimitedMaster(Master):
    """Its head, body and write timeouts are a second or two."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        short = {"head_timeout": 1.5, "body_timeout": 1.5, "write_timeout": 5.0}
        super().__init__(folder, metrics_port=free_port(), node_timeout=120, limits=short | limits)
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30
        )

    @property
    def port(self) -> int:
        return self.settings.port

    def api(self) -> psutil.Process:
        """The process that listens on the API's port."""
        for process in self.descendants():
            with contextlib.suppress(psutil.Error):
                if any(
                    one.status == psutil.CONN_LISTEN and one.laddr.port == self.port
                    for one in process.net_connections()
                ):
                    return process
        raise AssertionError("nobody listens")

    def memory_mebibytes(self) -> float:
        """What the API process has in memory."""
        return float(self.api().memory_info().rss) / MEBIBYTE

    def connections(self) -> int:
        """Open connections to the API."""
        return sum(
            one.status != psutil.CONN_LISTEN and bool(one.raddr) and one.laddr.port == self.port
            for one in self.api().net_connections()
        )

    def serves(self) -> bool:
        """Whether somebody else is answered."""
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = httpx.get(f"{self.url}/health", headers=headers, timeout=10)
        return answer.status_code == httpx.codes.OK

    def samples(self) -> dict[str, float]:
        """Every series of /metrics."""
        text = httpx.get(f"http://127.0.0.1:{self.settings.metrics_port}/metrics").text
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def refused(self, reason: str) -> float:
        """How often it has refused for this reason."""
        return self.samples()[f'ffrtmp_master_refused_total{{reason="{reason}"}}']

    def close(self) -> None:
        """End it."""
        self.http.close()
        super().close()

    def is_alone(self) -> bool:
        """Whether all connections but this test's own are gone."""
        return self.connections() <= 1

    def settle(self) -> None:
        """Wait until earlier connections are gone."""
        self.http.close()
        self.http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30
        )
        wait_until(self.is_alone, what="connections to end")

    def node(self, address: str) -> tuple[str, httpx.Client]:
        """A node's id, and a client that speaks for it."""
        answer = self.http.post("/nodes/register", json={"address": address}).json()
        headers = {"Authorization": f"Bearer {answer['node_token']}"}
        return answer["id"], httpx.Client(base_url=self.url, headers=headers, timeout=30)
