"""The checks of a gateway before it serves, with its words.

Source: gonka-ai/gonka `devshard/cmd/devshardctl/`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .exchange import Refusal
from .gateway_policy import normalised
from .gateway_schemas import PolicyError
from .texts import gateway_error, moved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .gateway import Gateway
    from .recording import RecordedRequest

DEVSHARD_PATH = re.compile(r"/devshard/([^/]+)(/v1/chat/completions)")


@dataclass(frozen=True, slots=True)
class GatewayAdmitted:
    """A request that passed.

    Attributes:
        request: As it goes on to a host.
        key: Its key in the response cache.
        devshard: Id of the devshard that takes it.
    """

    request: dict[str, Any]
    key: str
    devshard: str


class GatewayAdmission:
    """Checks the requests of one gateway.

    Args:
        gateway: The gateway: models, keys, limits, devshards.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def admit(self, record: RecordedRequest) -> GatewayAdmitted:
        """Check one request.

        Raises:
            Refusal: With the gateway's answer, at the first check that fails.
        """
        if self._gateway.disabled is not None:
            raise Refusal(moved(*self._gateway.disabled))
        if record.json is None:
            raise Refusal(gateway_error(400, "invalid request body"))
        model = record.json.get("model")
        if model not in self._gateway.offered:
            names = ", ".join(self._gateway.offered)
            raise Refusal(
                gateway_error(400, f'unsupported model "{model}"; supported models: {names}')
            )
        self._check_access(record, model)
        try:
            request = self._normalised(record.json)
        except PolicyError as problem:
            raise Refusal(gateway_error(400, str(problem))) from None
        self._check_proof_of_compute()
        return GatewayAdmitted(request, self._gateway.cache.key(request), self._devshard(record))

    def _normalised(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if not self._gateway.strict_parameters:
            return dict(request)
        return normalised(request, max_tokens=self._gateway.max_tokens)

    def _check_access(self, record: RecordedRequest, model: str) -> None:
        mode = self._gateway.access_modes.get(model, "api_key")
        given = record.headers.get("authorization", "").removeprefix("Bearer ")
        if mode == "open" or (self._gateway.admin_api_key and given == self._gateway.admin_api_key):
            return
        if mode == "admin_only":
            raise Refusal(gateway_error(401, f'model "{model}" requires an admin API key'))
        if given != self._gateway.api_key:
            raise Refusal(gateway_error(401, f'model "{model}" requires an API key'))

    @property
    def block_reason(self) -> str | None:
        """Why new inferences wait: the words of the 503, None when they do not."""
        if self._gateway.poc_mode != "strict":
            return None
        if self._gateway.net.confirmation_poc is not None:
            return f"confirmation PoC {self._gateway.net.confirmation_poc}"
        return _PHASE_WORDS.get(self._gateway.net.phase)

    def _check_proof_of_compute(self) -> None:
        reason = self.block_reason
        if reason is not None:
            message = f"devshard temporarily unavailable during {reason}"
            raise Refusal(gateway_error(503, message))

    def _devshard(self, record: RecordedRequest) -> str:
        named = DEVSHARD_PATH.fullmatch(record.path)
        if named is not None:
            return self._named_devshard(named[1])
        active = [name for name, takes in self._gateway.devshards.items() if takes]
        if not active:
            skipped = ", ".join(f"{name}=deactivated" for name in self._gateway.devshards)
            message = f"no devshard runtimes available for new inferences (skipped: {skipped})"
            raise Refusal(gateway_error(502, message))
        return active[0]

    def _named_devshard(self, name: str) -> str:
        if name not in self._gateway.devshards:
            raise Refusal(gateway_error(404, f"unknown devshard {name}"))
        if not self._gateway.devshards[name]:
            message = f"devshard {name} is unavailable for new inferences: deactivated"
            raise Refusal(gateway_error(409, message))
        return name

    def check_limits(self, tokens: int) -> None:
        """Check the limits of what is under way; *tokens* is the size of this prompt.

        Raises:
            Refusal: One is reached.
        """
        if (
            self._gateway.max_concurrent is not None
            and self._gateway.in_flight > self._gateway.max_concurrent
        ):
            message = "rate limit exceeded: too many concurrent requests"
            raise Refusal(gateway_error(429, message))
        if self._gateway.max_input_tokens is not None and tokens > self._gateway.max_input_tokens:
            message = "rate limit exceeded: too many input tokens in flight"
            raise Refusal(gateway_error(429, message))


_PHASE_WORDS = {
    "PoCGenerate": "PoC generation",
    "PoCGenerateWindDown": "PoC generation wind down",
    "PoCValidate": "PoC validation",
    "PoCValidateWindDown": "PoC validation wind down",
}
