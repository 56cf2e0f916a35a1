"""The one verification, over bytes: `verify`.

A payload proves its list against the header at H+1, where H is the height its record was made at;
the payload itself carries no signature over that header. So a bundle adds the signed header, its
whole validator set and, when the trust root is further back, headers in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .anchor import check_path
from .claims import check_age, check_app_hash, prove_claim, read_claim
from .cometbft import Validator, ValidatorSet
from .errors import MissingSignedHeader, WrongHeight
from .json_dialects import read_signed_header, read_validators
from .json_values import as_object, excerpt, load_json
from .light import LightBlock, TrustedHeader, TrustPolicy, check_clock
from .participants_proof import StateLayout
from .payload_hints import note_payload_block
from .report import Report
from .trust import MAINNET, Checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.participants import ParticipantSet

__all__ = ["Bundle", "Rules", "note_block", "read_light_block", "unwrap", "verify"]


@dataclass(frozen=True, slots=True)
class Bundle:
    """The answers that one verification rests on, as they came.

    Attributes:
        payload: Of `GET /v1/epochs/{epoch}/participants`.
        commit: Of `GET /chain-rpc/commit?height=H+1`; None when nobody served it.
        validators: All pages of `GET /chain-rpc/validators?height=H+1`.
        path: Commit and validator pages of headers between the trust root and H+1, lowest first.
    """

    payload: bytes
    commit: bytes | None = None
    validators: tuple[bytes, ...] = ()
    path: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What is accepted; ages in seconds.

    Attributes:
        max_age: Oldest header of a record that is taken for the current one (an epoch is 23 h).
        max_state_age: Oldest header of a recent state.
    """

    chain_id: str = MAINNET
    layout: StateLayout = StateLayout()  # noqa: RUF009 - frozen
    policy: TrustPolicy = TrustPolicy()  # noqa: RUF009 - frozen
    max_age: float = 30 * 3600.0
    max_state_age: float = 900.0


def verify(
    bundle: Bundle,
    *,
    epoch: int | None,
    trusted: TrustedHeader | Checkpoint,
    now: float,
    rules: Rules | None = None,
    report: Report | None = None,
    source_url: str = "",
) -> ParticipantSet:
    """Prove the participants of an epoch from bytes alone.

    Args:
        bundle: The answers of nodes, none of which is trusted.
        epoch: The epoch asked for; None for the current one, which must be fresh.
        trusted: The header that the proof must descend from, or a stated height and hash that
            the path (or the header itself) begins with.
        now: UNIX time in seconds.
        rules: Chain, layout of its state, ages and periods.
        report: Receives the chain of evidence.
        source_url: Where the payload came from, for the result.

    Raises:
        ProofCheckError: A check failed: its class says which, `evidence` what held before.
    """
    rules, report = rules or Rules(), report or Report()
    with report.attached():
        payload = as_object(load_json(bundle.payload, "payload"), "payload")
        claim = read_claim(payload, epoch, report)
        proof = prove_claim(claim, rules.layout, report)
        height = claim.header_height
        if bundle.commit is None:
            note_payload_block(payload, proof.app_hash, height, rules.chain_id, report)
            raise MissingSignedHeader(
                f"signed header: there is no commit for height {height}; the payload's own commit "
                f"is for height {height - 1} and signs nothing of what is proven"
            )
        block = read_light_block(rules.chain_id, bundle.commit, bundle.validators, height=height)
        note_block(block, report)
        check_app_hash(proof, block, report)
        check_clock(block, now, rules.policy)
        if epoch is None:
            check_age(block, claim.epoch, now, rules.max_age, report)
        path = [read_light_block(rules.chain_id, *answers) for answers in bundle.path]
        start = check_path(trusted, [*path, block], now, rules.policy)
        report.add("trust", f"reached from header {start}")
        return claim.record.to_set(claim.excluded, source_url, verified=True)


def read_light_block(
    chain_id: str, commit: bytes, validators: Sequence[bytes], *, height: int | None = None
) -> LightBlock:
    """A checked block out of RPC answers.

    Raises:
        MalformedPayload: An answer has the wrong shape.
        WrongHeight: The header is not the one at *height*.
        ProofCheckError: Header, commit and validators do not belong together.
    """
    answer = as_object(unwrap(load_json(commit, "commit"), "commit"), "commit")
    signed = read_signed_header(answer.get("signed_header"))
    if height is not None and signed.header.height != height:
        raise WrongHeight(f"signed header: is of height {signed.header.height}, not {height}")
    found: list[Validator] = []
    for page in validators:
        fields = as_object(unwrap(load_json(page, "validators"), "validators"), "validators")
        found.extend(read_validators(fields.get("validators")))
    return LightBlock.checked(chain_id, signed, ValidatorSet(tuple(found)))


def unwrap(answer: Any, what: str) -> Any:
    """The result of a JSON-RPC answer; other JSON as it is.

    Raises:
        MissingSignedHeader: It is a JSON-RPC error.
    """
    if isinstance(answer, dict) and "jsonrpc" in answer:
        error = answer.get("error")
        if error is not None:
            told = error.get("data", error.get("message")) if isinstance(error, dict) else error
            raise MissingSignedHeader(f"{what}: the node answered {excerpt(told)}")
        return answer.get("result")
    return answer


def note_block(block: LightBlock, report: Report, source: str = "") -> None:
    """Note what made *block* acceptable, and which *source* showed it."""
    shown = f"; shown by {source}" if source else ""
    report.add(
        "header",
        f"{block.height} of {block.header.chain_id}, hash {block.hash.hex().upper()}; "
        f"{len(block.validators)} validators, power {block.power} of "
        f"{block.validators.total_power} has signed{shown}",
    )
