"""Trust-minimised discovery: prove who the participants are.

`EndpointDiscovery(sources, verify_proofs=True, trust=...)` uses it; *trust* is a `Checkpoint` or an
`Agreement`, or text such as ``"agreement"``. `verify` is the same over recorded answers, without
any network; `ProofVerifier` keeps the chain of evidence for people to read. Why a list is not
proven is said by one class of `errors` for each check.

The checks, in order: the record's bytes and epoch, ICS-23 proofs to the application hash, the
signed header that carries it (hash, validator set, more than two thirds of the power, Ed25519), its
freshness, and the way from a trust root to it.
"""

from .cometbft import ValidatorSet
from .errors import ProofCheckError
from .fetching import ProofVerifier
from .light import LightBlock, TrustedHeader, TrustPolicy
from .participants_proof import StateLayout
from .report import EvidenceLine, Report
from .trust import Agreement, Checkpoint, parse_trust
from .trust_store import TrustStore
from .verification import Bundle, Rules, read_light_block, verify
from .verifier import Verifier

__all__ = [
    "Agreement",
    "Bundle",
    "Checkpoint",
    "EvidenceLine",
    "LightBlock",
    "ProofCheckError",
    "ProofVerifier",
    "Report",
    "Rules",
    "StateLayout",
    "TrustPolicy",
    "TrustStore",
    "TrustedHeader",
    "ValidatorSet",
    "Verifier",
    "parse_trust",
    "read_light_block",
    "verify",
]
