"""`gonka chat`: a conversation that streams and says who served each answer."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ..core.session import GonkaSession
from ..errors import GonkaConfigError, GonkaError
from . import screen
from .options import (
    AllowPrivateHosts,
    AsJson,
    BaseUrl,
    EndpointList,
    KeyFile,
    Model,
    SourceUrl,
    connection,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..core.chat import ServedBy

__all__ = ["chat"]

_HELP = "/model NAME changes the model, /reset forgets what was said, /stats shows the pool, /quit"


@dataclass
class Talk:
    """A conversation.

    Attributes:
        session: Where it is held.
        model: Model that answers.
        options: Further fields of each request, such as temperature.
        messages: What has been said.
        served: Who served the last answer.
        usage: Its token counts, when they came.
    """

    session: GonkaSession
    model: str
    options: dict[str, Any]
    messages: list[dict[str, str]] = field(default_factory=list)
    served: ServedBy | None = None
    usage: dict[str, Any] | None = None

    def say(self, text: str) -> Iterator[tuple[str, str]]:
        """Asks, and gives the answer in parts ("content" or "reasoning", text).

        A question without an answer is not remembered.

        Raises:
            GonkaCallError: Nobody could serve, or the stream broke.
        """
        asked = [*self.messages, {"role": "user", "content": text}]
        payload = {"model": self.model, "messages": asked, **self.options}
        answer = []
        with self.session.chat.stream(payload) as stream:
            for chunk in stream:
                self.usage = chunk.get("usage") or self.usage
                for kind, part in _parts(chunk):
                    if kind == "content":
                        answer.append(part)
                    yield kind, part
            self.served = stream.served
        self.messages = [*asked, {"role": "assistant", "content": "".join(answer)}]


def _parts(chunk: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        for name in ("reasoning_content", "reasoning"):
            if delta.get(name):
                yield "reasoning", str(delta[name])
                break
        if delta.get("content"):
            yield "content", delta["content"]


def chat(
    prompt: Annotated[
        str | None, typer.Argument(help="Ask this and end; without it, a conversation begins.")
    ] = None,
    model: Model = None,
    system: Annotated[str | None, typer.Option(help="System message.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2)] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1)] = None,
    source_url: SourceUrl = None,
    endpoint: EndpointList = None,
    base_url: BaseUrl = None,
    key_file: KeyFile = None,
    allow_private_hosts: AllowPrivateHosts = False,
    as_json: AsJson = False,
) -> None:
    """Talk to a model; answers stream, and each says who served it."""
    config = connection(
        source_url=source_url,
        endpoint=endpoint,
        base_url=base_url,
        key_file=key_file,
        allow_private_hosts=allow_private_hosts,
        model=model,
    )
    given = {"temperature": temperature, "max_tokens": max_tokens}
    options = {name: value for name, value in given.items() if value is not None}
    with GonkaSession(config) as session:
        talk = Talk(session, config.model or _only_model(session), options)
        if system:
            talk.messages.append({"role": "system", "content": system})
        if prompt is None:
            _converse(talk)
        elif as_json:
            screen.emit(_whole(talk, prompt))
        else:
            _answer(talk, prompt)


def _only_model(session: GonkaSession) -> str:
    session.refresh()
    models = session.models()
    if len(models) == 1:
        return models[0]
    served = f"; this pool serves {', '.join(models)}" if models else ""
    raise GonkaConfigError(f"model: give --model or set GONKA_MODEL{served}", field="model")


def _whole(talk: Talk, prompt: str) -> dict[str, Any]:
    parts = list(talk.say(prompt))
    made = {
        kind: "".join(text for which, text in parts if which == kind)
        for kind in ("content", "reasoning")
    }
    served = talk.served.as_dict() if talk.served else None
    return {"model": talk.model, **made, "usage": talk.usage, "served": served}


def _answer(talk: Talk, prompt: str) -> None:
    out = screen.console()
    for kind, part in talk.say(prompt):
        style = "dim" if kind == "reasoning" else ""
        out.print(Text(part, style=style), end="", soft_wrap=True)
    out.print()
    if talk.served is not None:
        out.print(Text(_credit(talk.served, talk.usage), style="dim"))


def _credit(served: ServedBy, usage: dict[str, Any] | None) -> str:
    who = served.address or served.endpoint
    facts = [f"served by {served.kind} {who}"]
    if served.epoch is not None:
        facts.append(f"epoch {served.epoch}")
    if served.failovers:
        facts.append(f"{served.failovers} failed before it")
    if served.first_token_seconds is not None:
        facts.append(f"first token {served.first_token_seconds:.2f} s")
    if served.total_seconds is not None:
        facts.append(f"total {served.total_seconds:.2f} s")
    if usage and usage.get("completion_tokens") is not None:
        facts.append(f"{usage['completion_tokens']} tokens")
    return "[" + ", ".join(facts) + "]"


def _converse(talk: Talk) -> None:
    screen.note(f"{talk.model}. {_HELP}")
    for line in _lines():
        if line.startswith("/"):
            if not _command(talk, line):
                return
        elif line.strip():
            _try_answer(talk, line)


def _try_answer(talk: Talk, line: str) -> None:
    try:
        _answer(talk, line)
    except GonkaError as trouble:
        screen.error(str(trouble))


def _lines() -> Iterator[str]:
    shown = "> " if sys.stdin.isatty() else ""
    while True:
        try:
            yield input(shown)
        except EOFError:
            return


def _command(talk: Talk, line: str) -> bool:
    """Carries out a line that begins with a slash; False ends the conversation."""
    name, _, argument = line[1:].strip().partition(" ")
    if name in {"quit", "exit", "q"}:
        return False
    if name == "model" and argument:
        talk.model = argument.strip()
    elif name == "reset":
        talk.messages = [said for said in talk.messages if said["role"] == "system"]
    elif name == "stats":
        screen.emit(talk.session.stats())
    else:
        screen.note(_HELP)
    return True
