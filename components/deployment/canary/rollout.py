"""The rollout: a lease, two servers, rising shares, the judge at each look, and one of promote, rollback, hold.

Whatever happens, the servers are stopped and the traffic is back on production unless the candidate was promoted. A
killed step goes on where its last look was; its servers die with it.
"""

import asyncio
import atexit
import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import FrameType
from typing import Literal, Protocol

from flywheel.components.contracts.rollout import Action, Look, RolloutState
from flywheel.components.deployment.canary.journal import Journal
from flywheel.components.deployment.canary.judge import FINAL_HOLDS, Judge
from flywheel.components.deployment.canary.policy import CanaryPolicy, Step
from flywheel.components.deployment.canary.turn import Turn
from flywheel.components.deployment.driver import CandidateFailedError, RolloutDriver

Decision = Literal["promote", "rollback", "hold"]


class TrafficSource(Protocol):
    """Where turns come from: users who are simulated, or real ones whose turns are read from the store."""

    @property
    def clock(self) -> float:
        """The traffic's time, in the unit of `Turn.asked_at` and of the policy's maturity."""
        ...

    def stop(self) -> None:
        """Let no further turn come; `run` returns soon."""
        ...

    async def run(self, observe: Callable[[Turn], None]) -> None:
        """Call `observe` with each turn until the traffic ends or `stop` is called.

        A turn's share and arm are those in force when it was asked.
        """
        ...


UsersOf = Callable[[str, list[Turn]], TrafficSource]


class Rollout:
    """Runs one rollout to its decision.

    Args:
        policy: The rules.
        judge: The judge.
        driver: What moves the traffic.
        journal: Where turns and state are kept.
        fresh: The state to begin with when the journal has none of this rollout.
        users_of: Makes the users, from the service's address and the turns of an earlier attempt.
        keep_alive: Called at each look; renews the lease and raises when it is lost.
        tell: Called with a line of progress at each change and now and then.
    """

    def __init__(
        self,
        policy: CanaryPolicy,
        judge: Judge,
        driver: RolloutDriver,
        journal: Journal,
        fresh: RolloutState,
        users_of: UsersOf,
        keep_alive: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self._policy, self._judge, self._driver, self._journal = policy, judge, driver, journal
        self._users_of, self._keep_alive, self._tell = users_of, keep_alive, tell
        self.state, self.turns = fresh, list[Turn]()
        left, turns = journal.read()
        if left is not None and _same(left, fresh):
            self.state, self.turns = left, turns
        elif left is not None:
            journal.clear()
        self._written = len(self.turns)
        self._due = asyncio.Event()
        self._users: TrafficSource | None = None

    @property
    def step(self) -> Step | None:
        """The ramp's present step; None when the last one was passed."""
        shares = [step.share for step in self._policy.steps]
        if not self.state.looks:
            return self._policy.steps[0]
        last = self.state.looks[-1]
        index = shares.index(last.share) + (last.action is Action.ADVANCE)
        return self._policy.steps[index] if index < len(shares) else None

    async def run(self) -> RolloutState:
        """Run to the decision.

        Returns:
            The final state.

        Raises:
            ServerFailedError: Production cannot be served.
            LeaseLostError: Somebody else rolls out on this service now.
        """
        if self.state.decision != "running":
            return self.state
        self._journal.write(self.state, [])
        try:
            url = await self._driver.start()
            step = self.step
            if step is None:
                await self._decide("promote", self.state.looks[-1].reasons)
                return self.state
            await self._driver.set_share(step.share)
            self._tell(f"{step.share:.0%} of the users on the candidate")
            self._users = self._users_of(url, list(self.turns))
            await self._ramp(self._users)
        except CandidateFailedError as error:
            await self._decide("rollback", (f"candidate-server-failed: {error}",))
        finally:
            with contextlib.suppress(RuntimeError):  # a driver that was never up has no traffic to restore
                if self.state.decision != "promote":
                    await self._driver.roll_back()
            await self._driver.stop()
        return self.state

    async def _ramp(self, users: TrafficSource) -> None:
        playing = asyncio.create_task(users.run(self._observe))
        try:
            while self.state.decision == "running":
                due = asyncio.create_task(self._due.wait())
                await asyncio.wait({playing, due}, return_when=asyncio.FIRST_COMPLETED)
                due.cancel()
                self._due.clear()
                if playing.done():
                    playing.result()  # raises what the users raised
                    await self._look(math.inf)
                    if self.state.decision == "running":
                        await self._decide("hold", ("traffic-ended: " + "; ".join(self.state.looks[-1].reasons),))
                else:
                    await self._look(users.clock)
        finally:
            users.stop()
            if self.state.decision == "running":
                playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await playing

    def _observe(self, turn: Turn) -> None:
        self.turns.append(turn)
        seen = sum(self.state.looks[-1].requests.values()) if self.state.looks else 0
        if len(self.turns) - seen >= self._policy.look_every:
            self._due.set()

    async def _look(self, now: float) -> None:
        step = self.step
        if step is None:
            return
        self._keep_alive()
        await self._driver.status()
        look = self._judge.look(self.turns, step, now, datetime.now(UTC))
        self.state = self.state.model_copy(update={"looks": (*self.state.looks, look)})
        if look.action is Action.ROLLBACK:
            await self._decide("rollback", look.reasons)
        elif look.action is Action.ADVANCE and self.step is None:
            await self._decide("promote", look.reasons)
        elif look.action is Action.HOLD and look.reasons and look.reasons[0].startswith(FINAL_HOLDS):
            await self._decide("hold", look.reasons)
        else:
            following = self.step
            if look.action is Action.ADVANCE and following is not None and now < math.inf:
                await self._driver.set_share(following.share)
                self._tell(f"{following.share:.0%} of the users on the candidate ({_short(look)})")
            self._save()

    async def _decide(self, decision: Decision, reasons: tuple[str, ...]) -> None:
        if decision == "promote":
            await self._driver.promote()
        else:
            await self._driver.roll_back()
        self.state = self.state.model_copy(update={"decision": decision, "reasons": reasons})
        if self._users is not None:
            self._users.stop()
        self._save()
        self._tell(f"{decision}: {'; '.join(reasons)}")

    def _save(self) -> None:
        """Keep what the last look saw; later turns belong to the next look."""
        seen = sum(self.state.looks[-1].requests.values()) if self.state.looks else 0
        self._journal.write(self.state, self.turns[self._written : seen])
        self._written = max(self._written, seen)


def _same(one: RolloutState, other: RolloutState) -> bool:
    fields = ("run_id", "service", "production_digest", "candidate_digest", "policy_digest", "shares")
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def _short(look: Look) -> str:
    bad = next((metric for metric in look.metrics if metric.name == "bad_feedback"), look.metrics[0])
    if bad.production is None or bad.candidate is None:
        return f"{look.users['candidate']} users on the candidate judged"
    return f"bad feedback {bad.production:.0%} -> {bad.candidate:.0%}, {look.users['candidate']} users judged"


@contextlib.contextmanager
def stopped_on_exit(stop: Callable[[], None]) -> Iterator[None]:
    """Run `stop` when the block ends, when the process exits, and on SIGTERM (which becomes SystemExit 143).

    Args:
        stop: Stops what the block started; may be called more than once.
    """
    main = threading.current_thread() is threading.main_thread()

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, terminate) if main else None
    atexit.register(stop)
    try:
        yield
    finally:
        stop()
        atexit.unregister(stop)
        if main:
            signal.signal(signal.SIGTERM, before)
