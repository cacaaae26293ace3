"""What this host can do as a node: ``python -m workers.doctor [--master]``.

The settings come from the environment; ``--master`` says that they name a master to ask. Prints
one JSON object: ``{"can_work", "checks": [{"name", "status", "detail"}], "devices", "gpus",
"encoders", "decoders"}``, the last three as a registration has them. Nothing is taken from an
earlier look.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ffrtmp.config import ClientTls, WorkerSettings
from ffrtmp.domain.device import Device
from workers.box.box import Box
from workers.checks import (
    Check,
    Status,
    check_box,
    check_broker,
    check_folder,
    check_limits,
    check_master,
)
from workers.errors import EXIT_FAILED, AgentError
from workers.ffmpeg.binary import FfmpegMissing, find_ffmpeg, version
from workers.gstreamer.found import Absent
from workers.hardware import host
from workers.hardware.devices import FoundDevices, found_devices
from workers.hardware.gpus import Gpu, find_gpus
from workers.limits.means import find_means
from workers.node import box_of, cpu_slots, encoder_threads, places, state_folder


def main(arguments: Sequence[str]) -> int:
    """Print the findings; 0 whatever they are."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    try:
        settings = WorkerSettings.from_environment(os.environ)
    except ValidationError as error:
        print(f"error: the settings are wrong: {error}", file=sys.stderr)
        return EXIT_FAILED
    json.dump(findings(settings, is_master_named="--master" in arguments), sys.stdout)
    return 0


def findings(settings: WorkerSettings, *, is_master_named: bool) -> dict[str, Any]:
    """All that was looked at, JSON-able; the host can work where no check failed."""
    gpus = find_gpus() if settings.gpu_slots else ()
    try:
        ffmpeg = find_ffmpeg(settings.ffmpeg)
        box = box_of(settings, ffmpeg)
        found = _look(ffmpeg, settings, gpus, box)
        seen = [
            _ffmpeg(ffmpeg),
            check_box(box),
            _encoders(found),
            _gstreamer(found),
            *_devices(settings, found),
        ]
        facts = found.facts()
        devices = [asdict(device) for device in found.devices]
    except FfmpegMissing as missing:
        seen = [Check(name="ffmpeg", status=Status.FAILED, detail=str(missing))]
        facts, devices = _nothing(gpus), []
    except AgentError as error:
        seen = [Check(name="box", status=Status.FAILED, detail=str(error))]
        facts, devices = _nothing(gpus), []
    checks = [
        *seen,
        check_folder("state folder", state_folder(settings)),
        check_folder("work folder", places(settings).output_folder),
        check_master(settings, is_named=is_master_named),
        *_certificates(settings.tls),
        check_broker(settings),
        check_limits(find_means(f"ffrtmp-doctor-{os.getpid()}")),
    ]
    can_work = all(check.status is not Status.FAILED for check in checks)
    plain = [asdict(check) for check in checks]
    return {"can_work": can_work, "checks": plain, "devices": devices, **facts}


def _nothing(gpus: Sequence[Gpu]) -> dict[str, Any]:
    return {"gpus": [gpu.facts() for gpu in gpus], "encoders": [], "decoders": []}


def _look(ffmpeg: Path, settings: WorkerSettings, gpus: Sequence[Gpu], box: Box) -> FoundDevices:
    slots = cpu_slots(settings.slots, host.usable_cores())
    return found_devices(ffmpeg, gpus=gpus, cpu_slots=slots, gpu_slots=settings.gpu_slots, box=box)


def _ffmpeg(ffmpeg: Path) -> Check:
    return Check(name="ffmpeg", status=Status.OK, detail=f"{ffmpeg}: version {version(ffmpeg)}")


def _encoders(found: FoundDevices) -> Check:
    works = sum(trial.works for trial in found.trials)
    status = Status.OK if works else Status.FAILED
    detail = f"{works} of {len(found.trials)} tests passed"
    return Check(name="encoders", status=status, detail=detail)


def _certificates(tls: ClientTls) -> Sequence[Check]:
    if not (tls.cert or tls.ca):
        return ()
    # What reads certificates is heavy.
    from workers.certificates import check_certificates

    return [check_certificates(tls, now=datetime.now(UTC))]


def _gstreamer(found: FoundDevices) -> Check:
    if isinstance(found.gstreamer, Absent):
        detail = f"no streams with it: {found.gstreamer.reason}"
        return Check(name="gstreamer", status=Status.SKIPPED, detail=detail)
    detail = f"publishes with {found.gstreamer.aac}, by {found.gstreamer.python}"
    return Check(name="gstreamer", status=Status.OK, detail=detail)


def _devices(settings: WorkerSettings, found: FoundDevices) -> Iterator[Check]:
    cores = host.usable_cores()
    threads = encoder_threads(sum(device.slots for device in found.devices), cores)
    slots = found.devices[0].slots
    cpu = f"{host.cpu_name()}, cores: {cores}, slots: {slots}, encoder threads of each: {threads}"
    yield Check(name="cpu", status=Status.OK, detail=cpu)
    devices = {device.id: device for device in found.devices}
    for gpu, facts in zip(found.gpus, found.facts()["gpus"], strict=False):
        yield _gpu(gpu, devices.get(gpu.id), facts["reason"])
    if not settings.gpu_slots:
        yield Check(name="gpus", status=Status.SKIPPED, detail="gpu_slots is 0")
    elif not found.gpus:
        yield Check(name="gpus", status=Status.SKIPPED, detail="none found")


def _gpu(gpu: Gpu, device: Device | None, reason: str | None) -> Check:
    what = f"{gpu.name}, driver {gpu.driver or 'unknown'}"
    if device is None:
        detail = f"{what}: no encoder works: {reason}"
        return Check(name=gpu.id, status=Status.UNUSED, detail=detail)
    return Check(name=gpu.id, status=Status.OK, detail=f"{what}, slots: {device.slots}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
