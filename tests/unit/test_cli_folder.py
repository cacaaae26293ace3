"""The data folder of ``ffrtmp up``."""

import stat
from pathlib import Path

import pytest

from cli.folder import FarmFolder, FolderInUse


def test_a_folder_takes_one_farm_at_a_time(tmp_path: Path) -> None:
    with FarmFolder(tmp_path).locked(), pytest.raises(FolderInUse), FarmFolder(tmp_path).locked():
        pass
    with FarmFolder(tmp_path).locked():
        pass


def test_the_api_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    key = FarmFolder(tmp_path).api_key()

    assert len(key) > 40
    assert FarmFolder(tmp_path).api_key() == key
    assert stat.S_IMODE((tmp_path / "api_key").stat().st_mode) == 0o600


def test_farm_json_is_private_and_replaced_whole(tmp_path: Path) -> None:
    folder = FarmFolder(tmp_path)
    folder.announce({"api_url": "one"})
    with folder.farm_file.open() as reader:
        folder.announce({"api_url": "two"})
        first = reader.read()

    assert "one" in first
    assert "two" in folder.farm_file.read_text()
    assert stat.S_IMODE(folder.farm_file.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["farm.json"]


def test_withdrawing_an_absent_farm_json_is_fine(tmp_path: Path) -> None:
    FarmFolder(tmp_path).withdraw()

    assert not FarmFolder(tmp_path).farm_file.exists()
