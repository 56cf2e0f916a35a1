"""What a gateway says about itself. Source: devshard ``cmd/devshardctl``."""

from __future__ import annotations

from dataclasses import dataclass, field

from .json_fields import Fields

__all__ = ["GatewayModel", "GatewayStatus", "decode_gateway_status"]


@dataclass(frozen=True, slots=True)
class GatewayModel:
    """A model at a gateway.

    Attributes:
        id: The model.
        routable: Whether requests for it are taken now.
        access_enabled: Whether its operator has opened it.
        access_mode: "open", "api_key" or "admin_only"; "" when not said.
        message: What its operator says about it.
    """

    id: str
    routable: bool
    access_enabled: bool = True
    access_mode: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """What a gateway says about itself.

    Attributes:
        models: Its models, when it runs several runtimes.
        block_reasons: Model -> why its requests wait: "poc" or "confirmation_poc". Not a fault.
        phase: Of a gateway with a single runtime: "active", "finalizing", "settlement" …
    """

    models: tuple[GatewayModel, ...] = ()
    block_reasons: dict[str, str] = field(default_factory=dict)
    phase: str = ""

    def routable(self, model: str) -> bool | None:
        """Whether requests for *model* are taken now, None when the gateway does not say."""
        if self.phase:
            return self.phase == "active"
        found = [entry.routable for entry in self.models if entry.id == model]
        return found[0] if found else None


def decode_gateway_status(payload: object, source_url: str | None = None) -> GatewayStatus:
    """Readiness from a gateway's ``/v1/status``, with one runtime or several.

    Raises:
        GonkaDiscoveryError: It is no such answer; nodes answer this path too.
    """
    answer = Fields(payload, "the gateway's status", source_url)
    if answer.has("escrow_id") or answer.has("phase"):
        return GatewayStatus(phase=answer.text("phase"))
    if not answer.has("capacity"):
        raise answer.wrong("has no capacity; is this a gateway?")
    models = [
        (name, Fields(entry, f"capacity.models.{name}", source_url))
        for name, entry in answer.object("capacity").pairs("models")
    ]
    blocked = [entry for entry in answer.objects("devshards") if entry.flag("requests_blocked")]
    return GatewayStatus(
        models=tuple(_gateway_model(name, entry) for name, entry in models),
        block_reasons={entry.text("model"): entry.text("block_reason") for entry in blocked},
    )


def _gateway_model(name: str, entry: Fields) -> GatewayModel:
    return GatewayModel(
        id=name,
        routable=entry.flag("routable"),
        access_enabled=entry.flag("access_enabled", default=True),
        access_mode=entry.text("access_mode"),
        message=entry.text("access_message"),
    )
