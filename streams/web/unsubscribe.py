"""``/unsubscribe/{token}``: a page with a button for people, and one POST for mail programs (RFC 8058).

GET changes nothing: scanners of mails follow every link. The token says whose subscription it is; no login is needed.
"""

from collections.abc import Mapping
from importlib import resources

from aiohttp import web
from jinja2 import Environment, PackageLoader
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.mail.links import Links, Subscription
from streams.mail.suppressions import Suppression, is_suppressed, lift, suppress

MOST_BYTES = 4096
POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
WORDS = {
    "en": {
        "unsubscribe": ("Weekly digest", "You get the week's best posts by mail on Mondays.", "Send me no more"),
        "subscribe": ("You are unsubscribed", "You get no more weekly digests.", "Send them again"),
    },
    "fr": {
        "unsubscribe": (
            "Résumé de la semaine",
            "Vous recevez chaque lundi les meilleures publications de la semaine.",
            "Ne plus le recevoir",
        ),
        "subscribe": ("Désabonnement effectué", "Vous ne recevrez plus le résumé.", "Le recevoir à nouveau"),
    },
}
"""Language -> what the button does -> title, text and button."""


def add_unsubscribe(app: web.Application, engine: AsyncEngine, links: Links | None) -> None:
    """Serve it where the settings have a secret; without one there are no links to serve."""
    if links is None:
        return
    page = _Page(engine, links)
    style = (resources.files("streams.web") / "mail_page" / "style.css").read_text()

    async def send_style(_: web.Request) -> web.Response:
        return web.Response(text=style, content_type="text/css", headers={"Cache-Control": "no-cache"})

    app.router.add_get("/unsubscribe/style.css", send_style)
    app.router.add_get("/unsubscribe/{token}", page.show)
    app.router.add_post("/unsubscribe/{token}", page.change)


class _Page:
    """Shows how a subscription stands, with the button that changes it."""

    def __init__(self, engine: AsyncEngine, links: Links) -> None:
        self._engine, self._links = engine, links
        environment = Environment(loader=PackageLoader("streams.web", "mail_page"), autoescape=True)
        self._template = environment.get_template("unsubscribe.html.j2")

    async def show(self, request: web.Request) -> web.Response:
        subscription = _subscription(self._links, request)
        async with self._engine.connect() as connection:
            gone = await is_suppressed(connection, Suppression.of(subscription))
        return self._answer(request, "subscribe" if gone else "unsubscribe")

    async def change(self, request: web.Request) -> web.Response:
        subscription, action = _subscription(self._links, request), await _action(request)
        async with self._engine.begin() as connection:
            if action == "subscribe":
                await lift(connection, Suppression.of(subscription))
            else:
                await suppress(connection, Suppression.of(subscription), "unsubscribed")
        return self._answer(request, "unsubscribe" if action == "subscribe" else "subscribe")

    def _answer(self, request: web.Request, action: str) -> web.Response:
        language = _language(request.headers)
        title, said, button = WORDS[language][action]
        words = {"title": title, "said": said, "button": button, "action": action}
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Vary": "Accept-Language"}
        body = self._template.render(language=language, words=words)
        return web.Response(text=body, content_type="text/html", headers=headers)


def _subscription(links: Links, request: web.Request) -> Subscription:
    found = links.read(request.match_info["token"])
    if found is None:
        raise web.HTTPNotFound(text="this link is not complete; copy all of it from the mail")
    return found


async def _action(request: web.Request) -> str:
    """``List-Unsubscribe=One-Click`` of mail programs, or our button; whatever else a program posts unsubscribes."""
    if (request.content_length or 0) > MOST_BYTES:
        raise web.HTTPRequestEntityTooLarge(MOST_BYTES, request.content_length or 0)
    form = await request.post()
    return "subscribe" if form.get("action") == "subscribe" else "unsubscribe"


def _language(headers: Mapping[str, str]) -> str:
    """The first that the browser asks for and we have, else English."""
    asked = [part.partition(";")[0].strip().lower() for part in headers.get("Accept-Language", "").split(",")]
    return next((name[:2] for name in asked if name[:2] in WORDS), "en")
