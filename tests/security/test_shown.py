"""Whatever a job, a node or its media say: a terminal shows it and obeys none of it."""

import io
import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cli.exits import ending_of
from cli.logs import log_text
from cli.main import run
from cli.render import cell, clean, clean_log, say, show_facts, show_json, show_table
from cli.watch import ProgressBars, ProgressLines
from ffrtmp.client import MasterRefused
from ffrtmp.schemas import JobAnswer, LogAnswer
from tests.security.fuzzing import OFTEN
from tests.unit import test_cli_exits
from tests.unit.test_cli_exits import StandInMaster
from tests.unit.test_cli_jobs import ATTEMPT, JOB

master = test_cli_exits.master

OBEYED = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
OWN_COLOURS = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[hl]|[0-9]*[A-K]|2K)")
NASTY = (
    "\x1b[2J\x1b]0;owned\x07\x1bPq\x1b\\\x9b31m\x90x\x9c\x07\x08\r\x00\x7f\x85\u2028\u2029"
    "\u202e\u2066\u200b\u200d\ufeff\u061c\U000e0041\u00ad<script>alert(1)</script>[bold]x[/]%s{0}"
)
PIECES = st.sampled_from(
    ("\x1b", "\x1b[", "\x1b]8;;", "\x9b", "\x07", "\r", "\n", "\t", "\u2028", "\u202e", "m", "31")
)
TEXT = st.text(st.characters(codec=None), max_size=20) | st.lists(PIECES).map("".join)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


class Terminal(io.StringIO):
    """A stream somebody looks at."""

    def isatty(self) -> bool:
        return True


def obeyed(text: str, *, kept: str = "\n\t") -> list[str]:
    """What a terminal, or the eye, would follow rather than show."""
    return [c for c in text if c not in kept and unicodedata.category(c) in OBEYED]


def job_saying(text: str) -> JobAnswer:
    said = dict.fromkeys(("scenario", "node_name", "error", "waiting_reason"), text)
    return JobAnswer.model_validate(JOB | said | {"status": "running", "progress": 0.5})


@OFTEN
@given(text=TEXT)
@example(text=NASTY)
def test_texts_of_others_have_nothing_to_obey_in_them(text: str) -> None:
    assert obeyed(clean(text), kept="") == []
    assert obeyed(clean_log(text)) == []
    assert obeyed(cell({text: [text]}), kept="") == []


@OFTEN
@given(rows=st.lists(st.tuples(VALUE, VALUE), max_size=4), facts=st.dictionaries(TEXT, VALUE))
@example(rows=[(NASTY, {NASTY: NASTY})], facts={NASTY: [{"name": NASTY, NASTY: NASTY}]})
def test_tables_and_facts_show_and_obey_nothing(
    rows: list[tuple[object, object]], facts: dict[str, object]
) -> None:
    for stream in (io.StringIO(), Terminal()):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            patch.setenv("TERM", "xterm-256color")
            show_table(("one", "two"), rows)
            show_facts(facts)
        shown = stream.getvalue()
        own = OWN_COLOURS.sub("", shown) if stream.isatty() else shown

        assert obeyed(own, kept="\n") == []


@OFTEN
@given(text=TEXT)
@example(text=NASTY)
def test_logs_errors_and_progress_show_and_obey_nothing(text: str) -> None:
    answer = LogAnswer(job_id="x", sequence_number=1, attempt=1, logs=text, error=text)
    refused = MasterRefused(status=422, code="x", message=text, field=text)
    for stream in (io.StringIO(), Terminal()):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            patch.setenv("TERM", "xterm-256color")
            with ProgressBars() if stream.isatty() else ProgressLines() as shown:
                shown.update(job_saying(text))
                shown.print_log(clean_log(text))
            say(ending_of(refused).message)

        own = OWN_COLOURS.sub("", stream.getvalue()) if stream.isatty() else stream.getvalue()
        assert obeyed(own, kept="\n\t\r" if stream.isatty() else "\n\t") == []
    assert obeyed(log_text(answer)) == []


