"""The three terminals of the README."""

from pathlib import Path

from tests.acceptance.terminals import Terminals


def test_three_terminals_run_the_jobs_of_the_readme(terminals: Terminals) -> None:
    terminals.master()
    terminals.agent("--slots", "1")
    live = terminals.submit(scenario="live-4K", queue="live", priority="high", duration="1s")
    batch = terminals.submit(scenario="batch-720p", queue="batch", priority="low", duration="1s")

    assert terminals.wait_for(live["id"], seconds=120).status == "completed"
    assert terminals.wait_for(batch["id"]).status == "completed"
    assert "libx264" in terminals.cli("jobs", "logs", "1").stdout


def test_a_masters_terminal_is_left_to_what_its_user_needs(terminals: Terminals) -> None:
    master = terminals.master()
    terminals.agent("--slots", "1")
    terminals.submit(scenario="test-360p", duration="0.1s", wait=True)
    said = master.log.read_text()

    assert f"master ready at {terminals.api_url}" in said
    assert "SecurityWarning" not in said
    assert len(said.splitlines()) < 10


def test_no_key_stands_in_an_argument_list(terminals: Terminals) -> None:
    terminals.master("--api-key", "a-key-nobody-may-read")
    lines = [" ".join(process.cmdline()) for process in terminals.family.running()]

    assert lines
    assert not [line for line in lines if "a-key-nobody-may-read" in line]


def test_without_a_key_the_master_warns_loudly_and_serves_loopback(tmp_path: Path) -> None:
    with Terminals(tmp_path, key="") as terminals:
        master = terminals.master()

        assert terminals.client.jobs().jobs == []
        assert "NO API KEY IS SET" in master.log.read_text()
