"""Where big tables are processed: Daft on this machine's cores (`native`) or Daft on a Ray cluster (`ray`).

One code path: work is a pure function from Arrow table to Arrow table, data comes in units that may be processed
anywhere and in any order, and results come back in the order of the units. So both engines give the same bytes.
Joins and group-bys of Daft itself run on the same engine.
"""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

ENGINES = ("native", "ray")
ADDRESS_VARIABLE = "RAY_ADDRESS"
LOCAL = "local"  # address that starts Ray on this machine, for tests and for trying out
_PATIENCE = 10.0  # seconds for the head to take a connection

Work = Callable[[pa.Table], pa.Table]


class EngineError(ValueError):
    """The engine asked for cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Engine:
    """A running engine.

    Attributes:
        name: One of `ENGINES`.
        workers: Units that are processed at a time.
    """

    name: str
    workers: int

    def map(self, work: Work, units: Sequence[pa.Table]) -> Iterator[pa.Table]:
        """Apply a function to units.

        Args:
            work: Pure function of a module that the workers can import; never sees two units at once.
            units: Tables; each and its result must fit into a worker's memory.

        Yields:
            The results, in the order of the units.

        Raises:
            Exception: Whatever `work` raises; from Ray it comes as an error that names it.
        """
        if not units:
            return
        daft = daft_module()

        @daft.func.batch(return_dtype=daft.DataType.binary(), use_process=False, batch_size=1)
        def apply(packed: Any) -> list[bytes]:
            return [_packed(work(_unpacked(unit))) for unit in packed.to_pylist()]

        frame = daft.from_pydict({"unit": list(range(len(units))), "packed": [_packed(unit) for unit in units]})
        if self.name == "ray" and len(units) > 1:
            frame = frame.into_partitions(min(len(units), self.workers))
        done = frame.select(daft.col("unit"), apply(daft.col("packed")).alias("packed")).to_arrow()
        results = dict(zip(done["unit"].to_pylist(), done["packed"], strict=True))
        for number in range(len(units)):
            yield _unpacked(results.pop(number).as_buffer())


@contextmanager
def running(name: str = "native", address: str = "") -> Iterator[Engine]:
    """Start an engine for this process; a process that has used one cannot use the other.

    Args:
        name: One of `ENGINES`.
        address: For ray, `host:port` or `ray://host:port` of the cluster's head, or "local" to start Ray here; "": the
            environment's RAY_ADDRESS.

    Raises:
        EngineError: There is no such engine, Ray is not installed, no address is given, nobody answers there, or this
            process runs the other engine.
    """
    if name not in ENGINES:
        raise EngineError(f"unknown engine {name!r}; use one of {', '.join(ENGINES)}")
    if name == "native":
        if address:
            raise EngineError(f"a Ray address ({address}) is given for engine native; give engine=ray to use it")
        _choose("native")
        yield Engine("native", 1)  # Python functions take turns in one process
        return
    ray = _ray()
    where = address or os.environ.get(ADDRESS_VARIABLE, "")
    check_address(where)
    try:
        if where == LOCAL:
            ray.init(address="local", include_dashboard=False, log_to_driver=False, configure_logging=False)
        else:
            ray.init(address=where, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise EngineError(f"cannot use the Ray cluster at {where}: {error}") from error
    try:
        _choose("ray")
        yield Engine("ray", workers())
    finally:
        ray.shutdown()


def workers() -> int:
    """Cores of the Ray cluster that this process is connected to, at least 2: an autoscaled one may have none yet."""
    return max(2, int(_ray().cluster_resources().get("CPU", 0)))


def check_address(address: str) -> None:
    """See whether somebody listens at a Ray address; says nothing about what the cluster can do.

    Args:
        address: `host:port` or `ray://host:port`, or "local".

    Raises:
        EngineError: No address, not one of these forms, or nobody takes a connection within ten seconds.
    """
    if not address:
        raise EngineError(
            f"engine ray needs the address of a Ray cluster: give ray_address, or set {ADDRESS_VARIABLE}, as "
            f"ray://flywheel-head-svc:10001; {LOCAL!r} starts Ray on this machine"
        )
    if address == LOCAL:
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.scheme not in ("", "ray"):
        raise EngineError(f"the Ray address {address!r} is not host:port, ray://host:port or {LOCAL!r}")
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except OSError as error:
        raise EngineError(
            f"nobody answers at the Ray address {address} ({error}); check that the RayCluster runs and that the "
            "network policy lets this pod reach it, or use engine=native"
        ) from error


def daft_module() -> Any:
    """Import Daft, its telemetry off: it would send from a step that handles user data."""
    for name in ("DO_NOT_TRACK", "SCARF_NO_ANALYTICS"):
        os.environ.setdefault(name, "true")
    os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")
    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
    import daft
    import daft.functions

    return daft


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise EngineError(
            "engine ray needs Ray, which is not installed: pip install 'feedback-flywheel[ray]', or use engine=native"
        ) from error
    return ray


def _choose(name: str) -> None:
    daft = daft_module()
    try:
        if name == "ray":
            daft.set_runner_ray(noop_if_initialized=True)
        else:
            daft.set_runner_native()
    except daft.exceptions.DaftCoreException as error:
        # Set before, then; as native is fine. Daft is asked no sooner: it would import Ray to guess.
        if name == "ray" or daft.runners.get_or_infer_runner_type() != "native":
            raise EngineError(
                f"this process has used Daft's other engine already, so it cannot use {name}: {error}"
            ) from error


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _unpacked(packed: bytes | pa.Buffer) -> pa.Table:
    return pa.ipc.open_stream(packed).read_all()
