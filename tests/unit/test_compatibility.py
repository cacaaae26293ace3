"""Which agents a master takes."""

import pytest

from ffrtmp.domain.compatibility import why_refused


@pytest.mark.parametrize("agent", ["1.4.0", "1.4.9", "1.4.1.dev3+gabc", "1.3.0", "1.3", ""])
def test_agent_of_this_minor_version_or_the_one_before_is_accepted(agent: str) -> None:
    assert why_refused(agent, master="1.4.2") is None


@pytest.mark.parametrize("agent", ["1.5.0", "1.2.9", "0.4.2", "2.4.2", "2.3", "x", "1", "\x00"])
def test_any_other_agent_is_refused_by_both_versions(agent: str) -> None:
    why = why_refused(agent, master="1.4.2")

    assert why is not None
    assert f"agent version {agent} " in why
    assert "master version 1.4.2" in why
