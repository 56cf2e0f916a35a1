"""Errors of inference calls. They derive from the openai SDK's own, so this module imports it.

`errors` draws the tree; this module is loaded when the first error is raised or named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai

from ..errors import GonkaError
from .error_bodies import error_text, new_url, parse_body
from .http_stack import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .served import AttemptRecord


class GonkaCallError(GonkaError, openai.OpenAIError):
    """An inference call failed.

    Attributes:
        attempts: Every request of the call, in order.
    """

    attempts: list[AttemptRecord]

    def _note(self, attempts: Sequence[AttemptRecord]) -> None:
        self.attempts = list(attempts)


def _request(attempts: Sequence[AttemptRecord]) -> httpx.Request:
    """The last request, without headers: the SDK's errors want one, and headers have secrets."""
    url = attempts[-1].endpoint if attempts else "https://gonka.invalid/v1"
    return httpx.Request("POST", f"{url}/chat/completions")


class GonkaEndpointsExhaustedError(GonkaCallError, openai.APIConnectionError):
    """No endpoint gave an answer."""

    def __init__(self, message: str, attempts: Sequence[AttemptRecord]) -> None:
        openai.APIConnectionError.__init__(self, message=message, request=_request(attempts))
        self._note(attempts)


class GonkaTimeoutError(GonkaCallError, openai.APITimeoutError):
    """The call's deadline passed."""

    def __init__(self, message: str, attempts: Sequence[AttemptRecord]) -> None:
        openai.APITimeoutError.__init__(self, request=_request(attempts))
        self.message = message
        self.args = (message,)
        self._note(attempts)


class GonkaBackpressureError(GonkaCallError):
    """Every endpoint is full, and so is the queue of waiting calls."""

    def __init__(self, message: str, attempts: Sequence[AttemptRecord] = ()) -> None:
        super().__init__(message)
        self._note(attempts)


class GonkaModelNotServedError(GonkaCallError):
    """No endpoint of the pool serves the model.

    Attributes:
        model: The model that was asked for.
        served: Models that the pool is known to serve.
    """

    def __init__(self, message: str, model: str, served: Sequence[str]) -> None:
        super().__init__(message)
        self.model = model
        self.served = tuple(served)
        self._note(())


class StreamInterruptedError(GonkaCallError):
    """A stream broke after content had reached the caller; nothing was repeated.

    Attributes:
        partial_text: The text that had come.
        partial: The message that had come, in OpenAI's shape, tool calls included.
        usage: Token counts, when they had come.
    """

    def __init__(
        self,
        message: str,
        attempts: Sequence[AttemptRecord],
        partial: dict[str, Any],
        usage: dict[str, Any] | None,
    ) -> None:
        super().__init__(message)
        self.partial = partial
        content = partial.get("content")
        self.partial_text: str = content if isinstance(content, str) else ""
        self.usage = usage
        self._note(attempts)


class GonkaStatusError(GonkaCallError, openai.APIStatusError):
    """An endpoint's answer that ends the call. Its subclasses are those of the openai SDK.

    Attributes:
        status_code: HTTP status.
        body: The answer's body: JSON when it was, else text.
        response: The answer; its headers hold nothing of the request.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        headers: dict[str, str],
        body: bytes,
        attempts: Sequence[AttemptRecord],
    ) -> None:
        shown = {k: v for k, v in headers.items() if k in _SHOWN_HEADERS}
        response = httpx.Response(status, headers=shown, content=body, request=_request(attempts))
        parsed = parse_body(body)
        openai.APIStatusError.__init__(self, message, response=response, body=parsed)
        self._note(attempts)


class GonkaBadRequestError(GonkaStatusError, openai.BadRequestError):
    """400: the request itself is refused."""


class GonkaAuthenticationError(GonkaStatusError, openai.AuthenticationError):
    """401: the signature or the key is refused."""


class GonkaInsufficientBalanceError(GonkaStatusError):
    """402: the account cannot pay."""


class GonkaPermissionDeniedError(GonkaStatusError, openai.PermissionDeniedError):
    """403: not allowed."""


class GonkaNotFoundError(GonkaStatusError, openai.NotFoundError):
    """404: no such model or account."""


class GonkaConflictError(GonkaStatusError, openai.ConflictError):
    """409: not now."""


class GonkaClassicInferenceGoneError(GonkaStatusError):
    """410: these hosts do no signed inference any more; gateways do."""


class GonkaUnprocessableEntityError(GonkaStatusError, openai.UnprocessableEntityError):
    """422: the request itself is refused."""


class GonkaRateLimitError(GonkaStatusError, openai.RateLimitError):
    """429: every endpoint is busy."""


class GonkaServerError(GonkaStatusError, openai.InternalServerError):
    """5xx: the endpoints failed."""


class GonkaGatewayMovedError(GonkaStatusError):
    """308: the gateway is switched off and names another; nothing was followed.

    Attributes:
        new_url: What it names. It comes from the operator: look at it before you use it.
    """

    new_url: str | None = None


_SHOWN_HEADERS = frozenset({"content-type", "retry-after", "x-request-id", "x-devshard-id"})
_BY_STATUS: dict[int, type[GonkaStatusError]] = {
    308: GonkaGatewayMovedError,
    400: GonkaBadRequestError,
    401: GonkaAuthenticationError,
    402: GonkaInsufficientBalanceError,
    403: GonkaPermissionDeniedError,
    404: GonkaNotFoundError,
    409: GonkaConflictError,
    410: GonkaClassicInferenceGoneError,
    413: GonkaBadRequestError,
    422: GonkaUnprocessableEntityError,
    429: GonkaRateLimitError,
}
_SERVER = 500


def status_error(
    status: int,
    headers: dict[str, str],
    body: bytes,
    attempts: Sequence[AttemptRecord],
    advice: str,
) -> GonkaStatusError:
    """The error for an answer that ends a call, with everything that was tried."""
    kind = _BY_STATUS.get(status) or (GonkaServerError if status >= _SERVER else GonkaStatusError)
    said = error_text(body) or "no explanation"
    moved = new_url(body) if kind is GonkaGatewayMovedError else None
    hint = f"it names {moved}, which was not followed" if moved else advice
    # Attempts that got no answer at all may have followed.
    by = [one.endpoint for one in attempts if one.status == status] or ["the endpoint"]
    message = f"{status} from {by[-1]}: {said}"
    message += f". What to do: {hint}" if hint else ""
    message += tried(attempts) if len(attempts) > 1 else ""
    error = kind(message, status=status, headers=headers, body=body, attempts=attempts)
    if isinstance(error, GonkaGatewayMovedError):
        error.new_url = moved
    return error


def tried(attempts: Sequence[AttemptRecord]) -> str:
    """Lines that list the attempts, for the end of a message."""
    return "\nTried:" + "".join(f"\n  {n}. {record}" for n, record in enumerate(attempts, 1))
