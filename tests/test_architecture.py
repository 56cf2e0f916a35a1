"""Imports point down, and what decides does no I/O."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import gonka_integrations

ROOT = Path(gonka_integrations.__file__).parents[1]
PACKAGE = "gonka_integrations"
FRAMEWORKS = {"langchain_core", "langchain", "llama_index"}
IO = FRAMEWORKS | {"openai", "httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "requests"} | {
    "asyncio", "socket", "ssl", "http", "selectors",
}  # fmt: skip

# From the top down; no module may import one of a layer above its own.
LAYERS = (
    "langchain llama_index _langchain _llama_index cli _cli testing",
    "core.registrar core.model_registrar core.targets core.pinned_client core.client_factory",
    "core.session core.multiplexer",
    "core.engine core.transport core.chat core.forwarding core.gateways core.discovery",
    "core.network core.connections core.connections_async core.connections_aiohttp",
    "core.httpcore_wire core.chat_calls",
    "core.calls core.streams core.requests core.chunks core.refresh core.background core.reading",
    "core.racing core.pool core.attempts core.failures core.dialect core.sse core.sources proof",
    "core.members core.waiting core.retries",
    "core.health core.leases core.selection core.stats core.verdicts core.endpoints core.served",
    "errors",
)
# What may touch the world. Everything else in core, and proof, is pure.
SHELL = {
    "background", "call_errors", "client_factory", "connections", "connections_aiohttp",
    "connections_async", "discovery", "engine", "gateways", "http_stack", "httpcore_wire",
    "model_registrar",
    "multiplexer", "network", "pinned_client", "racing", "refresh", "registrar", "resolution",
    "session", "targets", "transport",
}  # fmt: skip


def imports(tree: ast.AST, package: str, *, lazy: bool) -> Iterator[str]:
    """Everything that is imported when the code runs, with or without what functions import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not lazy:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*up, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node, package, lazy=lazy)


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in (ROOT / PACKAGE).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def imported_by(name: str, *, lazy: bool = True) -> frozenset[str]:
    path = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return frozenset(imports(ast.parse(path.read_text()), package, lazy=lazy))


def under(module: str, roots: set[str]) -> bool:
    return any(module == root or module.startswith(f"{root}.") for root in roots)


def below(prefix: str) -> list[str]:
    return sorted(name for name in modules() if under(name, {f"{PACKAGE}.{prefix}"}))


def reached(name: str, seen: set[str] | None = None) -> set[str]:
    """Everything that importing *name* imports."""
    seen = set() if seen is None else seen
    for module in imported_by(name, lazy=False) - seen:
        seen.add(module)
        if module in modules():
            reached(module, seen)
    return seen


def test_imports_point_down() -> None:
    for level, layer in enumerate(LAYERS):
        above = {f"{PACKAGE}.{name}" for upper in LAYERS[:level] for name in upper.split()}
        for name in layer.split():
            assert below(name), f"{name} does not exist"
            for module in below(name):
                wrong = {other for other in imported_by(module) if under(other, above)}
                assert not wrong, f"{module} imports {wrong} from above"


def test_what_decides_does_no_io() -> None:
    names = [name for name in below("core") if name.rpartition(".")[2] not in SHELL]
    for name in [*names, *below("proof")]:
        touched = {module for module in imported_by(name) if under(module, IO)}
        touched |= {module for module in reached(name) if under(module, IO)}
        assert not touched, f"{name} reaches {touched}"


def test_no_module_imports_itself_in_a_circle() -> None:
    for name in below("core"):
        assert name not in reached(name)


def test_devnet_is_the_other_side_of_the_wire() -> None:
    ours = {"pool", "transport", "session", "engine", "calls", "chat", "network", "multiplexer"}
    for name in below("devnet"):
        wrong = {m for m in imported_by(name) if under(m, {f"{PACKAGE}.core.{o}" for o in ours})}
        assert not wrong, f"{name} imports {wrong}"


@pytest.mark.parametrize(
    ("one", "other"), [("langchain", "llama_index"), ("llama_index", "langchain")]
)
def test_wrappers_know_nothing_of_each_other(one: str, other: str) -> None:
    for name in [*below(one), *below(f"_{one}")]:
        wrong = {f"{PACKAGE}.{other}", f"{PACKAGE}._{other}", other, f"{other}_core"}
        assert not {module for module in imported_by(name) if under(module, wrong)}, name


def test_importing_the_package_is_cheap() -> None:
    heavy = IO - {"asyncio", "socket", "ssl", "http", "selectors"} | {"starlette", "pydantic"}
    program = f"import sys, gonka_integrations; print(*({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
