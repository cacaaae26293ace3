"""``python -m ffrtmp.flower``: Flower on loopback, behind a login, for this farm's broker.

The password comes with the settings in the environment and never stands in an argument list.
"""

import os
import sys
from pathlib import Path

import flower.command
from celery.bin.celery import celery
from flower.options import options

from ffrtmp.broker.app import flower_app
from ffrtmp.config import MasterSettings
from ffrtmp.flower_door import GuardedFlower

USER = "ffrtmp"
HOST = "127.0.0.1"


def main() -> None:
    """Serve until SIGTERM; an error without a port, a password or a broker in the settings."""
    settings = MasterSettings.from_environment(os.environ)
    if not (settings.flower_port and settings.flower_password and settings.broker_url_of_flower):
        sys.exit("flower needs flower_port, flower_password and broker")
    _forget_other_options()
    options.port = settings.flower_port
    options.address = HOST
    options.basic_auth = [f"{USER}:{settings.flower_password}"]
    # Workers send events anyway, and the command that turns them on is not among those left.
    options.enable_events = False
    options.read_only = True
    flower.command.Flower = GuardedFlower
    celery.add_command(flower.command.flower)
    sys.argv[1:] = []
    _trust_only(settings.broker_ca)
    flower_app(settings.broker_url_of_flower).start(argv=["--quiet", "flower"])


def _trust_only(authorities: Path | None) -> None:
    # Flower counts queues over a connection of its own, which trusts the system's besides.
    if authorities is not None:
        os.environ["SSL_CERT_FILE"] = str(authorities)
        os.environ["SSL_CERT_DIR"] = os.devnull


def _forget_other_options() -> None:
    """Neither the environment nor a flowerconfig.py lying about may change who is let in."""
    for name in [name for name in os.environ if name.startswith("FLOWER_")]:
        del os.environ[name]
    options.conf = os.devnull


if __name__ == "__main__":
    main()
