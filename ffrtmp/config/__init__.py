"""Settings: flags over environment over YAML file over defaults; an unknown key is an error.

A process that starts another hands the settled settings on in one environment variable, so no
key ever stands in an argument list.
"""

from ffrtmp.config.base import (
    SECRET_VARIABLES,
    SETTINGS_VARIABLE,
    Settings,
    Tracing,
    child_environment,
    python_module,
)
from ffrtmp.config.loading import ConfigError, load
from ffrtmp.config.master import MASTER_ENVIRONMENT, MasterSettings, MasterTls
from ffrtmp.config.values import parse_duration
from ffrtmp.config.worker import INSECURE, WORKER_ENVIRONMENT, ClientTls, WorkerSettings

__all__ = [
    "INSECURE",
    "MASTER_ENVIRONMENT",
    "SECRET_VARIABLES",
    "SETTINGS_VARIABLE",
    "WORKER_ENVIRONMENT",
    "ClientTls",
    "ConfigError",
    "MasterSettings",
    "MasterTls",
    "Settings",
    "Tracing",
    "WorkerSettings",
    "child_environment",
    "load",
    "parse_duration",
    "python_module",
]
