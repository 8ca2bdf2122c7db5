"""Names, words and tags of the people of the sample backend."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "Ada Alan Anita Barbara Bjarne Carol Clair Donald Dorothy Edsger Elizabeth Evelyn Frances Grace Guido Hedy "
    "Ivan Jean Joan John Karen Katherine Ken Konrad Leslie Lynn Margaret Mary Niklaus Radia Robin Shafi Sophie "
    "Stephanie Susan Tim Tony Vint Whitfield"
)

LAST_NAMES = _words(
    "Adleman Allen Babbage Backus Berners Borg Boole Cerf Chomsky Conway Dahl Diffie Dijkstra Engelbart Feinler "
    "Goldberg Hamilton Hoare Hopper Jennings Johnson Kahn Kay Keller Knuth Lamarr Lamport Liskov Lovelace Milner "
    "Perlman Ritchie Shannon Shaw Shirley Spafford Sutherland Thompson Turing Vaughan Wilson Wirth Zuse"
)

LOCALES = ("en", "en", "en", "de", "fr", "es", "pt-BR", "ja")
TIME_ZONES = ("UTC", "Europe/Berlin", "Europe/Lisbon", "America/New_York", "America/Sao_Paulo", "Asia/Tokyo")

SENTENCES = (
    "Out early, and the light was worth it",
    "Three hours for one good frame",
    "Found this corner by getting lost",
    "The same view, another season",
    "Nobody believed me about the colours",
    "Slow morning, strong coffee",
    "First try with the new lens",
    "This is why I carry a camera",
)

TAGS = _words(
    "photography nature travel sunset coffee street mountains sea architecture food art portrait winter spring "
    "summer autumn minimal blackandwhite city forest flowers birds dogs cats books music running cycling climbing "
    "surf vintage film design garden bread stars bridges rain fog ストリート café münchen"
)
