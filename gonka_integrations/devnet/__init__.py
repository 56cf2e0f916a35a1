"""A local Gonka network over real HTTP, for tests and for trying things out.

    with Devnet(hosts=3) as net:
        ChatGonka(model=net.models[0], private_key=net.private_key, source_url=net.source_url)

Hosts check signatures, balances and timestamps as real ones do, epochs change when told to, and
every endpoint can be made to fail in each of the ways of `Fault`. Needs the extra `devnet`.
"""

from __future__ import annotations

try:
    import starlette  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as missing:
    raise ImportError(
        f"the local network needs {missing.name}: pip install 'gonka-integrations[devnet]'"
    ) from missing

from .faults import Fault
from .network import Devnet
from .recording import RecordedRequest
from .replies import Reply, ToolCall
from .scripted import scripted

__all__ = ["Devnet", "Fault", "RecordedRequest", "Reply", "ToolCall", "scripted"]
