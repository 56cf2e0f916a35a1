"""Forgeries of the signed header and of its validators; see `forgeries`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .chain_json import commit_json
from .forgery import like

if TYPE_CHECKING:
    from .forgery import Forgery


def foreign_validators_same_header(f: Forgery) -> None:
    """The true header, signed by the attacker's validators."""
    foreign = f.foreign_chain()
    validators = foreign.validator_set(f.height)
    commit = foreign.signers.commit(f.chain.header(f.height), validators, chain_id=f.chain.chain_id)
    f.signed = {"header": f.header, "commit": commit_json(commit, "rpc")}
    f.validators = f.validators_of(foreign)


def two_thirds_not_more(f: Forgery) -> None:
    """Those who signed have two thirds of the power at most."""
    f.sign_again(absent=f.third())


def nil_votes(f: Forgery) -> None:
    """The missing third has voted, for nil."""
    f.sign_again(nil=f.third())


def copied_signatures(f: Forgery) -> None:
    """Every validator shows the first one's signature."""
    votes = [vote for vote in f.commit["signatures"] if vote["signature"]]
    for vote in votes:
        vote["signature"] = votes[0]["signature"]


def swapped_signatures(f: Forgery) -> None:
    """Two votes are in each other's place."""
    votes = f.commit["signatures"]
    votes[0], votes[1] = votes[1], votes[0]


def extra_signature(f: Forgery) -> None:
    """A vote is there twice."""
    f.commit["signatures"].append(f.commit["signatures"][0])


def power_inflated(f: Forgery) -> None:
    """One validator is shown with more power."""
    f.validators[0]["voting_power"] = str(10 * int(f.validators[0]["voting_power"]))


def validators_page_cut(f: Forgery) -> None:
    """The last validator is not shown."""
    f.validators.pop()


def payload_block_only(f: Forgery) -> None:
    """The commit that the payload has, which is for the block before."""
    f.signed = {"header": f.header, "commit": f.signed_at(f.height - 1)["commit"]}


def commit_of_h(f: Forgery) -> None:
    """The true signed header of the height before."""
    f.signed = f.signed_at(f.height - 1)


def commit_of_h_plus_2(f: Forgery) -> None:
    """The true signed header of the height after."""
    f.signed = f.signed_at(f.height + 1)


def no_commit(f: Forgery) -> None:
    """Nobody shows a signed header."""
    f.signed = None


def other_chain_id(f: Forgery) -> None:
    """The header of another chain with the same validators and state."""
    f.signed = f.signed_at(f.height, like(f.chain, chain_id="gonka-othernet"))


def chain_id_renamed(f: Forgery) -> None:
    """The same, with the chain's name changed to ours."""
    other_chain_id(f)
    f.header["chain_id"] = f.chain.chain_id
