"""Who is let in by a master without TLS, with it, and with certificates asked of clients; and whom
a client believes to be its master."""

import contextlib
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cli.certs.wanted import Kind
from cli.main import run
from ffrtmp.client import ClientError, Connection, MasterClient, MasterNotTrusted
from ffrtmp.domain.job import JobStatus
from tests.certificates import DAY, Authority, Files, self_signed
from tests.integration.agents import KEY, AgentProcess, kill_tree
from tests.security.secured import Masters, answering, masters, tls_socket
from tests.waiting import free_port, wait_until

NAMES = ("farm.example", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Ours, and a stranger who is an authority of his own."""

    ours: Authority
    master: Files
    holders: dict[str, Files | None]
    """Clients by what is to be said of their certificate."""
    served: Masters


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("tls")
    ours, stranger = Authority(folder / "ours"), Authority(folder / "stranger")
    # Its life is nearly over, as that of the right client: both are to be warned of.
    master = ours.issue(Kind.MASTER, "master", hosts=NAMES, age=0.8 * DAY)
    holders = {
        "right": ours.issue(Kind.NODE, "right", age=0.8 * DAY),
        "missing": None,
        "foreign": stranger.issue(Kind.NODE, "foreign"),
        "self-signed": self_signed(folder),
        "expired": ours.issue(Kind.NODE, "expired", age=2 * DAY),
        "not yet valid": ours.issue(Kind.NODE, "early", age=-DAY),
        "revoked": ours.issue(Kind.NODE, "revoked"),
        "for a server": master,
    }
    ours.revoke(*(files for name, files in holders.items() if name == "revoked" and files))
    with masters(folder / "farm", shown=master, ca=ours.ca, crl=ours.crl) as served:
        yield World(ours=ours, master=master, holders=holders, served=served)


REFUSED = ("missing", "foreign", "self-signed", "expired", "not yet valid", "revoked")


@pytest.mark.parametrize("holder", ["right", *REFUSED, "for a server"])
@pytest.mark.parametrize("serving", ["plain", "tls", "mtls"])
def test_only_a_good_certificate_of_the_authority_passes_where_one_is_asked(
    world: World, serving: str, holder: str
) -> None:
    master = getattr(world.served, serving)

    with master.client(ca=world.ours.ca, shows=world.holders[holder]) as client:
        if serving != "mtls" or holder == "right":
            assert client.nodes().count >= 0
        else:
            with pytest.raises(ClientError):
                client.nodes()


def test_master_says_at_its_start_that_its_certificate_expires_soon(world: World) -> None:
    said = f"{world.master.cert} expires on "

    wait_until(lambda: world.served.tls.says(said))
    wait_until(lambda: world.served.mtls.says(said))


def test_key_is_asked_besides_the_certificate(world: World) -> None:
    right = world.holders["right"]
    assert right is not None
    context = ssl.create_default_context(cafile=world.ours.ca)
    context.load_cert_chain(right.cert, right.key)

    answer = httpx.get(f"{world.served.mtls.url}/nodes", verify=context, trust_env=False)

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("holder", "scheme", "said"),
    [
        ("missing", "https", "give --cert and --key"),
        ("revoked", "https", "no longer takes this certificate"),
        ("right", "http", "write https://"),
    ],
)
def test_command_that_is_not_let_in_says_in_one_line_what_may_be_missing(
    world: World, capsys: pytest.CaptureFixture[str], holder: str, scheme: str, said: str
) -> None:
    files = world.holders[holder]
    shows = ["--cert", str(files.cert), "--key", str(files.key)] if files else []
    url = f"{scheme}://127.0.0.1:{world.served.mtls.settings.port}"

    told = run(["nodes", "list", "--master", url, "--ca", str(world.ours.ca), *shows])

    out, err = capsys.readouterr()
    assert (told, out, err.count("\n")) == (3, "", 1)
    assert said in err


def test_health_is_reached_without_a_certificate_on_its_own_plain_port_only(world: World) -> None:
    mtls = world.served.mtls

    answer = httpx.get(f"{mtls.health_url}/health", trust_env=False)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert httpx.get(f"{mtls.health_url}/nodes", trust_env=False).status_code == 404
    with mtls.client(ca=world.ours.ca) as client, pytest.raises(ClientError):
        client.health()


@pytest.mark.parametrize("serving", ["tls", "mtls"])
def test_plain_http_to_the_tls_port_is_refused(world: World, serving: str) -> None:
    port = getattr(world.served, serving).settings.port

    with socket.create_connection(("127.0.0.1", port), timeout=5) as there:
        there.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in there.recv(4096)


def test_client_that_does_not_shake_hands_is_cut_off(world: World) -> None:
    tls = world.served.tls

    with socket.create_connection(("127.0.0.1", tls.settings.port), timeout=30) as there:
        assert there.recv(1) == b""


def handshake(world: World, port: int, version: ssl.TLSVersion) -> str | None:
    """The version spoken by a client that knows only this one, with the right certificate."""
    right = world.holders["right"]
    assert right is not None
    context = ssl.create_default_context(cafile=world.ours.ca)
    context.load_cert_chain(right.cert, right.key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with tls_socket(port, context) as there:
        return there.version()


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_versions_of_tls_are_refused(world: World, version: str) -> None:
    old = ssl.TLSVersion[version]
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lax.load_cert_chain(world.master.cert, world.master.key)
    lax.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        lax.minimum_version = ssl.TLSVersion.TLSv1
    with answering(lax) as port:
        assert handshake(world, port, old) == version.replace("_", ".")

    for master in (world.served.tls, world.served.mtls):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            handshake(world, master.settings.port, old)


def test_new_versions_are_spoken(world: World) -> None:
    tls, mtls = world.served.tls.settings.port, world.served.mtls.settings.port

    assert handshake(world, tls, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert handshake(world, tls, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert handshake(world, mtls, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def test_versions_with_sessions_are_not_spoken_where_certificates_are_asked(world: World) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(world, world.served.mtls.settings.port, ssl.TLSVersion.TLSv1_2)


def shown_by_a_master(world: World, what: str, folder: Path) -> Files:
    stranger = Authority(folder / "stranger")
    return {
        "right": lambda: world.master,
        "foreign": lambda: stranger.issue(Kind.MASTER, "foreign"),
        "self-signed": lambda: self_signed(folder),
        "expired": lambda: world.ours.issue(Kind.MASTER, "old", age=2 * DAY),
        "not yet valid": lambda: world.ours.issue(Kind.MASTER, "early-master", age=-DAY),
        "for others": lambda: world.ours.issue(Kind.MASTER, "others", addresses=("192.0.2.1",)),
        "for a client": lambda: world.ours.issue(Kind.NODE, "client"),
    }[what]()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("right", None),
        ("foreign", "is of an authority not trusted here; give its ca.pem with --ca"),
        ("self-signed", "is of an authority not trusted here; give its ca.pem with --ca"),
        ("expired", "has expired; renew it there"),
        ("not yet valid", "not good yet; are both clocks right?"),
        ("for others", "use a name that its certificate has"),
        ("for a client", "is not accepted"),
    ],
)
def test_only_the_master_of_the_given_authority_is_believed(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, said: str | None
) -> None:
    shown = shown_by_a_master(world, what, tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.cert, shown.key)
    with answering(context) as port:
        url = f"https://127.0.0.1:{port}"
        with MasterClient(Connection(url=url, key=KEY, ca=str(world.ours.ca))) as client:
            if said is None:
                client.health()
                return
            with pytest.raises(MasterNotTrusted):
                client.health()
        told = run(["nodes", "list", "--master", url, "--ca", str(world.ours.ca)])

    out, err = capsys.readouterr()
    assert (told, out) == (3, "")
    assert err.count("\n") == 1
    assert said in err


def test_master_is_not_believed_without_its_authority_unless_that_is_switched_off_loudly(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = world.served.tls
    asking = ["nodes", "list", "--master", tls.url, "--api-key", KEY, "--output", "json"]

    assert run(asking) == 3
    assert "--ca" in capsys.readouterr().err
    assert run([*asking, "--ca", str(world.ours.ca)]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("MASTER_CA", str(world.ours.ca))
    assert run(asking) == 0
    monkeypatch.delenv("MASTER_CA")
    for insecure in (["--insecure-skip-tls-verification"], []):
        if not insecure:
            monkeypatch.setenv("FFRTMP_INSECURE_SKIP_TLS_VERIFICATION", "true")
        assert run([*asking, *insecure]) == 0
        assert capsys.readouterr().err.startswith("WARNING: the master's certificate is not")


def test_agent_works_over_mtls(world: World, tmp_path: Path) -> None:
    mtls, right = world.served.mtls, world.holders["right"]
    assert right is not None
    tls = {"ca": world.ours.ca, "cert": right.cert, "key": right.key}
    agent = AgentProcess(mtls.url, tmp_path / "node", tls=tls, metrics_port=free_port())
    stranger = AgentProcess(mtls.url, tmp_path / "stranger", tls={"ca": world.ours.ca})
    try:
        agent.ready()
        with mtls.client(ca=world.ours.ca, shows=right) as client:
            parameters = {"duration": 0.2, "preset": "ultrafast"}
            job = client.submit({"scenario": "test-360p", "parameters": parameters})
            wait_until(lambda: client.job(job.id).status is JobStatus.COMPLETED)
            [node] = client.nodes().nodes
        assert node.address == "node"
        until = right.pair.certificate.not_valid_after_utc.timestamp()
        name = "ffrtmp_worker_certificate_expiry_timestamp_seconds"
        assert agent.metric(name, kind="client") == until
        wait_until(lambda: agent.says(f"{right.cert} expires on "))
        wait_until(lambda: stranger.says("cannot register yet"))
    finally:
        kill_tree(agent)
        kill_tree(stranger)


def test_renewed_certificate_is_shown_after_sighup_and_a_broken_one_never(world: World) -> None:
    tls = world.served.tls
    context = ssl.create_default_context(cafile=world.ours.ca)
    failures: list[Exception] = []
    answered, stop = [0], threading.Event()

    def ask() -> None:
        with tls.client(ca=world.ours.ca) as kept:
            while not stop.is_set():
                try:
                    kept.nodes()
                    with tls.client(ca=world.ours.ca) as new:
                        new.nodes()
                    answered[0] += 1
                except Exception as error:  # noqa: BLE001
                    failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        wait_until(lambda: answered[0])
        before = tls.certificate(context)
        renewed = world.ours.issue(Kind.MASTER, "master", hosts=NAMES)
        serial = renewed.pair.certificate.serial_number
        assert tls.certificate(context) == before
        tls.reread("success")
        assert tls.certificate(context) == serial
        until = renewed.pair.certificate.not_valid_after_utc.timestamp()
        name = "ffrtmp_master_certificate_expiry_timestamp_seconds"
        assert tls.metric(name, kind="server") == until

        key = renewed.key.read_text()
        renewed.key.write_text("nonsense")
        tls.reread("error")
        assert tls.certificate(context) == serial
        assert f"{renewed.key} holds no private key" in tls.text()
        renewed.key.write_text(key)
        tls.reread("success")
        enough = answered[0] + 3
        wait_until(lambda: answered[0] >= enough)
    finally:
        stop.set()
        asking.join()
    assert failures == []


def test_whoever_is_revoked_is_out_from_sighup_on_also_with_an_old_session(world: World) -> None:
    mtls = world.served.mtls
    revoked = world.holders["revoked"]
    assert revoked is not None
    leaver = world.ours.issue(Kind.NODE, "leaver")
    context = ssl.create_default_context(cafile=world.ours.ca)
    context.load_cert_chain(leaver.cert, leaver.key)
    ask = f"GET /nodes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    with tls_socket(mtls.settings.port, context) as there:
        there.sendall(ask)
        assert there.recv(4096).startswith(b"HTTP/1.1 200")
        session = there.session

    world.ours.revoke(revoked, leaver)
    mtls.reread("success")

    for old in (None, session):
        with (
            contextlib.suppress(ssl.SSLError, ConnectionError),
            tls_socket(mtls.settings.port, context, session=old) as there,
        ):
            there.sendall(ask)
            assert there.recv(4096) == b""
    with mtls.client(ca=world.ours.ca, shows=world.holders["right"]) as client:
        client.nodes()


def test_authority_that_was_taken_away_vouches_for_nobody_after_sighup(
    world: World, tmp_path: Path
) -> None:
    mtls = world.served.mtls
    second = Authority(tmp_path / "second", "second")
    guest = second.issue(Kind.NODE, "guest")
    ca, crl = world.ours.ca.read_text(), world.ours.crl.read_text()

    world.ours.ca.write_text(ca + second.ca.read_text())
    world.ours.crl.write_text(crl + second.crl.read_text())
    mtls.reread("success")
    with mtls.client(ca=world.ours.ca, shows=guest) as client:
        client.nodes()
    world.ours.ca.write_text(ca)
    world.ours.crl.write_text(crl)
    mtls.reread("success")

    with mtls.client(ca=world.ours.ca, shows=guest) as client, pytest.raises(ClientError):
        client.nodes()
