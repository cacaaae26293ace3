"""Masters that serve without TLS, with it, and with certificates asked of clients."""

import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ffrtmp.client import Connection, MasterClient
from ffrtmp.config import MasterSettings, child_environment
from ffrtmp.master import settle_ports
from tests.certificates import Files
from tests.integration.agents import KEY, START_SECONDS, Process, kill_tree
from tests.waiting import free_port, wait_until

NOBODY = "redis://127.0.0.1:1/0"
"""A broker that is not there: an API alone answers without one."""


class Served(Process):
    """A master on a free port, or its API alone, ready once ``wait`` returned."""

    def __init__(self, folder: Path, *, tls: Mapping[str, Any], **more: Any) -> None:
        folder.mkdir()
        self.settings = settle_ports(
            MasterSettings.model_validate(
                {
                    "port": 0,
                    "data_dir": folder,
                    "api_key": KEY,
                    "metrics_port": free_port(),
                    "scheduler_interval": 0.5,
                    "retry_base": 0.1,
                    "tls": tls,
                    **more,
                }
            )
        )
        scheme = "https" if self.settings.tls.enabled else "http"
        self.url = f"{scheme}://127.0.0.1:{self.settings.port}"
        output = folder.with_suffix(f".{time.monotonic_ns()}.log")
        super().__init__(["-m", "ffrtmp.master"], child_environment(self.settings), output)

    @property
    def health_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.health_port}"

    def wait(self, ca: Path | None = None) -> None:
        if self.settings.only is None:
            wait_until(lambda: self.says("master ready"), seconds=START_SECONDS)
            return
        client = self.client(ca=ca)
        wait_until(lambda: self.says("") and _answers(client), seconds=START_SECONDS)
        client.close()

    def client(self, *, ca: Path | None, shows: Files | None = None, url: str = "") -> MasterClient:
        return MasterClient(
            Connection(
                url=url or self.url,
                key=KEY,
                ca=str(ca) if ca else None,
                cert=str(shows.cert) if shows else None,
                cert_key=str(shows.key) if shows else None,
            )
        )

    def reread(self, result: str) -> None:
        """SIGHUP, and the wait for what came of it."""
        before = self.metric("ffrtmp_master_certificate_rereads_total", result=result)
        self.popen.send_signal(signal.SIGHUP)
        wait_until(
            lambda: self.metric("ffrtmp_master_certificate_rereads_total", result=result) > before,
            what=f"a reread with {result}",
        )

    def metric(self, name: str, **labels: str) -> float:
        url = f"http://127.0.0.1:{self.settings.metrics_port}/metrics"
        text = httpx.get(url, trust_env=False).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        raise AssertionError(f"no {name} {labels}")

    def certificate(self, context: ssl.SSLContext) -> int:
        """The serial of what it shows to a new connection."""
        with tls_socket(self.settings.port, context) as there:
            shown = there.getpeercert()
            assert shown is not None
            return int(str(shown["serialNumber"]), 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Masters:
    """One of each, by the name of how it serves."""

    plain: Served
    tls: Served
    mtls: Served


@contextmanager
def masters(folder: Path, *, shown: Files, ca: Path, crl: Path) -> Iterator[Masters]:
    """One of each, started side by side; the one with mTLS is whole, with control and broker."""
    https = {"enabled": True, "cert": shown.cert, "key": shown.key}
    mutual = https | {"mtls": True, "ca": ca, "crl": crl}
    folder.mkdir()
    started: list[Served] = []
    try:
        for name, tls, more in (
            ("mtls", mutual, {"health_port": 0}),
            ("tls", https, {"only": "api", "broker": NOBODY, "limits": {"head_timeout": 2}}),
            ("plain", {}, {"only": "api", "broker": NOBODY}),
        ):
            started.append(Served(folder / name, tls=tls, **more))
        for one in started:
            one.wait(ca=ca)
        yield Masters(mtls=started[0], tls=started[1], plain=started[2])
        for one in started:
            one.end()
    finally:
        for one in started:
            kill_tree(one)


def tls_socket(
    port: int, context: ssl.SSLContext, *, session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    """A connection to 127.0.0.1 that has shaken hands."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=5)
    try:
        return context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
    except BaseException:
        plain.close()
        raise


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"status": "ok", "version": "1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *words: object) -> None:  # noqa: A002
        pass


class Quiet(HTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def answering(context: ssl.SSLContext) -> Iterator[int]:
    """The port of a server that shows whatever certificate this context has."""
    with Quiet(("127.0.0.1", 0), Health) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def _answers(client: MasterClient) -> bool:
    try:
        client.health()
    except Exception:  # noqa: BLE001
        return False
    return True
