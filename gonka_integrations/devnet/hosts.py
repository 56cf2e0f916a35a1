"""A participant's node: reads for everybody, inference for whoever signs for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .admission import Admission
from .endpoint import ServedEndpoint
from .engines import Answer, EngineError
from .epochs import Member
from .exchange import Refusal
from .host_reads import HostReads
from .ledger import ReplayGuard, TestKey, validator_public_key
from .rendering import Envelope
from .scripted import prompt_tokens
from .texts import engine_bad_request, executor_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import Route

    from .network import Devnet
    from .network_state import ChainView
    from .recording import RecordedRequest


class Host(ServedEndpoint):
    """One participant and its node.

    Args:
        net: The network.
        index: Position in `net.hosts`; decides its keys.
        models: Ids of the models it serves.
        weight: Consensus weight.
        port: Port to bind; 0 takes a free one.

    Attributes:
        address: Account address, which requests to this host are signed for.
        key: The account's key pair.
        inference_url: URL it declares to the chain.
        models: Models it declares for the next epoch, and serves now.
        weight: Weight it has from the next epoch on.
        chain: What it shows of the chain, when that is not what the others show.
        max_concurrent: Requests it serves at once before it answers 429; None is any number.
    """

    def __init__(
        self, net: Devnet, index: int, *, models: tuple[str, ...], weight: int, port: int = 0
    ) -> None:
        self._reads = HostReads(self)
        super().__init__(net, f"host {index}", port=port)
        self.index = index
        self.key = TestKey.from_label(f"{net.seed} host {index}")
        self.address = self.key.address
        self.validator_key = validator_public_key(f"{net.seed} host {index}")
        self.inference_url = self.url
        self.models = models
        self.weight = weight
        self.chain: ChainView | None = None
        self.max_concurrent: int | None = None
        self._replays = ReplayGuard()

    @property
    def endpoint(self) -> str:
        """As explicit endpoint lists spell it: `url;address`."""
        return f"{self.url};{self.address}"

    def member(self) -> Member:
        """Its entry in a participant set made now."""
        return Member(
            self.index,
            self.address,
            self.validator_key,
            self.weight,
            self.inference_url,
            self.models,
        )

    def routes(self) -> Iterable[Route]:
        """The reads of a node."""
        return self._reads.routes()

    async def answer(self, record: RecordedRequest) -> Answer:
        """Check a signed request as a node does and let the executor answer."""
        admitted = Admission(self.net, self, self._replays).admit(record)
        request: dict[str, Any] = admitted.request
        streams = bool(request.get("stream"))
        envelope = Envelope(
            id=admitted.signature,
            model=request["model"],
            prompt_tokens=prompt_tokens(request),
            include_usage=streams,
            executor_extras=self.net.executor_extras,
        )
        try:
            return await self.net.engine.answer(request, envelope)
        except EngineError as error:
            detail = error.message
            if error.status == 400 and not detail.startswith("{"):
                detail = engine_bad_request(detail)
            raise Refusal(executor_error(error.status, detail)) from None

    def served(self, record: RecordedRequest, answer: Answer) -> None:
        """Charge the requester."""
        self.net.ledger.charge(record.headers.get("x-requester-address", ""), answer.tokens)
