"""Pages: links lead somewhere, generated pages are what the code says, every command is shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("*.md", "docs/**/*.md", "benchmarks/**/*.md", "cookbook/*.md")
PAGES = sorted(
    page
    for one in FOLDERS
    for page in ROOT.glob(one)
    if not any(p[0] == "." for p in page.parts[len(ROOT.parts) :])
)
FENCE = re.compile(r"^(`{3,}).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    titles = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", t) for t in HEADING.findall(prose(page)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} links to {target}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{page.name}: {target} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_no_place_of_their_author(page: Path) -> None:
    assert not re.search(r"/work/|/root/|/tmp/[a-z]|\bissue \d", page.read_text("utf-8"))


def test_references_are_what_the_code_says() -> None:
    tool = ROOT / "tools" / "reference.py"
    done = subprocess.run(
        [sys.executable, str(tool), "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_command_has_a_transcript() -> None:
    from gonka_integrations._cli.app import app

    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    names = [one.name or one.callback.__name__ for one in app.registered_commands]  # type: ignore[union-attr]
    (keys,) = app.registered_groups
    assert keys.typer_instance is not None
    names += [f"keys {one.name}" for one in keys.typer_instance.registered_commands]
    assert len(names) > 10
    for name in names:
        assert re.search(rf"^\$ (.*\| )?gonka {name}\b", page, re.MULTILINE), f"{name} is not shown"


def test_transcripts_show_no_key() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8").replace("0" * 63 + "1", "")
    hashes = re.findall(r"hash ([0-9A-F]{64})", page)
    assert set(re.findall(r"\b[0-9A-Fa-f]{64}\b", page)) == set(hashes)


def test_the_changelog_names_this_version() -> None:
    from gonka_integrations import __version__

    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"## [{__version__}]" in changes or "## [Unreleased]" in changes


def test_every_notebook_has_its_outputs() -> None:
    import json

    notebooks = sorted((ROOT / "cookbook").glob("*.ipynb"))
    assert len(notebooks) >= 16
    for path in notebooks:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert any(cell["outputs"] for cell in code), f"{path.name} was not executed"
        assert all(cell["execution_count"] for cell in code), f"{path.name} was not executed"


def test_no_two_test_modules_share_a_name() -> None:
    """Folders without __init__.py put their modules into one namespace."""
    modules = [
        path
        for path in (ROOT / "tests").glob("*/*.py")
        if path.name != "conftest.py" and not (path.parent / "__init__.py").exists()
    ]
    names = [path.name for path in modules]
    assert sorted(set(names)) == sorted(names)
