"""Processes that render: limits, deaths and what is left of them."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from PIL import Image

from streams.media.errors import BadMedia, MissingMedia, RenderCrashed
from streams.media.jobs import Job, Reply
from streams.media.render_worker import RenderWorker
from streams.media.renderer import Renderer
from streams.media.storage import storage_of
from streams.settings import Settings
from streams.task_settings import Media
from tests.pictures import encoded, photo
from tests.render_processes import processes
from tests.waiting import eventually

MakeRenderer = Callable[..., Renderer]


@pytest.fixture
def media(tmp_path: Path) -> Media:
    (tmp_path / "photo.jpg").write_bytes(encoded(photo()))
    (tmp_path / "large.jpg").write_bytes(encoded(Image.new("L", (5000, 5000)), "PNG", compress_level=1))
    return Settings.load({"TAILRACE_MEDIA__ROOT": str(tmp_path), "TAILRACE_MEDIA__PROCESSES": "1"}).media


@pytest.fixture
async def make() -> AsyncIterator[MakeRenderer]:
    made: list[Renderer] = []

    def make(media: Media, patience: timedelta | None = None) -> Renderer:
        made.append(Renderer(media, storage_of(media), patience))
        return made[-1]

    yield make
    for renderer in made:
        await renderer.close()


@pytest.fixture
def at_work(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when a process has been given a job."""
    given, ask = asyncio.Event(), RenderWorker.ask

    async def tell(worker: RenderWorker, job: Job, patience: timedelta, processor_time: timedelta) -> Reply:
        # The job is written in the call's first step, before anything else of the loop comes to run.
        asyncio.get_running_loop().call_soon(given.set)
        return await ask(worker, job, patience, processor_time)

    monkeypatch.setattr(RenderWorker, "ask", tell)
    return given


async def test_a_picture_becomes_files_under_the_media_root(media: Media, make: MakeRenderer) -> None:
    rendered = await make(media).render("7", "photo.jpg")

    assert (rendered.width, rendered.height) == (400, 300)
    assert [rendition.variant for rendition in rendered.renditions] == ["w1080", "w640", "w320", "thumb150"]
    for rendition in rendered.renditions:
        file = media.root / rendition.key
        assert file.stat().st_size == rendition.bytes
        assert Image.open(file).size == (rendition.width, rendition.height)


async def test_a_repeat_writes_the_same_files(media: Media, make: MakeRenderer) -> None:
    renderer = make(media)
    first = await renderer.render("7", "photo.jpg")
    before = {path: path.read_bytes() for path in (media.root / "renditions").rglob("*.*")}

    second = await renderer.render("7", "photo.jpg")

    assert second == first
    assert {path: path.read_bytes() for path in (media.root / "renditions").rglob("*.*")} == before


async def test_content_and_missing_files_are_told_apart(media: Media, make: MakeRenderer) -> None:
    (media.root / "words.jpg").write_bytes(b"words")
    renderer = make(media)

    with pytest.raises(BadMedia, match="no JPEG"):
        await renderer.render("7", "words.jpg")
    with pytest.raises(MissingMedia, match="does not exist"):
        await renderer.render("7", "none.jpg")
    assert await renderer.render("7", "photo.jpg")


async def test_a_decode_that_takes_too_much_processor_time_is_killed(media: Media, make: MakeRenderer) -> None:
    hasty = media.model_copy(update={"timeout": timedelta(milliseconds=20)})

    with pytest.raises(BadMedia, match="more than 20ms of processor time"):
        await make(hasty, timedelta(minutes=1)).render("7", "large.jpg")

    assert processes() == []
    assert await make(media).render("7", "photo.jpg")


async def test_processor_time_is_counted_for_each_picture_by_itself(media: Media, make: MakeRenderer) -> None:
    renderer = make(media.model_copy(update={"timeout": timedelta(seconds=1)}), timedelta(minutes=1))
    await renderer.render("0", "large.jpg")
    (process,) = processes()
    start = process.cpu_times().user

    number = 0
    while process.cpu_times().user - start < 1.2:
        number += 1
        await renderer.render(f"{number}", "large.jpg")

    assert processes() == [process]


