"""What one failed run of ffmpeg said."""

from ffrtmp.domain.retry import FailureClass

Sample = tuple[str, int, FailureClass, str, str]
"""What was done, exit code, class, the line that matters, the output."""
