"""What one API process bears: the ``limits:`` of the master's section."""

from typing import Annotated

from pydantic import Field

from ffrtmp.config.base import Settings
from ffrtmp.config.values import Duration, Whole

Many = Annotated[Whole, Field(ge=1, le=1_000_000_000)]


class Limits(Settings):
    """Beyond these a request is answered 408, 413, 414, 429 or 431, or a connection is closed.

    Requests, followers and connections are counted by each API process for itself.
    """

    requests_per_minute: Many = 12_000
    """Of one API key; as many at once, and then at this rate."""
    node_requests_per_minute: Many = 60_000
    """Of one node."""
    anonymous_requests_per_minute: Many = 1_200
    """Of one address, without a credential."""
    pending_jobs: Many = 2_000_000
    """Pending jobs of the farm; a submit beyond is refused."""
    pending_jobs_per_key: Many = 200_000
    nodes: Many = 10_000
    """That may be registered, offline ones included."""
    connections: Many = 4_000
    connections_per_address: Many = 1_000
    """Agents keep three connections each; all behind one NAT or proxy have one address."""
    followers: Many = 200
    """Streams of events at once."""
    followers_per_key: Many = 50
    body_bytes: Many = 32 << 20
    """All bodies that are being read or worked on, together."""
    head_timeout: Duration = 10.0
    """From a connection, or the first byte of a request, to the end of its headers."""
    body_timeout: Duration = 20.0
    """Each such period of a body must bring a kilobyte per second, or its end."""
    write_timeout: Duration = 30.0
    """A client that takes nothing of its answer for this long is cut off."""
