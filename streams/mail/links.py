"""Links in mails that say who may do what without logging in: signed, so that nobody can make one up."""

from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeSerializer

from streams.settings import Settings

SALT = "tailrace.unsubscribe"


@dataclass(frozen=True)
class Subscription:
    """One user's place on one mailing list."""

    user_id: str
    mailing_list: str


class Links:
    """Made with the newest secret, read with each: a secret can be changed while older mails are about.

    They do not expire: a mail may be opened years later, and its link must still work.
    """

    def __init__(self, secrets: str, public_url: str) -> None:
        keys = [secret.strip() for secret in secrets.split(",")]
        self._serializer = URLSafeSerializer(list(reversed(keys)), salt=SALT)  # the library wants the newest last
        self._base = public_url.rstrip("/")

    @classmethod
    def of(cls, settings: Settings) -> "Links | None":
        """None where the settings do not say enough for a link that works."""
        if settings.mail.secret is None or settings.http.public_url is None:
            return None
        return cls(settings.mail.secret, settings.http.public_url)

    def unsubscribe(self, subscription: Subscription) -> str:
        """The address that ends the subscription."""
        return f"{self._base}/unsubscribe/{self.token(subscription)}"

    def token(self, subscription: Subscription) -> str:
        return str(self._serializer.dumps([subscription.user_id, subscription.mailing_list]))

    def read(self, token: str) -> Subscription | None:
        """Whose and of which list; None where the token is not ours."""
        try:
            user_id, mailing_list = self._serializer.loads(token)
        except (BadSignature, ValueError):
            return None
        return Subscription(str(user_id), str(mailing_list))


NO_LINKS = (
    "a mail that one can unsubscribe from needs a link for that: "
    "set TAILRACE_MAIL__SECRET and TAILRACE_HTTP__PUBLIC_URL"
)
