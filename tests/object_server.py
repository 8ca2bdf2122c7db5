"""An S3 of the test's own, on loopback."""

import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from moto.server import ThreadedMotoServer


@dataclass(frozen=True)
class Bucket:
    """An empty bucket, and what one needs to know to use it."""

    url: str
    options: dict[str, str]


@contextmanager
def s3_bucket(called: str | None = None) -> Iterator[Bucket]:
    """Of this name, or of any. The server ends with it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint, name = f"http://{host}:{port}", called or f"b{uuid.uuid4().hex}"
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT"), timeout=30).close()
        login = {"access_key_id": "me", "secret_access_key": "secret", "region": "us-east-1"}
        yield Bucket(f"s3://{name}/some/prefix", {"endpoint": endpoint, **login})
    finally:
        server.stop()
