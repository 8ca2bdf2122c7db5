"""Renditions of a post's picture, in sizes that pages show, upright and without metadata."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import Id, PostUploaded
from streams.media import assets
from streams.media.errors import BadMedia, MissingMedia, RenderCrashed
from streams.task import Context, Done, Effect, Outcome, Retry, RetryPolicy, Skip, task

RETRY = RetryPolicy()


class MediaUpload(msgspec.Struct, frozen=True):
    """``image`` is a key relative to the media root."""

    post_id: Id
    image: str


def _of(post: PostUploaded) -> MediaUpload | None:
    """A post without a picture orders nothing."""
    return MediaUpload(post.post_id, post.image) if post.image else None


@task(queue="media", on=PostUploaded, args=_of, retry=RETRY)
async def process_media_upload(args: MediaUpload, ctx: Context) -> Outcome:
    """Files first, then their rows with the ledger's: a row never names a file that is not there."""
    if not await assets.post_exists(ctx.engine, ctx.backend, args.post_id):
        return Skip(f"post {args.post_id!r} does not exist")
    post_id, image = str(args.post_id), args.image
    await assets.show_processing(ctx.engine, post_id, image)
    try:
        rendered = await ctx.renderer.render(post_id, image)
    except BadMedia as bad:
        return Skip(str(bad), effect=_failure(post_id, image, str(bad)))
    except (MissingMedia, RenderCrashed) as passing:
        return await _again(ctx, post_id, image, str(passing))

    async def rows(connection: AsyncConnection) -> None:
        await assets.keep_renditions(connection, post_id, image, rendered)

    size = sum(rendition.bytes for rendition in rendered.renditions)
    return Done({"renditions": len(rendered.renditions), "bytes": size}, effect=rows)


def _failure(post_id: str, image: str, reason: str) -> Effect:
    async def row(connection: AsyncConnection) -> None:
        await assets.keep_failure(connection, post_id, image, reason)

    return row


async def _again(ctx: Context, post_id: str, image: str, reason: str) -> Outcome:
    show = assets.show_failed if ctx.claim.attempt >= RETRY.max_attempts else assets.show_queued
    await show(ctx.engine, post_id, image, reason)
    return Retry(reason)
