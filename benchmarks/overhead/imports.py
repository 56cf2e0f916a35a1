"""What importing costs: CPU of a fresh interpreter, minus that of one that imports nothing.

Interpreters end without cleaning up, which would count everything that was imported once more.
"""

from __future__ import annotations

import resource
import subprocess

from ..common import envs
from ..common.stats import median

#: title -> (environment, statement)
STATEMENTS: dict[str, tuple[str, str]] = {
    "nothing": ("ours3", "pass"),
    "gonka_integrations": ("ours3", "import gonka_integrations"),
    "gonka_integrations.ChatGonka": ("ours3", "from gonka_integrations import ChatGonka"),
    "gonka_integrations.GonkaLLM": ("ours3", "from gonka_integrations import GonkaLLM"),
    "langchain_core chat models": (
        "ours3", "import langchain_core.language_models.chat_models",
    ),
    "llama_index.core": ("ours3", "import llama_index.core"),
    "openai": ("openai3", "import openai"),
    "langchain_openai": ("langchain3", "from langchain_openai import ChatOpenAI"),
    "langchain_groq": ("langchain3", "from langchain_groq import ChatGroq"),
    "llama_index OpenAILike": (
        "llamaindex2", "from llama_index.llms.openai_like import OpenAILike",
    ),
    "litellm": ("litellm", "import litellm"),
    "multiplexer_llm": ("multiplexer", "import multiplexer_llm"),
    "gonka_openai": ("gonka_openai", "import gonka_openai"),
}  # fmt: skip

_CORE = "import langchain_core.language_models.chat_models"
#: title -> (environment, what is there already, statement)
AFTERWARDS: dict[str, tuple[str, str, str]] = {
    "ChatGonka after langchain_core": ("ours3", _CORE, "from gonka_integrations import ChatGonka"),
    "ChatOpenAI after langchain_core": (
        "langchain3", _CORE, "from langchain_openai import ChatOpenAI",
    ),
}  # fmt: skip


def measure(rounds: int) -> dict[str, float]:
    """Milliseconds of CPU for each statement: medians over interleaved rounds."""
    taken: dict[str, list[float]] = {title: [] for title in STATEMENTS}
    for turn in range(rounds + 1):
        for title, (env, statement) in STATEMENTS.items():
            spent = _once(env, statement)
            if turn:  # the first round fills the disk cache and writes byte code
                taken[title].append(spent)
    bare = median(taken.pop("nothing"))
    found = {title: (median(times) - bare) * 1000 for title, times in taken.items()}
    for title, (env, first, then) in AFTERWARDS.items():
        found[title] = 1000 * median([_afterwards(env, first, then) for _ in range(rounds)])
    return found


def _afterwards(env: str, first: str, then: str) -> float:
    """CPU seconds of *then* in a fresh interpreter that has done *first*."""
    code = f"import time\n{first}\nt = time.process_time()\n{then}\nprint(time.process_time() - t)"
    done = subprocess.run(
        [str(envs.python_of(env)), "-c", code],
        cwd=envs.ROOT, env=envs.child_environment(), check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(done.stdout)


def _once(env: str, statement: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [str(envs.python_of(env)), "-c", f"{statement}\nimport os\nos._exit(0)"],
        cwd=envs.ROOT, env=envs.child_environment(), check=True, capture_output=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
