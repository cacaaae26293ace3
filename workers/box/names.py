"""What a place of an attempt is called by the agent, and what inside the box; purely."""

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """One place. ``outside`` and ``inside`` are absolute paths."""

    outside: str
    inside: str


@dataclass(frozen=True, slots=True)
class Names:
    """All places of an attempt."""

    all: tuple[Name, ...] = ()

    def inside(self, text: str) -> str:
        """An argument as the box's processes must be given it."""
        for name in self.all:
            for written in (str, _quoted_for_x265, _quoted_for_json):
                text = text.replace(written(name.outside), written(name.inside))
        return text

    def outside(self, text: str) -> str:
        """What they said, as the agent would have put it."""
        for name in self.all:
            outside = name.outside.replace("\\", r"\\")
            text = re.sub(re.escape(name.inside) + r"(?!\d)", outside, text)
        return text


def _quoted_for_x265(path: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\':" else letter for letter in path)


def _quoted_for_json(path: str) -> str:
    return json.dumps(path)[1:-1]
