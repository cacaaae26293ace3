"""An S3 service of one's own: moto's server, behind a proxy that can be cut."""

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
from moto.server import ThreadedMotoServer

from tests.chaos.proxy import Proxy
from workers.remote.s3 import S3Access

BUCKET: Final = "films"
SECRET: Final = "the-secret-of-this-account"
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "the-id-of-this-account",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class S3Service:
    """``near`` is how nodes reach it, through ``proxy``; tests look in by ``client``."""

    def __init__(self, port: int) -> None:
        self.proxy = Proxy(port)
        self.near = S3Access(endpoint=f"http://127.0.0.1:{self.proxy.port}", tries=1)
        self.client = S3Access(endpoint=f"http://127.0.0.1:{port}").client()

    def body(self, key: str) -> bytes:
        found: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return found

    def metadata(self, key: str) -> dict[str, str]:
        found: dict[str, str] = self.client.head_object(Bucket=BUCKET, Key=key)["Metadata"]
        return found

    def store(self, key: str, body: bytes, **known: Any) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body, **known)

    def names(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
        return [one["Key"] for one in listed]

    def uploads(self) -> list[str]:
        """Files that have been begun in parts and are not whole."""
        listed = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
        return [one["Key"] for one in listed]

    def empty(self) -> None:
        self.proxy.heal()
        for key in self.names():
            self.client.delete_object(Bucket=BUCKET, Key=key)
        for one in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
            self.client.abort_multipart_upload(
                Bucket=BUCKET, Key=one["Key"], UploadId=one["UploadId"]
            )


@contextlib.contextmanager
def s3_service() -> Iterator[S3Service]:
    """Runs until the end of the block, with its credentials in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        service = S3Service(server.get_host_and_port()[1])
        try:
            service.client.create_bucket(Bucket=BUCKET)
            yield service
        finally:
            service.client.close()
            service.proxy.close()
            server.stop()


@pytest.fixture(scope="module")
def module_service() -> Iterator[S3Service]:
    with s3_service() as running:
        yield running


@pytest.fixture
def service(module_service: S3Service) -> Iterator[S3Service]:
    yield module_service
    module_service.empty()
