"""Renditions of a post's picture, in sizes that pages show, upright and without metadata."""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import Id, PostUploaded
from streams.media import assets
from streams.media.assets import Asset
from streams.media.errors import BadMedia, MissingMedia, RenderCrashed, StorageFailed
from streams.media.paths import check_length
from streams.task import Context, Done, Effect, Outcome, Retry, Skip, task


class MediaUpload(msgspec.Struct, frozen=True):
    """``image`` is a key relative to the media root."""

    post_id: Id
    image: str

    @property
    def asset(self) -> Asset:
        return Asset(str(self.post_id), self.image)


def _of(post: PostUploaded) -> MediaUpload | None:
    """A post without a picture orders nothing."""
    return MediaUpload(post.post_id, post.image) if post.image else None


def _mark_failed(args: MediaUpload, reason: str) -> Effect:
    async def row(connection: AsyncConnection) -> None:
        await assets.give_up(connection, args.asset, reason)

    return row


@task(queue="media", on=PostUploaded, args=_of, on_dead=_mark_failed, redo=True)
async def process_media_upload(args: MediaUpload, ctx: Context) -> Outcome:
    """Files first, then their rows with the ledger's: a row never names a file that is not there."""
    try:
        check_length(args.image)
    except BadMedia as bad:
        # Without an asset: a row under a shortened key would stand for a picture that nobody named.
        return Skip(str(bad))
    if not await assets.post_exists(ctx.engine, ctx.backend, args.post_id):
        return Skip(f"post {args.post_id!r} does not exist")
    await assets.show_processing(ctx.engine, ctx.claim, args.asset)
    try:
        rendered = await ctx.renderer.render(args.asset.post_id, args.image)
    except BadMedia as bad:
        return Skip(str(bad), effect=_failure(args, ctx, str(bad)))
    except (MissingMedia, RenderCrashed, StorageFailed) as passing:
        await assets.show_queued(ctx.engine, ctx.claim, args.asset, str(passing))
        return Retry(str(passing))

    async def rows(connection: AsyncConnection) -> None:
        await assets.keep_renditions(connection, ctx.claim, args.asset, rendered)

    size = sum(rendition.bytes for rendition in rendered.renditions)
    return Done({"renditions": len(rendered.renditions), "bytes": size}, effect=rows)


def _failure(args: MediaUpload, ctx: Context, reason: str) -> Effect:
    async def row(connection: AsyncConnection) -> None:
        await assets.keep_failure(connection, ctx.claim, args.asset, reason)

    return row
