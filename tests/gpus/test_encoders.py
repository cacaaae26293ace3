"""What devices can encode, found by encoding."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.schemas import NodeRegistration
from tests.gpus.hosts import Host
from tests.media.specs import FFMPEG
from workers.ffmpeg.target import CPU, Target
from workers.hardware.decoders import KINDS
from workers.hardware.devices import FoundDevices, found_devices, working_pairs
from workers.hardware.encoders import try_encoders
from workers.hardware.gpus import Gpu
from workers.hardware.trial import Encode, Trial, try_command

SOFTWARE = {(Hardware.CPU, codec) for codec in Codec}
INTEL = "/dev/dri/renderD128"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def nvidia(index: int, *, driver: str = "570.86.15") -> Gpu:
    return Gpu(
        id=f"gpu{index}",
        name="NVIDIA L4",
        targets=(Target(hardware=Hardware.NVENC, address=str(index)),),
        driver=driver,
        uuid=f"GPU-{index}",
        memory_bytes=24 << 30,
    )


def intel(index: int) -> Gpu:
    families = (Hardware.QSV, Hardware.VAAPI)
    targets = tuple(Target(hardware=family, address=INTEL) for family in families)
    return Gpu(id=f"gpu{index}", name="Intel GPU 56a0", targets=targets)


def look(ffmpeg: Path, *gpus: Gpu, cache: Path | None = None) -> FoundDevices:
    return found_devices(ffmpeg, gpus=gpus, cpu_slots=3, gpu_slots=2, cache_folder=cache)


def reasons(trials: tuple[Trial, ...], device: str) -> set[str | None]:
    return {trial.reason for trial in trials if trial.encode.device == device}


def test_software_encoders_all_work_at_8_and_10_bits_within_three_seconds() -> None:
    started = time.monotonic()
    found = look(FFMPEG)

    assert time.monotonic() - started < 3
    assert working_pairs(found.trials) == SOFTWARE
    assert working_pairs(found.trials, is_ten_bit=True) == SOFTWARE
    assert [(device.id, device.slots) for device in found.devices] == [("cpu", 3)]
    assert {"cpu:av1", "auto:hevc:10bit"} <= set(found.devices[0].capabilities)
    assert found.targets == {"cpu": {Hardware.CPU: CPU}}


def test_encoder_built_for_8_bits_is_not_taken_for_one_of_10(tmp_path: Path) -> None:
    # libopenh264 knows no other pixels; ffmpeg converts for it, unless that is refused.
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(
        f'#!/bin/sh\nfor a; do shift; [ "$a" = libx264 ] && a=libopenh264\n'
        f'set -- "$@" "$a"; done\nexec {FFMPEG} "$@"\n'
    )
    ffmpeg.chmod(0o755)

    trials = try_encoders(ffmpeg, {"cpu": (CPU,)})

    h264 = {t.encode.is_ten_bit: t.works for t in trials if t.encode.codec is Codec.H264}
    assert h264 == {False: True, True: False}


def test_gpu_without_encoder_is_no_device_but_is_reported_with_its_reason(host: Host) -> None:
    host.add_nvidia("works")
    host.add_nvidia("no_encoder", name="NVIDIA H100")

    found = look(host.ffmpeg, nvidia(0), nvidia(1))

    assert [(device.id, device.slots) for device in found.devices] == [("cpu", 3), ("gpu0", 2)]
    assert found.devices[1].capabilities == tuple(
        sorted(
            f"{family}:{codec}{depth}"
            for family in ("auto", "gpu", "nvenc")
            for codec in ("av1", "h264", "hevc")
            for depth in ("", ":10bit")
        )
    )
    target = found.targets["gpu0"][Hardware.NVENC]
    assert replace(target, decodes=frozenset()) == nvidia(0).targets[0]
    first, second = found.facts()["gpus"]
    assert first["encoders"] == ["av1_nvenc", "h264_nvenc", "hevc_nvenc"]
    assert second["encoders"] == []
    assert "unsupported device" in second["reason"]
    assert "gpu1" not in found.targets


def test_codec_that_a_gpu_lacks_is_not_promised_while_its_others_are(host: Host) -> None:
    host.add_nvidia({"fail_codecs": ["av1"]})

    found = look(host.ffmpeg, nvidia(0))

    assert "nvenc:av1" not in found.devices[1].capabilities
    assert "nvenc:hevc" in found.devices[1].capabilities
    assert any("Codec not supported" in (reason or "") for reason in reasons(found.trials, "gpu0"))


def test_gpu_that_encodes_8_bits_only_promises_no_more(host: Host) -> None:
    host.add_nvidia("eight_bit")

    found = look(host.ffmpeg, nvidia(0))

    assert [c for c in found.devices[1].capabilities if "10bit" in c] == []
    assert {"nvenc:h264", "gpu:hevc"} <= set(found.devices[1].capabilities)
    assert any("10 bit encode not" in (reason or "") for reason in reasons(found.trials, "gpu0"))


def test_intel_gpu_is_tried_in_both_ways_and_both_targets_are_kept(host: Host) -> None:
    host.behave(INTEL, "works")

    found = look(host.ffmpeg, intel(0))

    assert {"qsv:vp9", "vaapi:h264", "gpu:av1"} <= set(found.devices[1].capabilities)
    assert set(found.targets["gpu0"]) == {Hardware.QSV, Hardware.VAAPI}


def test_ffmpeg_without_nvenc_is_not_asked_to_use_it(tmp_path: Path) -> None:
    host = Host(tmp_path / "host", missing_encoders=("nvenc",))
    host.add_nvidia("works")

    found = look(host.ffmpeg, nvidia(0))

    assert [device.id for device in found.devices] == ["cpu"]
    assert reasons(found.trials, "gpu0") == {"not in this ffmpeg"}
    assert not [line for line in host.take_encodes() if "nvenc" in line]


def test_driver_that_crashes_ffmpeg_is_a_reason_and_nothing_more(host: Host) -> None:
    host.add_nvidia("crash")

    found = look(host.ffmpeg, nvidia(0))

    assert reasons(found.trials, "gpu0") == {"ffmpeg was ended by SIGSEGV"}


def test_hanging_encoder_gets_one_test_and_does_not_hold_up_other_gpus(host: Host) -> None:
    host.add_nvidia("hang")
    host.add_nvidia("hang")
    host.add_nvidia("works")
    gpus = {f"gpu{index}": nvidia(index).targets for index in range(3)}
    started = time.monotonic()

    trials = try_encoders(host.ffmpeg, gpus, try_seconds=3)

    assert time.monotonic() - started < 5.5
    assert reasons(trials, "gpu0") == {"took longer than 3 s", "not tried: h264_nvenc hung"}
    assert reasons(trials, "gpu2") == {None}
    assert len([line for line in host.take_encodes() if "-gpu 0" in line]) == 1


def test_looking_at_all_ends_within_its_bound_whatever_hangs(host: Host) -> None:
    host.add_nvidia("hang")
    host.behave(INTEL, "hang")
    devices = {"cpu": (CPU,), "gpu0": nvidia(0).targets, "gpu1": intel(1).targets}
    started = time.monotonic()

    trials = try_encoders(host.ffmpeg, devices, total_seconds=2)

    assert time.monotonic() - started < 5
    assert working_pairs(trials) == SOFTWARE
    assert "not tried: earlier tests took too long" in reasons(trials, "gpu1")


def test_gpu_that_allows_one_session_passes_all_its_tests(host: Host) -> None:
    host.add_nvidia("one_session")

    assert reasons(look(host.ffmpeg, nvidia(0)).trials, "gpu0") == {None}


def test_second_look_tries_nothing_that_worked(host: Host, tmp_path: Path) -> None:
    host.add_nvidia("works")
    first = look(host.ffmpeg, nvidia(0), cache=tmp_path)
    tried = host.take_encodes()
    second = look(host.ffmpeg, nvidia(0), cache=tmp_path)

    assert len(tried) == 14 + len(KINDS)
    assert host.take_encodes() == []
    assert second == first


def test_what_did_not_work_is_tried_again_at_each_start(host: Host, tmp_path: Path) -> None:
    host.add_nvidia({"fail_codecs": ["av1"]})
    look(host.ffmpeg, nvidia(0), cache=tmp_path)
    host.take_encodes()
    host.behave("0", "works")

    found = look(host.ffmpeg, nvidia(0), cache=tmp_path)

    assert len(host.take_encodes()) == 2, "the decoders were known"
    assert "nvenc:av1:10bit" in found.devices[1].capabilities


def test_new_driver_is_tried_anew_and_the_cpu_is_not(host: Host, tmp_path: Path) -> None:
    host.add_nvidia("works")
    look(host.ffmpeg, nvidia(0), cache=tmp_path)
    host.take_encodes()
    host.behave("0", "no_encoder")

    found = look(host.ffmpeg, nvidia(0, driver="580.10"), cache=tmp_path)

    assert {"-gpu 0" in line for line in host.take_encodes()} == {True}
    assert [device.id for device in found.devices] == ["cpu"]


def test_other_ffmpeg_is_tried_anew_on_everything(host: Host, tmp_path: Path) -> None:
    host.add_nvidia("works")
    look(host.ffmpeg, nvidia(0), cache=tmp_path)
    before = len(host.take_encodes())
    host.ffmpeg.write_text(host.ffmpeg.read_text() + "# built anew\n")

    look(host.ffmpeg, nvidia(0), cache=tmp_path)

    assert len(host.take_encodes()) == before


@pytest.mark.parametrize("content", ["", "[]", '{"ffmpeg": 1}', '{"works": 3}', '{"ffmpeg": {}}'])
def test_broken_cache_only_costs_time(tmp_path: Path, content: str) -> None:
    (tmp_path / "encoders.json").write_text(content)

    assert working_pairs(look(FFMPEG, cache=tmp_path).trials) == SOFTWARE
    assert len(json.loads((tmp_path / "encoders.json").read_text())["works"]) == 8


def test_cache_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert working_pairs(look(FFMPEG, cache=tmp_path / "file" / "state").trials) == SOFTWARE


def test_facts_of_a_host_full_of_gpus_fit_a_registration(host: Host) -> None:
    for _ in range(16):
        host.add_nvidia("no_encoder")
    found = look(host.ffmpeg, *(nvidia(index) for index in range(16)))

    body = NodeRegistration(address="big", hardware=found.facts())

    assert len(json.loads(body.model_dump_json())["hardware"]["gpus"]) == 16
    assert len(body.model_dump_json()) < 100_000


def test_test_encode_is_asked_for_as_a_job_asks_its_device() -> None:
    target = Target(hardware=Hardware.VAAPI, address=INTEL)
    encode = Encode(device="gpu0", target=target, codec=Codec.HEVC, is_ten_bit=True)

    command = " ".join(try_command(Path("/ffmpeg"), encode))

    assert f"-vaapi_device {INTEL} -f lavfi" in command
    assert "format=p010le,hwupload -c:v hevc_vaapi -f null -" in command
