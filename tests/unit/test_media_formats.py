"""What an installation can read and write is tried, told and measured."""

import asyncio
import json

import pytest
from click.testing import CliRunner
from prometheus_client import generate_latest

from streams.cli import cli
from streams.media import probing
from streams.media.formats import probe_formats, tell_formats
from streams.media.opening import open_picture
from streams.metrics import Metrics
from tests.waiting import eventually


async def test_everything_that_is_promised_works_here() -> None:
    found = await probe_formats()

    assert found.problems == {}
    assert {"JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF", "H.264", "HEVC", "VP9", "AAC"} <= set(found.reads)
    assert found.writes == ["WEBP", "AVIF", "MP4"]


def test_what_does_not_work_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "HEIC", b"\xff\xd8\xffnothing")
    monkeypatch.setitem(probing.CODINGS, "VP9", "no_such_decoder")

    found = probing.probe()

    assert set(found.problems) == {"read HEIF", "read VP9"}
    assert "HEIF" not in found.reads and "VP9" not in found.reads and "JPEG" in found.reads


async def test_a_trial_that_dies_is_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.media.formats.sys.executable", "/bin/false")

    found = await probe_formats()

    assert found.reads == found.writes == [] and "ended with 1" in found.problems["everything"]


async def test_a_worker_measures_what_works() -> None:
    metrics = Metrics()
    telling = asyncio.create_task(tell_formats(metrics))

    await eventually(
        lambda: b'tailrace_media_format{format="MP4",way="write"} 1.0' in generate_latest(metrics.registry)
    )
    telling.cancel()


async def test_the_command_says_what_works() -> None:
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["media", "formats", "--json"])

    assert result.exit_code == 0 and json.loads(result.output)["writes"] == ["WEBP", "AVIF", "MP4"]


def test_the_picture_that_is_tried_is_one() -> None:
    opened = open_picture(probing.HEIC, 64 * 64)
    opened.image.load()

    assert opened.kind == "HEIF" and opened.size == (64, 64)
