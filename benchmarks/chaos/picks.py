"""Fairness and limits of choosing, without I/O."""

from __future__ import annotations

Figures = dict[str, float]


def shares() -> Figures:
    """200,000 picks over 100 idle hosts with heavy-tailed stakes: error of the ten heaviest."""
    from gonka_integrations.core.endpoints import Bearer, Endpoint
    from gonka_integrations.core.pool import EndpointPool, Outcome, Want

    weights = [10_000 / (rank + 1) ** 0.8 for rank in range(100)]
    pool = EndpointPool()
    pool.replace(
        Endpoint("gateway", f"http://host-{i}/v1", Bearer(None, str(i)), weight=weight)
        for i, weight in enumerate(weights)
    )
    counts: dict[str, int] = {}
    served = Outcome(first_token=0.05, total=0.2)
    for _ in range(200_000):
        lease = pool.acquire(Want("model"))
        assert lease is not None
        counts[lease.endpoint.base_url] = counts.get(lease.endpoint.base_url, 0) + 1
        pool.settle(lease, served)
    errors = [
        abs(counts.get(f"http://host-{i}/v1", 0) / 200_000 / (weights[i] / sum(weights)) - 1)
        for i in range(10)
    ]
    return {"worst share error of the ten heaviest, %": 100 * max(errors)}


def small_host() -> Figures:
    """A heavy host that takes one call at a time, and a light idle one: nobody waits."""
    from gonka_integrations.core.endpoints import Bearer, Endpoint
    from gonka_integrations.core.pool import EndpointPool, Want

    pool = EndpointPool()
    pool.replace(
        [
            Endpoint("gateway", "http://a/v1", Bearer(None, "a"), weight=100.0, max_concurrent=1),
            Endpoint("gateway", "http://b/v1", Bearer(None, "b"), weight=1.0),
        ]
    )
    leases = [pool.acquire(Want("model")) for _ in range(4)]
    return {
        "calls": 4, "had to wait": sum(lease is None for lease in leases),
        "on the small host": sum(
            lease is not None and lease.endpoint.base_url == "http://a/v1" for lease in leases
        ),
    }  # fmt: skip
