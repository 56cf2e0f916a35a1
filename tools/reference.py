"""Generate the reference pages of the documentation from the code.

python tools/reference.py           write docs/reference/configuration.md and errors.md
python tools/reference.py --check   fail when a page is not what the code says
"""

from __future__ import annotations

import ast
import html
import inspect
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

from gonka_integrations import config, errors
from gonka_integrations.core import call_errors, layers, verdicts

_PAGES = Path(__file__).resolve().parents[1] / "docs" / "reference"
_NOTE = "<!-- Made by tools/reference.py (make reference); edit the code instead. -->\n"


def cell(text: object) -> str:
    """Text for a cell of a table."""
    return " ".join(str(text).split()).replace("|", "&#124;")


def code(text: object) -> str:
    """Code for a cell of a table."""
    shown = html.escape(str(text)).replace("|", "&#124;")
    return f"<code>{shown}</code>" if shown else ""


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


# Configuration.


def field_comments() -> dict[str, str]:
    """The ``#:`` comment above each field of GonkaConfig."""
    source = inspect.getsource(config.GonkaConfig)
    found = re.finditer(r"((?:^ +#: .*\n)+) +(\w+):", source, re.MULTILINE)
    return {m[2]: " ".join(line.strip()[3:] for line in m[1].splitlines()) for m in found}


def annotations() -> dict[str, str]:
    """What the constructor takes for each argument, without None, as the source spells it.

    The fields come first, in their order, then the shorthands.
    """
    taken = config.ConfigArguments.__annotations__
    names = dict.fromkeys([*(name for name in field_comments() if name in taken), *taken])
    return {name: taken[name].__forward_arg__.removesuffix(" | None") for name in names}


def variables() -> dict[str, str]:
    """Argument -> environment variable."""
    found = {name: variable for variable, (name, _) in layers._VARIABLES.items()}
    found["private_key"] = layers._KEY
    found["gateways"] = found["base_url"] = layers._BROKERS
    found["api_key"] = layers._BROKER_KEY
    return found


_SHORTHANDS = {
    "base_url": "URL of one gateway, up to and including `/v1`; short for `gateways`.",
    "api_key": "Bearer key of that gateway, or of every gateway that has no key of its own.",
    "default_max_concurrent": "Other name of `max_concurrent`.",
}


def configuration() -> str:
    """The page about configuration."""
    comments, environment = field_comments(), variables()
    default = config.GonkaConfig()
    rows = []
    for name, kind in annotations().items():
        value = getattr(default, name, None)
        about = comments.get(name) or _SHORTHANDS[name]
        shown = "" if value in (None, ()) else code(value)
        rows.append((code(name), code(kind), shown, code(environment.get(name, "")), cell(about)))
    return (
        f"{_NOTE}\n# Configuration\n\n"
        "`ChatGonka`, `GonkaLLM`, `GonkaConfig` and everything else that connects take the same "
        "arguments.\nEach is looked for in this order: the argument, the `config` that was given, "
        "the environment, the default.\nTimes are in seconds. A wrong value raises "
        "`GonkaConfigError`, whose message begins with the field's name\nand shows no key.\n\n"
        + table(("argument", "takes", "default", "environment", "meaning"), rows)
        + _CONFIGURATION_NOTES
    )


_CONFIGURATION_NOTES = """
## Notes

- **Several values in a variable** are separated by commas: `GONKA_SOURCE_URL=https://a,https://b`,
  `GONKA_ENDPOINTS=https://a;gonka1…,https://b;gonka1…`.
- **Gateways with a key each:** `GONKA_BROKER_URL=https://a/v1;key-a,https://b/v1;key-b`. Without a
  key in it, each gateway of the list uses `GONKA_BROKER_API_KEY`.
- **A key of the environment goes only to the hosts of `GONKA_BROKER_URL`** when both are set; a
  `base_url` argument that names another host does not get it.
- **`.env` files are not read** by themselves; load them with your shell or your framework.
- **Providers** (`fallbacks`) take `base_url`, `api_key` or `api_key_env`, `models` (our name to the
  provider's), `default_model`, `tier` (1 and up) and `name`.
- **Equal configurations share one session**, with its connections, health and participants.
"""


