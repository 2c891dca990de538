"""The intake service on loopback, durable: acknowledged events/s, p50 and p99, CPU; and what kill -9 loses."""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

from flywheel.scripts.benchmarks.intake_load import senders, wrk
from flywheel.scripts.benchmarks.intake_load.service_process import ServiceProcess
from flywheel.scripts.benchmarks.intake_load.wrk import Load

GOAL_RATE = 2000.0  # acknowledged events per second, on 2 cores
GOAL_P99 = 0.050  # seconds


def main(arguments: list[str]) -> int:
    """Measure throughput and latency, then kill the service under load.

    Args:
        arguments: `--seconds N --rounds N --connections N --kills N --client wrk|python --folder PATH`.

    Returns:
        0 when all goals hold, else 1.
    """
    parser = argparse.ArgumentParser(prog="scripts/bench intake_service", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--client", choices=("auto", "wrk", "python"), default="auto")
    parser.add_argument("--folder", default="", help="disk to measure; default: the system's temporary folder")
    options = parser.parse_args(arguments)
    if options.client == "wrk" and not wrk.available():
        raise ValueError(wrk.MISSING)
    client = "python" if options.client == "python" or not wrk.available() else "wrk"
    if client == "python" and options.client == "auto":
        print(f"{wrk.MISSING}; going on with the Python client, which itself takes a core")
    kept = True
    if options.rounds:
        with tempfile.TemporaryDirectory(dir=options.folder or None) as folder:
            kept &= _throughput(Path(folder), client, options.rounds, options.seconds, options.connections)
    if options.kills:
        with tempfile.TemporaryDirectory(dir=options.folder or None) as folder:
            kept &= _kills(Path(folder), options.kills)
    return 0 if kept else 1


def _throughput(root: Path, client: str, rounds: int, seconds: int, connections: int) -> bool:
    print(
        f"{connections} connections, {rounds} x {seconds} s, client {client}, {os.cpu_count()} cores; "
        f"load of the machine before: {os.getloadavg()[0]:.1f}"
    )
    service = ServiceProcess(root)
    rates, halves, tails = [], [], []
    answered = refused = broken = 0
    for number in range(rounds):
        before = service.cpu_seconds()
        load = (
            wrk.load(service.port, connections, seconds, number)
            if client == "wrk"
            else asyncio.run(_python(service.port, connections, seconds, number))
        )
        after = service.cpu_seconds()
        good = load.answered - load.refused
        answered, refused, broken = answered + load.answered, refused + load.refused, broken + load.broken
        rates.append(good / load.seconds)
        halves.append(load.p50)
        tails.append(load.p99)
        server, mover = ((new - old) / good * 1e6 for new, old in zip(after, before, strict=True))
        print(
            f"  round {number + 1}: {rates[-1]:,.0f} events/s, p50 {load.p50 * 1e3:.1f} ms, "
            f"p99 {load.p99 * 1e3:.1f} ms, CPU/event: server {server:.0f} us, mover {mover:.0f} us; "
            f"load {os.getloadavg()[0]:.1f}"
        )
    while service.metric("flywheel_intake_queued_events"):  # wrk hangs up on what is under way when its time is over
        time.sleep(0.1)
    groups = service.metric("flywheel_intake_group_events_count")
    accepted = service.metric("flywheel_intake_group_events_sum")
    code = service.stop()
    stored = sum(_counted(service).values())
    rate, half, tail = (statistics.median(column) for column in (rates, halves, tails))
    whole = code == 0 and stored == 3 * accepted and accepted >= answered - refused and not service.left()
    print(
        f"median: {rate:,.0f} acknowledged events/s, p50 {half * 1e3:.1f} ms, p99 {tail * 1e3:.1f} ms; "
        f"{accepted / groups:.1f} events per fsync; {refused} refused, {broken} broken connections"
    )
    print(f"in the store after SIGTERM: {stored:,} rows of {accepted:,.0f} events: {'whole' if whole else 'NOT WHOLE'}")
    ok = rate >= GOAL_RATE and tail <= GOAL_P99
    words = "kept" if ok else "MISSED"
    print(f"goal: >= {GOAL_RATE:,.0f} events/s and p99 <= {GOAL_P99 * 1e3:.0f} ms: {words}")
    return ok and whole


async def _python(port: int, connections: int, seconds: int, run: int) -> Load:
    told = senders.Acknowledged()
    began = time.monotonic()

    def over() -> bool:
        return time.monotonic() - began >= seconds

    await asyncio.gather(*(senders.send(lambda: port, over, run * 1000 + n, told) for n in range(connections)))
    percentiles = statistics.quantiles(told.latencies, n=100)
    passed = time.monotonic() - began
    return Load(told.events + told.refused, passed, percentiles[49], percentiles[98], told.refused, 0)


def _kills(root: Path, kills: int) -> bool:
    told = senders.Acknowledged()
    service = asyncio.run(_kill_under_load(root, kills, told))
    until = time.monotonic() + 120
    while service.left() and time.monotonic() < until:
        time.sleep(0.1)
    torn = service.metric("flywheel_intake_torn_groups_total")
    code = service.stop()
    stored = _counted(service)
    lost = len(told.ids - stored.keys())
    doubled = sum(number > 1 for number in stored.values())
    print(
        f"{kills} x kill -9 under load: {told.events:,} events acknowledged ({len(told.ids):,} rows), "
        f"{lost} lost, {doubled} doubled; half-written groups cut off by the last process: {torn:.0f}"
    )
    ok = code == 0 and lost == doubled == 0 and told.events > kills
    print(f"goal: 0 lost over {kills} kill -9: {'kept' if ok else 'MISSED'}")
    return ok


async def _kill_under_load(root: Path, kills: int, told: senders.Acknowledged) -> ServiceProcess:
    rng = random.Random(kills)
    options = ("--move-seconds=0.1",)  # so that moves are hit as well
    service = await asyncio.to_thread(ServiceProcess, root, *options)
    over = False
    tasks = [
        asyncio.create_task(senders.send(lambda: service.port, lambda: over, n, told, insist=True)) for n in range(16)
    ]
    for _ in range(kills):
        await asyncio.sleep(rng.uniform(0.1, 1.5))
        await asyncio.to_thread(service.kill)
        service = await asyncio.to_thread(ServiceProcess, root, *options)
    await asyncio.sleep(0.5)
    over = True
    await asyncio.gather(*tasks)
    return service


def _counted(service: ServiceProcess) -> Counter[str]:
    from flywheel.components.store import delta_table

    ids: Counter[str] = Counter()
    for batch in delta_table.batches(delta_table.latest(str(service.store), "feedback"), ["feedback_id"]):
        ids.update(batch["feedback_id"].to_pylist())
    return ids
