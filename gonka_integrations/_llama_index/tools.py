"""Tools: as they are sent, and calls of them as they come back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms.llm import ToolSelection

from ..core.json_schema import check_function_name, check_limits, inline_refs
from ..errors import GonkaConfigError
from .partial_json import parse_arguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.tools.types import BaseTool, ToolMetadata

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")


class OfferedTools(list[dict[str, Any]]):
    """The `tools` of a request, which remember the objects that they were made of.

    Sent, they are a plain list. Remembered are the tools themselves, since another LLM that takes
    over wants those, and their names before they were made fit for the wire.
    """

    def __init__(self, tools: Sequence[BaseTool], *, required: bool, parallel: bool) -> None:
        super().__init__(_wire_tool(tool) for tool in tools)
        self.tools = tuple(tools)
        self.required = required
        self.parallel = parallel
        names = [tool.metadata.get_name() for tool in tools]
        self.own_names = {wire_name(name): name for name in names}
        if len(self.own_names) < len(names):
            raise GonkaConfigError(
                f"Two of the tools {', '.join(sorted(names))} have the same name on the wire, "
                "where only letters, digits, _ and - are allowed. Rename one.",
                field="tools",
            )


def _wire_tool(tool: BaseTool) -> dict[str, Any]:
    name = wire_name(tool.metadata.get_name())
    function = {
        "name": name,
        "description": tool.metadata.description,
        "parameters": _parameters(tool.metadata),
    }
    return {"type": "function", "function": function}


def _parameters(metadata: ToolMetadata) -> dict[str, Any]:
    parameters: dict[str, Any] = metadata.get_parameters_dict()
    if "type" not in parameters and metadata.fn_schema is not None:
        # A recursive class is a reference at its root, which the framework's filter drops.
        return metadata.fn_schema.model_json_schema()
    return parameters


def fit_tools(tools: Iterable[dict[str, Any]], *, gateway: bool) -> list[dict[str, Any]]:
    """Copies of wire tools with references inlined, measured when a gateway may get them.

    Raises:
        GonkaConfigError: A schema cannot be sent; names the tool.
    """
    fitted = []
    for tool in tools:
        function = dict(tool.get("function") or {})
        parameters = function.get("parameters")
        if parameters:
            function["parameters"] = _fit(parameters, str(function.get("name")), gateway=gateway)
        if gateway:
            check_function_name(str(function.get("name") or ""))
        fitted.append({**tool, "function": function})
    return fitted


def _fit(schema: dict[str, Any], name: str, *, gateway: bool) -> dict[str, Any]:
    try:
        inlined = inline_refs(schema)
    except GonkaConfigError as error:
        if gateway:
            raise GonkaConfigError(f"Tool {name!r}: {error}", field="tools") from error
        return schema  # hosts and providers resolve references themselves, recursive ones too
    if gateway:
        check_limits(inlined, where=f"tool {name!r}")
    return inlined


def wire_name(name: str) -> str:
    """*name* with what the protocol does not allow in names made `_`."""
    return _UNFIT.sub("_", name)


def wire_tool_choice(
    choice: str | dict[str, Any] | None, *, required: bool
) -> str | dict[str, Any] | None:
    """What to send as `tool_choice`, None for nothing.

    A choice given wins; callers of the framework pass None beside `tool_required`, which must not
    undo it. "any" means "required", and any other word is the name of a tool.
    """
    if choice is None:
        return "required" if required else None
    if not isinstance(choice, str) or choice in {"auto", "none", "required"}:
        return choice
    if choice == "any":
        return "required"
    return {"type": "function", "function": {"name": wire_name(choice)}}


def selections(message: ChatMessage) -> list[ToolSelection]:
    """The calls of an answer, whichever LLM gave it, with arguments parsed as far as they go."""
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if blocks:
        return [_selection(b.tool_call_id, b.tool_name, b.tool_kwargs) for b in blocks]
    return [_selection_of(call) for call in message.additional_kwargs.get("tool_calls") or ()]


def _selection_of(call: Any) -> ToolSelection:
    data = call if isinstance(call, dict) else call.model_dump()
    function = data.get("function") or {}
    return _selection(data.get("id"), function.get("name"), function.get("arguments"))


def _selection(identity: str | None, name: str | None, arguments: Any) -> ToolSelection:
    kwargs = parse_arguments(arguments) if isinstance(arguments, str) else arguments or {}
    return ToolSelection(tool_id=identity or "", tool_name=name or "", tool_kwargs=kwargs)
