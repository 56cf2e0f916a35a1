"""Requests made by hand, for tests that are the client: nothing of the package under them."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import time
from typing import Any

import ecdsa
import httpx

# Making one takes httpx 50 ms, and nobody needs it here.
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

ORDER = ecdsa.SECP256k1.order


def new_client(seconds: float = 5) -> httpx.Client:
    return httpx.Client(timeout=seconds, verify=_TLS)


def chat(model: str = "gonka/test-model", text: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def body_of(request: dict[str, Any]) -> bytes:
    return json.dumps(request).encode()


def raw_signature(key: str, digest: bytes) -> bytes:
    signer = ecdsa.SigningKey.from_string(bytes.fromhex(key), ecdsa.SECP256k1, hashlib.sha256)
    return signer.sign_digest_deterministic(
        digest, hashlib.sha256, sigencode=ecdsa.util.sigencode_string_canonize
    )


def digest_of(body: bytes, timestamp: int | str, address: str, *, raw: bool = False) -> bytes:
    first = body if raw else hashlib.sha256(body).hexdigest().encode()
    return hashlib.sha256(first + f"{timestamp}{address}".encode()).digest()


def signed(
    net: Any, host: Any, body: bytes, *, key: str | None = None, timestamp: int | None = None
) -> dict[str, str]:
    when = time.time_ns() if timestamp is None else timestamp
    signature = raw_signature(key or net.private_key, digest_of(body, when, host.address))
    return {
        "Authorization": base64.b64encode(signature).decode(),
        "X-Requester-Address": net.requester_address,
        "X-Timestamp": str(when),
        "Content-Type": "application/json",
    }


def ask(
    client: httpx.Client, net: Any, host: Any, request: dict[str, Any] | bytes, **options: Any
) -> httpx.Response:
    body = request if isinstance(request, bytes) else body_of(request)
    extra = options.pop("headers", {})
    headers = {**signed(net, host, body, **options), **extra}
    return client.post(f"{host.url}/v1/chat/completions", content=body, headers=headers)


def ask_gateway(client: httpx.Client, gateway: Any, request: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {gateway.api_key}"}
    return client.post(f"{gateway.base_url}/chat/completions", json=request, headers=headers)


def events(response: httpx.Response) -> list[Any]:
    """Data of an event stream: dicts, and `[DONE]` as it is."""
    made = []
    for line in response.text.splitlines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            made.append(data if data == "[DONE]" else json.loads(data))
    return made


def text_of(chunks: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        if isinstance(chunk, dict)
        for choice in chunk.get("choices", ())
    )
