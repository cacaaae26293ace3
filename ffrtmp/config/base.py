"""What every section of the settings is, and how a process hands its own on."""

import os
import sys
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict

SETTINGS_VARIABLE = "FFRTMP_SETTINGS"
SECRET_VARIABLES = frozenset(
    {
        *("MASTER_API_KEY", "MASTER_DB", "MASTER_BROKER", "MASTER_NODE_BROKER"),
        *("MASTER_FLOWER_BROKER", "MASTER_FLOWER_PASSWORD"),
        *("FFMPEG_RTMP_API_KEY", "WORKER_BROKER"),
    }
)
"""Where keys and passwords come from; settled settings hold what a process needs of them."""


class Settings(BaseModel):
    """A section of the settings; frozen, and closed to unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_environment(self) -> dict[str, str]:
        """What a child process needs to have the same settings."""
        return {SETTINGS_VARIABLE: self.model_dump_json()}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """The settings the parent process handed on, or the defaults."""
        return cls.model_validate_json(environment.get(SETTINGS_VARIABLE, "{}"))


class Tracing(Settings):
    """OpenTelemetry over OTLP/HTTP."""

    enabled: bool = False
    endpoint: str = "localhost:4318"


def python_module(module: str) -> list[str]:
    """The argument list that runs a module of this installation."""
    return [sys.executable, "-m", module]


def child_environment(settings: Settings) -> dict[str, str]:
    """This process's environment, with the settings in place of the keys they came from."""
    kept = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
    return kept | settings.to_environment()
