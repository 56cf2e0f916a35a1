"""Every error of the package.

The tree::

    GonkaError
    ├── GonkaConfigError (ValueError)          a bad value at construction; names the field
    ├── GonkaDiscoveryError                    the network's reads failed or made no sense
    │   ├── GonkaNoParticipantsError           an answer, but nobody to send requests to
    │   └── GonkaProofVerificationError        the participant list is not proven (see proof.errors)
    ├── GonkaRegistrationError                 a participant could not be registered
    ├── GonkaRefreshError                      a requested refresh failed; the old set stays
    ├── GonkaClientError                       a client could not be made or used
    └── GonkaCallError (openai.OpenAIError)    an inference call failed; has `.attempts`
        ├── GonkaEndpointsExhaustedError (openai.APIConnectionError)  nobody gave an answer
        ├── GonkaTimeoutError (openai.APITimeoutError)                the call's deadline passed
        ├── GonkaBackpressureError             every endpoint is full, and so is the queue
        ├── GonkaModelNotServedError           no endpoint of the pool serves this model
        ├── StreamInterruptedError             a stream broke after content; has the partial text
        └── GonkaStatusError (openai.APIStatusError)   the last endpoint's answer, one subclass
            per status, each also the openai class of that status:
            GonkaBadRequestError, GonkaAuthenticationError, GonkaInsufficientBalanceError,
            GonkaPermissionDeniedError, GonkaNotFoundError, GonkaConflictError,
            GonkaClassicInferenceGoneError (410), GonkaUnprocessableEntityError,
            GonkaRateLimitError, GonkaServerError, GonkaGatewayMovedError (308)

The call errors derive from the openai SDK's classes and live in `core.call_errors`; naming one of
them here imports the SDK, raising none does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.call_errors import (
        GonkaAuthenticationError,
        GonkaBackpressureError,
        GonkaBadRequestError,
        GonkaCallError,
        GonkaClassicInferenceGoneError,
        GonkaConflictError,
        GonkaEndpointsExhaustedError,
        GonkaGatewayMovedError,
        GonkaInsufficientBalanceError,
        GonkaModelNotServedError,
        GonkaNotFoundError,
        GonkaPermissionDeniedError,
        GonkaRateLimitError,
        GonkaServerError,
        GonkaStatusError,
        GonkaTimeoutError,
        GonkaUnprocessableEntityError,
        StreamInterruptedError,
    )

__all__ = [
    "GonkaAuthenticationError",
    "GonkaBackpressureError",
    "GonkaBadRequestError",
    "GonkaCallError",
    "GonkaClassicInferenceGoneError",
    "GonkaClientError",
    "GonkaConfigError",
    "GonkaConflictError",
    "GonkaDiscoveryError",
    "GonkaEndpointsExhaustedError",
    "GonkaError",
    "GonkaGatewayMovedError",
    "GonkaInsufficientBalanceError",
    "GonkaModelNotServedError",
    "GonkaNoParticipantsError",
    "GonkaNotFoundError",
    "GonkaPermissionDeniedError",
    "GonkaProofVerificationError",
    "GonkaRateLimitError",
    "GonkaRefreshError",
    "GonkaRegistrationError",
    "GonkaServerError",
    "GonkaStatusError",
    "GonkaTimeoutError",
    "GonkaUnprocessableEntityError",
    "StreamInterruptedError",
]


class GonkaError(Exception):
    """Base of every error of this package."""


class GonkaConfigError(GonkaError, ValueError):
    """A configuration value is missing or wrong.

    Attributes:
        field: Name of the offending field, as the user spells it.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class GonkaDiscoveryError(GonkaError):
    """Reading the network's state failed.

    Attributes:
        source_url: The source that was asked, without credentials.
        status_code: HTTP status of its answer, when it gave one.
    """

    def __init__(
        self, message: str, *, source_url: str | None = None, status_code: int | None = None
    ) -> None:
        super().__init__(message)
        self.source_url = source_url
        self.status_code = status_code


class GonkaNoParticipantsError(GonkaDiscoveryError):
    """The source answered, but names no participant that can be used."""


class GonkaProofVerificationError(GonkaDiscoveryError):
    """The participant list is not proven. `proof.errors` has one subclass for each check."""


class GonkaRegistrationError(GonkaError):
    """A participant could not be registered into a multiplexer."""


class GonkaRefreshError(GonkaError):
    """A refresh that was asked for failed; the previous participants stay in use."""


class GonkaClientError(GonkaError):
    """A client could not be made, or was used in a way it does not support."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        from .core import call_errors  # noqa: PLC0415 - importing openai costs half a second

        return getattr(call_errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
