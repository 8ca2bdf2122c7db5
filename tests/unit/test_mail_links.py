"""Links that end a subscription: nobody can make one up, and they outlive a change of the secret."""

import pytest

from streams.mail.links import Links, Subscription
from streams.settings import Settings, SettingsError

URL = "https://network.example/"
OURS = Subscription("7", "digest")
OLD, NEW = "an older secret!", "a newer secret!!"


def test_a_link_says_whose_subscription_it_is() -> None:
    links = Links(NEW, URL)
    link = links.unsubscribe(OURS)

    assert link.startswith("https://network.example/unsubscribe/")
    assert links.read(link.rpartition("/")[2]) == OURS


def test_a_link_of_an_older_secret_works_until_it_is_taken_out() -> None:
    token = Links(OLD, URL).token(OURS)

    assert Links(f"{NEW}, {OLD}", URL).read(token) == OURS
    assert Links(NEW, URL).read(token) is None


@pytest.mark.parametrize("token", ["", "x", "a.b", "é", "WyI3Il0.", "." * 1000])
def test_what_we_have_not_signed_is_nobodys(token: str) -> None:
    assert Links(NEW, URL).read(token) is None


def test_a_short_secret_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="at least 16 characters") as raised:
        Settings.load({"TAILRACE_MAIL__SECRET": "hunter2"})

    assert "hunter2" not in str(raised.value)
