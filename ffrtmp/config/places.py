"""The places that a master's settings name on this host, looked at before anything starts."""

from pathlib import Path

from ffrtmp.config.master import MasterSettings

SQLITE_BEGINS = b"SQLite format 3\x00"
SQLITE = "sqlite:///"


def why_unusable(settings: MasterSettings) -> str | None:
    """What is wrong with them, by setting; None where nothing is that one can see."""
    return _of_folder(settings.data_dir) or _of_database(settings.database_url)


def _of_folder(folder: Path) -> str | None:
    blocked = _no_folder(folder.absolute())
    if blocked is None:
        return None
    return f"data_dir {folder}: {blocked} is no folder; name another with --data-dir"


def _of_database(url: str) -> str | None:
    if not url.startswith(SQLITE):
        return None
    file = Path(url.removeprefix(SQLITE).partition("?")[0])
    mend = "name another file with --db"
    blocked = _no_folder(file.parent)
    if blocked:
        return f"db_path {file}: {blocked} is no folder; {mend}"
    if file.is_dir():
        return f"db_path {file}: is a folder; {mend}"
    if file.is_file() and not _may_be_sqlite(file):
        return f"db_path {file}: is no SQLite database; {mend}"
    return None


def _no_folder(folder: Path) -> Path | None:
    """What stands in the way of this folder."""
    return next((it for it in (folder, *folder.parents) if it.exists() and not it.is_dir()), None)


def _may_be_sqlite(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(SQLITE_BEGINS)) in (b"", SQLITE_BEGINS)
    except OSError:
        return True  # whoever opens it will say why it cannot be
