"""The bounds a gateway sets on tools and on response formats.

Source: gonka-ai/gonka `docs/chat-api/README.md`.
"""

from __future__ import annotations

import re
from typing import Any

from .gateway_schemas import RESPONSE_NODES, TOOL_NODES, PolicyError, check_schema

_MAX_NAME_BYTES = 64
_FORMAT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def normalised_tools(tools: Any) -> list[dict[str, Any]]:
    """The tools as they go on: `strict` is dropped.

    Raises:
        PolicyError: With the reason.
    """
    if not isinstance(tools, list):
        raise PolicyError("tools must be an array")
    return [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]


def _tool(tool: Any, where: str) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or tool.get("type") != "function":
        raise PolicyError(f"{where}.type must be function")
    _check_name(function.get("name"), f"{where}.function.name")
    if "parameters" in function:
        check_schema(function["parameters"], f"{where}.function.parameters", max_nodes=TOOL_NODES)
    kept = {key: value for key, value in function.items() if key != "strict"}
    return {"type": "function", "function": kept}


def normalised_choice(choice: Any) -> Any:
    """The tool choice as it goes on: `required` becomes `auto`.

    Raises:
        PolicyError: With the reason.
    """
    if choice == "required":
        return "auto"
    if choice in ("none", "auto"):
        return choice
    function = choice.get("function") if isinstance(choice, dict) else None
    if not isinstance(function, dict) or choice.get("type") != "function":
        raise PolicyError("tool_choice must be none, auto, required or a function")
    _check_name(function.get("name"), "tool_choice.function.name")
    return choice


def _check_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not name or len(name.encode()) > _MAX_NAME_BYTES:
        raise PolicyError(f"{where} must be a string of 1 to {_MAX_NAME_BYTES} bytes")


def check_response_format(wanted: Any) -> None:
    """Refuse a response format that is not well formed or whose schema is out of bounds.

    Raises:
        PolicyError: With the reason.
    """
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in {"text", "json_object", "json_schema"}:
        raise PolicyError("response_format.type must be text, json_object or json_schema")
    if kind != "json_schema":
        return
    described = wanted.get("json_schema")
    if not isinstance(described, dict):
        raise PolicyError("response_format.json_schema must be an object")
    name = described.get("name")
    if not isinstance(name, str) or not _FORMAT_NAME.fullmatch(name):
        raise PolicyError("response_format.json_schema.name must match ^[A-Za-z0-9_.-]+$")
    check_schema(
        described.get("schema"), "response_format.json_schema.schema", max_nodes=RESPONSE_NODES
    )
