"""What the names in discovered URLs resolve to, and which of them are refused for it."""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING

from .url_policy import check_url, host_ip, is_forbidden_ip, url_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .participants import GonkaParticipant

__all__ = ["HostPolicy", "resolve_all"]

_logger = logging.getLogger("gonka_integrations.url_policy")

_WORKERS = 16
_KEPT_FOR = 600.0


def resolve_all(
    hosts: Iterable[str],
    *,
    resolve: Callable[[str], tuple[str, ...]] | None = None,
    patience: float = 3.0,
) -> dict[str, tuple[str, ...]]:
    """Addresses of names that resolve within *patience* seconds in all; the others are absent."""
    wanted: queue.SimpleQueue[str] = queue.SimpleQueue()
    found: dict[str, tuple[str, ...]] = {}
    count = 0
    for host in hosts:
        wanted.put(host)
        count += 1
    done = threading.Semaphore(0)
    lookup = resolve or _addresses

    def work() -> None:
        while True:
            try:
                host = wanted.get_nowait()
            except queue.Empty:
                return
            found[host] = lookup(host)
            done.release()

    for _ in range(min(count, _WORKERS)):
        # Daemons: a resolver that hangs must not keep the interpreter.
        threading.Thread(target=work, name="gonka-resolve", daemon=True).start()
    ends = time.monotonic() + patience
    for _ in range(count):
        if not done.acquire(timeout=max(0.0, ends - time.monotonic())):
            break
    return {host: addresses for host, addresses in list(found.items()) if addresses}


class HostPolicy:
    """Decides which participants may be connected to, looking their names up.

    A name that does not resolve in time is let pass here: connections check where they lead.

    Args:
        resolve: Addresses of a name; the system's resolver when None.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self,
        resolve: Callable[[str], tuple[str, ...]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolve = resolve
        self._clock = clock
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._told: tuple[int, set[str]] = (0, set())

    def look_up(self, participants: Iterable[GonkaParticipant]) -> None:
        """Resolves the names of *participants* that are not known; blocks for seconds at most."""
        now = self._clock()
        names = {host for one in participants if (host := url_host(one.inference_url))}
        self._known = {
            host: entry for host, entry in self._known.items() if host in names and entry[0] > now
        }
        unknown = {host for host in names - self._known.keys() if host_ip(host) is None}
        for host, addresses in resolve_all(unknown, resolve=self._resolve).items():
            self._known[host] = (now + _KEPT_FOR, addresses)

    def refusal(self, one: GonkaParticipant, *, allow_private: bool) -> str | None:
        """Why *one* must not be connected to, None when it may be; looks nothing up."""
        reason = check_url(one.inference_url, allow_private)
        if reason is not None or allow_private:
            return reason
        host = url_host(one.inference_url) or ""
        _, addresses = self._known.get(host, (0.0, ()))
        bad = next((address for address in addresses if is_forbidden_ip(address)), None)
        return f"its host {host} leads to {bad}, which is not a public address" if bad else None

    def tell(self, epoch: int, skipped: Iterable[tuple[str, str]]) -> None:
        """Logs who is left out and why, once for each epoch."""
        if self._told[0] != epoch:
            self._told = (epoch, set())
        for who, why in skipped:
            if who not in self._told[1]:
                self._told[1].add(who)
                _logger.warning("Participant %s is left out in epoch %d: %s", who, epoch, why)


def _addresses(host: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
