"""How runs, instants and filters are written on the command line."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from streams.enqueueing import hours_between, start_of_hour
from streams.instants import parse_future, parse_instant, parse_past
from streams.run_filter import Filter
from streams.run_ids import RunId, WrongRunId, parse_run_id

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
ID = uuid.UUID("5f0c7e0e-8c3e-5d55-9f0e-0f3c6d5a7b11")


@pytest.mark.parametrize("caused_at", [NOW, NOW.replace(microsecond=1), NOW.replace(microsecond=120_000)])
def test_a_name_that_was_printed_is_read_again(caused_at: datetime) -> None:
    assert parse_run_id(str(RunId(ID, caused_at))) == RunId(ID, caused_at)


def test_an_id_alone_is_a_name() -> None:
    assert parse_run_id(str(ID)) == ID


@pytest.mark.parametrize("text", ["", "12", f"{ID}@yesterday", f"{ID}@2026-03-04T12:00:00"])
def test_what_names_no_run_is_shown_how_one_is_named(text: str) -> None:
    with pytest.raises(WrongRunId, match="@2026-03-04T12:00:00Z"):
        parse_run_id(text)


def test_the_past_is_an_instant_or_how_long_ago() -> None:
    assert parse_past("24h", NOW) == NOW - timedelta(days=1)
    assert parse_past("2026-03-04T13:00:00+01:00", NOW) == datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["soon", "2026-03-04T12:00:00", "99999999d", "0001-01-01T00:00:00+10:00"])
def test_no_instant_is_an_error_that_says_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an instant|no time zone|beyond the calendar"):
        parse_past(text, NOW)


def test_the_future_is_a_duration_from_now() -> None:
    assert parse_future("90s", NOW) == NOW + timedelta(seconds=90)
    assert parse_instant("2026-03-04T12:30:00Z") == NOW


@pytest.mark.parametrize("state", [None, "done", "skipped", "cancelled"])
def test_a_list_that_no_index_bounds_is_of_the_last_day(state: str | None) -> None:
    assert Filter(state=state).bounded(NOW).since == NOW - timedelta(days=1)
    assert Filter(state=state, until=NOW - timedelta(days=5)).bounded(NOW).since == NOW - timedelta(days=6)


@pytest.mark.parametrize("wanted", [Filter(state="dead"), Filter(state="parked"), Filter(schedule="nightly")])
def test_what_an_index_bounds_is_listed_however_old_it_is(wanted: Filter) -> None:
    assert wanted.bounded(NOW) == wanted


def test_a_key_is_looked_for_at_every_hour_that_the_ledger_holds() -> None:
    first = datetime(2026, 3, 1, tzinfo=UTC)

    hours = hours_between(first, start_of_hour(NOW))

    assert len(hours) == 3 * 24 + 13
    assert (hours[0], hours[-1]) == (first, datetime(2026, 3, 4, 12, tzinfo=UTC))
