"""What every handler is given: the farm and the settings, kept on the app."""

import re
from typing import Annotated

from fastapi import Depends, Path, Request

from ffrtmp.api.follow import Tails
from ffrtmp.api.load import Load
from ffrtmp.api.suspects import Suspects
from ffrtmp.config import MasterSettings
from ffrtmp.domain.errors import NotFound
from ffrtmp.metrics import MasterMetrics
from ffrtmp.services.farm import Farm


def farm_of(request: Request) -> Farm:
    """The farm that this process serves."""
    farm: Farm = request.app.state.farm
    return farm


def settings_of(request: Request) -> MasterSettings:
    """The settings of this process."""
    settings: MasterSettings = request.app.state.settings
    return settings


def load_of(request: Request) -> Load:
    """What this process bears."""
    load: Load = request.app.state.load
    return load


def suspects_of(request: Request) -> Suspects:
    """Where wrong credentials come from."""
    suspects: Suspects = request.app.state.suspects
    return suspects


def tails_of(request: Request) -> Tails:
    """The logs that this process follows."""
    tails: Tails = request.app.state.tails
    return tails


def _metrics(request: Request) -> MasterMetrics:
    metrics: MasterMetrics = request.app.state.metrics
    return metrics


FarmDep = Annotated[Farm, Depends(farm_of)]
SettingsDep = Annotated[MasterSettings, Depends(settings_of)]
MetricsDep = Annotated[MasterMetrics, Depends(_metrics)]


def job_reference(job: Annotated[str, Path(description="UUID or sequence number")]) -> str | int:
    """A UUID or a sequence number, strictly; NotFound for anything else."""
    if re.fullmatch(r"[1-9][0-9]{0,17}", job):
        return int(job)
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", job):
        return job
    raise NotFound(f"{job[:64]!r} is neither a job id nor a sequence number")


def node_reference(node: Annotated[str, Path(description="id, address or name")]) -> str:
    """An id, an address or a name; NotFound for what can be none of them."""
    if re.search(r"[\x00-\x1f\x7f]", node):
        raise NotFound("no node has control characters in its name")
    return node


NodeReference = Annotated[str, Depends(node_reference)]
JobReference = Annotated[str | int, Depends(job_reference)]
