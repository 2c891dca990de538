"""A real kube-apiserver and etcd for tests (api_server.py), from the folder that KUBEBUILDER_ASSETS names."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[3] / "shared"


def client_for(url: str, token: str):
    from kubernetes import client

    configuration = client.Configuration(host=url)
    configuration.verify_ssl = False
    configuration.api_key = {"authorization": f"Bearer {token}"}
    return client.ApiClient(configuration)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory):
    """URL of an API server with the project's CRDs; all workers of a run share one, which ends with the run."""
    assets = Path(os.environ.get("KUBEBUILDER_ASSETS", ""))
    if not (assets / "kube-apiserver").is_file() or not (SHARED / "crds").is_dir():
        pytest.skip("no API server: set KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd (.ci/run does)")
    import urllib3
    from filelock import FileLock

    urllib3.disable_warnings()
    worker = "PYTEST_XDIST_WORKER" in os.environ
    root = tmp_path_factory.getbasetemp()
    root, run = (root.parent, os.getppid()) if worker else (root, os.getpid())
    with FileLock(root / "api-server.lock"):
        known = root / "api-server.url"
        if not known.is_file():
            home = next(path for n in range(9) if not (path := root / f"api-server-{n}").exists())
            try:
                url = load("api_server").start(home, assets, SHARED / "crds", run)
            except load("api_server").NotReady as error:
                pytest.fail(f"the API server did not become ready: {error}")
            known.write_text(url)
        return known.read_text()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Let nobody take a CRD away from a test of another worker: who changes one waits for them (crd_lock.py)."""
    load("crd_lock").share()
    try:
        return (yield)
    finally:
        load("crd_lock").leave()


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
    bench = load("trainjob_bench")
    admin = cluster_for("test-admin", namespace=bench.SPACE)
    return bench.TrainJobs(admin, cluster_for, lambda: proxy_class(api_server), tmp_path_factory)


@pytest.fixture
def run(trainjobs, tmp_path):
    """Launch a job against a script; gives the launched (or the error), what was said, and the fake controller."""
    made = trainjobs.runner(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def space(request, connect):
    """A namespace of the test file's own, called after it."""
    from kubernetes import client

    name = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    client.CoreV1Api(connect("test-admin")).create_namespace({"metadata": {"name": name}})
    return name


@pytest.fixture
def admin(space, cluster_for):
    """An administrator's client in the test file's namespace."""
    return cluster_for("test-admin", namespace=space)


@pytest.fixture
def shaky(space, cluster_for, proxy):
    """A client behind the proxy, the proxy, and the class of its faults."""
    return cluster_for("test-admin", proxy.url, namespace=space, seconds=3.0), proxy, load("faulty_proxy").Fault


@pytest.fixture(scope="session")
def config_map():
    """Make a config map's body; `kind` labels it."""

    def make(name, kind="", **data):
        metadata = {"name": name} | ({"labels": {"kind": kind}} if kind else {})
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    return make


@pytest.fixture(scope="session")
def cluster_for(api_server):
    """Our own client (components/cluster) for a token, optionally through another URL such as a proxy's."""

    def make(token: str, url: str = "", namespace: str = "flywheel", seconds: float = 5.0):
        from flywheel.components.cluster.client import Cluster
        from flywheel.components.cluster.patience import Patience

        patience = Patience(seconds=seconds, first=0.05, most=0.3)
        return Cluster(lambda: client_for(url or api_server, token), namespace, patience)

    return make
