"""Servers on this machine, each a process of its own, that DVC pushes to and pulls from."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

from version_example import run

HOST = "127.0.0.1"
SSH_SERVER = Path(__file__).parent / "ssh_server.py"


@dataclass
class Remote:
    """Where it is, the options a team shares in .dvc/config, and those each user keeps local."""

    url: str
    options: dict[str, str] = field(default_factory=dict)
    local_options: dict[str, str] = field(default_factory=dict)

    def use_in(self, folder: Path) -> None:
        """Make it the repository's default remote, as docs/versions.md says."""
        run(folder, "dvc", "remote", "add", "--force", "--default", "storage", self.url)
        for name, value in {"verify": "true", **self.options}.items():
            run(folder, "dvc", "remote", "modify", "storage", name, value)

    def sign_in(self, folder: Path) -> None:
        """Give this clone the user's own options."""
        for name, value in self.local_options.items():
            run(folder, "dvc", "remote", "modify", "--local", "storage", name, value)


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[Remote]:
    """moto's S3 server, with an empty bucket."""
    _need("moto", "flask", "dvc_s3", requirements="requirements-s3-server.txt")
    port = _free_port()
    with _server(port, sys.executable, "-m", "moto.server", "--host", HOST, "--port", str(port)):
        endpoint = f"http://{HOST}:{port}"
        bucket = urllib.request.Request(f"{endpoint}/overopt", method="PUT")
        urllib.request.urlopen(bucket, timeout=20).close()
        yield Remote(
            "s3://overopt/results",
            options={"endpointurl": endpoint, "region": "us-east-1"},
            local_options={"access_key_id": "somebody", "secret_access_key": "secret"},
        )


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[Remote]:
    """An SSH server that lets one key in and serves files."""
    _need("dvc_ssh", requirements="requirements-ssh.txt")
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    for name in ("host", "user"):
        key = str(folder / name)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    port = _free_port()
    keys = (str(folder / "host"), str(folder / "user.pub"))
    with _server(port, sys.executable, str(SSH_SERVER), HOST, str(port), *keys):
        yield Remote(
            f"ssh://somebody@{HOST}:{port}{folder}/storage",
            local_options={"keyfile": str(folder / "user")},
        )


def _need(*modules: str, requirements: str) -> None:
    if any(find_spec(module) is None for module in modules):
        pytest.skip(f"needs `pip install -r envs/{requirements}`")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def _server(port: int, *command: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    )
    try:
        deadline = time.monotonic() + 60
        while not _answers(port):
            assert process.poll() is None, f"{' '.join(command)} ended by itself"
            assert time.monotonic() < deadline, f"{' '.join(command)} does not answer"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
