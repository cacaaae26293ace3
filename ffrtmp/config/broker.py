"""How the broker is reached: its URL, and whose certificates count on the way.

What was settled travels as one URL, whose query holds the files of TLS as redis-py names them, so
that every connection of a process is made in the same way.
"""

from typing import Self
from urllib.parse import urlencode, urlsplit

from pydantic import TypeAdapter, ValidationError, model_validator

from ffrtmp.config.base import Settings
from ffrtmp.config.values import Broker, ReadableFile

SECURE = "rediss"
BROKER: TypeAdapter[str] = TypeAdapter(Broker)


class BrokerSettings(Settings):
    """The part of a section that says how the broker is reached."""

    broker: Broker | None = None
    """Redis URL."""
    broker_ca: ReadableFile | None = None
    """Certificates of those who may sign the broker's; none trusts whom the system trusts."""
    broker_cert: ReadableFile | None = None
    """What is shown to a broker that asks for a certificate."""
    broker_key: ReadableFile | None = None

    @model_validator(mode="after")
    def _names_whole_pairs(self) -> Self:
        if (self.broker_cert is None) != (self.broker_key is None):
            raise ValueError("broker_cert and broker_key are given together or not at all")
        has_files = self.broker_ca is not None or self.broker_cert is not None
        if has_files and self.broker is not None and not is_secure(self.broker):
            raise ValueError("broker_ca and broker_cert are for a broker at rediss://")
        return self

    def secured(self, url: str) -> str:
        """A broker's URL with the files of TLS in it, if it is one for TLS."""
        files = {
            "ssl_ca_certs": self.broker_ca,
            "ssl_certfile": self.broker_cert,
            "ssl_keyfile": self.broker_key,
        }
        given = {name: str(file.absolute()) for name, file in files.items() if file is not None}
        return f"{url}?{urlencode(given)}" if given and is_secure(url) else url

    @property
    def broker_url(self) -> str | None:
        """The settled URL of ``broker``."""
        return None if self.broker is None else self.secured(self.broker)


def is_usable(url: str) -> bool:
    """Whether a URL from elsewhere is such as the settings would take."""
    try:
        BROKER.validate_python(url)
    except ValidationError:
        return False
    return True


def is_secure(url: str) -> bool:
    """Whether it is a URL for TLS."""
    return urlsplit(url).scheme == SECURE
