"""Celery beat: sends the farm's periodic messages, and keeps nothing on disk."""

from ffrtmp.broker.app import control_app


def serve_beat(broker_url: str, *, scheduler_interval_seconds: float) -> None:
    """Beat until SIGTERM or SIGINT, which raise SystemExit; outlives any outage of the broker."""
    app = control_app(broker_url, scheduler_interval_seconds=scheduler_interval_seconds)
    app.Beat(loglevel="INFO", quiet=True).run()
