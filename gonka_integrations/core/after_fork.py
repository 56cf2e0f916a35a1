"""What a forked child does not inherit: locks that threads of the parent held, and their work."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["Renewable", "renew_in_children"]


class Renewable(Protocol):
    """What has locks, threads, or counts of work under way."""

    def renew_after_fork(self) -> None:
        """In a forked child: make the locks anew, forget the work of threads that are not here."""


_first: weakref.WeakSet[Renewable] = weakref.WeakSet()
_last: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_in_children(one: Renewable, *, last: bool = False) -> None:
    """Have *one* renewed in every child that is forked while it exists.

    Args:
        one: Held weakly.
        last: Whether it starts threads, which need what others renew.
    """
    (_last if last else _first).add(one)


def _renew_all() -> None:
    for one in (*_first, *_last):
        one.renew_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
