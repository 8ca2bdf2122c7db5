"""A day as people read it."""

from typing import Any

from rich.table import Table
from rich.text import Text

from streams.data.insights import COUNTED
from streams.data.stored_days import StoredDay
from streams.printable import printable
from streams.runs_tables import show_whole

BARS = " ▁▂▃▄▅▆▇█"


def print_day(found: StoredDay) -> None:
    """Counts first, then what was on top."""
    show_whole(_counts(found))
    for name, columns in (("top_posts", POST_COLUMNS), ("top_tags", TAG_COLUMNS)):
        if found.metrics.get(name):
            show_whole(_top(name, found.metrics[name], columns))
    if found.metrics["without"]:
        show_whole(_table(f"Not counted, as the backend lacks: {', '.join(found.metrics['without'])}"))


POST_COLUMNS = ("post_id", "author_id", "visibility", "likes", "comments", "shares", "points")
TAG_COLUMNS = ("tag", "posts")


def _table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="left" if column in ("", *TEXTS) else "right", no_wrap=True)
    return made


TEXTS = ("tag", "visibility", "by hour", "remark")


def _counts(found: StoredDay) -> Table:
    title = f"{found.day} by UTC, counted at {found.computed_at:%Y-%m-%d %H:%M:%SZ}"
    table = _table(title, "", "count", "day before", "change", "total", "by hour", "remark")
    metrics, totals = found.metrics, found.metrics["totals"]
    for name in (name for name in COUNTED if name in metrics):
        change = metrics["changes"].get(name)
        total = totals.get("users" if name == "new_users" else name)
        table.add_row(
            name.replace("_", " "),
            f"{metrics[name]:,}",
            f"{change['before']:,}" if change else "",
            _change(change) if change else "",
            "" if total is None else f"{total:,}",
            _bars([hour.get(name, 0) for hour in found.hours]),
            _remark([each for each in metrics["outliers"] if each["metric"] == name]),
        )
    return table


def _change(change: dict[str, Any]) -> str:
    percent = "" if change["percent"] is None else f" ({change['percent']:+.1f} %)"
    return f"{change['change']:+,}{percent}"


def _bars(counts: list[int]) -> str:
    """A column for each hour, as high as its share of the busiest one."""
    most = max(counts, default=0)
    return "".join(BARS[-(-count * (len(BARS) - 1) // most)] if most else BARS[0] for count in counts)


def _remark(outliers: list[dict[str, Any]]) -> Text:
    said = []
    for each in outliers:
        when = f"at {each['hour']:02}h " if "hour" in each else ""
        said.append(f"{when}{each['value']:,}, usual {each['usual']:,.0f}")
    return Text(f"unusual: {'; '.join(said)}", "yellow") if said else Text()


def _top(name: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Table:
    table = _table(name.replace("_", " ").capitalize(), *columns)
    for row in rows:
        table.add_row(*(Text(printable(str(row[column]))) for column in columns))
    return table
