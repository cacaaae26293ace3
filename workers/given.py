"""A job as it was given, judged once more: who writes to the database says what a master gives."""

from collections.abc import Callable

from ffrtmp.domain.ladder import NAME
from ffrtmp.domain.locations import check_input, check_output, check_rtmp_url
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import JobSpec
from workers.errors import AttemptFailed


def check_given(spec: JobSpec) -> None:
    """AttemptFailed for a place, or a name of an output, that no master accepts from a person."""
    _check("input", spec.input, check_input, FailureClass.INPUT_REFUSED)
    _check("output", spec.output, check_output, FailureClass.OUTPUT_REFUSED)
    _check("rtmp_url", spec.rtmp_url, check_rtmp_url, FailureClass.OUTPUT_REFUSED)
    for rendition in spec.renditions:
        if not NAME.fullmatch(rendition.name):
            raise AttemptFailed(
                FailureClass.OUTPUT_REFUSED, f"{rendition.name!r} is no name of a rendition"
            )


def _check(
    what: str, location: str | None, judge: Callable[[str], str], failure: FailureClass
) -> None:
    try:
        if location is not None:
            judge(location)
    except ValueError as error:
        raise AttemptFailed(failure, f"{what} {location!r}: {error}") from None
