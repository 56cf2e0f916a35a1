"""HTTP proxies of the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY."""

from __future__ import annotations

import functools
import urllib.request
from urllib.parse import urlsplit


@functools.lru_cache(maxsize=1024)
def proxy_for(origin: str) -> str | None:
    """URL of the proxy that leads to *origin* (scheme, host and port), None to go directly.

    Looked up once per origin: the environment of a running process does not change.
    """
    parts = urlsplit(origin)
    host = parts.netloc.rpartition("@")[2]
    proxies = urllib.request.getproxies_environment()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or _bypasses(host, proxies):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _bypasses(host: str, proxies: dict[str, str]) -> bool:
    return bool(urllib.request.proxy_bypass_environment(host, proxies))  # type: ignore[attr-defined]
