"""Looks at real users behind a gateway: what may be compared, what must be left out, and when not to trust it.

Each step is judged by itself, on the turns since its share was set: a gateway splits by a rule of its own, so nobody
can tell beforehand who will be asked to move when the share grows, as the splitter on one machine can. Whoever was
served by both arms within a step is left out and counted; when these are many, the gateway splits requests and not
users, and no comparison of users can be trusted. Over all steps together a false rollback has probability at most
alpha, because each step's judge works at alpha divided by their number.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from flywheel.components.contracts.rollout import Action, Look
from flywheel.components.deployment.canary.judge import FINAL_HOLDS, Judge
from flywheel.components.deployment.canary.policy import CanaryPolicy, Step
from flywheel.components.deployment.canary.turn import Arm, Turn, bucket
from flywheel.components.deployment.cluster.arms import arm_names, backends
from flywheel.components.deployment.cluster.prometheus import PrometheusError
from flywheel.components.deployment.cluster.state import ClusterRollout
from flywheel.components.deployment.cluster.store_turns import Seen, TurnSource
from flywheel.components.store.errors import StoreError

CONTAMINATED, UNATTRIBUTED, NO_LATENCY, BLIND = "contaminated", "unattributed", "no-latency", "blind"
_TIMED = ("latency", "latency_p95")  # measures that need the events' latency
_ENDLESS = 10**12  # a step on live traffic is bounded by time, not by requests


class Alarms(Protocol):
    """Absolute limits that need no users, such as the error rate that Prometheus knows."""

    def kills(self, arms: dict[Arm, str], since: datetime, now: datetime) -> tuple[str, ...]:
        """Return the reasons to roll back at once; empty: none."""
        ...

    def unknown(self, arms: dict[Arm, str], since: datetime, now: datetime) -> tuple[str, ...]:
        """Return the reasons why these limits cannot be checked, asked before a larger share; empty: they were."""
        ...


@dataclass(frozen=True)
class Limits:
    """When events are not to be trusted.

    Attributes:
        contaminated: Largest share of the candidate's users who may have been on production in the same step.
        unattributed: Largest share of turns whose arm nobody can tell.
        least: Fewer users or turns than these prove nothing about the gateway.
        blind_looks: Looks in a row without data from the store or from Prometheus, after which the rollout ends.
    """

    contaminated: float = 0.05
    unattributed: float = 0.05
    least: int = 20
    blind_looks: int = 5


class Users:
    """The observer of a rollout; see `machine.Observer`.

    Args:
        source: Where turns come from.
        policy: The rules; maturity in seconds.
        salt: Rollout id.
        digests: Digest of (production, candidate).
        alarms: More limits; None: none.
        limits: When not to trust the events.
    """

    def __init__(
        self,
        source: TurnSource,
        policy: CanaryPolicy,
        salt: str,
        digests: tuple[str, str],
        alarms: Alarms | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._source, self._policy, self._salt, self._digests = source, policy, salt, digests
        self._alarms, self._limits = alarms, limits or Limits()
        self._blind = 0
        self.turns: list[Turn] = []  # of the last look

    @property
    def error_rate(self) -> str:
        """What the decision promises."""
        return (
            f"rolled back although equal: at most {self._policy.alpha:.0%} of rollouts over all "
            f"{len(self._policy.steps)} steps, looks and guardrails together, absolute kill switches aside; promoted "
            f"although worse by a margin of the last step: at most {self._policy.alpha / len(self._policy.steps):.2%}"
        )

    def look(self, state: ClusterRollout, since: datetime, now: datetime) -> tuple[Look, bool]:
        """Look at a step; see `machine.Observer.look`."""
        step, rule, arms = state.step, self._policy.steps[state.step], backends(state)
        try:
            killed = self._alarms.kills(arms, since, now) if self._alarms else ()
            unknown = self._alarms.unknown(arms, since, now) if self._alarms else ()
            seen = self._source.read(arm_names(state), since, now, rule.share)
        except (StoreError, PrometheusError) as error:
            self._blind += 1
            reason = f"{BLIND}: look {self._blind} of {self._limits.blind_looks} without data: {error}"
            return _holding(rule, now, reason), self._blind >= self._limits.blind_looks
        self._blind = 0
        clean, both, touched = one_armed(seen.turns)
        self.turns = clean
        look = self._judged(step, rule, clean, (now - since).total_seconds(), now)
        if killed:
            return look.model_copy(update={"action": Action.ROLLBACK, "reasons": killed}), False
        doubts = self._doubts(seen, both, touched)
        if doubts and not _fired(look):
            return look.model_copy(update={"action": Action.HOLD, "reasons": (*doubts, *look.reasons)}), True
        if look.action is Action.ADVANCE and unknown:
            return look.model_copy(update={"action": Action.HOLD, "reasons": unknown}), False
        final = look.action is Action.HOLD and bool(look.reasons) and look.reasons[0].startswith(FINAL_HOLDS)
        return look, final

    def _judged(self, step: int, rule: Step, turns: Sequence[Turn], clock: float, now: datetime) -> Look:
        """Judge one step by itself, with its part of alpha."""
        own = self._policy.model_copy(
            update={
                "steps": (rule,),
                "alpha": self._policy.alpha / len(self._policy.steps),
                "most_requests_per_step": _ENDLESS,
            }
        )
        salt = f"{self._salt}:{step}"
        judge = Judge(own, salt, production_digest=self._digests[0], candidate_digest=self._digests[1])
        return judge.look(placed(turns, salt), rule, clock, now)

    def _doubts(self, seen: Seen, both: int, touched: int) -> tuple[str, ...]:
        limits, turns, found = self._limits, len(seen.turns), []
        if touched >= limits.least and both > limits.contaminated * touched:
            found.append(
                f"{CONTAMINATED}: {both} of the candidate's {touched} users were on production in the same step; the "
                "gateway splits requests, not users: make it sticky by user (session persistence or a header match)"
            )
        total = turns + seen.unattributed
        if total >= limits.least and seen.unattributed > limits.unattributed * total:
            found.append(
                f"{UNATTRIBUTED}: the arm of {seen.unattributed} of {total} events is unknown; log attributes.arm or "
                "the model's digest as model_version"
            )
        timed = [metric.name for metric in self._policy.guardrails if metric.measure in _TIMED]
        if timed and turns >= limits.least and seen.without_latency > limits.unattributed * turns:
            found.append(
                f"{NO_LATENCY}: {seen.without_latency} of {turns} events have no latency_ms, which {', '.join(timed)} "
                "need; log it, or leave these metrics out of the policy"
            )
        return tuple(found)


def one_armed(turns: Sequence[Turn]) -> tuple[list[Turn], int, int]:
    """Leave out the users of both arms.

    Args:
        turns: Turns of one step.

    Returns:
        Turns of the others, users of both arms, and users who were on the candidate at all.
    """
    arms: dict[str, set[Arm]] = defaultdict(set)
    for turn in turns:
        arms[turn.subject].add(turn.arm)
    clean = [turn for turn in turns if len(arms[turn.subject]) == 1]
    return clean, sum(len(found) == 2 for found in arms.values()), sum("candidate" in found for found in arms.values())


def placed(turns: Sequence[Turn], salt: str) -> list[Turn]:
    """Name users such that their bucket says the arm that the gateway gave them.

    The judge knows arms by buckets. Which names it sees does not matter, as long as one user has one name.

    Args:
        turns: Turns of users with one arm each, at one share.
        salt: The judge's.

    Returns:
        The turns, with other subjects.
    """
    names: dict[tuple[str, Arm], str] = {}
    result = []
    for turn in turns:
        name = names.get((turn.subject, turn.arm))
        if name is None:
            tries = (f"{turn.subject}#{number}" for number in range(_ENDLESS))
            on_candidate = turn.arm == "candidate"
            name = next(one for one in tries if (bucket(one, salt) < turn.share) == on_candidate)
            names[turn.subject, turn.arm] = name
        result.append(turn.model_copy(update={"subject": name}))
    return result


def _fired(look: Look) -> bool:
    """Whether a kill switch said it: those do not compare users."""
    return look.action is Action.ROLLBACK and look.reasons[0].startswith(("kill-", "wrong-model"))


def _holding(rule: Step, now: datetime, reason: str) -> Look:
    none = {"production": 0, "candidate": 0}
    return Look(at=now, share=rule.share, users=none, requests=none, metrics=(), action=Action.HOLD, reasons=(reason,))