# Errors.


def error_rows(module: object, base: type[BaseException]) -> list[tuple[str, ...]]:
    """One row for each error class of a module."""
    rows = []
    for name in errors.__all__:
        kind = getattr(module, name, None)
        if isinstance(kind, type) and issubclass(kind, base) and kind.__module__ == module.__name__:
            bases = ", ".join(b.__name__ for b in kind.__bases__)
            first = (inspect.getdoc(kind) or "").split("\n\n")[0]
            rows.append((code(name), code(bases), cell(first)))
    return rows


def meanings(enum: type) -> dict[str, str]:
    """Value -> docstring, for each member of an enumeration of the verdicts."""
    tree = ast.parse(Path(inspect.getfile(verdicts)).read_text("utf-8"))
    node = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == enum.__name__)
    found = {}
    for member, text in zip(node.body, node.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr):
            found[ast.literal_eval(member.value)] = ast.literal_eval(text.value)
    return found


def statuses(numbers: tuple[int, ...]) -> str:
    """Statuses as people write them."""
    if not numbers:
        return "any"
    if len(numbers) > 50:  # noqa: PLR2004 - a whole class of statuses
        return f"other {numbers[0] // 100}xx"
    return ", ".join(map(str, numbers))


def verdict_cells(verdict: verdicts.Verdict) -> tuple[str, ...]:
    """What is done, what is thought of the endpoint, what to do."""
    refresh = "; participants are read again" if verdict.refresh else ""
    return verdict.action.value + refresh, verdict.health.value, cell(verdict.advice)


def answer_rows() -> list[tuple[str, ...]]:
    """One row for each rule of the table, in its order."""
    rows = []
    for rule in verdicts.TABLE:
        kinds = ", ".join(rule.kinds) or "any"
        text = code(rule.text.pattern if rule.text else "")
        rows.append((kinds, statuses(rule.statuses), text, *verdict_cells(rule.verdict)))
    return rows


def legend(enum: type) -> str:
    """What the words of a column mean."""
    return "".join(f"- **{value}**: {text}\n" for value, text in meanings(enum).items())


_ERRORS_NOTE = """\
Every error derives from `GonkaError`. Those of inference calls derive from the openai SDK's classes
as well, so that code written for the SDK catches them. They have `.attempts`: every request of the
call, with endpoint, outcome, status and time.
"""


def error_page() -> str:
    """The page about errors."""
    head = ("class", "also a", "when")
    tree = (inspect.getdoc(errors) or "").split("::\n\n")[1].split("\n\nThe call errors")[0]
    wire = [(code(kind), *verdict_cells(v)) for kind, v in verdicts.WIRE_TABLE.items()]
    columns = ("then", "the endpoint", "what you can do")
    parts = [
        f"{_NOTE}\n# Errors\n",
        _ERRORS_NOTE,
        f"```text\n{inspect.cleandoc(tree)}\n```\n",
        "## Before and around calls\n\n" + table(head, error_rows(errors, errors.GonkaError)),
        "## Of calls\n\n" + table(head, error_rows(call_errors, errors.GonkaError)),
        "## What is made of an endpoint's answer\n\n"
        "The first row that fits decides. The text is looked for in the answer's body, whatever "
        "its declared type.\n\n" + table(("endpoint", "status", "text", *columns), answer_rows()),
        "## Failures without an answer\n\n" + table(("failure", *columns), wire),
        "## The words in these tables\n\n### Then\n\n" + legend(verdicts.Action),
        "### The endpoint\n\n" + legend(verdicts.Health),
    ]
    return "\n".join(parts)


def pages() -> Iterator[tuple[Path, str]]:
    """Every page with its text."""
    yield _PAGES / "configuration.md", configuration()
    yield _PAGES / "errors.md", error_page()


def main(arguments: typing.Sequence[str]) -> int:
    """Write or check the pages; the exit code."""
    stale = [path for path, text in pages() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path} is not what the code says; run: make reference\n")
        return 1 if stale else 0
    _PAGES.mkdir(parents=True, exist_ok=True)
    for path, text in pages():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
