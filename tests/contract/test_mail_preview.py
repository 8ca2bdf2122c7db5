"""What a user's mail would say, without a mail."""

from pathlib import Path

from schemas.tables import mail_deliveries
from tests.digests import a_reader_with_a_post
from tests.one_run import Workshop
from tests.processes import run


async def test_a_digest_is_shown_in_any_language_and_nothing_is_sent_or_kept(
    shop: Workshop, environment: dict[str, str], tmp_path: Path
) -> None:
    await a_reader_with_a_post(shop)
    html = tmp_path / "digest.html"
    asked = ("mail", "preview", "digest", "--user", "7", "--locale", "fr", "--html", str(html))

    code, said, _ = await run(*asked, environment=environment)

    assert code == 0 and said.startswith("Subject: Votre semaine : Grace Hopper")
    assert "Grace Hopper" in html.read_text()
    assert await shop.rows(mail_deliveries) == []


async def test_who_does_not_exist_has_no_mail(shop: Workshop, environment: dict[str, str]) -> None:
    code, _, errors = await run("mail", "preview", "welcome", "--user", "99", environment=environment)

    assert code == 1 and "user '99' does not exist" in errors
