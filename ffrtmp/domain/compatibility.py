"""Which agents a master works with, by their versions."""

import re

MINORS_BEHIND = 1


def why_refused(agent: str, *, master: str) -> str | None:
    """Why an agent of this version cannot work here, naming both; None where it can.

    An agent is of its master's minor version or of the one before, so the master is upgraded
    first. Patch numbers do not count; an empty version claims nothing and is accepted.
    """
    if not agent:
        return None
    said, own = _major_minor(agent), _major_minor(master)
    if said is not None and own is not None and _is_behind(said, own):
        return None
    return (
        f"agent version {agent} does not work with master version {master}: "
        "an agent is of the master's minor version or of the one before"
    )


def _major_minor(version: str) -> tuple[int, int] | None:
    match = re.match(r"([0-9]{1,9})\.([0-9]{1,9})(?![0-9])", version)
    return None if match is None else (int(match[1]), int(match[2]))


def _is_behind(said: tuple[int, int], own: tuple[int, int]) -> bool:
    return said[0] == own[0] and 0 <= own[1] - said[1] <= MINORS_BEHIND
