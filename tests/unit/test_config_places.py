"""What stands in the place of a master's folder or database."""

import sqlite3
from pathlib import Path

import pytest

from cli.main import run
from ffrtmp.config import MasterSettings
from ffrtmp.config.places import why_unusable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "text").write_text("no database, but text")
    (tmp_path / "empty").touch()
    with sqlite3.connect(tmp_path / "farm.db") as database:
        database.execute("CREATE TABLE jobs (id)")
    database.close()
    return tmp_path


@pytest.mark.parametrize(
    ("db", "said"),
    [
        ("", "is a folder; name another file with --db"),
        ("text", "is no SQLite database; name another file with --db"),
        ("text/farm.db", "text is no folder; name another file with --db"),
        ("text/deeper/farm.db", "text is no folder"),
    ],
)
def test_database_that_cannot_be_one_is_refused_by_setting(
    folder: Path, db: str, said: str
) -> None:
    for name in (str(folder / db), f"sqlite:///{folder / db}"):
        why = why_unusable(MasterSettings(db=name, data_dir=folder))

        assert why is not None
        assert why.startswith(f"db_path {folder / db}: ")
        assert said in why


def test_folder_that_is_a_file_is_refused_by_setting(folder: Path) -> None:
    why = why_unusable(MasterSettings(data_dir=folder / "text" / "data"))

    assert why == (
        f"data_dir {folder}/text/data: {folder}/text is no folder; name another with --data-dir"
    )


@pytest.mark.parametrize("db", ["farm.db", "empty", "new.db", "new/folder/new.db"])
def test_database_that_is_one_or_can_become_one_is_taken(folder: Path, db: str) -> None:
    assert why_unusable(MasterSettings(db=str(folder / db), data_dir=folder / "new")) is None
    assert why_unusable(MasterSettings(db="postgresql://h/farm", data_dir=folder)) is None


def test_up_refuses_it_before_it_makes_anything(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "farm.yaml"
    file.write_text(f"master: {{db_path: '{folder}'}}")

    assert run(["up", "--config", str(file), "--data-dir", str(folder / "farm")]) == 2
    assert capsys.readouterr().err.startswith(f"ffrtmp: db_path {folder}: is a folder")
    assert not (folder / "farm").exists()
