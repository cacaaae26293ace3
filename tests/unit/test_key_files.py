"""Keys from files: private, one line, and given in one way only."""

import os
from pathlib import Path

import pytest

from cli.main import run
from ffrtmp.config import WORKER_ENVIRONMENT, ConfigError, WorkerSettings, load
from tests.unit import test_cli_exits
from tests.unit.test_cli_exits import StandInMaster

master = test_cli_exits.master


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return written(tmp_path / "key", "from-file\n")


def written(file: Path, text: str, mode: int = 0o600) -> Path:
    file.write_text(text)
    file.chmod(mode)
    return file


def settled(
    *, file: Path | None = None, environment: dict[str, str] | None = None, **flags: object
) -> str | None:
    """The key that these come to."""
    return load(
        WorkerSettings,
        section="worker",
        file=file,
        environment=environment or {},
        variables=WORKER_ENVIRONMENT,
        flags=flags,
    ).api_key


def refusal(**given: object) -> str:
    with pytest.raises(ConfigError) as refused:
        settled(**given)  # type: ignore[arg-type]
    return str(refused.value)


def test_key_is_the_line_of_its_file(key_file: Path) -> None:
    assert settled(api_key_file=key_file) == "from-file"
    assert settled(environment={"FFMPEG_RTMP_API_KEY_FILE": str(key_file)}) == "from-file"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o660])
def test_file_that_others_may_read_or_write_is_refused_with_what_to_do(
    tmp_path: Path, mode: int
) -> None:
    said = refusal(api_key_file=written(tmp_path / "key", "from-file", mode))

    assert f"chmod 600 {tmp_path}/key" in said
    assert "from-file" not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(("mode", "is_read"), [(0o440, True), (0o444, False), (0o460, False)])
def test_file_of_somebody_else_may_be_read_by_a_group_as_service_managers_hand_them_out(
    key_file: Path, mode: int, is_read: bool
) -> None:
    key_file.chmod(mode)
    os.chown(key_file, 12345, 0)

    if is_read:
        assert settled(api_key_file=key_file) == "from-file"
    else:
        assert "chmod 600" in refusal(api_key_file=key_file)


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "schlüssel", "x" * 5000, "a\x00b"])
def test_file_without_one_key_in_it_is_refused_without_repeating_it(
    tmp_path: Path, text: str
) -> None:
    said = refusal(api_key_file=written(tmp_path / "key", text))

    assert "api_key_file" in said
    assert not text.strip() or text.strip() not in said


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path}/none" in refusal(api_key_file=tmp_path / "none")


def test_key_given_nearer_goes_before_one_given_further_off_in_either_way(
    tmp_path: Path, key_file: Path
) -> None:
    yaml_with_file = written(tmp_path / "a.yaml", f"worker: {{api_key_file: {key_file}}}")
    yaml_with_key = written(tmp_path / "b.yaml", "worker: {api_key: from-yaml}")
    variable = {"FFMPEG_RTMP_API_KEY": "from-environment"}

    assert settled(file=yaml_with_file) == "from-file"
    assert settled(file=yaml_with_file, environment=variable) == "from-environment"
    assert settled(file=yaml_with_key, api_key_file=key_file) == "from-file"
    assert settled(environment=variable, api_key_file=key_file) == "from-file"
    assert settled(file=yaml_with_file, api_key="from-flag") == "from-flag"


def test_two_keys_from_one_place_are_refused(tmp_path: Path, key_file: Path) -> None:
    both = {"FFMPEG_RTMP_API_KEY": "k", "FFMPEG_RTMP_API_KEY_FILE": str(key_file)}
    yaml = written(tmp_path / "a.yaml", f"worker: {{api_key: k, api_key_file: {key_file}}}")

    for said in (
        refusal(environment=both),
        refusal(file=yaml),
        refusal(api_key="k", api_key_file=key_file),
    ):
        assert "leave one out" in said


def test_commands_send_the_key_of_the_file(
    master: StandInMaster, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFMPEG_RTMP_API_KEY_FILE", str(key_file))
    run(["jobs", "status", "1"])
    monkeypatch.delenv("FFMPEG_RTMP_API_KEY_FILE")
    run(["--api-key-file", str(key_file), "jobs", "status", "1"])
    run(["--api-key-file", str(key_file), "jobs", "status", "1", "--api-key", "inner"])

    sent = [headers["Authorization"] for _, _, headers, _ in master.asked]
    assert sent == ["Bearer from-file", "Bearer from-file", "Bearer inner"]


def test_settings_that_are_shown_name_the_file_and_mask_the_key(
    key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "show", "--api-key-file", str(key_file)]) == 0

    out = capsys.readouterr().out
    assert "from-file" not in out
    assert str(key_file) in out
