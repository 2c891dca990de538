"""A namespace to launch TrainJobs in, as the launcher's account, with faults and a played controller."""

import contextlib
import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import crd_lock
import fake_trainer
import yaml

from flywheel.components.cluster.errors import AlreadyExistsError, KindMissingError, NotFoundError
from flywheel.components.cluster.resources import PODS, TRAIN_JOBS, TRAINING_RUNTIMES, Resource
from flywheel.components.training.cluster import manifest
from flywheel.components.training.cluster.launcher import TrainJobBackend
from flywheel.components.training.cluster.settings import TrainingCluster
from flywheel.components.training.job import TrainingJob
from flywheel.components.training.weights import model_digest

SPACE = f"train-{os.environ.get('PYTEST_XDIST_WORKER', 'gw')}"  # each worker plays a controller of its own
MANIFESTS = Path(__file__).parents[2] / "manifests"
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")


class TrainJobs:
    """The namespace with our roles and runtime."""

    manifests = MANIFESTS

    def __init__(self, admin, cluster_for, new_proxy, root):
        self.admin, self.cluster_for, self.new_proxy, self.root = admin, cluster_for, new_proxy, root
        with contextlib.suppress(AlreadyExistsError):
            admin.ask(Resource("", "v1", "namespaces", "Namespace"), {"metadata": {"name": SPACE}})
        for one in yaml.safe_load_all((MANIFESTS / "base" / "roles.yaml").read_text()):
            admin.apply(ROLES if one["kind"] == "Role" else BINDINGS, one, "test")
        runtime = yaml.safe_load((MANIFESTS / "base" / "training_runtime.yaml").read_text())
        admin.apply(TRAINING_RUNTIMES, runtime, "test")
        self.runtime_image = manifest.runtime_image(runtime)
        self.space = SPACE

    def runner(self, folder: Path) -> "Runner":
        return Runner(self, folder)

    @contextlib.contextmanager
    def crd(self, change):
        """Replace the CRD of TrainJob by what `change` makes of it (None: by nothing) for a while."""
        name = f"{TRAIN_JOBS.plural}.{TRAIN_JOBS.group}"
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        stored = self.admin.read(path)
        clean = {
            "apiVersion": stored["apiVersion"],
            "kind": stored["kind"],
            "metadata": {"name": name, "annotations": stored["metadata"].get("annotations", {})},
            "spec": stored["spec"],
        }
        changed = change(json.loads(json.dumps(clean)))
        with crd_lock.alone():
            self._replace(name, path, changed)
            try:
                yield
            finally:
                self._replace(name, path, clean)

    def _replace(self, name, path, body):
        cluster_wide = Everywhere(self.admin)
        with contextlib.suppress(NotFoundError):
            cluster_wide.delete(name)
        self._until(lambda: cluster_wide.find(name) is None)
        if body is not None:
            self.admin.ask(CRDS, body)
        version = body["spec"]["versions"][0]["name"] if body else ""
        self._until(lambda: self._served() == ([version] if version else []))

    def _served(self):
        group = f"/apis/{TRAIN_JOBS.group}"
        versions = [one["version"] for one in self.admin.read(group)["versions"]]
        listed = {one: self.admin.read(f"{group}/{one}")["resources"] for one in versions}
        found = [one for one, kinds in listed.items() if any(kind["name"] == TRAIN_JOBS.plural for kind in kinds)]
        for one in found:  # discovery comes before the endpoint
            self.admin.list(Resource(TRAIN_JOBS.group, one, TRAIN_JOBS.plural, TRAIN_JOBS.kind))
        return found

    def _until(self, condition):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(KindMissingError):
                if condition():
                    return
            time.sleep(0.1)
        raise AssertionError("the CRD was not replaced in 30 s")


class Everywhere:
    """Objects without a namespace."""

    def __init__(self, cluster):
        self.cluster = cluster

    def find(self, name):
        try:
            return self.cluster.read(CRDS.path("", name))
        except NotFoundError:
            return None

    def delete(self, name):
        self.cluster._send("delete", "DELETE", CRDS, CRDS.path("", name), name, {}, None, "")


