"""What a job can say and no node of this release does yet: refused by name, never ignored."""

from collections.abc import Iterator
from typing import Final

from ffrtmp.domain.locations import Kind, kind_of
from ffrtmp.domain.spec import JobSpec

ENGINE: Final = "engine"


def missing(spec: JobSpec) -> Iterator[str]:
    """The parameters that ask for it."""
    asked = {
        "input": spec.input is not None and kind_of(spec.input) is Kind.S3,
        "output": spec.output is not None and kind_of(spec.output) is Kind.S3,
    }
    yield from (name for name, is_asked in asked.items() if is_asked)
