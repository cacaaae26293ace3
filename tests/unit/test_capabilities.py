"""Which requirements a set of working encoders meets."""

from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.placement import capabilities


def test_software_encoder_meets_its_own_and_any_hardware() -> None:
    assert capabilities([(Hardware.CPU, Codec.H264)]) == ("auto:h264", "cpu:h264")


def test_hardware_encoder_also_meets_any_gpu() -> None:
    met = capabilities([(Hardware.NVENC, Codec.HEVC), (Hardware.VAAPI, Codec.HEVC)])

    assert met == ("auto:hevc", "gpu:hevc", "nvenc:hevc", "vaapi:hevc")


def test_encoders_of_10_bit_pictures_meet_requirements_that_say_so() -> None:
    met = capabilities([(Hardware.NVENC, Codec.H264)], ten_bit=[(Hardware.NVENC, Codec.HEVC)])

    assert met == (
        "auto:h264",
        "auto:hevc:10bit",
        "gpu:h264",
        "gpu:hevc:10bit",
        "nvenc:h264",
        "nvenc:hevc:10bit",
    )
