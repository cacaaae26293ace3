"""What lies at an output's place on S3 is noticed before anything is encoded."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.retry import FailureClass
from tests.integration import s3
from tests.integration.s3 import BUCKET, S3Service
from tests.unit.test_agent_files import claim_of
from workers.errors import AttemptFailed
from workers.remote.items import Whole
from workers.remote.stores import Stores
from workers.staging import Places, stage

URL = f"s3://{BUCKET}/new/a.mp4"
module_service = s3.module_service
service = s3.service


def staged_adoption(
    tmp_path: Path, service: S3Service, *, output: str, is_folder: bool = False, **about: Any
) -> Whole | None:
    claim = claim_of(**about)
    spec = dataclasses.replace(claim.spec, output=output, makes_folder=is_folder)
    found = stage(
        claim.model_copy(update={"spec": spec}),
        Places(output_folder=tmp_path / "out"),
        Stores(s3=service.near),
    )
    found.folder.close()
    assert found.shown == output
    return found.adopted


def test_taken_object_or_folder_is_noticed_before_the_encode(
    tmp_path: Path, service: S3Service
) -> None:
    service.store("ladder/720p.mp4", b"foreign")

    for output, is_folder in (("ladder/720p.mp4", False), ("ladder", True)):
        with pytest.raises(AttemptFailed) as caught:
            staged_adoption(
                tmp_path, service, output=f"s3://{BUCKET}/{output}", is_folder=is_folder
            )
        assert caught.value.failure_class is FailureClass.OUTPUT_EXISTS
    assert staged_adoption(tmp_path, service, output=f"s3://{BUCKET}/lad", is_folder=True) is None


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_an_earlier_attempt_stored_is_adopted(
    tmp_path: Path, service: S3Service, is_folder: bool
) -> None:
    metadata = {"output-sha256": "f" * 64, "output-size": "15"}
    service.store("ladder/master.m3u8", b"#EXTM3U", Metadata=metadata)
    output = "ladder" if is_folder else "ladder/master.m3u8"

    adopted = staged_adoption(
        tmp_path,
        service,
        output=f"s3://{BUCKET}/{output}",
        is_folder=is_folder,
        committed=["f" * 64],
    )

    assert adopted == Whole(sha256="f" * 64, size=15)


def test_store_that_is_away_is_noticed_before_the_encode(
    tmp_path: Path, service: S3Service
) -> None:
    service.proxy.cut()

    with pytest.raises(AttemptFailed) as caught:
        staged_adoption(tmp_path, service, output=URL)

    assert caught.value.failure_class is FailureClass.CONNECTION
