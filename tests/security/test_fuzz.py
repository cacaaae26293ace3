"""Random input for whatever judges what comes from outside: an answer of a closed set, never
another exception. `make fuzz` tries it for as long as asked."""

import contextlib
import ipaddress
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from ffrtmp.api.body import UnusableBody, strict_json
from ffrtmp.api.state import job_reference, node_reference
from ffrtmp.config import (
    ConfigError,
    MasterSettings,
    WorkerSettings,
    load,
)
from ffrtmp.domain.errors import InvalidRequest, NotFound
from ffrtmp.domain.locations import (
    Kind,
    check_folder,
    check_input,
    check_output,
    check_rtmp_url,
    container_of,
    kind_of,
)
from ffrtmp.domain.scenario import parse_scenario
from ffrtmp.schemas import (
    ClaimRequest,
    CommitRequest,
    Heartbeat,
    JobBatch,
    JobPatch,
    JobQuery,
    JobSubmission,
    LogChunk,
    LogQuery,
    NodeRegistration,
    ReleaseRequest,
    ResultRequest,
)
from ffrtmp.schemas.base import Wire
from tests.security.fuzzing import OFTEN
from workers.addresses import AddressRefused, check_address, permitted
from workers.errors import AttemptFailed
from workers.ffmpeg.inputs import DEMUXERS, access, own_playlist
from workers.gate import BadRequest, parse
from workers.sources import find_source, tame

BODIES: tuple[type[Wire], ...] = (
    *(JobSubmission, JobBatch, JobPatch, NodeRegistration, Heartbeat, ClaimRequest),
    *(CommitRequest, ReleaseRequest, LogChunk, ResultRequest),
)
ANY_TEXT = st.text(st.characters(codec=None), max_size=40)
SCHEMES = ("http", "https", "s3", "rtmp", "rtmps", "srt", "file", "concat", "pipe", "data", "tee")
PARTS = (
    *("://", ":", "/", "//", "..", "@", "#", "?", "[", "]", "[::1]", "%", "%2e", "%00", "\\", "-"),
    *("streamid=", "a", "b.mp4", ".m3u8", "127.0.0.1", "0x7f.1", "2130706433", ":0", ":99999"),
    *("\x00", "\n", "\u2028", "\ud800", "é", " ", ",", ";", "|", "'", "é" * 300),
)
PLACE = ANY_TEXT | st.builds(
    lambda scheme, rest: scheme + "".join(rest),
    st.sampled_from(("", *SCHEMES)),
    st.lists(st.sampled_from(PARTS), max_size=10),
)
TOKENS = ("720p", "30", "-", "h264", "4K", "live", "-", "60", "p", "é")
EXTREME = st.sampled_from((2**31, 2**63, -(2**63), 10**400, -0.0, 1e308, 5e-324))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | EXTREME | ANY_TEXT | PLACE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


def fields_of(body: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in body.model_fields.items()]


@st.composite
def likely(draw: st.DrawFn, bodies: tuple[type[BaseModel], ...]) -> tuple[Any, object]:
    """A body, and JSON that has some of its fields; from an example of its own, where there is."""
    body = draw(st.sampled_from(bodies))
    extra = body.model_config.get("json_schema_extra")
    examples = extra.get("examples", [{}]) if isinstance(extra, dict) else [{}]
    known: Any = draw(st.sampled_from(examples) | st.just({}))  # type: ignore[arg-type]
    named = st.dictionaries(st.sampled_from(fields_of(body)), JSON, max_size=3)
    return body, {**known, **draw(named)}


@OFTEN
@given(data=st.binary(max_size=60) | JSON.map(lambda it: json.dumps(it).encode()))
@example(data=b"[" * 100_000)
@example(data=b'{"a":' * 50_000)
@example(data=b"1" * 100_000)
@example(data=b'"\\ud83d"')
def test_any_bytes_are_json_that_can_be_repeated_or_refused(data: bytes) -> None:
    with contextlib.suppress(UnusableBody):
        found = strict_json(data)

        assert json.loads(json.dumps(found, ensure_ascii=False, allow_nan=False).encode()) == found


