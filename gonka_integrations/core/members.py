"""Who takes part in a pool, and what each may serve. Not locked: the pool that owns it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .leases import EndpointState
from .selection import WeightedTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .endpoints import Endpoint
    from .health import EndpointHealth
    from .leases import Want

Table = WeightedTable[EndpointState]

_REMEMBERED_MODELS = 256


class Members:
    """The members of a pool with their states, and tables to draw from for each model.

    Args:
        new_health: Makes the health of an endpoint that joins.
    """

    def __init__(self, new_health: Callable[[], EndpointHealth]) -> None:
        self._new_health = new_health
        self.states: dict[str, EndpointState] = {}
        self.remembered: dict[str, tuple[Table, ...]] = {}

    def replace(self, endpoints: Iterable[Endpoint]) -> tuple[list[Endpoint], list[EndpointState]]:
        """Set who is a member; whoever stays keeps its state.

        Returns:
            The endpoints that joined, and the states of those that left.
        """
        before, states = self.states, dict[str, EndpointState]()
        joined: list[Endpoint] = []
        for endpoint in endpoints:
            # One that is named twice is one.
            state = before.pop(endpoint.identity, None) or states.get(endpoint.identity)
            if state is None:
                joined.append(endpoint)
                state = EndpointState(endpoint, self._new_health())
            state.endpoint, state.group = endpoint, endpoint.credentials.group
            states[endpoint.identity] = state
        for state in before.values():
            state.member = False
        self.states, self.remembered = states, {}
        return joined, list(before.values())

    def without_load(self) -> None:
        """Begin again with nothing under way, as in a forked child."""
        self.states = {name: state.without_load() for name, state in self.states.items()}
        self.remembered = {}

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The members, in order."""
        return tuple(state.endpoint for state in tuple(self.states.values()))

    def tables(self, model: str) -> tuple[Table, ...]:
        """Those that may serve *model*, a table for each tier, lowest first."""
        found = self.remembered.get(model)
        if found is None:
            found = build_tables(tuple(self.states.values()), model)
            if len(self.remembered) >= _REMEMBERED_MODELS:
                self.remembered.clear()
            self.remembered[model] = found
        return found

    def serving(self, model: str) -> Iterator[EndpointState]:
        """Those that may serve *model*, lowest tier first."""
        for table in self.tables(model):
            yield from table.items

    def candidates(self, want: Want, now: float) -> Iterator[EndpointState]:
        """Those that a call may ever be sent to, in service or out of it."""
        for state in self.serving(want.model):
            if not want.bars(state) and not state.lacking(want.model, now):
                yield state

    def advise(
        self, identity: str, serves: Mapping[str, bool], until: float, excuses: Mapping[str, str]
    ) -> None:
        """Take in what an endpoint says of itself; a no is believed *until* then."""
        state = self.states.get(identity)
        if state is None:
            return
        state.excuses = dict(excuses)
        for model, taken in serves.items():
            if taken:
                state.lacks.pop(model, None)
            else:
                state.lacks[model] = until

    def lacks(self, model: str, now: float) -> bool:
        """Whether every member that might serve *model* has said that it does not."""
        return self.all_serving(model, lambda state: state.lacking(model, now))

    def all_serving(self, model: str, what: Callable[[EndpointState], bool]) -> bool:
        """Whether *what* holds for every member that may serve *model*, and there is one."""
        return bool(self.tables(model)) and all(map(what, self.serving(model)))

    def mostly_in(self, now: float) -> bool:
        """Whether less than half of the weight is out of service."""
        out = total = 0.0
        for state in self.states.values():
            total += state.endpoint.weight
            out += state.endpoint.weight if state.health.is_out(now) else 0.0
        return out * 2 < total


def build_tables(states: Sequence[EndpointState], model: str) -> tuple[Table, ...]:
    """Tables of the states that may serve *model*, one for each tier, lowest first."""
    tiers: dict[int, list[EndpointState]] = {}
    for state in states:
        if state.endpoint.serves(model):
            tiers.setdefault(state.endpoint.tier, []).append(state)
    tables = []
    for _, members in sorted(tiers.items()):
        weights = [state.endpoint.weight for state in members]
        mean = sum(weights) / len(weights)
        for state in members:
            state.scale = mean / state.endpoint.weight
        tables.append(WeightedTable(members, weights))
    return tuple(tables)
