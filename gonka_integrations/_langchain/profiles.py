"""Model profiles: what agents and middleware may know of a model before they use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Collection

    from langchain_core.language_models.model_profile import ModelProfile

    from ..core.models import ModelFacts


class KnownProfile(dict[str, Any]):
    """A profile out of the table of known models, as opposed to one that the user gave."""


def profile_of(
    facts: ModelFacts | None, modalities: Collection[str] | None = None
) -> ModelProfile | None:
    """The profile of a known model, None for others.

    `structured_output` is False although servers enforce schemas: agents would send schema and
    tools together, and vLLM then answers with the schema and calls no tool.

    Args:
        facts: What is known of the model.
        modalities: Kinds of content it takes, when the user knows better.
    """
    if facts is None:
        return None
    takes = set(modalities or facts.input_modalities)
    profile: dict[str, Any] = {
        "name": facts.name,
        "open_weights": True,
        "max_input_tokens": facts.context_window,
        "max_output_tokens": facts.max_output,
        "text_inputs": "text" in takes,
        "image_inputs": "image" in takes,
        "image_url_inputs": "image" in takes,
        "image_tool_message": "image" in takes,
        "pdf_inputs": "file" in takes,
        "pdf_tool_message": "file" in takes,
        "audio_inputs": "audio" in takes,
        "video_inputs": "video" in takes,
        "text_outputs": True,
        "image_outputs": False,
        "audio_outputs": False,
        "video_outputs": False,
        "reasoning_output": facts.reasoning != "none",
        "tool_calling": facts.tools,
        "tool_choice": facts.tools,
        "structured_output": False,
        "temperature": True,
    }
    return cast("ModelProfile", KnownProfile(profile))
