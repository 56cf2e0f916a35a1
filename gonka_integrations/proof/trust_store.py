"""The file that remembers trusted headers between runs.

One JSON file per chain in the user's state directory (XDG), readable by its owner only, replaced
atomically. It is as precious as the trust root itself: whoever can write it can forge the list.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .trust_file import MAX_HEADERS, read_root, write_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .light import TrustedHeader

__all__ = ["TrustStore", "default_store_path"]

_logger = logging.getLogger("gonka_integrations.proof.trust_store")

_SPACING: Final = 3600  # seconds between remembered headers, besides the newest


def default_store_path(chain_id: str, environ: Mapping[str, str] | None = None) -> Path:
    """``$XDG_STATE_HOME/gonka-integrations/trust-CHAIN.json``, or below ``~/.local/state``."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_STATE_HOME", "")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "state"
    name = re.sub(r"[^A-Za-z0-9._-]", "_", chain_id)
    return root / "gonka-integrations" / f"trust-{name}.json"


class TrustStore:
    """Trusted headers and the newest proven epoch of one chain and one trust root.

    Kept in memory as well, so that a state directory that cannot be written costs only the memory
    between runs.

    Args:
        path: The file; None keeps everything in memory.
        root_id: Trust root that the headers descend from; another root sees none of them.
    """

    def __init__(self, path: Path | None, root_id: str) -> None:
        self.path = path
        self._root_id = root_id
        self._lock = threading.Lock()
        self._headers: dict[int, TrustedHeader] = {}
        self._epoch = 0
        self._loaded = path is None

    def headers(self) -> tuple[TrustedHeader, ...]:
        """All remembered headers, lowest first.

        Raises:
            TrustError: The file cannot be trusted or read.
        """
        with self._lock:
            self._load()
            return tuple(self._headers[height] for height in sorted(self._headers))

    @property
    def epoch(self) -> int:
        """Highest epoch that was proven to be the current one; 0 when none was."""
        with self._lock:
            self._load()
            return self._epoch

    def remember(self, headers: Iterable[TrustedHeader], epoch: int = 0) -> None:
        """Add verified headers, and the epoch they prove; thins out old ones, writes the file."""
        with self._lock:
            self._load()
            before = (set(self._headers), self._epoch)
            self._headers.update((header.height, header) for header in headers)
            self._headers = _thinned(self._headers)
            self._epoch = max(self._epoch, epoch)
            if self.path is not None and before != (set(self._headers), self._epoch):
                self._save(self.path)

    def forget(self) -> None:
        """Drop every header of this root, to agree anew."""
        with self._lock:
            self._load()
            self._headers.clear()

    def _load(self) -> None:
        """Read the file once. Hold the lock when calling this."""
        if self._loaded or self.path is None:
            return
        self._headers, self._epoch = read_root(self.path, self._root_id)
        self._loaded = True

    def _save(self, path: Path) -> None:
        """Write the file, keeping the other roots in it. Hold the lock when calling this."""
        try:
            write_root(path, self._root_id, self._headers, self._epoch)
        except OSError as error:
            _logger.warning("Trusted headers are not remembered beyond this process: %s", error)


def _thinned(headers: dict[int, TrustedHeader]) -> dict[int, TrustedHeader]:
    """The newest header, and older ones at least an hour apart, the lowest of each hour."""
    kept: dict[int, TrustedHeader] = {}
    last_time: int | None = None
    newest = max(headers, default=0)
    for height in sorted(headers):
        seconds = headers[height].time.seconds
        if height == newest or last_time is None or seconds - last_time >= _SPACING:
            kept[height] = headers[height]
            last_time = seconds
    return dict(list(kept.items())[-MAX_HEADERS:])
