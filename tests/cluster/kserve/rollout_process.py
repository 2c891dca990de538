"""Runs rollouts in processes of their own, which kill themselves (SIGKILL) at a given request to the API server.

    rollout_process.py URL TOKEN NAMESPACE

Reads a JSON list of commands a line: {"service", "run_id", "verdicts", "kill": [n, "before" | "after" | "after write"],
"work": "run" | "restore", "candidate": uri}. For each command it forks, so that everything is imported once, at most
eight at a time; answers one JSON line, a list of {"signal", "requests", "decision", "error", "said"} in order.
"""

import hashlib
import json
import os
import signal
import sys
from datetime import datetime

import kserve  # imported once, before the forks
import urllib3
from kubernetes import client

from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.patience import Patience
from flywheel.components.contracts.rollout import Action, Look, RolloutState
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.deployment.cluster import canary
from flywheel.components.deployment.cluster.machine import Machine
from flywheel.components.deployment.cluster.rollout_lease import RolloutLease, guarded
from flywheel.components.deployment.cluster.served import Served
from flywheel.components.deployment.cluster.sight import Pace
from flywheel.components.deployment.cluster.traffic import Candidate

PACE = Pace(poll=0.02, look=0.02, ready=20.0, settle=20.0, step=3600.0)
SHARES = (0.05, 0.5, 1.0)
AT_ONCE = 8
READY = kserve.V1beta1CanarySpec
ACTIONS = {"a": Action.ADVANCE, "r": Action.ROLLBACK}


class Scripted:
    """An observer whose word depends on the step alone: `verdicts` has one letter a step.

    a: advance, r: rollback, h: a hold that nothing can mend, w: a hold that waits, t: as w, and the process is told to
    stop (SIGTERM).
    """

    def __init__(self, verdicts: str):
        self.verdicts = verdicts

    def look(self, state, since: datetime, now: datetime):
        letter = self.verdicts[state.step]
        word = ACTIONS.get(letter, Action.HOLD)
        if letter == "t":
            os.kill(os.getpid(), signal.SIGTERM)
        users = {"production": 100, "candidate": 20}
        look = Look(
            at=now,
            share=SHARES[state.step],
            users=users,
            requests=users,
            metrics=(),
            action=word,
            reasons=(f"scripted: {word}",),
        )
        return look, letter == "h"


class Suicidal(Cluster):
    """Counts requests and kills its own process at one of them."""

    kill = None

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.requests = []

    def _once(self, method, url, *arguments):
        self.requests.append(method)
        writes = sum(one != "GET" for one in self.requests) if method != "GET" else 0
        if self.kill == [len(self.requests), "before"]:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = super()._once(method, url, *arguments)
        if self.kill in ([len(self.requests), "after"], [writes, "after write"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def connect(url: str, token: str, namespace: str) -> Suicidal:
    def open_client():
        configuration = client.Configuration(host=url)
        configuration.verify_ssl = False
        configuration.api_key = {"authorization": f"Bearer {token}"}
        return client.ApiClient(configuration)

    return Suicidal(open_client, namespace, Patience(seconds=5.0, first=0.02, most=0.2))


def fresh(service: str, run_id: str, candidate: str) -> RolloutState:
    digest = hashlib.sha256(candidate.encode()).hexdigest()
    return RolloutState(
        run_id=run_id, service=service, production_digest="p" * 64, candidate_digest=digest, shares=SHARES
    )


def machine_for(cluster, service: str, run_id: str, candidate: str, observer, tell, pace=PACE):
    policy = CanaryPolicy.for_shares(SHARES)
    state = fresh(service, run_id, candidate)
    lease = RolloutLease(cluster, service, run_id, seconds=4)
    wanted = Candidate(f"c-{state.candidate_digest[:8]}", candidate)
    return Machine(Served(cluster, service), state, wanted, policy, observer, pace, lease.keep_alive, tell), lease


def work(cluster, command: dict) -> dict:
    said: list[str] = []
    service, run_id, candidate = (
        command["service"],
        command["run_id"],
        command.get("candidate", "s3://models/candidate"),
    )
    try:
        if command["work"] == "restore":
            decision = canary.restore_traffic(cluster, service, run_id, PACE, said.append)
        else:
            machine, lease = machine_for(
                cluster, service, run_id, candidate, Scripted(command["verdicts"]), said.append
            )
            guarded(machine, lease, machine.run, said.append)
            decision = machine.state.rollout.decision
    except (Exception, SystemExit) as error:
        return {"decision": "", "error": f"{type(error).__name__}: {error}", "said": said, "requests": cluster.requests}
    return {"decision": decision, "error": "", "said": said, "requests": cluster.requests}


def forked(where: tuple[str, str, str], command: dict) -> dict:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        cluster = connect(*where)
        cluster.kill = command.get("kill")
        with os.fdopen(writer, "w") as answer:
            json.dump(work(cluster, command), answer)
        os._exit(0)
    os.close(writer)
    return {"child": child, "reader": reader}


def ended(running: dict) -> dict:
    with os.fdopen(running["reader"]) as answer:
        told = answer.read()
    status = os.waitpid(running["child"], 0)[1]
    result = json.loads(told) if told else {"decision": "", "error": "killed", "said": [], "requests": []}
    return result | {"signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0}


def main() -> None:
    urllib3.disable_warnings()
    url, token, namespace = sys.argv[1:]
    for line in sys.stdin:
        commands, running, results = json.loads(line), [], []
        for command in commands:
            if len(running) - len(results) >= AT_ONCE:
                results.append(ended(running[len(results)]))
            running.append(forked((url, token, namespace), command))
        results += [ended(one) for one in running[len(results) :]]
        print(json.dumps(results), flush=True)


if __name__ == "__main__":
    main()
