"""Who is put under which failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Subject:
    name: str
    env: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)


SUBJECTS = (
    Subject("plain clients, random", "openai3", "plain"),
    Subject("LiteLLM Router", "litellm", "litellm_router"),
    Subject("multiplexer-llm, SDK retries 0", "multiplexer", "multiplexer", {"retries": 0}),
    Subject("multiplexer-llm as its README", "multiplexer", "multiplexer", {"retries": 2}),
    Subject("LangChain with_fallbacks", "langchain3", "fallbacks"),
    Subject("ours: core.chat", "ours3", "ours", {"door": "chat"}),
    Subject("ours: core.chat, hedged", "ours3", "ours", {"door": "chat", "hedge": 0.1}),
    Subject("ours: 20 threads", "ours3", "ours", {"door": "threads"}),
    Subject("ours: ChatGonka", "ours3", "ours", {"door": "langchain"}),
    Subject("ours: AsyncOpenAI over our transport", "ours3", "ours", {"door": "sdk"}),
)
