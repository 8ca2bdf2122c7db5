"""What pages show of a post's picture and video: renditions, poster, web video, upright and without metadata."""

from datetime import timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import Id, Part, PostUploaded
from streams.media import assets
from streams.media.assets import Asset
from streams.media.errors import BadMedia, MissingMedia, RenderCrashed, StorageFailed
from streams.media.jobs import Rendered
from streams.media.leftovers import put_off
from streams.media.paths import check_length
from streams.task import Context, Done, Effect, Outcome, Retry, Skip, task


class MediaUpload(msgspec.Struct, frozen=True, omit_defaults=True):
    """``image`` and ``video`` are keys relative to the media root. ``image_focus`` as in the event."""

    post_id: Id
    image: str | None = None
    video: str | None = None
    image_focus: tuple[Part, Part] | None = None

    @property
    def assets(self) -> list[Asset]:
        post_id = str(self.post_id)
        image = [Asset(post_id, self.image, "image", self.image_focus)] if self.image else []
        return image + ([Asset(post_id, self.video, "video")] if self.video else [])


def _of(post: PostUploaded) -> MediaUpload | None:
    """A post without picture or video orders nothing."""
    if not (post.image or post.video):
        return None
    return MediaUpload(post.post_id, post.image or None, post.video or None, post.image_focus)


def _mark_failed(args: MediaUpload, reason: str) -> Effect:
    async def rows(connection: AsyncConnection) -> None:
        for asset in args.assets:
            await assets.give_up(connection, asset, reason)

    return rows


@task(queue="media", on=PostUploaded, args=_of, on_dead=_mark_failed, timeout=timedelta(hours=1), redo=True)
async def process_media_upload(args: MediaUpload, ctx: Context) -> Outcome:
    """Files first, then their rows with the ledger's: a row never names a file that is not there."""
    try:
        for asset in args.assets:
            check_length(asset.source)
    except BadMedia as bad:
        # Without an asset: a row under a shortened key would stand for a file that nobody named.
        return Skip(str(bad))
    if not await assets.post_exists(ctx.engine, ctx.backend, args.post_id):
        return Skip(f"post {args.post_id!r} does not exist")
    made: dict[Asset, Rendered | str] = {}
    for asset in await _to_make(args, ctx):
        await put_off(ctx.engine, asset.post_id)
        await assets.show_processing(ctx.engine, ctx.claim, asset)
        try:
            made[asset] = await ctx.renderer.render(asset.post_id, asset.source, asset.kind, asset.focus)
        except BadMedia as bad:
            made[asset] = str(bad)
        except (MissingMedia, RenderCrashed, StorageFailed) as passing:
            for waiting in (*made, asset):
                await assets.show_queued(ctx.engine, ctx.claim, waiting, str(passing))
            return Retry(str(passing))
    return _outcome(args, ctx, made)


async def _to_make(args: MediaUpload, ctx: Context) -> list[Asset]:
    """A video that is attached later comes with the picture that was there: the picture is not made twice."""
    if len(args.assets) == 1 or ctx.command.generation:
        return args.assets
    return [asset for asset in args.assets if not await assets.is_ready(ctx.engine, asset)]


def _outcome(args: MediaUpload, ctx: Context, made: dict[Asset, Rendered | str]) -> Outcome:
    """Done where anything was made; what cannot be made is said in its row, and in the result."""

    async def rows(connection: AsyncConnection) -> None:
        for asset, rendered in made.items():
            if isinstance(rendered, str):
                await assets.keep_failure(connection, ctx.claim, asset, rendered)
            else:
                await assets.keep_renditions(connection, ctx.claim, asset, rendered)
                await assets.announce(connection, args.post_id, asset, rendered, ctx.now())

    reasons = {asset.kind: rendered for asset, rendered in made.items() if isinstance(rendered, str)}
    files = [file for done in made.values() if isinstance(done, Rendered) for file in done.renditions]
    if not files:
        return Skip("; ".join(reasons.values()) or "all of it is ready already", effect=rows)
    result = {"renditions": len(files), "bytes": sum(file.bytes for file in files)}
    return Done(result | ({"failed": reasons} if reasons else {}), effect=rows)
