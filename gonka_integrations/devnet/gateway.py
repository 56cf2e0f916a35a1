"""A devshard gateway: bearer keys and a closed parameter list in front of the same models.

Source: gonka-ai/gonka `devshard/cmd/devshardctl/`.
"""

from __future__ import annotations

import time
import uuid
from itertools import count
from typing import TYPE_CHECKING, Any

from .delivery import each_chunk
from .endpoint import ServedEndpoint
from .engines import Answer, EngineError
from .exchange import Refusal
from .gateway_admission import DEVSHARD_PATH, GatewayAdmission
from .gateway_cache import Cached, ResponseCache
from .gateway_policy import MAX_TOKENS
from .gateway_reads import GatewayReads
from .rendering import Envelope
from .scripted import prompt_tokens
from .texts import GATEWAY_TOO_LARGE, ErrorAnswer, gateway_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from starlette.routing import Route

    from .network import Devnet
    from .recording import RecordedRequest


class Gateway(ServedEndpoint):
    """A gateway, or a broker that runs one.

    Args:
        net: The network.
        index: Position in `net.gateways`.
        port: Port to bind; 0 takes a free one.

    Attributes:
        api_key: A key that is good for models of access mode `api_key`.
        admin_api_key: Good for every model and the admin routes; None switches those off.
        access_modes: Model to `open`, `api_key` or `admin_only`; missing ones are `api_key`.
        models: Models it offers; None is the network's.
        max_tokens: Output cap.
        max_concurrent: Requests at once before 429; None is any number.
        max_input_tokens: Prompt tokens under way before 429; None is any number.
        cache: Its memory of answers. Setting a fault or a responder empties it, so that a test
            meets what it set.
        poc_mode: `strict` answers 503 while proof of compute runs, `relaxed` serves.
        devshards: Id of each devshard to whether it takes new inferences.
        disabled: (message, new URL) when the operator switched the gateway off.
        strict_parameters: False forwards everything, as some brokers do.
    """

    too_large: ErrorAnswer = GATEWAY_TOO_LARGE
    error_events = True

    def __init__(self, net: Devnet, index: int, *, port: int = 0) -> None:
        self._reads = GatewayReads(self)
        self._admission = GatewayAdmission(self)
        super().__init__(net, f"gateway {index}", port=port)
        self.index = index
        self.api_key = f"gk-devnet-{index}"
        self.admin_api_key: str | None = None
        self.access_modes: dict[str, str] = {}
        self.models: tuple[str, ...] | None = None
        self.max_tokens = MAX_TOKENS
        self.max_concurrent: int | None = None
        self.max_input_tokens: int | None = None
        self.cache = ResponseCache()
        self.poc_mode = "strict"
        self.devshards = {str(42 + index): True}
        self.disabled: tuple[str, str] | None = None
        self.strict_parameters = True
        self._nonces = count(1)

    @property
    def base_url(self) -> str:
        """URL that ends in /v1."""
        return f"{self.url}/v1"

    @property
    def offered(self) -> tuple[str, ...]:
        """Ids of the models it offers."""
        return self.net.models if self.models is None else self.models

    def forget(self) -> None:
        """Empty the cache: what it remembers was said under another fault."""
        self.cache.clear()

    def routes(self) -> Iterable[Route]:
        """The reads of a gateway."""
        return self._reads.routes()

    def is_inference(self, path: str) -> bool:
        """Whether a path is a completions route, pooled or of one devshard."""
        return super().is_inference(path) or DEVSHARD_PATH.fullmatch(path) is not None

    def error(self, status: int, words: str) -> ErrorAnswer:
        """An error in a gateway's envelope."""
        return gateway_error(status, words)

    def extra_headers(self, record: RecordedRequest) -> dict[str, str]:  # noqa: ARG002
        """Headers of every answer."""
        return {"X-Request-Id": str(uuid.uuid4())}

    def recall(self, record: RecordedRequest) -> Answer | ErrorAnswer | None:
        """A remembered answer to the same question."""
        try:
            admitted = self._admission.admit(record)
        except Refusal:
            return None
        found = self.cache.get(admitted.key, time.monotonic())
        if found is None:
            return None
        if found.error is not None:
            return found.error
        headers = self._headers(record, admitted.devshard)
        if found.body is not None:
            return Answer(body=dict(found.body), headers=headers)
        return Answer(chunks=[dict(chunk) for chunk in found.chunks], headers=headers)

    async def answer(self, record: RecordedRequest) -> Answer:
        """Check one request and let the engine answer."""
        admitted = self._admission.admit(record)
        request = admitted.request
        tokens = prompt_tokens(request)
        self._admission.check_limits(tokens)
        envelope = Envelope(
            id=f"devshard-{admitted.devshard}-{next(self._nonces)}",
            model=request["model"],
            prompt_tokens=tokens,
            include_usage=bool((request.get("stream_options") or {}).get("include_usage")),
        )
        try:
            answer = await self.net.engine.answer(_with_logprobs(request, record), envelope)
        except EngineError as error:
            refused = gateway_error(error.status, error.message)
            self.cache.put(admitted.key, Cached(error=refused), time.monotonic())
            raise Refusal(refused) from None
        answer.headers = self._headers(record, admitted.devshard)
        self._remember(answer, admitted.key)
        return answer

    def failed(self, record: RecordedRequest, error: ErrorAnswer) -> None:
        """Remember a failure that a fault made, where failures are remembered."""
        try:
            admitted = self._admission.admit(record)
        except Refusal:
            return
        self.cache.put(admitted.key, Cached(error=error), time.monotonic())

    def _headers(self, record: RecordedRequest, devshard: str) -> dict[str, str]:
        return {**self.extra_headers(record), "X-Devshard-ID": devshard}

    def _remember(self, answer: Answer, key: str) -> None:
        if answer.raw is not None:
            return
        if answer.body is not None:
            self.cache.put(key, Cached(body=answer.body), time.monotonic())
        elif self.cache.keeps != "nothing":
            answer.chunks = self._remembering(answer.chunks, key)

    async def _remembering(
        self, chunks: AsyncIterator[dict[str, Any]] | Iterable[dict[str, Any]], key: str
    ) -> AsyncIterator[dict[str, Any]]:
        """Pass the chunks on; an answer that is heard to its end is remembered."""
        heard: list[dict[str, Any]] = []
        async for chunk in each_chunk(chunks):
            heard.append(chunk)
            yield chunk
        self.cache.put(key, Cached(chunks=tuple(heard)), time.monotonic())

    @property
    def block_reason(self) -> str | None:
        """Why new inferences wait: the words of the 503, None when they do not."""
        return self._admission.block_reason


def _with_logprobs(request: dict[str, Any], record: RecordedRequest) -> dict[str, Any]:
    """Newer builds leave log probabilities in the answer of who asked for them."""
    asked = bool(record.json and record.json.get("logprobs"))
    return {**request, "logprobs": True} if asked else request
