"""What GPUs decode, found by decoding, scaling and encoding on them."""

from collections.abc import Collection
from pathlib import Path

import pytest

from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.retry import FailureClass
from tests.gpus.hosts import Host
from tests.gpus.test_encoders import INTEL, intel, look, nvidia
from tests.media.specs import FFMPEG, run
from workers.ffmpeg.failures import classify
from workers.ffmpeg.probe import probe
from workers.ffmpeg.target import Coded, Target
from workers.hardware.decoders import (
    KINDS,
    Decode,
    decode_command,
    decodes_of,
    sample,
    try_decoders,
)
from workers.hardware.trial import Encode, Trial

NVENC = Target(hardware=Hardware.NVENC, address="0")
EIGHT = {"h264", "hevc", "av1", "vp9", "mpeg2video"}
TEN = {"hevc:10bit", "av1:10bit"}
ABSENT = (
    Target(hardware=Hardware.NVENC, address="9"),
    Target(hardware=Hardware.QSV, address="/dev/dri/absent"),
    Target(hardware=Hardware.VAAPI, address="/dev/dri/absent"),
)


def encodes(*, is_ten_bit: bool = False, works: bool = True, target: Target = NVENC) -> Trial:
    encode = Encode(device="gpu0", target=target, codec=Codec.HEVC, is_ten_bit=is_ten_bit)
    return Trial(encode=encode, works=works)


def named(decodes: Collection[Coded]) -> set[str]:
    return {str(coded) for coded in decodes}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


@pytest.mark.parametrize("coded", KINDS, ids=str)
def test_sample_is_of_the_kind_that_it_is_named_for(coded: Coded) -> None:
    video = probe(str(sample(coded)), count_frames=True).video

    assert (video.codec, video.width, video.height, video.frames) == (coded.codec, 256, 192, 5)
    assert video.pixel_format == ("yuv420p" if coded.bit_depth == 8 else "yuv420p10le")


def test_only_depths_that_a_gpu_encodes_are_tried_on_it_and_none_on_the_cpu() -> None:
    cpu = Trial(
        encode=Encode(device="cpu", target=Target(), codec=Codec.H264, is_ten_bit=False), works=True
    )
    trials = [cpu, encodes(), encodes(is_ten_bit=True, works=False)]

    assert named({decode.coded for decode in decodes_of(trials)}) == EIGHT
    assert {decode.device for decode in decodes_of(trials)} == {"gpu0"}
    assert decodes_of([cpu, encodes(works=False)]) == ()


def test_working_gpu_decodes_all_of_it_in_each_way_it_is_spoken_to(host: Host) -> None:
    host.behave(INTEL, "works")

    targets = look(host.ffmpeg, intel(0)).targets

    assert named(targets["gpu0"][Hardware.QSV].decodes) == EIGHT | TEN
    assert named(targets["gpu0"][Hardware.VAAPI].decodes) == EIGHT | TEN
    assert targets["cpu"][Hardware.CPU].decodes == frozenset()


def test_gpu_that_encodes_and_decodes_nothing_still_works_and_says_why(host: Host) -> None:
    host.add_nvidia("no_decoder")

    found = look(host.ffmpeg, nvidia(0))

    assert found.targets["gpu0"][Hardware.NVENC].decodes == frozenset()
    assert "nvenc:hevc" in found.devices[1].capabilities
    said = {fact["reason"] for fact in found.facts()["decoders"]}
    assert said == {"Hardware is lacking required capabilities"}


def test_kind_that_fails_alone_is_not_taken_for_the_others(tmp_path: Path) -> None:
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(
        f'#!/bin/sh\ncase "$*" in *-hwaccel*/hevc-10.mkv*) exit 1;; *-hwaccel*) exit 0;; esac\n'
        f'exec {FFMPEG} "$@"\n'
    )
    ffmpeg.chmod(0o755)

    tried = try_decoders(ffmpeg, decodes_of([encodes(), encodes(is_ten_bit=True)]))

    works = {str(trial.decode.coded): trial.works for trial in tried}
    assert {name for name, worked in works.items() if not worked} == {"hevc:10bit"}
    assert works.keys() == EIGHT | TEN


def test_hanging_decoder_gets_one_test(tmp_path: Path) -> None:
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(
        f'#!/bin/sh\ncase "$*" in *-hwaccel*) exec sleep 60;; esac\nexec {FFMPEG} "$@"\n'
    )
    ffmpeg.chmod(0o755)

    tried = try_decoders(ffmpeg, decodes_of([encodes()])[:3], try_seconds=2, total_seconds=60)

    assert [trial.reason for trial in tried] == [
        "took longer than 2 s",
        "not tried: h264 hung",
        "not tried: h264 hung",
    ]


def test_what_decoded_before_is_not_tried_again_and_what_did_not_is(
    host: Host, tmp_path: Path
) -> None:
    host.add_nvidia("no_decoder")
    look(host.ffmpeg, nvidia(0), cache=tmp_path)
    host.take_encodes()
    host.behave("0", "works")
    first = look(host.ffmpeg, nvidia(0), cache=tmp_path)
    tried = host.take_encodes()
    second = look(host.ffmpeg, nvidia(0), cache=tmp_path)

    assert len([line for line in tried if "-hwaccel" in line]) == len(EIGHT | TEN)
    assert host.take_encodes() == []
    assert named(first.targets["gpu0"][Hardware.NVENC].decodes) == EIGHT | TEN
    assert second == first


@pytest.mark.parametrize("target", ABSENT, ids=lambda target: target.hardware)
def test_real_ffmpeg_fails_for_want_of_the_device_alone(target: Target) -> None:
    decode = Decode(device="gpu0", target=target, coded=KINDS[0], codec=Codec.H264)

    end, log = run(decode_command(FFMPEG, decode))

    found = classify(exit_code=end.exit_code, signal=end.signal, stderr=log)
    assert found.failure_class is FailureClass.HARDWARE, log
