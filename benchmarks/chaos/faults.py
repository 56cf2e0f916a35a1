"""What a host of the chaos server does wrong, in the words of ``gonka_integrations.devnet``."""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS = (
    "refuse", "reset", "hang", "status", "role_then_cut", "cut", "no_finish", "html", "garbage",
    "slow", "error_event", "plain_text_tail", "hang_mid_stream",
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """One way to fail, for the share *probability* of the requests.

    ``refuse`` closes the port and every connection, whatever the probability. *after_tokens* is
    how much of an answer comes before ``cut``, ``hang_mid_stream``, ``error_event``,
    ``plain_text_tail`` and ``no_finish``; *delay* is what ``slow`` adds, in seconds.
    """

    kind: str
    status: int = 503
    body: str = '{"error":"no inference nodes available"}\n'
    headers: dict[str, str] = field(default_factory=dict)
    after_tokens: int = 3
    delay: float = 0.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"'kind' must be one of {', '.join(KINDS)}, not {self.kind!r}")
