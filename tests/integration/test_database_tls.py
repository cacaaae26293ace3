"""PostgreSQL over TLS: by the parameters of its own URL, and refused by name where it is not."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
import trustme

from ffrtmp.config import MasterSettings
from ffrtmp.domain.errors import Unavailable
from ffrtmp.store.engine import Store
from tests.integration.tls_door import door, server_context, written
from tests.postgresql import running_postgresql

PASSWORD = "a-secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A PostgreSQL, at a socket without and at a port with TLS."""

    socket: Path
    ca: Path
    other_ca: Path
    authority: trustme.CA

    def url(self, port: int, **parameters: object) -> str:
        given = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"postgresql://postgres:{PASSWORD}@localhost:{port}/postgres?{given}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("database")
    authority, other = trustme.CA(), trustme.CA()
    (folder / "other").mkdir()
    with running_postgresql(tmp_path_factory.getbasetemp().parent / "postgresql.lock") as server:
        found = sa.make_url(server.url).query["host"]
        yield Place(
            socket=Path(str(found)) / ".s.PGSQL.5432",
            ca=written(authority, folder),
            other_ca=written(other, folder / "other"),
            authority=authority,
        )


def asked(url: str) -> None:
    """As a master would ask its database first."""
    settings = MasterSettings(db=url)
    store = Store(settings.database_url)
    try:
        with store.read() as tx:
            tx.keys  # noqa: B018
    finally:
        store.close()


def refusal(url: str) -> str:
    with pytest.raises(Unavailable) as refused:
        asked(url)
    assert PASSWORD not in str(refused.value)
    return str(refused.value)


def test_database_is_reached_where_certificate_and_name_are_right(place: Place) -> None:
    with door(place.socket, server_context(place.authority.issue_cert("localhost"))) as opened:
        asked(place.url(opened.port, sslmode="verify-full", sslrootcert=place.ca))

        assert opened.refused == []


def test_database_with_the_wrong_certificate_is_refused_by_name(place: Place) -> None:
    right = server_context(place.authority.issue_cert("localhost"))
    elsewhere = server_context(place.authority.issue_cert("elsewhere.example"))
    with door(place.socket, right) as opened, door(place.socket, elsewhere) as strange:
        full = {"sslmode": "verify-full"}
        other = place.url(opened.port, **full, sslrootcert=place.other_ca)
        name = place.url(strange.port, **full, sslrootcert=place.ca)
        none = place.url(opened.port, **full, sslrootcert="/nowhere/ca.pem")

        assert "certificate verify failed" in refusal(other)
        assert 'does not match host name "localhost"' in refusal(name)
        assert '"/nowhere/ca.pem" does not exist' in refusal(none)


def test_database_without_tls_is_refused_by_name(place: Place) -> None:
    with door(place.socket, None) as opened:
        url = place.url(opened.port, sslmode="verify-full", sslrootcert=place.ca)

        assert "server does not support SSL, but SSL was required" in refusal(url)
