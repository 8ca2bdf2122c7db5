"""Words of mails: languages, templates of one's own, and what is wrong with one said at the start."""

from pathlib import Path

import pytest

from streams.mail.digest_posts import Post
from streams.mail.template import DIGEST, WELCOME, Mail
from streams.mail.wording import Wording, WrongTemplate
from streams.task_settings import Mails

POST = Post("Grace <b>", "1 < 2", 3, 1, 0, followed=True, url=None)


def welcome(locale: str | None = None) -> Mail:
    return Mail(WELCOME, "7", "user:7", "ada@example.org", {"name": "Ada", "username": "ada"}, locale)


def digest(locale: str | None = None) -> Mail:
    link = "https://network.example/unsubscribe/x"
    values = {"name": "Ada", "username": "ada", "week": "2026-W48", "posts": [POST], "unsubscribe_url": link}
    return Mail(DIGEST, "7", "2026-W48", "ada@example.org", values, locale)


@pytest.mark.parametrize(
    ("locale", "language"),
    [("fr", "fr"), ("fr-CA", "fr"), ("fr_FR.UTF-8", "fr"), ("FR", "fr"), ("de", "en"), ("../fr", "en"), (None, "en")],
)
def test_a_user_is_written_to_in_the_nearest_language_that_there_is(locale: str | None, language: str) -> None:
    assert Wording(Mails()).text(welcome(locale)).locale == language


def test_the_settings_name_the_language_of_who_has_none() -> None:
    wording = Wording(Mails(locale="fr-BE"))

    assert [wording.text(welcome(locale)).locale for locale in (None, "ja", "en")] == ["fr", "fr", "en"]


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_a_digest_says_in_text_and_html_what_was_posted_and_how_to_end_it(locale: str) -> None:
    text = Wording(Mails()).text(digest(locale))

    assert "Grace <b>" in text.subject and "Grace <b>" in text.plain
    assert "Grace &lt;b&gt;" in text.html and "1 &lt; 2" in text.html
    for words in (text.plain, text.html):
        assert "https://network.example/unsubscribe/x" in words


def test_styles_stand_on_each_element() -> None:
    html = Wording(Mails()).text(welcome()).html

    assert '<h1 style="' in html and "@media" in html
    assert "h1 {" not in html


def test_a_file_of_ones_own_goes_before_ours_and_the_rest_is_ours(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "welcome.subject.j2").write_text("Hi {{ name }}")

    text = Wording(Mails(templates=tmp_path)).text(welcome())

    assert text.subject == "Hi Ada" and "Three things to begin with" in text.plain


def test_a_language_of_ones_own_is_a_folder_with_all_parts(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    for part in ("subject", "txt", "html"):
        (tmp_path / "de" / f"welcome.{part}.j2").write_text("Hallo {{ name }}")

    text = Wording(Mails(templates=tmp_path)).text(welcome("de-AT"))

    assert (text.subject, text.plain, text.locale) == ("Hallo Ada", "Hallo Ada", "de")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("de/welcome.subject.j2", "Hallo", "the mail template de/welcome.txt.j2 is missing"),
        ("en/welcome.txt.j2", "Hi\n{{ name", "welcome.txt.j2:2: "),
    ],
)
def test_a_wrong_template_is_told_of_at_the_start(tmp_path: Path, name: str, content: str, problem: str) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(content)

    with pytest.raises(WrongTemplate) as raised:
        Wording(Mails(templates=tmp_path))

    assert problem in str(raised.value)
