"""When the certificate this node shows, and the authority it trusts, run out."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ffrtmp.config import ClientTls
from ffrtmp.tls import TlsFileError
from ffrtmp.tls.expiry import LOOK_SECONDS, client_expiries, gauge, warnings
from workers.checks import Check, Status

log = logging.getLogger(__name__)


class ClientCertificates(Collector):
    """Read at each look: new connections are made with the files as they are then."""

    def __init__(self, tls: ClientTls, registry: CollectorRegistry) -> None:
        self._tls = tls
        registry.register(self)

    def run(self, stop: threading.Event) -> None:
        """Log what runs out soon, now and once a day."""
        while True:
            try:
                for line in warnings(client_expiries(self._tls), datetime.now(UTC)):
                    log.warning("%s", line)
            except TlsFileError as error:
                log.warning("%s", error)
            if stop.wait(LOOK_SECONDS):
                return

    def collect(self) -> Iterator[Metric]:
        """One gauge; none while the files cannot be read."""
        try:
            expiries = client_expiries(self._tls)
        except TlsFileError:
            return
        yield gauge("ffrtmp_worker_certificate_expiry_timestamp_seconds", expiries)


def check_certificates(tls: ClientTls, *, now: datetime) -> Check:
    """Whether the files can be used now, and until when."""
    name = "certificates"
    try:
        expiries = client_expiries(tls)
    except TlsFileError as error:
        return Check(name=name, status=Status.FAILED, detail=str(error))
    over = [expiry for expiry in expiries if expiry.until <= now]
    said = [f"{one.kind} {one.file} until {one.until:%Y-%m-%d}" for one in over or expiries]
    status = Status.FAILED if over else Status.OK
    return Check(name=name, status=status, detail=", ".join([*said, *warnings(expiries, now)]))
