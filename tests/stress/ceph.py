"""A Ceph cluster of one monitor, one OSD in memory and a gateway, for tests of object stores.

Needs Debian's packages `ceph-mon`, `ceph-osd`, `ceph-common` and `radosgw`.
"""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "radosgw", "radosgw-admin", "monmaptool")

_KEY = "testing"
_READY_S = 120

_CONFIG = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon}/0
ms bind msgr1 = false
ms mon client mode = crc
ms client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 2147483648
mon allow pool size one = true
mon data = {folder}/mon
osd data = {folder}/osd
run dir = {folder}
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
admin socket = {folder}/$name.$pid.asok
keyring = {folder}/keyring
rgw data = {folder}/rgw
rgw enable usage log = false
rgw frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
"""


def missing() -> list[str]:
    """Return the programs that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextmanager
def serving_ceph(folder: Path) -> Iterator[dict[str, str]]:
    """Run the cluster, whose files are in `folder`, and yield the storage options for it."""
    mon, gateway = _free_port(), _free_port()
    fsid, osd = str(uuid4()), str(uuid4())
    config = folder / "ceph.conf"
    config.write_text(_CONFIG.format(fsid=fsid, mon=mon, gateway=gateway, folder=folder))
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    processes: list[subprocess.Popen[bytes]] = []

    def run(*command: str) -> None:
        done = subprocess.run(
            [command[0], "-c", str(config), *command[1:]],
            capture_output=True,
            text=True,
            timeout=_READY_S,
        )
        assert done.returncode == 0, f"{command}: {done.stderr[-2_000:]}"

    def start(*command: str) -> None:
        with (folder / f"{command[0]}.out").open("wb") as out:
            processes.append(
                subprocess.Popen([*command, "-c", str(config), "-f"], stdout=out, stderr=out)
            )

    try:
        map_file = str(folder / "monmap")
        address = f"[v2:127.0.0.1:{mon}]"
        run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, map_file)
        run("ceph-mon", "--mkfs", "-i", "a", "--monmap", map_file)
        start("ceph-mon", "-i", "a")
        run("ceph", "--connect-timeout", "60", "osd", "new", osd)
        run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        start("ceph-osd", "-i", "0")
        start("radosgw", "-n", "client.rgw")
        _wait(gateway, processes, folder)
        keys = ("--access-key", _KEY, "--secret-key", _KEY)
        run("radosgw-admin", "user", "create", "--uid", "test", "--display-name", "test", *keys)
        yield {
            "aws_endpoint": f"http://127.0.0.1:{gateway}",
            "aws_access_key_id": _KEY,
            "aws_secret_access_key": _KEY,
            "aws_region": "us-east-1",
            "allow_http": "true",
        }
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def _wait(port: int, processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        ended = [process.args for process in processes if process.poll() is not None]
        assert not ended, f"{ended} ended; see {folder}"
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            if connection.getresponse().status < 500:
                return
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"the gateway of Ceph did not start; see {folder}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
