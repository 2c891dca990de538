"""The rollout as a state machine whose state is in the cluster: every step reads, decides, and writes one patch.

    starting ──▶ ramping ──▶ promoting ──▶ done
        │  ▲        │                        ▲
        │  └── interrupted ◀── SIGTERM       │
        └───────────┴──────▶ rolling-back ───┘

A step that is killed is run again and goes on from the state it finds. Nothing is kept in memory that the state does
not hold, but for the looks that did not fit.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Literal, Protocol
from uuid import uuid4

from flywheel.components.cluster.errors import ClusterError
from flywheel.components.contracts.rollout import Action, Look, RolloutState
from flywheel.components.deployment.canary.policy import CanaryPolicy, Step
from flywheel.components.deployment.cluster.knative import rolled_out_revision
from flywheel.components.deployment.cluster.mode import mode_named, mode_of
from flywheel.components.deployment.cluster.refusal import NotSettledError, RolloutLostError, RolloutRefusedError
from flywheel.components.deployment.cluster.served import Served
from flywheel.components.deployment.cluster.sight import Pace, Sight
from flywheel.components.deployment.cluster.state import ClusterRollout, Phase, read_state
from flywheel.components.deployment.cluster.traffic import Candidate, Json, Observed, Traffic, percent_of

Decision = Literal["promote", "rollback", "hold"]
Seeing = Callable[[Observed, Json], bool]
_OPEN: tuple[Phase, ...] = ("starting", "ramping")  # traffic may be on a candidate that nobody decided about


class Observer(Protocol):
    """What looks at the users."""

    def look(self, state: ClusterRollout, since: datetime, now: datetime) -> tuple[Look, bool]:
        """Judge the traffic since the share was set.

        Args:
            state: The rollout; its `step` is the ramp's.
            since: When the gateway began to split so, the API server's time.
            now: The API server's time.

        Returns:
            The look, and whether its HOLD is one that more traffic cannot mend.
        """
        ...


class Machine:
    """Runs one rollout to its end; the caller holds the service's lease.

    Args:
        served: The InferenceService.
        fresh: State to begin with: run, digests, shares.
        candidate: What shall be served.
        policy: The rules; its steps are the ramp.
        observer: Looks at the users; None for a machine that only finishes.
        pace: Intervals and time limits.
        keep_alive: Called at every poll; renews the lease and raises when it is lost.
        tell: Receives lines of progress.
        production_uri: What the service must serve when the rollout begins; "": whatever it serves.
    """

    def __init__(
        self,
        served: Served,
        fresh: RolloutState,
        candidate: Candidate,
        policy: CanaryPolicy,
        observer: Observer | None,
        pace: Pace,
        keep_alive: Callable[[], None],
        tell: Callable[[str], None],
        production_uri: str = "",
    ) -> None:
        self._served, self._fresh, self._candidate = served, fresh, candidate
        self._policy, self._observer, self._tell = policy, observer, tell
        self._sight = Sight(served, pace, keep_alive)
        self._pace, self._production_uri = pace, production_uri
        self._token = uuid4().hex[:12]
        self._state: ClusterRollout | None = None
        self._traffic: Traffic | None = None
        for step in policy.steps:
            percent_of(step.share)

    @property
    def state(self) -> ClusterRollout:
        """The state as last written."""
        if self._state is None:
            raise RuntimeError("the rollout was not begun")
        return self._state

    @property
    def traffic(self) -> Traffic:
        """How the service splits."""
        if self._traffic is None:
            raise RuntimeError("the rollout was not begun")
        return self._traffic

    def run(self) -> RolloutState:
        """Run to the end.

        Returns:
            The final state.

        Raises:
            RolloutRefusedError: The service cannot be rolled out on.
            RolloutLostError: Somebody else took over.
            NotSettledError: Decided and written, but not carried out in time.
            ClusterError: The API server refuses or cannot be asked.
        """
        self._claim()
        while self.state.phase != "done":
            if self.state.phase == "starting":
                self._starting()
            elif self.state.phase == "ramping":
                self._ramping()
            elif self.state.phase == "interrupted":
                self._again()
            else:
                self._carry_out()
        return self.state.rollout

    def still_ours(self) -> bool:
        """Whether the state in the cluster is of our run, whichever process wrote it."""
        left = read_state(self._served.read())
        return left is not None and self._ours(left)

    def interrupt(self) -> None:
        """Put the traffic back on production by one patch, for signal handlers and exits; a retry goes on."""
        if self._traffic is None:
            return  # nothing was written
        try:
            left = read_state(self._served.read())  # what was written may be newer than what we remember
            if left is None or left.phase not in _OPEN or left.holder != self._token:
                return
            self._state, self._sight.served = left, None
            change = self._traffic.roll_back
            self._write(lambda served: change(served, left), left.but(phase="interrupted", since=None))
            self._tell("interrupted: all traffic is back on production; run the step again to go on")
        except (ClusterError, RolloutLostError, ValueError) as error:
            self._tell(f"the traffic could not be put back on production: {error}; the exit task restore_traffic will")

    def finish(self) -> ClusterRollout | None:
        """End what our run left behind: carry out a promotion that was decided, roll everything else back.

        Returns:
            The state; None when no rollout ever ran on the service.
        """
        left = read_state(self._served.read())
        if left is None or left.phase == "done" or left.rollout.run_id != self._fresh.run_id:
            return left
        self._finish(left, f"left-behind: run {left.rollout.run_id} ended without a decision")
        return self.state

    def _claim(self) -> None:
        left = read_state(self._served.read())
        if left is not None and self._ours(left):
            if left.phase != "done":
                self._tell(f"going on with the rollout of {left.candidate_uri}: {left.phase}, step {left.step + 1}")
            return self._adopt(left)
        if left is not None and left.phase != "done":
            self._finish(left, f"abandoned: run {left.rollout.run_id} gave it up; taken over by {self._fresh.run_id}")
        return self._begin(0, self._fresh)

    def _adopt(self, left: ClusterRollout) -> None:
        """Take a rollout over: from now on another process that believes to run it cannot write."""
        self._state, self._traffic = left, mode_named(left.mode)
        if left.phase != "done":
            self._write(_unchanged, left.but(holder=self._token))

    def _begin(self, step: int, rollout: RolloutState) -> None:
        served = self._served.read()
        known = read_state(served)
        if known is not None and known.phase not in ("done", "interrupted"):
            raise RolloutLostError(
                f"run {known.rollout.run_id} began a rollout on {self._served.name} in this very moment; run the step "
                "again"
            )
        traffic = self._traffic = mode_of(served)
        serves = traffic.production_uri(served)
        if serves == self._candidate.uri:
            raise RolloutRefusedError(
                "SERVED_ALREADY", f"{self._served.name} serves {self._candidate.uri} already; nothing to roll out"
            )
        if "://" in self._production_uri and serves.rstrip("/") != self._production_uri.rstrip("/"):
            raise RolloutRefusedError(
                "NOT_PRODUCTION",
                f"{self._served.name} serves {serves}, but production of the registry is {self._production_uri}: the "
                "comparison would be with the wrong model. Bring the service to production, or move the alias",
            )
        traffic.check(served, self._candidate)
        served = self._sight.steady(traffic, served)
        traffic.check_split(served, self._served.route())
        state = ClusterRollout(
            rollout=rollout,
            mode=traffic.mode,
            phase="starting",
            step=step,
            holder=self._token,
            production=served["spec"]["predictor"].get("name", ""),
            candidate=self._candidate.name,
            candidate_uri=self._candidate.uri,
            production_uri=serves,
            production_revision=rolled_out_revision(served) if traffic.mode == "Knative" else "",
        )
        self._served.rehearse(traffic.start(served, self._candidate), state)
        self._state = known
        self._write(lambda now: traffic.start(now, self._candidate), state)
        self._tell(f"{traffic.mode} mode: {self._candidate.uri} comes up as {self._candidate.name}, without traffic")

    def _starting(self) -> None:
        state = self.state
        seen, served = self._sight.until(
            lambda seen, now: (
                (seen.settled and (seen.candidate or bool(seen.failed))) or self.traffic.wanted(now, state) is None
            ),
            self.traffic,
            state,
            self._pace.ready,
        )
        if self.traffic.wanted(served, state) is None:
            return self._decide("hold", (self._sight.changed_by(self.traffic, served),))
        if seen is None:
            why = self._sight.last.words or "no word from KServe"
            return self._decide("rollback", (f"candidate-not-ready: after {self._pace.ready:.0f} s: {why}",))
        if not seen.candidate:
            return self._decide("rollback", (f"candidate-failed: {seen.failed}",))
        state = state.but(**self.traffic.remember(served, state))
        return self._share(state, state.step)

    def _share(self, state: ClusterRollout, step: int) -> None:
        share = self._policy.steps[step].share
        state = state.but(phase="ramping", step=step, since=None)
        self._write(lambda served: self.traffic.share(served, state, percent_of(share)), state)
        self._tell(f"{share:.0%} of the requests to the candidate")

    def _ramping(self) -> None:
        state, step = self.state, self._policy.steps[self.state.step]
        percent = percent_of(step.share)
        if state.since is None:
            seen, served = self._sight.until(
                lambda seen, now: (
                    (seen.settled and seen.percent == percent) or self.traffic.wanted(now, state) != percent
                ),
                self.traffic,
                state,
                self._pace.settle,
            )
            if self.traffic.wanted(served, state) != percent:
                return self._decide("hold", (self._sight.changed_by(self.traffic, served),))
            if seen is None:
                return self._decide("hold", self._silent(served, percent))
            return self._write(_unchanged, state.but(since=self._served.cluster.now()))
        for _ in range(max(1, round(self._pace.look / self._pace.poll))):
            self._sight.rest()
        if (broken := self._broken(step)) is not None:
            return self._decide(*broken)
        if self._observer is None:
            raise RuntimeError("this rollout has no observer")
        now = self._served.cluster.now()
        look, final = self._observer.look(state, state.since, now)
        return self._act(look, final, (now - state.since).total_seconds())

    def _broken(self, step: Step) -> tuple[Decision, tuple[str, ...]] | None:
        """Whether the service itself forbids to go on; two readings must agree that an arm is down."""
        percent, doubt = percent_of(step.share), ""
        deadline = time.monotonic() + self._pace.settle
        while True:
            seen, served = self._sight.see(self.traffic, self.state)
            if self.traffic.wanted(served, self.state) != percent:
                return "hold", (self._sight.changed_by(self.traffic, served),)
            if seen.failed and seen.settled:
                return "rollback", (f"candidate-failed: {seen.failed}",)
            now = "" if seen.candidate and seen.production else "production" if not seen.production else "candidate"
            if seen.settled and not now and seen.percent == percent:
                return None
            if seen.settled and now and now == doubt:
                why = f"{now}-not-ready: {seen.words or 'no replica is available'}"
                return ("hold" if now == "production" else "rollback"), (why,)
            if time.monotonic() > deadline:
                return "hold", self._silent(served, percent)
            doubt = now if seen.settled else ""
            self._sight.rest()

    def _act(self, look: Look, final: bool, elapsed: float) -> None:
        looks = (*self.state.rollout.looks, look)
        if look.action is Action.ROLLBACK:
            return self._decide("rollback", look.reasons, looks)
        if look.action is Action.ADVANCE:
            if self.state.step + 1 == len(self._policy.steps):
                return self._decide("promote", look.reasons, looks)
            return self._share(self.state.but(looks=looks), self.state.step + 1)
        if final:
            return self._decide("hold", look.reasons, looks)
        if elapsed >= self._pace.step:
            late = f"time-out: no verdict at {look.share:.0%} after {elapsed:.0f} s"
            look = look.model_copy(update={"reasons": (late, *look.reasons)})
            return self._decide("hold", look.reasons, (*looks[:-1], look))
        return self._write(_unchanged, self.state.but(looks=looks))

    def _silent(self, served: Json, percent: int) -> tuple[str, ...]:
        asked = f"controller-silent: {percent} % asked for {self._pace.settle:.0f} s ago."
        return (f"{asked} {self._sight.progress(served)}",)

    def _decide(self, decision: Decision, reasons: tuple[str, ...], looks: tuple[Look, ...] | None = None) -> None:
        """Write decision and traffic together."""
        state = self.state.but(
            phase="promoting" if decision == "promote" else "rolling-back",
            decision=decision,
            reasons=tuple(reason[:1000] for reason in reasons[:20]),
            looks=self.state.rollout.looks if looks is None else looks,
        )
        change = self.traffic.promote if decision == "promote" else self.traffic.roll_back
        self._write(lambda served: change(served, state), state)
        self._tell(f"{decision}: {'; '.join(reasons)}")

    def _carry_out(self) -> None:
        """Wait until KServe has done what was decided; then nothing is left."""
        state, traffic = self.state, self.traffic
        goal = 100 if state.phase == "promoting" else 0
        self._settle(lambda seen, _: seen.settled and seen.percent == goal, f"{goal} % on the candidate")
        if state.phase == "promoting":
            return self._write(_unchanged, state.but(phase="done"))
        self._restored()
        return self._write(lambda served: traffic.tidy(served, state) or {}, state.but(phase="done"))

    def _restored(self) -> None:
        """Wait until what is left of a rollback may be cleared without moving traffic to the candidate."""
        state, traffic = self.state, self.traffic
        if traffic.tidy(self._served.read(), state) is not None:
            self._settle(
                lambda seen, served: seen.settled and traffic.restored(served, state),
                "a new revision of production (meanwhile the old one serves everything)",
                self._pace.ready,
            )

    def _again(self) -> None:
        """Go on after an interruption: when production is whole again, begin at the share that was reached."""
        state, traffic = self.state, self.traffic
        if traffic.tidy(self._served.read(), state) is not None:
            self._settle(lambda seen, _: seen.settled and seen.percent == 0, "0 % on the candidate")
            self._restored()
            cleared = state.but(since=self._served.cluster.now())
            return self._write(lambda served: traffic.tidy(served, state) or {}, cleared)
        return self._begin(state.step, state.rollout)

    def _finish(self, left: ClusterRollout, why: str) -> None:
        self._adopt(left)
        if left.phase in (*_OPEN, "interrupted"):
            self._decide("hold", (why,))
        self._carry_out()

    def _settle(self, done: Seeing, what: str, patience: float | None = None) -> None:
        seconds = self._pace.settle if patience is None else patience
        seen, served = self._sight.until(done, self.traffic, self.state, seconds)
        if seen is None:
            raise NotSettledError(
                f"{self._served.name}: KServe has not brought about in {seconds:.0f} s what is written: {what}. The "
                f"decision stands ({self.state.rollout.decision}); run the step again to wait on, and look at the "
                f"controller. {self._sight.progress(served)}"
            )

    def _write(self, change: Callable[[Json], Json], state: ClusterRollout) -> None:
        seen, self._sight.served = self._sight.served, None
        self._sight.served = self._served.write(change, state, self._state, seen)
        self._state = state

    def _ours(self, left: ClusterRollout) -> bool:
        one, other = left.rollout, self._fresh
        return (one.run_id, one.candidate_digest, one.shares) == (other.run_id, other.candidate_digest, other.shares)


def _unchanged(_served: Json) -> Json:
    return {}
