"""The commands of ``ffrtmp certs``. What makes certificates is imported where it is used: no
other command needs it."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.certs.wanted import Kind, checked_name, wanted
from cli.options import Session, group_callback, with_session
from cli.render import say, show_json, write

if TYPE_CHECKING:
    from cryptography import x509

DEFAULT_FOLDER = Path("ffrtmp-certs")
AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 90
MAX_DAYS = 36_500
TELL_MASTER = "send the master SIGHUP to make it read its files again"

Dir = Annotated[Path, typer.Option("--dir", help="folder of the authority [ffrtmp-certs]")]
To = Annotated[
    Path | None,
    typer.Option(
        "--to", help="folder for cert.pem, key.pem and ca.pem [DIR/NAME]", show_default=False
    ),
]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.callback()(group_callback("Make certificates for master, nodes and clients."))


@app.command()
@with_session
def init(
    session: Session,
    *,
    folder: Dir = DEFAULT_FOLDER,
    name: Annotated[
        str | None, typer.Option(help="what it is called [ffrtmp-authority and a number]")
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=MAX_DAYS, help="how long it is good")
    ] = AUTHORITY_DAYS,
) -> None:
    """Make an authority: ca.pem to hand out, ca-key.pem to keep, crl.pem for the master."""
    from cli.certs.folder import AuthorityFolder
    from cli.certs.listing import facts_of

    authority = AuthorityFolder(folder)
    # Of two authorities that are trusted side by side each is found by its name.
    named = checked_name(name or f"ffrtmp-authority-{secrets.token_hex(4)}")
    made = authority.create(named, life=timedelta(days=days), now=datetime.now(UTC))
    facts = facts_of(made.certificate, now=datetime.now(UTC))
    _answer(session, facts | {"file": str(authority.certificate)})
    say(f"keep {authority.key} to yourself: whoever has it can make certificates of this farm")


@app.command()
@with_session
def issue(
    session: Session,
    kind: Annotated[Kind, typer.Argument(help="who holds it", show_default=False)],
    name: Annotated[
        str | None, typer.Argument(help="what it is called; the master is 'master'")
    ] = None,
    *,
    folder: Dir = DEFAULT_FOLDER,
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="host name it is reached by; again for more", metavar="NAME"),
    ] = None,
    address: Annotated[
        list[str] | None,
        typer.Option("--address", help="IP address it is reached by; again for more", metavar="IP"),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=MAX_DAYS, help="how long it is good")
    ] = CERTIFICATE_DAYS,
    to: To = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="replace the files that are there")
    ] = False,
) -> None:
    """Issue a certificate and its key. 'server' is for a broker or a database.

    A master without --host and --address gets the names and addresses of this machine.
    """
    from cli.certs.folder import AuthorityFolder
    from cli.certs.listing import facts_of

    asked = wanted(kind, name, hosts=host or [], addresses=address or [], days=days)
    now = datetime.now(UTC)
    issued, place = AuthorityFolder(folder).issue(asked, now=now, into=to, may_replace=renew)
    _answer(session, facts_of(issued, now=now) | {"folder": str(place)})


@app.command()
@with_session
def show(
    session: Session,
    file: Annotated[Path | None, typer.Argument(help="a PEM file", show_default=False)] = None,
    *,
    folder: Dir = DEFAULT_FOLDER,
) -> None:
    """List the certificates of a file, or an authority and all it issued."""
    from cli.certs.folder import AuthorityFolder
    from cli.certs.listing import facts_in, facts_of_file, show_facts

    now = datetime.now(UTC)
    found = facts_in(AuthorityFolder(folder), now=now) if file is None else facts_of_file(file, now)
    if session.wants_json:
        show_json({"certificates": found})
    else:
        show_facts(found)


@app.command()
@with_session
def renew(
    session: Session,
    names: Annotated[
        list[str] | None, typer.Argument(help="these [all that are due]", show_default=False)
    ] = None,
    *,
    folder: Dir = DEFAULT_FOLDER,
    to: To = None,
) -> None:
    """Renew certificates of which less than a third of their life is left, or those named.

    Each keeps its name, kind, hosts and addresses, and gets a new key.
    """
    from cli.certs.folder import AuthorityFolder
    from cli.certs.signing import name_of

    authority = AuthorityFolder(folder)
    now = datetime.now(UTC)
    due = authority.renewable([checked_name(name) for name in names or []], now=now)
    renewed = {
        name_of(record.certificate): str(authority.renew(record, now=now, into=to))
        for record in due
    }
    if session.wants_json:
        show_json({"renewed": renewed})
        return
    write("".join(f"renewed {name} in {place}\n" for name, place in renewed.items()))
    say(TELL_MASTER if renewed else "none is due")


@app.command()
@with_session
def revoke(
    session: Session,
    name: Annotated[str, typer.Argument(help="whose certificates", show_default=False)],
    *,
    folder: Dir = DEFAULT_FOLDER,
) -> None:
    """Put a name's certificates on the list of revoked ones, which the master reads (--crl)."""
    from cli.certs.folder import AuthorityFolder

    authority = AuthorityFolder(folder)
    gone = authority.revoke(checked_name(name), now=datetime.now(UTC))
    if session.wants_json:
        show_json({"revoked": _serials(gone), "crl": str(authority.revoked)})
        return
    write(f"revoked {name}, {len(gone)} in all, listed in {authority.revoked}\n")
    say(f"give that file to the master as --crl; {TELL_MASTER}")


def add_to(root: typer.Typer) -> None:
    """Add the group."""
    root.add_typer(app, name="certs")


def _serials(certificates: "Sequence[x509.Certificate]") -> list[str]:
    return [f"{certificate.serial_number:x}" for certificate in certificates]


def _answer(session: Session, facts: dict[str, object]) -> None:
    if session.wants_json:
        show_json(facts)
        return
    place = facts.get("folder") or facts.get("file")
    write(f"{facts['kind']} {facts['name']} in {place}, good until {facts['until']}\n")
    if facts["for"]:
        write(f"for {', '.join(map(str, facts['for']))}\n")  # type: ignore[call-overload]
