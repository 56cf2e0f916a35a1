from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _own_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust stores of tests stay in their own folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what tests have measured: a passed test's log and properties are not."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    for report in reports:
        if "tests/proof/" in report.nodeid:
            for name, figure in report.user_properties:
                terminalreporter.write_line(f"{report.nodeid.partition('::')[2]}: {name}: {figure}")
