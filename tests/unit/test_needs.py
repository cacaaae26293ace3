"""What a need says: the hardware, then the codec, then the depth of the pictures."""

import pytest

from ffrtmp.domain.device import CPU_DEVICE, Device, hardware_for
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.placement import GSTREAMER_NEED, asked_need, capabilities, on_cpu, takes_any

SHALLOW_QSV = Device(
    id="gpu0",
    name="",
    slots=1,
    capabilities=capabilities(
        [(Hardware.QSV, Codec.HEVC), (Hardware.VAAPI, Codec.HEVC)],
        ten_bit=[(Hardware.VAAPI, Codec.HEVC)],
    ),
)
CPU = Device(
    id=CPU_DEVICE,
    name="",
    slots=1,
    capabilities=capabilities([(Hardware.CPU, Codec.HEVC)], ten_bit=[(Hardware.CPU, Codec.HEVC)]),
)


@pytest.mark.parametrize("depth", ["", ":10bit"])
@pytest.mark.parametrize("family", [Hardware.NVENC, Hardware.QSV, Hardware.VAAPI])
def test_need_for_one_family_gets_it_at_any_depth(family: Hardware, depth: str) -> None:
    assert hardware_for(f"{family}:hevc{depth}", SHALLOW_QSV) is family


@pytest.mark.parametrize("wanted", ["auto", "gpu"])
def test_need_for_any_gpu_gets_the_first_family_that_encodes_at_its_depth(wanted: str) -> None:
    assert hardware_for(f"{wanted}:hevc", SHALLOW_QSV) is Hardware.QSV
    assert hardware_for(f"{wanted}:hevc:10bit", SHALLOW_QSV) is Hardware.VAAPI


@pytest.mark.parametrize("need", ["auto:hevc", "auto:hevc:10bit", "cpu:hevc:10bit"])
def test_cpu_encodes_in_software_at_any_depth(need: str) -> None:
    assert hardware_for(need, CPU) is Hardware.CPU


def test_need_keeps_codec_and_depth_when_its_hardware_changes() -> None:
    assert on_cpu("auto:hevc:10bit") == "cpu:hevc:10bit"
    assert asked_need(Hardware.AUTO, "cpu:hevc:10bit") == "auto:hevc:10bit"
    assert asked_need(Hardware.NVENC, "nvenc:h264") == "nvenc:h264"


@pytest.mark.parametrize("hardware", [Hardware.AUTO, Hardware.CPU])
def test_need_for_gstreamer_stays_one_and_is_the_cpus(hardware: Hardware) -> None:
    assert asked_need(hardware, GSTREAMER_NEED) == GSTREAMER_NEED
    assert hardware_for(GSTREAMER_NEED, CPU) is Hardware.CPU
    assert not takes_any(GSTREAMER_NEED)


def test_only_auto_takes_any_hardware_whatever_the_depth() -> None:
    taking = [need for need in ("auto:h264", "auto:hevc:10bit") if takes_any(need)]

    assert taking == ["auto:h264", "auto:hevc:10bit"]
    assert not any(takes_any(f"{one}:hevc:10bit") for one in Hardware if one is not Hardware.AUTO)
