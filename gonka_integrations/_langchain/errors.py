"""Errors of calls as LangChain's: each is our kind, the SDK's and one of LangChain's.

Whoever catches any of the three finds it, and middleware can ask `is_retryable`. This module
imports the openai SDK; it is loaded when the first call fails.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from .. import errors
from ..core import call_errors as calls

if TYPE_CHECKING:
    from ..errors import GonkaError


class ChatGonkaExhaustedError(calls.GonkaEndpointsExhaustedError, ModelConnectionError):
    """No endpoint gave an answer."""


class ChatGonkaTimeoutError(calls.GonkaTimeoutError, ModelTimeoutError):
    """The call's deadline passed."""


class ChatGonkaBackpressureError(calls.GonkaBackpressureError, ModelRateLimitError):
    """Every endpoint is full, and so is the queue."""


class ChatGonkaModelNotServedError(calls.GonkaModelNotServedError, ModelNotFoundError):
    """No endpoint serves the model."""


class ChatGonkaStreamInterruptedError(calls.StreamInterruptedError, ModelConnectionError):
    """A stream broke after content had been delivered."""


class ChatGonkaStatusError(calls.GonkaStatusError, ModelError):
    """An answer that ends the call, with a status that has no class of its own."""


class ChatGonkaBadRequestError(calls.GonkaBadRequestError, ModelInvalidRequestError):
    """400: the request is refused."""


class ChatGonkaContextOverflowError(calls.GonkaBadRequestError, ContextOverflowError):
    """400: the conversation does not fit into the model's context."""


class ChatGonkaAuthenticationError(calls.GonkaAuthenticationError, ModelAuthenticationError):
    """401: the signature or the key is refused."""


class ChatGonkaInsufficientBalanceError(calls.GonkaInsufficientBalanceError, ModelError):
    """402: the account cannot pay."""


class ChatGonkaPermissionDeniedError(calls.GonkaPermissionDeniedError, ModelPermissionDeniedError):
    """403: not allowed."""


class ChatGonkaNotFoundError(calls.GonkaNotFoundError, ModelNotFoundError):
    """404: no such model or account."""


class ChatGonkaConflictError(calls.GonkaConflictError, ModelAPIError):
    """409: not now."""


class ChatGonkaClassicInferenceGoneError(calls.GonkaClassicInferenceGoneError, ModelError):
    """410: these hosts do no signed inference any more."""


class ChatGonkaUnprocessableEntityError(
    calls.GonkaUnprocessableEntityError, ModelInvalidRequestError
):
    """422: the request is refused."""


class ChatGonkaRateLimitError(calls.GonkaRateLimitError, ModelRateLimitError):
    """429: every endpoint is busy."""


class ChatGonkaServerError(calls.GonkaServerError, ModelAPIError):
    """5xx: the endpoints failed."""


class ChatGonkaGatewayMovedError(calls.GonkaGatewayMovedError, ModelError):
    """308: the gateway is switched off and names another."""


class ChatGonkaDiscoveryError(errors.GonkaDiscoveryError, ModelConnectionError):
    """The network's state could not be read."""


class ChatGonkaNoParticipantsError(errors.GonkaNoParticipantsError, ModelConnectionError):
    """The source names no participant that can be used."""


class ChatGonkaProofVerificationError(errors.GonkaProofVerificationError, ModelError):
    """The participant list is not proven."""


_OURS = (
    ChatGonkaExhaustedError,
    ChatGonkaTimeoutError,
    ChatGonkaBackpressureError,
    ChatGonkaModelNotServedError,
    ChatGonkaStreamInterruptedError,
    ChatGonkaBadRequestError,
    ChatGonkaAuthenticationError,
    ChatGonkaInsufficientBalanceError,
    ChatGonkaPermissionDeniedError,
    ChatGonkaNotFoundError,
    ChatGonkaConflictError,
    ChatGonkaClassicInferenceGoneError,
    ChatGonkaUnprocessableEntityError,
    ChatGonkaRateLimitError,
    ChatGonkaServerError,
    ChatGonkaGatewayMovedError,
    ChatGonkaStatusError,
    ChatGonkaNoParticipantsError,
    ChatGonkaProofVerificationError,
    ChatGonkaDiscoveryError,
)
_BY_BASE: dict[type, type[GonkaError]] = {kind.__bases__[0]: kind for kind in _OURS}

# vLLM's words of several versions, and those of the usual providers.
_OVERFLOW = re.compile(
    r"context[ _]length|context window|context_length_exceeded|prompt is too long"
    r"|longer than the maximum model length|maximum model length|max_model_len"
    r"|input is too long|exceeds? the (?:model'?s? )?max(?:imum)? (?:input|prompt)",
    re.IGNORECASE,
)


# A node answers 500 when the requester's account is not on chain; asking again does not help.
_FINAL = re.compile(r"account not found|account has no public key", re.IGNORECASE)


def as_model_error(error: GonkaError) -> GonkaError:
    """*error* as LangChain's error of the same kind; itself when there is none."""
    kind = None if isinstance(error, ModelError) else _kind_of(error)
    if kind is None:
        return error
    made: Any = kind.__new__(kind, *error.args)
    made.__dict__.update(error.__dict__)
    made.args = error.args
    if made.is_retryable and _FINAL.search(str(error)):
        made.is_retryable = False
    return made  # type: ignore[no-any-return]


def _kind_of(error: GonkaError) -> type[GonkaError] | None:
    refused = isinstance(error, calls.GonkaBadRequestError | calls.GonkaUnprocessableEntityError)
    if refused and _OVERFLOW.search(str(error)):
        return ChatGonkaContextOverflowError
    own = type(error)
    for base in own.__mro__:
        if base in _BY_BASE:
            return _BY_BASE[base] if base is own else _narrowed(own, _BY_BASE[base])
    return None


def _narrowed(own: type[GonkaError], wide: type[GonkaError]) -> type[GonkaError]:
    """A class for a narrower error than those above, such as the check of a proof that failed."""
    found = _narrow.get(own)
    if found is None:
        members = {"__doc__": own.__doc__, "__module__": own.__module__}
        found = _narrow[own] = type(own.__name__, (own, wide.__bases__[1]), members)
    return found


_narrow: dict[type, type[GonkaError]] = {}
