"""Every metric of this project. Names start with ``tailrace_``; durations are in seconds."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._deliveries(self.registry)
        self._runs(self.registry)
        self._replays(self.registry)
        self._outbox(self.registry)
        self._trending_and_http(self.registry)

    def _deliveries(self, registry: CollectorRegistry) -> None:
        # Conservation: consumed = done + skipped + duplicate + dead + parked + in flight, for each queue.
        # A fact is `done` when its commands are on their queues.
        self.consumed = Counter("tailrace_consumed", "Records taken from a topic", ["topic"], registry=registry)
        self.ended = Counter(
            "tailrace_ended",
            "Records dealt with, by how: done, skipped, duplicate, dead, parked, revoked",
            ["topic", "state"],
            registry=registry,
        )
        self.in_flight = Gauge(
            "tailrace_in_flight", "Records taken and not dealt with yet", ["topic"], registry=registry
        )
        self.unbalanced = Gauge(
            "tailrace_conservation_error",
            "consumed - ended - in flight; anything but 0 is a bug",
            registry=registry,
        )
        self.paused_partitions = Gauge(
            "tailrace_paused_partitions", "Partitions paused at the cap of unacknowledged records", registry=registry
        )

    def _runs(self, registry: CollectorRegistry) -> None:
        self.run_seconds = Histogram(
            "tailrace_run_seconds",
            "Time of a run from start to record",
            ["task"],
            buckets=SECONDS,
            registry=registry,
        )
        self.wait_seconds = Histogram(
            "tailrace_wait_seconds",
            "Time from publishing a command to the start of its run",
            ["queue"],
            buckets=SECONDS,
            registry=registry,
        )
        self.takeovers = Counter("tailrace_takeovers", "Runs taken over from a lost worker", registry=registry)
        self.lost_claims = Counter(
            "tailrace_lost_claims", "Runs that were no longer ours when they ended", registry=registry
        )

        self.started = Counter("tailrace_started", "Runs started, by queue", ["queue"], registry=registry)
        self.queue_paused = Gauge("tailrace_queue_paused", "1 where the queue is paused", ["queue"], registry=registry)
        self.swept = Counter(
            "tailrace_swept", "Runs that the sweeper put on their queue again, by state", ["state"], registry=registry
        )
        self.trimmed = Counter(
            "tailrace_trimmed", "Records below the watermark that were deleted", ["topic"], registry=registry
        )
        self.media_format = Gauge(
            "tailrace_media_format",
            "1 where this installation reads or writes the format, 0 where it should and cannot",
            ["format", "way"],
            registry=registry,
        )
        self.ticks = Counter(
            "tailrace_ticks", "Instants of schedules dealt with: run, skipped", ["schedule", "what"], registry=registry
        )

    def _replays(self, registry: CollectorRegistry) -> None:
        self.replayed = Counter("tailrace_replayed", "Records read by replays, by mode", ["mode"], registry=registry)
        self.replay_window = Gauge(
            "tailrace_replay_window",
            "Runs of the replay read here that may be open; 0 while it rests",
            registry=registry,
        )

    def _outbox(self, registry: CollectorRegistry) -> None:
        self.relayed = Counter("tailrace_relayed", "Outbox rows published", ["topic"], registry=registry)
        self.set_aside = Counter("tailrace_set_aside", "Outbox rows that cannot be sent", registry=registry)
        self.relay_active = Gauge("tailrace_relay_active", "1 where this worker holds the relay", registry=registry)
        self.outbox_rows = Gauge("tailrace_outbox_rows", "Rows of the outbox", ["state"], registry=registry)
        self.outbox_age = Gauge(
            "tailrace_outbox_oldest_seconds", "Age of the oldest outbox row that is due", registry=registry
        )

    def _trending_and_http(self, registry: CollectorRegistry) -> None:
        self.counted = Counter("tailrace_trending_counted", "Events read for trending", ["source"], registry=registry)
        self.excluded = Counter(
            "tailrace_trending_excluded", "Events not counted, by reason", ["reason"], registry=registry
        )
        self.flushes = Counter("tailrace_trending_flushes", "Batches of counts stored", registry=registry)
        self.refused_flushes = Counter(
            "tailrace_trending_refused_flushes",
            "Batches dropped: another owner had stored them",
            registry=registry,
        )
        self.view_lag = Gauge(
            "tailrace_trending_view_lag_seconds", "How far answers are behind the clock", registry=registry
        )
        self.trend_streams = Gauge("tailrace_trend_streams", "Open streams of the top list", registry=registry)
        self.events_taken = Counter("tailrace_http_events", "Events taken in over HTTP", ["topic"], registry=registry)
        self.requests = Histogram(
            "tailrace_http_request_seconds",
            "Time of an HTTP request",
            ["route", "status"],
            buckets=SECONDS,
            registry=registry,
        )
