"""A real kube-apiserver and etcd for tests, from the folder that KUBEBUILDER_ASSETS names."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"
ADMIN = "test-admin"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ACCOUNTS = ("flywheel-steps", "flywheel-launcher", "flywheel-deployer", "flywheel-gitops")


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

    urllib3.disable_warnings()
    home = tmp_path_factory.mktemp("cluster")
    etcd, peer, secure = free_port(), free_port(), free_port()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    (home / "sa.key").write_bytes(key.private_bytes(*pem))
    lines = [f'{ADMIN},admin,admin,"system:masters"']
    for name in ACCOUNTS:
        namespace = "flux-system" if name == "flywheel-gitops" else "flywheel"
        groups = f"system:serviceaccounts,system:serviceaccounts:{namespace}"
        lines.append(f'{name},system:serviceaccount:{namespace}:{name},{name},"{groups}"')
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
        for path in sorted((SHARED / "crds").glob("*.json")):
            assert _raw(admin, "POST", CRDS, path.read_bytes())[0] == 201, path
        _wait_established(admin)
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


def load(name: str):
    """Import a module that lies beside the tests."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def proxy_class():
    """The class FaultyProxy, for tests that put faults between a client and the API server."""
    return load("faulty_proxy").FaultyProxy


@pytest.fixture
def proxy(api_server, proxy_class):
    """A proxy in front of the API server; `proxy.faults` makes things go wrong."""
    made = proxy_class(api_server)
    yield made
    made.close()


@pytest.fixture
def kubeconfig(tmp_path):
    """Write a kubeconfig for a URL and a token (kept in a file of its own, so that it can be renewed)."""

    def write(url: str, token: str, namespace: str = "flywheel") -> Path:
        (tmp_path / "token").write_text(token)
        cluster = {"server": url} | ({"insecure-skip-tls-verify": True} if url.startswith("https") else {})
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"tokenFile": str(tmp_path / "token")}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
            "current-context": "x",
        }
        path = tmp_path / "kubeconfig.json"
        path.write_text(json.dumps(document))
        return path

    return write


@pytest.fixture(scope="session")
def trainjobs(api_server, cluster_for, proxy_class, tmp_path_factory):
    """A namespace to launch TrainJobs in (trainjob_bench.py)."""
    load("fake_trainer")
    admin = cluster_for("test-admin", namespace="train")
    return load("trainjob_bench").TrainJobs(admin, cluster_for, lambda: proxy_class(api_server), tmp_path_factory)


@pytest.fixture(scope="session")
def cluster_for(api_server):
    """Our own client (components/cluster) for a token, optionally through another URL such as a proxy's."""

    def make(token: str, url: str = "", namespace: str = "flywheel", seconds: float = 5.0):
        from flywheel.components.cluster.client import Cluster
        from flywheel.components.cluster.patience import Patience

        patience = Patience(seconds=seconds, first=0.05, most=0.3)
        return Cluster(lambda: client_for(url or api_server, token), namespace, patience)

    return make


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


def _raw(admin, method: str, path: str, body: bytes | None = None):
    """Ask without the client's models: turning large CRDs into Python objects takes most of a minute."""
    headers = {"Content-Type": "application/json"}
    admin.update_params_for_auth(headers, [], ["BearerToken"])
    answer = admin.rest_client.pool_manager.request(method, admin.configuration.host + path, body=body, headers=headers)
    return answer.status, json.loads(answer.data)


def _wait_established(admin) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = _raw(admin, "GET", CRDS)[1]["items"]
        states = [
            {c["type"]: c["status"] for c in one["status"].get("conditions") or []}.get("Established") for one in found
        ]
        if found and all(state == "True" for state in states):
            return
        time.sleep(0.2)
    pytest.fail("the CRDs were not established in 60 s")
