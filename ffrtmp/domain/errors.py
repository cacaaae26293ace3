"""The one error tree.

FarmError
├── InvalidRequest          the request itself is wrong; names the field
│   └── IdempotencyMismatch one Idempotency-Key, two different bodies
├── Unauthenticated         no key, or a wrong one
├── Forbidden               a right key for somebody else's thing, or for another purpose
├── NotFound                no such job, node or attempt
├── Conflict                right request, wrong moment
│   ├── StaleLease          whoever asks no longer holds the attempt
│   ├── HashConflict        the same lease reports another file than it committed
│   ├── NotCommitted        a completed result without a commit before it
│   ├── JobStateConflict    the job's state does not allow it
│   ├── KeyNameTaken        a live key has this name
│   ├── AddressTaken        another identity has this address
│   ├── VersionRefused      the agent is too old or too new for this master
│   ├── StaleEpoch          an earlier process of this node speaks
│   ├── NodeNotAccepting    the node is offline or draining
│   └── NodeHasWork         the node still runs attempts
├── TooLarge                more bytes than the farm has use for
├── TooSlow                 a body that does not come
├── TooMany                 more requests than one may make; ask again later
│   ├── QueueFull           more pending jobs than one may have
│   └── FarmFull            more nodes than the farm may have
└── Unavailable             database or broker does not answer; ask again
    └── StorageFull         the database has no space left
"""

from ffrtmp.domain.access import Refusal


class FarmError(Exception):
    """Something the farm refuses or cannot do; ``code`` is stable, ``field`` names what to mend."""

    code = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidRequest(FarmError):  # noqa: N818
    """The request itself is wrong."""

    code = "invalid"


class IdempotencyMismatch(InvalidRequest):
    """The Idempotency-Key was used before with another body."""

    code = "idempotency_mismatch"


class Unauthenticated(FarmError):  # noqa: N818
    """No credential, or a wrong one; ``reason`` is what is counted, ``name`` whose it was."""

    code = "unauthenticated"

    def __init__(
        self, message: str, *, reason: Refusal = Refusal.UNKNOWN, name: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.name = name


class Forbidden(FarmError):  # noqa: N818
    """The credential is right but does not speak for this thing, or is for another purpose."""

    code = "forbidden"


class NotFound(FarmError):  # noqa: N818
    """There is no such job, node or attempt."""

    code = "not_found"


class Conflict(FarmError):  # noqa: N818
    """The request is right but the state does not allow it now."""

    code = "conflict"


class StaleLease(Conflict):
    """Whoever asks no longer holds the attempt."""

    code = "stale_lease"


class HashConflict(Conflict):
    """The same lease reports another file than it committed."""

    code = "hash_conflict"


class NotCommitted(Conflict):
    """A completed result needs a commit before it."""

    code = "not_committed"


class JobStateConflict(Conflict):
    """The job's state does not allow it."""

    code = "job_state"


class KeyNameTaken(Conflict):
    """A live key has this name."""

    code = "key_name_taken"


class AddressTaken(Conflict):
    """Another identity is registered at this address."""

    code = "address_taken"


class VersionRefused(Conflict):
    """An agent of this version does not work with this master."""

    code = "version_refused"


class StaleEpoch(Conflict):
    """A newer process of this node has registered since."""

    code = "stale_epoch"


class NodeNotAccepting(Conflict):
    """The node is offline or draining and gets no work."""

    code = "node_not_accepting"


class NodeHasWork(Conflict):
    """The node still runs attempts."""

    code = "node_busy"


class TooLarge(FarmError):  # noqa: N818
    """A body, or what it holds, is larger than the farm has use for."""

    code = "too_large"


class TooSlow(FarmError):  # noqa: N818
    """A body comes so slowly that it is not waited for."""

    code = "too_slow"


class TooMany(FarmError):  # noqa: N818
    """More than whoever asks may have now; the same request may be sent again later."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class QueueFull(TooMany):
    """More pending jobs than the key, or the farm, may have."""

    code = "queue_full"


class FarmFull(TooMany):
    """More nodes than the farm may have."""

    code = "farm_full"


class Unavailable(FarmError):  # noqa: N818
    """Database or broker does not answer now; the same request may be sent again."""

    code = "unavailable"


class StorageFull(Unavailable):
    """The database has no space left; the same request may be sent again when it has."""

    code = "storage_full"
