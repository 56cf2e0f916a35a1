"""A devshard gateway: bearer keys in front of the same models."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .endpoint import ServedEndpoint
from .engines import Answer, EngineError
from .exchange import Refusal
from .replies import Envelope
from .scripted import prompt_tokens
from .texts import GATEWAY_TOO_LARGE, ErrorAnswer, gateway_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from .network import Devnet
    from .recording import RecordedRequest


class Gateway(ServedEndpoint):
    """A gateway."""

    too_large: ErrorAnswer = GATEWAY_TOO_LARGE

    def __init__(self, net: Devnet, index: int, *, port: int = 0) -> None:
        super().__init__(net, f"gateway {index}", port=port)
        self.index = index
        self.api_key = f"gk-devnet-{index}"
        self._nonces = count(1)

    @property
    def base_url(self) -> str:
        """URL that ends in /v1."""
        return f"{self.url}/v1"

    def routes(self) -> Iterable[Route]:
        """The list of models."""
        yield Route("/v1/models", self._list_models, methods=["GET"])

    async def _list_models(self, _: Request) -> Response:
        data = [{"id": name, "object": "model"} for name in self.net.models]
        return JSONResponse({"object": "list", "data": data})

    async def answer(self, record: RecordedRequest) -> Answer:
        """Check the key and let the engine answer."""
        request = record.json or {}
        model = request.get("model")
        if record.headers.get("authorization") != f"Bearer {self.api_key}":
            raise Refusal(gateway_error(401, f'model "{model}" requires an API key'))
        options = request.get("stream_options") or {}
        envelope = Envelope(
            id=f"devshard-42-{next(self._nonces)}",
            model=str(model),
            prompt_tokens=prompt_tokens(request),
            include_usage=bool(options.get("include_usage")),
        )
        try:
            return await self.net.engine.answer(request, envelope)
        except EngineError as error:
            raise Refusal(gateway_error(error.status, error.message)) from None
