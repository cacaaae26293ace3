"""``ffrtmp keys``: who may use the farm, and for what."""

from pathlib import Path
from typing import Annotated

import typer

from cli.exits import UsageError
from cli.folder import write_secret
from cli.options import Session, group_callback, with_session
from cli.render import clean, say, show_json, show_table, write
from ffrtmp.config import parse_duration
from ffrtmp.domain.access import Role
from ffrtmp.domain.key import KeyState
from ffrtmp.schemas import KeyAnswer, NewKeyAnswer

COLUMNS = ("name", "role", "prefix", "state", "created", "expires", "last used")
OPEN = (KeyState.LIVE, KeyState.REPLACED)

NameArgument = Annotated[str, typer.Argument(help="name of the key", show_default=False)]
ToOption = Annotated[
    Path | None,
    typer.Option("--to", help="write the key to this file (0600) instead of showing it"),
]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.callback()(group_callback("Make, rotate and revoke keys of the API; needs an admin key."))


@app.command()
@with_session
def create(
    session: Session,
    name: NameArgument,
    *,
    role: Annotated[
        Role, typer.Option(help="admin all, submit jobs of its own, read looks, node registers")
    ],
    expires: Annotated[
        str | None, typer.Option(help="opens nothing after this long: 12h, 90d [never]")
    ] = None,
    to: ToOption = None,
) -> None:
    """Make a key. It is shown this once and kept nowhere."""
    _require_room(to)
    seconds = None if expires is None else _seconds("--expires", expires)
    with session.client() as master:
        made = master.create_key(name, role=role, expires_seconds=seconds)
    _hand_over(session, made, to)


@app.command("list")
@with_session
def list_keys(
    session: Session,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="also those that open nothing any more")
    ] = False,
) -> None:
    """List the keys: how each begins, until when it opens, when it was last used."""
    with session.client() as master:
        found = master.keys()
    keys = [key for key in found.keys if every or key.state in OPEN]
    if session.wants_json:
        show_json(found.model_copy(update={"keys": keys, "count": len(keys)}))
    else:
        show_table(COLUMNS, [_row(key) for key in keys])


@app.command()
@with_session
def rotate(
    session: Session,
    name: NameArgument,
    *,
    overlap: Annotated[
        str, typer.Option(help="how long the old key goes on beside the new one; 0 for not at all")
    ] = "24h",
    expires: Annotated[
        str | None, typer.Option(help="the new one opens nothing after this long [as the old one]")
    ] = None,
    to: ToOption = None,
) -> None:
    """Make a new key of a name and let the old one run out."""
    _require_room(to)
    seconds = None if expires is None else _seconds("--expires", expires)
    with session.client() as master:
        made = master.rotate_key(
            name, overlap_seconds=_seconds("--overlap", overlap), expires_seconds=seconds
        )
    _hand_over(session, made, to)


@app.command()
@with_session
def revoke(session: Session, name: NameArgument) -> None:
    """End every key of a name at once; its jobs stay."""
    with session.client() as master:
        master.revoke_key(name)
    if session.wants_json:
        show_json({"revoked": name})
    else:
        say(f"revoked {name}")


def _seconds(flag: str, text: str) -> float:
    try:
        return float(str(parse_duration(text)))
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None


def _require_room(file: Path | None) -> None:
    """Before a key is made that then could not be written."""
    if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
        raise UsageError(f"--to {file}: is a folder, or lies in none; name a file")


def _hand_over(session: Session, made: NewKeyAnswer, file: Path | None) -> None:
    said = made.model_dump(mode="json")
    if file is not None:
        write_secret(file.absolute(), made.key + "\n")
        said |= {"key": None, "file": str(file)}
    if session.wants_json:
        show_json(said)
        return
    where = "it is shown only now" if file is None else f"it is in {file}"
    until = "" if made.expires_at is None else f" until {made.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    say(f"key {made.name} of role {made.role} opens the farm{until}; {where}")
    if file is None:
        write(f"{clean(made.key)}\n")


def _row(key: KeyAnswer) -> tuple[object, ...]:
    return (
        key.name,
        key.role,
        key.prefix,
        key.state,
        key.created_at,
        key.expires_at,
        key.last_used_at,
    )