@dataclass
class Launch:
    """One launch, at work or ended."""

    said: list[str] = field(default_factory=list)
    launched: object = None
    error: Exception | None = None
    work: Path | None = None
    thread: threading.Thread | None = None

    def finish(self, seconds=60):
        self.thread.join(seconds)
        assert not self.thread.is_alive(), self.said
        return self


class Runner:
    """Launches one job of a test, again and again if it wants."""

    pods = PODS

    def __init__(self, bench: TrainJobs, folder: Path):
        self.bench, self.folder = bench, folder
        self.fake = SimpleNamespace(succeed=fake_trainer.succeed, hang=fake_trainer.hang)
        self.admin, self.runtime_image = bench.admin, bench.runtime_image
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.base = fake_trainer.write_model(folder / "base", folder.name.encode())
        (folder / "sft").mkdir()
        (folder / "sft" / "state.json").write_text("{}")
        self.trainer: fake_trainer.FakeTrainer | None = None
        self.proxy = bench.new_proxy()

    def __call__(self, script, **options) -> Launch:
        return self.in_thread(script, here=True, **options)

    def in_thread(self, script, here=False, **options) -> Launch:
        """Launch in a thread, or here; the first script plays the controller until the test ends."""
        self.play(script)
        done = Launch()
        run = lambda: self._launch(done, **options)  # noqa: E731
        if here:
            run()
        else:
            done.thread = threading.Thread(target=run, daemon=True)
            done.thread.start()
        return done

    def play(self, script):
        if script is None:
            return
        if self.trainer is None:
            self.trainer = fake_trainer.FakeTrainer(self.bench.cluster_for("test-admin", namespace=SPACE), script)
            self.trainer.__enter__()
        self.trainer.script = script

    def job(self, run_id="run-1", seed=1) -> TrainingJob:
        return TrainingJob(
            run_id=run_id,
            base_model=str(self.base),
            base_digest=model_digest(self.base),
            dataset=str(self.folder / "sft"),
            dataset_digest="d" * 64,
            work="",
            processes=1,
            device="cuda",
            seed=seed,
            code_version="1",
        )

    def only_job(self) -> dict:
        """The one TrainJob that there is."""
        [job] = self.admin.list(TRAIN_JOBS)["items"]
        return job

    def name_of(self, image="") -> str:
        job = self.job()
        return manifest.job_name(job, manifest.with_image(job.fingerprint(), image or self.runtime_image))

    def name_of_job(self, fingerprint: str) -> str:
        return manifest.job_name(self.job(), manifest.with_image(fingerprint, self.runtime_image))

    def settings(self, **options) -> dict:
        # bounded, so that a launcher that waits in vain fails its test and not the whole suite
        bounds = {"queue_seconds": 25, "timeout_seconds": 60}
        return {"workspace": str(self.workspace), "memory": "1Gi", "cpu": "1", **bounds, **options}

    def wait(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError("waited in vain")

    def close(self):
        if self.trainer is not None:
            self.trainer.__exit__()
        else:
            fake_trainer.FakeTrainer(self.admin, lambda *_: None).__enter__().__exit__()
        self.proxy.close()

    def _launch(
        self,
        done,
        account="flywheel-launcher",
        run_id="run-1",
        seed=1,
        url="",
        seconds=10.0,
        logs="",
        connect=False,
        **options,
    ):
        try:
            settings = TrainingCluster.of(self.settings(**options))
            if connect:
                from flywheel.components.cluster.connection import connect as find
                from flywheel.components.cluster.patience import Patience

                cluster = find("", Patience(seconds=seconds, first=0.1, most=0.3))
            else:
                cluster = self.bench.cluster_for(account, url, namespace=SPACE, seconds=seconds)
            reader = None if logs == "kubelet" else self._read_log
            backend = TrainJobBackend(settings, cluster, reader, look_every=1.0)
            job = self.job(run_id, seed)
            backend.world(1, 100)
            done.work = backend.folder(job.fingerprint(), self.folder / "output")
            done.launched = backend.launch(job.model_copy(update={"work": str(done.work)}), done.said.append)
        except Exception as error:
            done.error = error

    def _read_log(self, pod, lines):
        return self.trainer.log(pod, lines)
