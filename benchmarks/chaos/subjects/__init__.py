"""One small module per library: ``make(urls, limit, seed, **options)`` gives `call` and `stream`.

*limit* is how many seconds one attempt may take. Each appends the text it hands to the
application to the list it is given; a subject without ``stream`` cannot stream.
"""

MESSAGES = [{"role": "user", "content": "Say something about foxes."}]
MODEL = "bench"


def take(text: str | None, pieces: list[str]) -> None:
    """Note a piece of text the application was handed, if there is one."""
    if text:
        pieces.append(text)