@OFTEN
@given(asked=likely(BODIES))
def test_any_body_is_taken_or_refused_by_field(asked: tuple[type[Wire], object]) -> None:
    body, said = asked
    refused: Exception | None = None
    try:
        taken = body.model_validate(said)
        if isinstance(taken, JobSubmission):
            taken.to_domain()
    except (ValidationError, InvalidRequest) as error:
        refused = error

    assert not isinstance(refused, InvalidRequest) or refused.field


@OFTEN
@given(asked=likely((JobQuery, LogQuery)), texts=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=2))
def test_any_query_is_taken_or_refused(
    asked: tuple[type[Wire], dict[str, object]], texts: dict[str, str]
) -> None:
    query, said = asked
    for given_words in (said | texts, {name: str(value) for name, value in said.items()}):
        with contextlib.suppress(ValidationError):
            query.model_validate(given_words)


@OFTEN
@given(text=ANY_TEXT | st.from_regex(r"[0-9+\-._ eE]{1,40}"))
@example(text="1\n")
@example(text="٣")
def test_any_reference_is_one_number_one_id_or_not_found(text: str) -> None:
    with contextlib.suppress(NotFound):
        assert str(job_reference(text)) == text
    with contextlib.suppress(NotFound):
        assert node_reference(text) == text


@OFTEN
@given(
    name=ANY_TEXT
    | st.lists(st.sampled_from(("720p", "30", "-", "h264", "4K", "live", "-"))).map("".join)
)
def test_any_scenario_is_read_or_refused(name: str) -> None:
    with contextlib.suppress(ValueError):
        parse_scenario(name)


@pytest.mark.parametrize(
    "judge", [check_input, check_output, check_rtmp_url, check_folder, container_of]
)
@OFTEN
@given(place=PLACE)
def test_any_place_is_taken_as_it_is_or_refused(judge: Callable[[str], str], place: str) -> None:
    with contextlib.suppress(ValueError):
        taken = judge(place)

        if judge not in (container_of, check_folder):
            assert taken == place
            assert not place.startswith("-")
            assert kind_of(place) is not None


@OFTEN
@given(place=PLACE)
def test_any_place_is_opened_by_the_protocols_of_its_kind_or_not_at_all(place: str) -> None:
    with contextlib.suppress(ValueError):
        opened = access(check_input(place), address="203.0.113.7")
        is_local = kind_of(place) is Kind.PATH

        assert (opened.protocols == ("file",)) is is_local
        assert opened.url.startswith("file:/") is is_local
        assert set(opened.demuxers) <= {*DEMUXERS, "mpegts", "live_flv"}
        assert not {"hls", "dash", "concat", "sdp"} & set(opened.demuxers)
        assert opened.arguments()[-2] == "-i"
    assert own_playlist(place).url == f"file:{place}"


@OFTEN
@given(place=PLACE)
@example(place="/" + "x" * 300)
@example(place="/a\x00b")
@example(place="/\ud800")
def test_any_local_path_is_found_below_the_roots_or_refused(place: str) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(AttemptFailed):
        root = Path(folder).resolve()
        (root / "a").touch()
        found = find_source(place, (root,))

        assert found is not None
        assert kind_of(place) is not Kind.PATH or Path(found).is_relative_to(root)


@OFTEN
@given(name=ANY_TEXT)
def test_any_name_becomes_one_of_plain_characters(name: str) -> None:
    tamed = tame(name)

    assert tamed.isascii()
    assert tamed not in ("", ".", "..")
    assert not set(tamed) & set("/\\\x00 ")
    assert tamed[0] not in "-."


