"""An ordinary OpenAI-compatible provider, for fallback tiers."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .endpoint import ServedEndpoint
from .engines import Answer, EngineError
from .exchange import Refusal
from .rendering import Envelope
from .scripted import prompt_tokens
from .texts import ErrorAnswer, openai_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from .network import Devnet
    from .recording import RecordedRequest


class Provider(ServedEndpoint):
    """A server that speaks plain OpenAI.

    Args:
        net: The network.
        index: Position in `net.providers`.
        port: Port to bind; 0 takes a free one.

    Attributes:
        api_key: The key it wants; None wants none.
        models: Models it knows; None answers to any name.
    """

    too_large: ErrorAnswer = openai_error(413, "Request too large")

    def __init__(self, net: Devnet, index: int, *, port: int = 0) -> None:
        super().__init__(net, f"provider {index}", port=port)
        self.index = index
        self.api_key: str | None = f"sk-provider-{index}"
        self.models: tuple[str, ...] | None = None
        self._ids = count(1)

    @property
    def base_url(self) -> str:
        """URL that ends in /v1."""
        return f"{self.url}/v1"

    def routes(self) -> Iterable[Route]:
        """The list of models."""
        yield Route("/v1/models", self._list_models, methods=["GET"])

    async def _list_models(self, _: Request) -> Response:
        names = self.net.models if self.models is None else self.models
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "x"} for name in names]
        return JSONResponse({"object": "list", "data": data})

    def error(self, status: int, words: str) -> ErrorAnswer:
        """An error in OpenAI's envelope."""
        return openai_error(status, words)

    async def answer(self, record: RecordedRequest) -> Answer:
        """Check the key and the model, then let the engine answer."""
        if self.api_key and record.headers.get("authorization") != f"Bearer {self.api_key}":
            message = "Incorrect API key provided."
            raise Refusal(openai_error(401, message, code="invalid_api_key"))
        request = record.json
        if request is None:
            raise Refusal(openai_error(400, "We could not parse the JSON body of your request."))
        model = request.get("model")
        if not isinstance(model, str) or (self.models is not None and model not in self.models):
            message = f"The model `{model}` does not exist or you do not have access to it."
            raise Refusal(openai_error(404, message, code="model_not_found"))
        options = request.get("stream_options") or {}
        envelope = Envelope(
            id=f"chatcmpl-{self.index}-{next(self._ids)}",
            model=model,
            prompt_tokens=prompt_tokens(request),
            include_usage=bool(options.get("include_usage")),
        )
        try:
            return await self.net.engine.answer(request, envelope)
        except EngineError as error:
            raise Refusal(openai_error(error.status, error.message)) from None
