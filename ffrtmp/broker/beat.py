"""Celery beat: sends the farm's periodic messages, and keeps nothing on disk."""

import logging

from ffrtmp.broker.app import beat_app


class InOneLine(logging.Filter):
    """Celery writes the whole call stack and the traceback of each message that could not be
    sent, which a night without a broker turns into gigabytes."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the first line of every record."""
        record.msg = next(iter(record.getMessage().splitlines()), "")
        record.args, record.exc_info = (), None
        return True


def serve_beat(broker_url: str, *, scheduler_interval_seconds: float) -> None:
    """Beat until SIGTERM or SIGINT, which raise SystemExit; outlives any outage of the broker."""
    app = beat_app(broker_url, scheduler_interval_seconds=scheduler_interval_seconds)
    logging.getLogger("celery.beat").addFilter(InOneLine())
    app.Beat(loglevel="INFO", quiet=True).run()
