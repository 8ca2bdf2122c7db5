"""One job of a render process: from a file to the files that are made of it, in the job's folder."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from streams.media.errors import MissingMedia
from streams.media.jobs import Job, Limits, Rendered, Rendition
from streams.media.paths import check_size, rendition_key, shown
from streams.media.recipe import AVIF, VIDEO, WEBP, Plan
from streams.media.rendering import Gallery, render

PIECE = 1024 * 1024
VIDEO_VARIANT = "h264-720"


def do(job: Job, limits: Limits) -> Rendered:
    """Raises ``BadMedia``, ``MissingMedia``, ``MemoryError`` and ``OSError``."""
    try:
        check_size(Path(job.path).stat().st_size, (limits.image if job.kind == "image" else limits.video).max_bytes)
        return _of_picture(job, limits) if job.kind == "image" else _of_video(job, limits)
    except FileNotFoundError as error:
        if error.filename != job.path:
            raise
        raise MissingMedia(f"{shown(job.source)} was deleted while it was read") from None


def _plan(job: Job, limits: Limits) -> Plan:
    encodings = (WEBP, AVIF) if limits.avif else (WEBP,)
    return Plan(limits.max_pixels, encodings, job.focus, limits.max_frames, limits.max_moving_pixels)


def _of_picture(job: Job, limits: Limits) -> Rendered:
    with Path(job.path).open("rb") as file:
        content = file.read(limits.image.max_bytes + 1)
    check_size(len(content), limits.image.max_bytes)
    gallery = render(content, _plan(job, limits))
    digest = _digest(job, [content])
    return _rendered(job, gallery, gallery.kind, digest, _written(job, gallery, digest))


def _of_video(job: Job, limits: Limits) -> Rendered:
    # FFmpeg is large: it is loaded where there is a video.
    from streams.media.video import make_video  # noqa: PLC0415
    from streams.media.video_source import Caps  # noqa: PLC0415

    digest = _digest(job, _pieces(Path(job.path)))
    key = rendition_key(job.post_id, digest, VIDEO, VIDEO_VARIANT, "mp4")
    file = Path(job.folder, key.rpartition("/")[2])
    caps = Caps(limits.video_max_seconds, limits.video_max_frames, limits.video_max_pixels)
    made = make_video(Path(job.path), file, _plan(job, limits), caps)
    web = Rendition(VIDEO_VARIANT, key, *made.coded.size, file.stat().st_size, "mp4", VIDEO)
    rendered = _rendered(job, made.poster, made.kind, digest, [*_written(job, made.poster, digest), web])
    return _with_video(rendered, made.size, made.coded.seconds, made.coded.passed_through)


def _with_video(rendered: Rendered, size: tuple[int, int], seconds: float, passed_through: bool) -> Rendered:
    rendered_as = {name: getattr(rendered, name) for name in rendered.__struct_fields__}
    rendered_as |= {"width": size[0], "height": size[1], "duration_ms": round(seconds * 1000)}
    return Rendered(**(rendered_as | {"passed_through": passed_through}))


def _rendered(job: Job, gallery: Gallery, kind: str, digest: str, renditions: list[Rendition]) -> Rendered:
    return Rendered(
        kind=job.kind,
        format=kind.lower(),
        digest=digest,
        width=gallery.size[0],
        height=gallery.size[1],
        blurhash=gallery.placeholder.blurhash,
        colour=gallery.placeholder.colour,
        renditions=renditions,
        frames=gallery.frames,
    )


def _written(job: Job, gallery: Gallery, digest: str) -> list[Rendition]:
    renditions = []
    for picture in gallery.pictures:
        form, recipe = picture.encoding.format, picture.encoding.name
        key = rendition_key(job.post_id, digest, recipe, picture.variant, form)
        size = picture.width, picture.height
        made = Rendition(picture.variant, key, *size, len(picture.content), form, recipe)
        Path(job.folder, made.name).write_bytes(picture.content)
        renditions.append(made)
    return renditions


def _digest(job: Job, pieces: Iterable[bytes]) -> str:
    """Names the renditions: the key, what a crop keeps, and the content."""
    focus = f"@{job.focus[0]:.4f},{job.focus[1]:.4f}" if job.focus else ""
    # The length first, so that no other pair of key and content runs together to the same bytes.
    digest = hashlib.sha256(f"{len(job.source.encode())}:{job.source}{focus}:".encode())
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()[:16]


def _pieces(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
