"""The ratios and limits the project sets itself, held against one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .plan import SDK2, SDK3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Row = tuple[str, str, str, str, str]
HEAD = ("work", "limit", "peers, same run", "ours", "reached")


class Run:
    """Ratios of one result by short names; nan where something did not run."""

    def __init__(self, result: dict[str, Any]) -> None:
        self._cells = result["cells"]
        self.pieces: dict[str, float] = result["pieces"]
        self.imports: dict[str, float] = result["imports"]

    def ratio(self, subject: str, case: str, kind: str = "cpu") -> float:
        cell = self._cells.get(subject, {}).get(case)
        return float("nan") if cell is None else float(cell[f"{kind} ratio"])

    def inside(self, subject: str, base: str) -> float:
        """A call read as a stream, against the SDK reading that stream."""
        ours = self._cells.get(subject, {}).get("call")
        sdk = self._cells.get(base, {}).get("stream")
        return float(ours["cpu us"] / sdk["cpu us"]) if ours and sdk else float("nan")


def rows(result: dict[str, Any]) -> list[Row]:
    run = Run(result)
    return [*_wrappers(run), *_transport(run), *_pieces(run), *_imports(run)]


def _many(value: Callable[[str, str], float]) -> list[float]:
    """*value* of both wrappers on both majors: ChatGonka 3 and 2, GonkaLLM 3 and 2."""
    return [value(name, major) for name in ("ChatGonka", "GonkaLLM") for major in ("3", "2")]


def _row(work: str, limit: float, peers: str, ours: list[float], unit: str = "") -> Row:
    shown = " / ".join(f"{value:.3g}" for value in ours)
    missed = [value for value in ours if not value <= limit]
    return (work, f"<= {limit:g}{unit}", peers, shown + unit, "**no**" if missed else "yes")


def _peers(run: Run, case: str, *names: str) -> str:
    return ", ".join(f"{name} {run.ratio(name, case):.2f}" for name in names)


def _wrappers(run: Run) -> Iterator[Row]:
    peers = ("ChatOpenAI (3)", "ChatOpenAI (2)", "OpenAILike")
    plain = ("call", "invoke / chat, one at a time", 0.80, (*peers, "gonka-openai"), "signed")
    calls50 = ("acall50", "ainvoke / achat at 50", 1.0, (*peers, "ChatGroq"),
               "signed, no aiohttp")  # fmt: skip
    fast50 = ("acall50", "the same with aiohttp (`[fast]`)", 0.65, ("multiplexer-llm",), "signed")
    stream = ("stream", "stream of 200 chunks", 0.30, peers, "signed")
    astream = ("astream50", "astream of 200 chunks at 50", 0.45, peers, "signed")

    def row(case: str, title: str, limit: float, others: tuple[str, ...], how: str) -> Row:
        ours = _many(lambda name, major: run.ratio(f"{name}, {how} ({major})", case))
        return _row(title, limit, _peers(run, case, *others), ours)

    yield row(*plain)
    bases = {"3": SDK3, "2": SDK2}
    yield _row(
        "a call read as a stream inside, against the SDK reading that stream", 0.35, "-",
        _many(lambda name, major: run.inside(
            f"{name}, signed, read as stream ({major})", bases[major])),
    )  # fmt: skip
    for given in (calls50, fast50, stream, astream):
        yield row(*given)


def _transport(run: Run) -> Iterator[Row]:
    names = [f"OpenAI over our transport, signed ({major})" for major in "32"]
    yield _row("AsyncOpenAI over our transport, one at a time", 1.15, "-",
               [run.ratio(name, "acall") for name in names])  # fmt: skip
    for case, title in (("acall50", "50"), ("acall200", "200")):
        got = [1 / run.ratio(name, case, "wall") for name in names]
        low = [value for value in got if not value >= 0.95]
        yield (
            f"the same at {title}: its share of the SDK's throughput", ">= 0.95",
            "multiplexer-llm " + f"{1 / run.ratio('multiplexer-llm', case, 'wall'):.2f}",
            " / ".join(f"{value:.3g}" for value in got), "**no**" if low else "yes",
        )  # fmt: skip


def _pieces(run: Run) -> Iterator[Row]:
    def piece(work: str, limit: float, unit: str, names: list[str], peer: str = "-") -> Row:
        ours = [run.pieces.get(name, float("nan")) for name in names]
        return _row(work, limit, peer, ours, unit)

    def peer(*names: str) -> str:
        return ", ".join(f"{n.split(':')[0]} {run.pieces.get(n, float('nan')):,.3g}" for n in names)

    sizes = ("10", "1,000", "10,000")
    theirs = " / ".join(
        f"{run.pieces.get(f'multiplexer-llm: pick, {n} endpoints, us', float('nan')):.3g}"
        for n in sizes
    )
    gonka = peer("gonka-openai: sign 1 KB, us")
    yield piece("signing 1 KB, coincurve", 30, " us", ["sign 1 KB, coincurve, us"], gonka)
    yield piece("signing 1 KB, pure Python", 400, " us", ["sign 1 KB, pure Python, us"], gonka)
    yield piece("pick + settle at 10 / 1,000 / 10,000 endpoints", 3, " us",
                [f"pick + settle, {n} endpoints, us" for n in sizes],
                f"multiplexer-llm, pick only: {theirs}")  # fmt: skip
    yield piece("decode 10,000 participants", 150, " ms", ["decode 10,000 participants, ms"])
    yield piece("second ChatGonka of equal config", 0.3, " ms",
                ["second ChatGonka of equal config, ms"],
                peer("second ChatOpenAI, ms", "second ChatGroq, ms"))  # fmt: skip
    yield piece("session with 1,000 endpoints, idle, over openai", 30, " MB",
                ["session with 1,000 endpoints, idle, MB over openai"])  # fmt: skip
    yield piece("an open stream", 60, " KB", ["an open stream, KB"])
    yield piece("10x the chunks / tool-call arguments, x cost", 12, "", [
        "10x the chunks, langchain, x cost", "10x the chunks, llama_index, x cost",
        "10x the tool call, x cost",
    ])  # fmt: skip


def _imports(run: Run) -> Iterator[Row]:
    got = run.imports
    peers = ", ".join(
        f"{name} {got[name]:,.0f}" for name in ("langchain_openai", "litellm", "gonka_openai")
    )
    yield _row("import gonka_integrations", 50, peers, [got["gonka_integrations"]], " ms")
    yield _row("import ChatGonka, beyond langchain-core", 100,
               f"ChatOpenAI {got['ChatOpenAI after langchain_core']:,.0f}",
               [got["ChatGonka after langchain_core"]], " ms")  # fmt: skip
