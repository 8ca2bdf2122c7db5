"""Plans and replays as people read them, and as programs do."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from rich.table import Table

from streams.replay.fates import Counts
from streams.replay.planning import Plan
from streams.replay.request import Request
from streams.replay.store import Facts
from streams.replay.stretches import Gap, Stretch

WORDS = {
    "missing": "not done yet: would be done",
    "again": "would be done again",
    "done": "skipped: done already",
    "under_way": "skipped: under way, or waiting",
    "dead": "skipped: dead or cancelled (--dead includes them)",
    "mail": "skipped: would send mail",
    "too_old": "skipped: older than the ledger, which cannot tell",
    "repeated": "skipped: repeats of an event",
}

TOO_OLD = (
    "too old: the ledger cannot tell whether it was done, so no replay does it. What must be done all the same is new "
    "work: `tailrace enqueue TASK --args ...`, or `tailrace media reprocess` for pictures and videos"
)

SHOWN_RECIPIENTS = 20
SHOWN_EXAMPLES = 10


def plan_facts(plan: Plan) -> dict[str, Any]:
    """A plan for programs."""
    mails = plan.mails
    return {
        "request": plan.selection.request,
        "since": plan.selection.since,
        "until": plan.selection.until,
        "stretches": plan.stretches,
        "gone": plan.gaps,
        "counts": plan.counts,
        "ledger_begins": plan.ledger_begins,
        "oldest_too_old": plan.oldest,
        "commands": plan.counts.total(),
        "submitted": plan.submitted,
        "mails": {"count": mails.count, "sent_before": mails.sent_before, "recipients": mails.recipients},
    }


def plan_lines(plan: Plan) -> Iterable[str]:
    """A plan for people."""
    counts, request = plan.counts, plan.selection.request
    yield from _gap_lines(plan.gaps, request.topic)
    yield f"{counts.read:,} records of {request.topic} lie there; {counts.events:,} events are meant"
    if counts.undecodable:
        yield f"{counts.undecodable:,} records cannot be decoded; they are dead letters, and left alone"
    for task, fates in sorted(counts.tasks.items()):
        yield f"{task}: {sum(fates.values()):,} commands"
        yield from (f"  {fates[fate]:,} {words}" for fate, words in WORDS.items() if fates.get(fate))
    if plan.oldest and plan.ledger_begins:
        yield f"the ledger begins with {plan.ledger_begins:%Y-%m-%d}; the oldest event is of {plan.oldest:%Y-%m-%d}"
        yield TOO_OLD
    yield _mail_line(plan)
    shown = plan.mails.recipients[:SHOWN_RECIPIENTS]
    yield from (f"  {recipient}" for recipient in shown)
    if len(plan.mails.recipients) > len(shown):
        yield f"  and {plan.mails.count - len(shown):,} more; --json names up to 1,000"


def _mail_line(plan: Plan) -> str:
    mails, withheld = plan.mails, plan.counts.total("mail")
    if plan.selection.request.send_mail:
        before = (
            f", {mails.sent_before:,} of which went out before and do not go out again" if mails.sent_before else ""
        )
        return (
            f"mails that would go out: at most {mails.count:,}{before}; the cap is {plan.selection.request.mail_cap:,}"
        )
    return "mails that would go out: 0" + (f"; {withheld:,} are withheld, --send-mail sends them" if withheld else "")


def _gap_lines(gaps: Sequence[Gap], topic: str) -> Iterable[str]:
    for gap in gaps:
        why = "perhaps of the time that was asked for, " if gap.perhaps else ""
        offsets = f"offsets {gap.begin:,} to {gap.end - 1:,} of {topic} partition {gap.partition}"
        yield f"GONE: {offsets}, {why}taken by retention"


def list_table(found: Iterable[Facts]) -> Table:
    """Replays, newest first."""
    table = Table(box=None, pad_edge=False)
    for name in ("id", "state", "mode", "topic", "read", "submitted", "started", "note"):
        table.add_column(name)
    for replay in found:
        counts = msgspec.convert(replay["counts"], Counts)
        started = f"{replay['created_at']:%Y-%m-%d %H:%M:%S}"
        submitted = f"{counts.total('missing', 'again'):,}"
        row = (str(replay["id"]), replay["state"], replay["mode"], replay["topic"], _progress(replay), submitted)
        table.add_row(*row, started, replay["note"] or "")
    return table


def status_lines(replay: Facts, now: datetime) -> Iterable[str]:
    """One replay in full."""
    counts = msgspec.convert(replay["counts"], Counts)
    yield f"replay {replay['id']} of {replay['topic']}, {replay['mode']}: {replay['state']}"
    if replay["state"] == "running" and (replay["lease_until"] is None or replay["lease_until"] < now):
        yield "no worker reads it: one that runs takes it within seconds, or when the last reader's lease is over"
    if replay["error"]:
        yield f"error: {replay['error']}"
    yield f"read: {_progress(replay)}; {counts.events:,} events were meant"
    for task, fates in sorted(counts.tasks.items()):
        yield f"{task}: " + ", ".join(f"{count:,} {fate.replace('_', ' ')}" for fate, count in sorted(fates.items()))
    if withheld := counts.total("mail"):
        yield f"{withheld:,} commands would have sent mail: {_why_withheld(replay['request'])}"
    if counts.total("too_old"):
        yield TOO_OLD
    runs = ", ".join(f"{count:,} {state}" for state, count in sorted(replay["runs"].items()))
    yield f"its runs: {runs or 'none'}"
    yield from _report_lines(replay["report"])
    yield from _gap_lines(msgspec.convert(replay["gaps"], list[Gap]), replay["topic"])
    if replay["note"]:
        yield f"note: {replay['note']}"
    for entry in replay["audit"]:
        yield f"{entry['at']} {entry['what']} by {entry['who']}"


def _why_withheld(request: Mapping[str, Any]) -> str:
    if not request.get("send_mail"):
        return "they are withheld, and a replay with --send-mail sends them"
    cap = msgspec.convert(request, Request).mail_cap
    return f"they are beyond the cap of {cap:,}, and the next replay with --send-mail sends as many again"


def _report_lines(report: Mapping[str, Any] | None) -> Iterable[str]:
    """What a shadow has found."""
    if report is None:
        return
    runs = ", ".join(f"{count:,} {state}" for state, count in sorted(report["runs"].items()))
    yield f"the shadow's runs: {runs or 'none'}"
    rows = ", ".join(f"{count:,} in {table}" for table, count in sorted(report["rows"].items()))
    yield f"different: outcomes {report['outcomes']:,}; rows {rows or '0'}; files {report['files']:,}"
    problems_first = sorted(report["examples"], key=lambda example: example["what"] != "table")
    for example in problems_first[:SHOWN_EXAMPLES]:
        yield "  " + msgspec.json.encode(example).decode()


def _progress(replay: Mapping[str, Any]) -> str:
    """Records that lie behind the reader, of all that there are."""
    stretches = msgspec.convert(replay["stretches"], list[Stretch])
    total = sum(stretch.end - stretch.begin for stretch in stretches)
    positions = replay["positions"]
    passed = sum(positions.get(str(stretch.partition), stretch.begin) - stretch.begin for stretch in stretches)
    return f"{passed:,} of {total:,} offsets"
