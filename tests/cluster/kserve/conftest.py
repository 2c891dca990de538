"""A played KServe controller in a namespace where the deployer has the rights of manifests/base/roles.yaml, no more."""

import importlib.util
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
NAMESPACE = f"rollouts-{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}"  # each worker plays a controller of its own


def load(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
    return sys.modules[name]


load("rollouts")  # test files import it


@pytest.fixture(scope="session")
def namespace():
    """The namespace of the rollouts."""
    return NAMESPACE


@pytest.fixture(scope="session")
def cluster_of(api_server, connect):
    """Our own client in the namespace of the rollouts, for a token and perhaps a proxy's URL."""
    from kubernetes import client

    from flywheel.components.cluster.client import Cluster
    from flywheel.components.cluster.patience import Patience

    core = client.CoreV1Api(connect("test-admin"))
    core.create_namespace({"metadata": {"name": NAMESPACE}})
    rbac = client.RbacAuthorizationV1Api(connect("test-admin"))
    for one in yaml.safe_load_all((HERE.parents[2] / "manifests" / "base" / "roles.yaml").read_text()):
        if one["metadata"]["name"] == "flywheel-deployer":
            make = rbac.create_namespaced_role if one["kind"] == "Role" else rbac.create_namespaced_role_binding
            make(NAMESPACE, one)

    def make_cluster(token, url="", seconds=10.0):
        def open_client():
            opened = connect(token)
            opened.configuration.host = url or opened.configuration.host
            return opened

        return Cluster(open_client, NAMESPACE, Patience(seconds=seconds, first=0.02, most=0.2))

    return make_cluster


@pytest.fixture(scope="session")
def kserve(cluster_of):
    """The controller."""
    with load("fake_kserve").running(cluster_of("test-admin"), NAMESPACE) as controller:
        yield controller


@pytest.fixture(scope="session")
def process(api_server, cluster_of):
    """Send commands to a process that forks for each rollout; see rollout_process.py."""
    command = [sys.executable, str(HERE / "rollout_process.py"), api_server, "flywheel-deployer", NAMESPACE]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as running:

        def send(*commands):
            whole = [{"work": "run", "kill": None, "verdicts": "aa"} | command for command in commands]
            running.stdin.write(json.dumps(whole) + "\n")
            running.stdin.flush()
            return json.loads(running.stdout.readline())

        yield send
        running.stdin.close()


@pytest.fixture
def make(kserve, cluster_of):
    """Create a service; deleted after the test."""
    from flywheel.components.cluster.resources import INFERENCE_SERVICES

    fake, admin = load("fake_kserve"), cluster_of("test-admin")
    names = []

    def create(mode="Standard", name="", **settings):
        names.append(name or f"s-{uuid.uuid4().hex[:8]}")
        admin.create(INFERENCE_SERVICES, fake.service(names[-1], mode, **settings))
        return names[-1]

    yield create
    for name in names:
        admin.delete(INFERENCE_SERVICES, name)


@pytest.fixture
def served(cluster_of):
    """Read a service."""
    from flywheel.components.cluster.resources import INFERENCE_SERVICES

    return lambda name: cluster_of("test-admin").get(INFERENCE_SERVICES, name)


@pytest.fixture
def change(cluster_of):
    """Change a service as an administrator does."""
    from flywheel.components.cluster.resources import INFERENCE_SERVICES

    return lambda name, body, manager="": cluster_of("test-admin").patch(
        INFERENCE_SERVICES, name, body, manager=manager
    )


@pytest.fixture
def roll(cluster_of):
    """Run a rollout in this process: `roll(service)` or with a cluster, an observer, a pace, a run id."""
    from flywheel.components.deployment.cluster.rollout_lease import guarded

    parts = load("rollout_process")

    def run(service, verdicts="aa", run_id="r1", cluster=None, observer=None, tell=lambda _: None, **pace):
        from dataclasses import replace

        machine, lease = parts.machine_for(
            cluster or cluster_of("flywheel-deployer"),
            service,
            run_id,
            "s3://models/candidate",
            observer or parts.Scripted(verdicts),
            tell,
            replace(parts.PACE, **pace),
        )
        guarded(machine, lease, machine.run, tell)
        return machine.state.rollout

    return run


@pytest.fixture
def proxy_faults(proxy):
    fault = sys.modules["faulty_proxy"].Fault

    def add(when, **what):
        proxy.faults.append(fault(when, **what))

    return add
