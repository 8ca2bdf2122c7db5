"""Renders pictures and videos in processes that can be killed; the event loop only waits for them."""

import asyncio
from datetime import timedelta

from streams.media.errors import BadMedia, MissingMedia, RenderCrashed
from streams.media.jobs import Failed, Job, Kind, Rendered, Reply
from streams.media.render_worker import RenderWorker
from streams.media.scratch import Scratch
from streams.media.storage import Storage
from streams.task_settings import Media

MAX_JOBS = 500
"""A process that has done so many is replaced: what its libraries leak ends with it."""

PATIENCE = 4
"""How many times the processor time that a job may take we wait for it: the machine may be busy."""

ERRORS = {"bad": BadMedia, "missing": MissingMedia, "crashed": RenderCrashed}


class Renderer:
    """At most ``media.processes`` processes, each started when it is first needed.

    They are plain subprocesses, not ``multiprocessing``: that would import the worker's main program, with
    Faust and all, into each of them.
    """

    def __init__(self, media: Media, storage: Storage, patience: timedelta | None = None) -> None:
        self._media, self._storage = media, storage
        self._scratch = Scratch(media.scratch)
        self._patience = patience
        self._places: asyncio.LifoQueue[RenderWorker | None] = asyncio.LifoQueue()
        for _ in range(media.processes):
            self._places.put_nowait(None)
        self._workers: set[RenderWorker] = set()
        self._closed = False

    async def render(
        self, post_id: str, source: str, kind: Kind = "image", focus: tuple[float, float] | None = None
    ) -> Rendered:
        """Make every rendition of the picture or video at the key ``source`` and put it into the storage.

        Raises ``BadMedia`` if content or key are at fault, a decode that took too much processor time or memory
        included; ``MissingMedia`` if there is no file; ``StorageFailed`` and ``RenderCrashed`` for anything else,
        which may pass.
        """
        try:
            async with self._scratch.folder() as folder:
                most = self._media.max_bytes if kind == "image" else self._media.video_max_bytes
                path = await self._storage.fetch(source, folder, most)
                rendered = await self._ask(Job(post_id, source, str(path), str(folder), kind, focus))
                await self._storage.put({made.key: folder / made.name for made in rendered.renditions})
                return rendered
        except OSError as error:
            raise RenderCrashed(f"the folder for files under way cannot be used: {error}") from error

    async def _ask(self, job: Job) -> Rendered:
        place = await self._places.get()
        worker = place if place and place.alive else None
        try:
            if worker is None:
                worker = await self._start()
            allowed = self._media.timeout if job.kind == "image" else self._media.video_timeout
            reply = await worker.ask(job, self._patience or allowed * PATIENCE, allowed)
            worker = await self._kept(worker)
        finally:
            self._forget_the_dead()
            self._places.put_nowait(worker if worker and worker.alive else None)
        return _rendered(reply)

    async def close(self) -> None:
        """Kill every process. Whoever still waits for a rendition gets ``RenderCrashed``."""
        self._closed = True
        for worker in list(self._workers):
            await worker.kill()
        self._workers.clear()
        self._scratch.close()

    async def _start(self) -> RenderWorker:
        self._refuse_if_closed()
        worker = await RenderWorker.start(self._media)
        self._workers.add(worker)
        try:
            self._refuse_if_closed()
        except RenderCrashed:
            await worker.kill()
            raise
        return worker

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise RenderCrashed("the renderer is closed")

    async def _kept(self, worker: RenderWorker) -> RenderWorker | None:
        if worker.jobs < MAX_JOBS:
            return worker
        await worker.kill()
        return None

    def _forget_the_dead(self) -> None:
        self._workers = {worker for worker in self._workers if worker.alive}


def _rendered(reply: Reply) -> Rendered:
    if isinstance(reply, Failed):
        raise ERRORS[reply.kind](reply.reason)
    return reply