async def test_a_process_that_gets_no_time_is_no_fault_of_the_picture(media: Media, make: MakeRenderer) -> None:
    renderer = make(media, timedelta(seconds=1))
    await renderer.render("7", "photo.jpg")
    processes()[0].suspend()

    with pytest.raises(RenderCrashed, match="did not answer within 1s"):
        await renderer.render("8", "photo.jpg")

    assert processes() == []
    assert await renderer.render("8", "photo.jpg")


async def test_any_key_is_answered_in_one_short_line(media: Media, make: MakeRenderer) -> None:
    renderer = make(media)
    await renderer.render("7", "photo.jpg")
    (process,) = processes()

    for key in ("k" * 200_000, "é" * 512, "a/" * 512, "photo.jpg/" + "x" * 200):
        with pytest.raises((BadMedia, MissingMedia)) as raised:
            await renderer.render("7", key)
        assert len(str(raised.value)) < 200

    assert processes() == [process]


async def test_a_decode_out_of_memory_is_the_contents_fault(media: Media, make: MakeRenderer) -> None:
    (media.root / "wide.png").write_bytes(encoded(Image.new("RGBA", (5000, 5000)), "PNG", compress_level=1))
    renderer = make(media.model_copy(update={"max_memory_mb": 256}))

    with pytest.raises(BadMedia, match="more than 256 MB of memory"):
        await renderer.render("7", "wide.png")

    assert await renderer.render("7", "photo.jpg")


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGKILL, RenderCrashed), (signal.SIGSEGV, BadMedia)], ids=["killed", "crashed"]
)
async def test_the_death_of_a_process_at_work_is_told_and_the_next_goes_on(
    media: Media, make: MakeRenderer, at_work: asyncio.Event, number: signal.Signals, error: type[Exception]
) -> None:
    renderer = make(media)
    await renderer.render("7", "photo.jpg")
    (process,) = processes()
    process.suspend()
    at_work.clear()
    rendering = asyncio.create_task(renderer.render("8", "photo.jpg"))
    await at_work.wait()

    process.send_signal(number)
    with suppress(psutil.NoSuchProcess):
        process.resume()

    with pytest.raises(error, match=number.name):
        await rendering
    assert await renderer.render("8", "photo.jpg")


async def test_the_death_of_an_idle_process_is_not_noticed(media: Media, make: MakeRenderer) -> None:
    renderer = make(media)
    await renderer.render("7", "photo.jpg")
    (process,) = processes()

    process.kill()
    await eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)

    assert await renderer.render("8", "photo.jpg")


async def test_a_cancelled_render_leaves_its_place_to_the_next(
    media: Media, make: MakeRenderer, at_work: asyncio.Event
) -> None:
    renderer = make(media)
    await renderer.render("7", "photo.jpg")
    processes()[0].suspend()
    at_work.clear()
    rendering = asyncio.create_task(renderer.render("8", "photo.jpg"))
    await at_work.wait()

    rendering.cancel()

    with pytest.raises(asyncio.CancelledError):
        await rendering
    assert await renderer.render("8", "photo.jpg")


async def test_no_more_processes_run_than_the_settings_say(media: Media, make: MakeRenderer) -> None:
    renderer = make(media.model_copy(update={"processes": 2}))

    await asyncio.gather(*(renderer.render(str(number), "photo.jpg") for number in range(6)))

    assert len(processes()) == 2


async def test_signals_for_the_whole_group_do_not_interrupt_a_render(media: Media, make: MakeRenderer) -> None:
    renderer = make(media)
    await renderer.render("7", "photo.jpg")
    (process,) = processes()

    process.send_signal(signal.SIGINT)
    process.terminate()

    assert await renderer.render("8", "photo.jpg")
    assert processes() == [process]


async def test_close_leaves_no_process_and_takes_no_more_work(media: Media, make: MakeRenderer) -> None:
    renderer = make(media)
    await renderer.render("7", "photo.jpg")

    await renderer.close()

    assert processes() == []
    with pytest.raises(RenderCrashed, match="closed"):
        await renderer.render("8", "photo.jpg")


async def test_a_process_knows_no_passwords_and_no_worker(
    media: Media, make: MakeRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAILRACE_DATABASE__URL", "postgresql://me:secret@db/x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    await make(media).render("7", "photo.jpg")

    (process,) = processes()

    assert "secret" not in json.dumps(process.environ())
    loaded = {Path(found.path).name for found in process.memory_maps() if found.path.endswith(".so")}
    assert not any("uvloop" in name or "aiokafka" in name or "asyncpg" in name for name in loaded)
