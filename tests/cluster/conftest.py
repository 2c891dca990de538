"""A real kube-apiserver and etcd for tests, from the folder that KUBEBUILDER_ASSETS names."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"
ADMIN = "test-admin"
ACCOUNTS = ("flywheel-steps", "flywheel-launcher", "flywheel-deployer")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def client_for(url: str, token: str):
    from kubernetes import client

    configuration = client.Configuration(host=url)
    configuration.verify_ssl = False
    configuration.api_key = {"authorization": f"Bearer {token}"}
    return client.ApiClient(configuration)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory):
    """URL of a fresh API server with the project's CRDs."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    if not (Path(assets) / "kube-apiserver").is_file() or not (SHARED / "crds").is_dir():
        pytest.skip("no API server: set KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd (.ci/run does)")
    import urllib3
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from kubernetes import client, utils

    urllib3.disable_warnings()
    home = tmp_path_factory.mktemp("cluster")
    etcd, peer, secure = free_port(), free_port(), free_port()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    (home / "sa.key").write_bytes(key.private_bytes(*pem))
    lines = [f'{ADMIN},admin,admin,"system:masters"']
    for name in ACCOUNTS:
        groups = "system:serviceaccounts,system:serviceaccounts:flywheel"
        lines.append(f'{name},system:serviceaccount:flywheel:{name},{name},"{groups}"')
    (home / "tokens.csv").write_text("\n".join(lines) + "\n")
    commands = [
        [
            f"{assets}/etcd",
            "--data-dir",
            home / "etcd",
            "--listen-client-urls",
            f"http://127.0.0.1:{etcd}",
            "--advertise-client-urls",
            f"http://127.0.0.1:{etcd}",
            "--listen-peer-urls",
            f"http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        ],
        [
            f"{assets}/kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            f"--secure-port={secure}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={home / 'certs'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={home / 'sa.key'}",
            f"--service-account-signing-key-file={home / 'sa.key'}",
            f"--token-auth-file={home / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--allow-privileged=true",
            "--disable-admission-plugins=ServiceAccount",
        ],
    ]
    log = (home / "log").open("wb")
    processes = [
        subprocess.Popen([str(word) for word in one], stdout=log, stderr=log, start_new_session=True)
        for one in commands
    ]
    url = f"https://127.0.0.1:{secure}"
    try:
        admin = client_for(url, ADMIN)
        _wait_ready(admin, home / "log")
        extensions = client.ApiextensionsV1Api(admin)
        for path in sorted((SHARED / "crds").glob("*.json")):
            utils.create_from_dict(admin, json.loads(path.read_text()))
        _wait_established(extensions)
        yield url
    finally:
        for process in reversed(processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


@pytest.fixture(scope="session")
def connect(api_server):
    """A client of the API server for a token: `test-admin` or the name of a service account."""
    return lambda token: client_for(api_server, token)


def _wait_ready(admin, log: Path) -> None:
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if admin.call_api("/readyz", "GET", _preload_content=False)[1] == 200:
                return
        except (ApiException, HTTPError):
            time.sleep(0.2)
    pytest.fail(f"the API server did not become ready: {log.read_text(errors='replace')[-1500:]}")


def _wait_established(extensions) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = extensions.list_custom_resource_definition().items
        states = [{c.type: c.status for c in one.status.conditions or []}.get("Established") for one in found]
        if found and all(state == "True" for state in states):
            return
        time.sleep(0.2)
    pytest.fail("the CRDs were not established in 60 s")
