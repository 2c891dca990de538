"""A real kube-apiserver on a real etcd, with the project's CRDs, for as long as the test run lives and never longer.

`start` is called once a run. What it starts is kept by a process of its own, this file as a script:

    api_server.py HOME PARENT COMMANDS

It waits for the process PARENT (the test run) to end, be it by a kill -9, and takes the servers with it; they die with
it too, whatever ends it, because the kernel sends them SIGKILL then (prctl(2)).

The CRDs are written into etcd before the API server starts. Posted one by one, each makes it build its OpenAPI document
anew, over all of them: 43 seconds of processor time instead of 9.
"""

import base64
import ctypes
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path

PR_SET_PDEATHSIG = 1
ADMIN = "test-admin"
ACCOUNTS = ("flywheel-steps", "flywheel-launcher", "flywheel-deployer", "flywheel-gitops")
CRDS = "/registry/apiextensions.k8s.io/customresourcedefinitions"
# No test here makes such objects, and their schemas are half of all (tests/manifests checks against them).
UNUSED = {"cronworkflows.argoproj.io", "llminferenceservices.serving.kserve.io"}


class NotReady(Exception):
    """A server did not come up; the message holds the end of its log."""


def start(home: Path, assets: Path, crds: Path, parent: int) -> str:
    """Start the servers for a run; returns the URL when every CRD is served."""
    home.mkdir()
    etcd, peer, secure = free_port(), free_port(), free_port()
    url, store = f"https://127.0.0.1:{secure}", f"http://127.0.0.1:{etcd}"
    _write_key(home / "sa.key")
    _write_tokens(home / "tokens.csv")
    etcd_command = [
        f"{assets}/etcd",
        f"--data-dir={home / 'etcd'}",
        f"--listen-client-urls={store}",
        f"--advertise-client-urls={store}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    ]
    server_command = [
        f"{assets}/kube-apiserver",
        f"--etcd-servers={store}",
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
    ]
    keeper = _keep(home, parent, [etcd_command])
    _until(home, lambda: _answers(f"{store}/health"))
    stored = [_store(store, path) for path in sorted(crds.glob("*.json")) if path.stem not in UNUSED]
    keeper.stdin.write(json.dumps([server_command]).encode() + b"\n")
    keeper.stdin.flush()
    _until(home, lambda: _answers(f"{url}/readyz") and all(_answers(url + path) for path in stored))
    return url


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _write_key(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*pem))


def _write_tokens(path: Path) -> None:
    lines = [f'{ADMIN},admin,admin,"system:masters"']
    for name in ACCOUNTS:
        namespace = "flux-system" if name == "flywheel-gitops" else "flywheel"
        groups = f"system:serviceaccounts,system:serviceaccounts:{namespace}"
        lines.append(f'{name},system:serviceaccount:{namespace}:{name},{name},"{groups}"')
    path.write_text("\n".join(lines) + "\n")


def _store(store: str, path: Path) -> str:
    """Write a CRD into etcd as the API server keeps it; returns the path that it is served at."""
    crd = json.loads(path.read_bytes())
    spec, meta = crd["spec"], crd["metadata"]
    spec["names"] = {"singular": spec["names"]["kind"].lower(), "listKind": f"{spec['names']['kind']}List"} | spec[
        "names"
    ]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    true = [("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted")]
    crd["metadata"] = {
        "name": meta["name"],
        "annotations": meta.get("annotations", {}),
        "uid": str(uuid.uuid4()),
        "creationTimestamp": now,
        "generation": 1,
    }
    crd["status"] = {
        "acceptedNames": spec["names"],
        "conditions": [
            {"type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": now}
            for kind, reason in true
        ],
        "storedVersions": [version["name"] for version in spec["versions"] if version["storage"]],
    }
    pair = {"key": f"{CRDS}/{meta['name']}", "value": json.dumps(crd)}
    body = {name: base64.b64encode(text.encode()).decode() for name, text in pair.items()}
    asked = urllib.request.Request(f"{store}/v3/kv/put", json.dumps(body).encode())
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert answer.status == 200, path
    served = next(version["name"] for version in spec["versions"] if version["served"])
    return f"/apis/{spec['group']}/{served}/{spec['names']['plural']}?limit=1"


def _answers(url: str) -> bool:
    import ssl

    trusting = ssl._create_unverified_context()
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {ADMIN}"})
    try:
        with urllib.request.urlopen(asked, timeout=30, context=trusting) as answer:
            return answer.status == 200
    except OSError:  # HTTPError too: not ready, or not served yet
        return False


def _until(home: Path, ready) -> None:
    deadline = time.monotonic() + 90
    while not ready():
        if time.monotonic() > deadline:
            raise NotReady((home / "log").read_text(errors="replace")[-1500:])
        time.sleep(0.1)


def _keep(home: Path, parent: int, commands: list[list[str]]) -> subprocess.Popen:
    arguments = [sys.executable, __file__, str(home), str(parent), json.dumps(commands)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, start_new_session=True)


# the process that keeps the servers


def _die_with(keeper: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # it died before the call
        os._exit(1)


def _keeper(home: str, parent: int, commands: list[list[str]]) -> None:
    watched, me = os.pidfd_open(parent), os.getpid()
    servers: list[subprocess.Popen] = []
    with (Path(home) / "log").open("ab") as log:

        def run(more: list[list[str]]) -> None:
            for one in more:
                servers.append(
                    subprocess.Popen(one, stdout=log, stderr=log, preexec_fn=lambda: _die_with(me))  # noqa: PLW1509
                )
            (Path(home) / "pids").write_text(json.dumps([me, *(server.pid for server in servers)]))

        run(commands)
        waiting = [watched, sys.stdin]
        while watched not in (ready := select.select(waiting, [], [])[0]):
            if line := ready[0].readline():
                run(json.loads(line))
            else:  # the one who started it has ended; others of the run may still use the servers
                waiting = [watched]
    for server in reversed(servers):
        server.kill()
        server.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    (Path(home) / "cpu").write_text(f"{used.ru_utime + used.ru_stime:.1f} seconds of processor time\n")


if __name__ == "__main__":
    _keeper(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