@OFTEN
@given(facts=st.dictionaries(TEXT, VALUE.filter(lambda value: value == value)))
@example(facts={NASTY: NASTY, "half": "\ud800"})
def test_json_is_exact_and_plain_ascii(facts: dict[str, object]) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        show_json(facts)

    assert json.dumps(json.loads(stream.getvalue())) == json.dumps(facts)
    assert stream.getvalue().isascii()
    assert obeyed(stream.getvalue(), kept="\n") == []


HOSTILE_JOB = JOB | {
    "scenario": NASTY,
    "parameters": {"input": NASTY, NASTY: NASTY},
    "node_id": NASTY,
    "node_name": NASTY,
    "error": NASTY,
    "waiting_reason": NASTY,
    "status": "failed",
    "result": {NASTY: NASTY, "renditions": [{"name": NASTY, NASTY: [NASTY]}]},
}
HOSTILE_NODE = {
    **dict.fromkeys(("id", "name", "address", "type", "version", "drain_reason"), NASTY),
    "status": "draining",
    "slots": 1,
    "slots_busy": 0,
    "queues": ["live"],
    "capabilities": [NASTY],
    "hardware": {NASTY: NASTY, "trials": [{"name": NASTY, NASTY: NASTY}]},
    "load": {NASTY: [NASTY]},
    "last_heartbeat": JOB["created_at"],
    "registered_at": JOB["created_at"],
    "running": [],
    "devices": [
        {"id": NASTY, "name": NASTY, "slots": 1, "slots_busy": 0, "capabilities": [NASTY]}
        | {"set_aside": NASTY}
    ],
}
HOSTILE_RUN = ATTEMPT | {
    **dict.fromkeys(("node_id", "node_name", "state", "error", "phase", "device"), NASTY),
    "argv": [NASTY, NASTY],
}
HOSTILE_LOG = {"job_id": NASTY, "sequence_number": 7, "attempt": 1, "logs": NASTY, "error": NASTY}
HOSTILE_EVENT = {
    "id": 1,
    "kind": NASTY,
    "at": JOB["created_at"],
    "node_id": NASTY,
    "attempt": 1,
    "data": {NASTY: NASTY},
}


@pytest.fixture
def hostile(master: StandInMaster) -> StandInMaster:
    """It answers what no master of this farm would."""
    answers: dict[str, Any] = {
        "/jobs": {"jobs": [HOSTILE_JOB], "count": 1, "next": None},
        "/jobs/7": HOSTILE_JOB,
        "/jobs/7/attempts": {"attempts": [HOSTILE_RUN]},
        "/jobs/7/logs": HOSTILE_LOG,
        "/jobs/7/events": {"events": [HOSTILE_EVENT]},
        "/nodes": {"nodes": [HOSTILE_NODE], "count": 1},
        "/nodes/east": HOSTILE_NODE,
    }
    master.answers |= {path: (200, answer) for path, answer in answers.items()}
    refusal = {"error": {"code": NASTY, "message": NASTY, "field": NASTY}}
    master.answers["/jobs/8"] = (409, refusal)
    return master


COMMANDS = [
    *(["jobs", "list"], ["jobs", "status", "7"], ["jobs", "attempts", "7"]),
    *(["jobs", "events", "7"], ["jobs", "logs", "7"], ["nodes", "list"]),
    ["nodes", "describe", "east"],
]


@pytest.mark.parametrize("command", [*COMMANDS, ["jobs", "status", "8"]])
def test_commands_obey_nothing_that_an_answer_says(
    hostile: StandInMaster, capfd: pytest.CaptureFixture[str], command: list[str]
) -> None:
    status = run(command)
    out, err = capfd.readouterr()

    assert status == (1 if command[-1] == "8" else 0)
    assert "alert" in out + err
    assert obeyed(out) == obeyed(err) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_give_an_answer_exactly_as_json(
    hostile: StandInMaster, capfd: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run([*command, "--output", "json"]) == 0
    out, _ = capfd.readouterr()

    assert obeyed(out) == []
    assert NASTY in set(texts(json.loads(out)))


def texts(document: Any) -> Iterator[str]:
    """Every text of a document."""
    match document:
        case str():
            yield document
        case dict():
            for name, value in document.items():
                yield name
                yield from texts(value)
        case list():
            for value in document:
                yield from texts(value)
