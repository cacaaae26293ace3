"""Whether hints wait in some queues, asked over a connection of its own."""

from collections.abc import Sequence

from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ffrtmp.broker.app import list_name
from ffrtmp.broker.link import connect
from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.ranking import RANKS

TIMEOUT_SECONDS = 3.0


class WaitingHints:
    """Looks into the lists behind Celery queues; connects when first asked."""

    def __init__(self, broker_url: str, queue_names: Sequence[str]) -> None:
        self._lists = [list_name(name, rank) for name in queue_names for rank in RANKS]
        self._client = connect(
            broker_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def any(self) -> bool:
        """True where a list holds something; Unavailable if the broker does not say."""
        try:
            # Redis has no empty lists: one that was emptied is gone.
            return bool(self._client.exists(*self._lists))
        except (RedisError, OSError) as error:
            raise Unavailable(f"the broker does not answer: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
