"""What the service tells Prometheus; manifests/base/monitoring builds its alerts and its board on these names."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0)
ROUTES = ("events", "feedback")
OUTCOMES = ("accepted", "rejected", "throttled", "unauthorized")


class IntakeMetrics:
    """The service's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = Counter(
            "flywheel_intake_events_total",
            "Events by what became of them",
            ["route", "outcome"],
            registry=self.registry,
        )
        self.duration = Histogram(
            "flywheel_intake_request_duration_seconds",
            "Time from the request to its answer; accepted means durable",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.unmoved_bytes = Gauge(
            "flywheel_intake_unmoved_bytes", "Acknowledged and not in the store yet", registry=self.registry
        )
        self.oldest_unmoved = Gauge(
            "flywheel_intake_oldest_unmoved_seconds",
            "Age of the oldest acknowledged event that is not in the store yet; 0: none",
            registry=self.registry,
        )
        self.moved_rows = Counter(
            "flywheel_intake_moved_rows_total", "Rows new in the store", ["table"], registry=self.registry
        )
        self.quarantined = Counter(
            "flywheel_intake_quarantined_total", "Events kept aside, by reason", ["reason"], registry=self.registry
        )
        self.waiting_bytes = Gauge(
            "flywheel_intake_waiting_halves_bytes",
            "Halves of inferences whose other half has not come, of all pods",
            registry=self.registry,
        )
        self.queued_events = Gauge("flywheel_intake_queued_events", "Read and not durable yet", registry=self.registry)
        self.group_events = Histogram(
            "flywheel_intake_group_events",
            "Events made durable by one fsync",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.torn_groups = Counter(
            "flywheel_intake_torn_groups_total",
            "Half-written groups cut off after a crash; never acknowledged",
            registry=self.registry,
        )
        self.damaged_segments = Counter(
            "flywheel_intake_damaged_segments_total", "Segments kept aside as .damaged", registry=self.registry
        )
        self.adopted_folders = Counter(
            "flywheel_intake_adopted_folders_total", "Folders of processes that were gone", registry=self.registry
        )
        self.move_failures = Counter(
            "flywheel_intake_move_failures_total", "Moves into the store that failed; repeated", registry=self.registry
        )
        for route in ROUTES:  # series that exist from the start: a rate over a first event would miss it
            self.duration.labels(route)
            for outcome in OUTCOMES:
                self.events.labels(route, outcome)
        for table in ("interactions", "feedback", "quarantine"):
            self.moved_rows.labels(table)

    def text(self) -> bytes:
        """Render in Prometheus' text format."""
        return generate_latest(self.registry)
