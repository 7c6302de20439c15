"""An S3 server in this process, for tests of libraries in object stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

_KEY = "testing"


@contextmanager
def serving_buckets() -> Iterator[dict[str, str]]:
    """Run the server, and yield the storage options for it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "aws_endpoint": f"http://{host}:{port}",
            "aws_access_key_id": _KEY,
            "aws_secret_access_key": _KEY,
            "aws_region": "us-east-1",
            "allow_http": "true",
        }
    finally:
        server.stop()


def new_bucket(options: dict[str, str]) -> str:
    """Create a bucket, and return its address."""
    import boto3

    name = f"trawl-{uuid4().hex[:12]}"
    client = boto3.client(
        "s3",
        endpoint_url=options["aws_endpoint"],
        aws_access_key_id=_KEY,
        aws_secret_access_key=_KEY,
        region_name=options["aws_region"],
    )
    client.create_bucket(Bucket=name)
    return f"s3://{name}"
