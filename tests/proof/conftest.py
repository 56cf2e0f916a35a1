from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust stores of tests stay in their own folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