@OFTEN
@given(number=st.integers(0, 2**128 - 1) | st.integers(0, 2**32 - 1))
def test_no_spelling_of_an_address_is_judged_more_kindly(number: int) -> None:
    if number >= 2**32:
        address: Any = ipaddress.IPv6Address(number)
        spellings = [str(address), address.exploded, f"{address}%eth0"]
    else:
        address = ipaddress.IPv4Address(number)
        spellings = [str(address), f"::ffff:{address}", f"64:ff9b::{address}"]
        spellings.append(str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))))
    taken = [spelling for spelling in spellings if is_taken(spelling)]

    assert taken in ([], spellings)
    assert address.is_global or not taken


def is_taken(spelling: str) -> bool:
    def lookup(*_: object, **__: object) -> list[tuple[Any, ...]]:
        return [(2, 1, 6, "", (spelling, 80))]

    try:
        check_address(spelling)
        assert permitted("host", 80, lookup=lookup) == [(spelling, 80)]
    except AddressRefused:
        with pytest.raises(AddressRefused):
            permitted("host", 80, lookup=lookup)
        return False
    return True


@OFTEN
@given(
    head=st.binary(max_size=80)
    | st.lists(
        st.sampled_from((*PARTS[:20], "CONNECT ", "GET ", "http", " HTTP/1.1", "\r\n", "Host: a"))
    ).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass"))
)
def test_any_request_to_the_gate_is_read_or_refused(head: bytes) -> None:
    with contextlib.suppress(BadRequest):
        parse(head)


YAML_PIECES = (
    *(
        "master",
        "worker",
        ":",
        " ",
        "\n",
        "  ",
        "{",
        "}",
        "[",
        "]",
        "- ",
        "? ",
        "&a ",
        "*a",
        "<<: ",
    ),
    *(
        "!!python/object:os.system ",
        "!!int ",
        "!!binary ",
        "!!set ",
        "!!timestamp ",
        "!x ",
        "'",
        '"',
    ),
    *("port", "db_path", "tls", "api_key", "2001-99-99", "1e999", ".nan", "0o9", "0x", "1_0"),
    *(
        "~",
        "!x ",
        "<<: ",
        "'",
        '"',
        "\t",
        "\x00",
        "é",
        "%YAML 9.9",
        "---",
        "...",
        "|",
        ">",
        "limits",
        "queues",
    ),
)
YAML = (
    st.binary(max_size=60)
    | st.lists(st.sampled_from(YAML_PIECES), max_size=14).map(lambda it: "".join(it).encode())
    | JSON.map(lambda it: json.dumps({"master": it, "worker": it}).encode())
    | st.tuples(
        st.sampled_from(("master", "worker")),
        st.dictionaries(
            st.sampled_from((*fields_of(MasterSettings), *fields_of(WorkerSettings))),
            JSON,
            max_size=3,
        ),
    ).map(lambda it: yaml.dump({it[0]: it[1]}).encode("utf-8", "surrogatepass"))
)


@OFTEN
@given(data=YAML)
@example(data=b"[" * 20_000)
@example(data=b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nmaster: [*b,*b,*b,*b]")
@example(data=b"master: {? [1]: 2}")
@example(data=b"master: 2001-99-99")
@example(data=b"master: &a {port: *a}")
@example(data=b"master: !!int x")
@example(data=b"master: !!int ''")
@example(data=b"master: !!bool x")
@example(data=b"master: !!timestamp x")
@example(data=b"master: !!float ''")
@example(data=b"9" * 5000)
def test_any_settings_file_is_taken_or_refused_by_name(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "farm.yaml")
        file.write_bytes(data)
        for kind, section in ((MasterSettings, "master"), (WorkerSettings, "worker")):
            said = refusal_of(kind, section, file)

            assert said is None or str(file) in said


def refusal_of(kind: type[Any], section: str, file: Path) -> str | None:
    """What is said of a settings file; None where it is taken."""
    try:
        load(kind, section=section, file=file, environment={}, variables={}, flags={})
    except ConfigError as refused:
        return str(refused)
    return None
