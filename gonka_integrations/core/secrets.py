"""Secret: text that must not be shown, in a type that does not show it."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, NoReturn

from ..errors import GonkaConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Environment", "Secret"]

_HIDDEN = "**********"


class Environment:
    """Environment variables that a traceback with local variables does not list."""

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables

    @classmethod
    def of(cls, variables: Mapping[str, str] | Environment | None) -> Environment:
        """*variables* hidden; those of this process when None."""
        return variables if isinstance(variables, Environment) else cls(variables)

    def get(self, name: str) -> str:
        """The variable without white space around it, "" when it is not set."""
        return (self._variables.get(name) or "").strip()


class Secret:
    """Text that is never shown, logged or dumped by accident.

    Equality and hash go by value, so that equal configurations stay equal. A secret that was read
    from the environment is pickled as the *name* of its variable and read again when it is loaded;
    one that was given explicitly is pickled with its value, or a worker process could not use it.

    Args:
        value: The text.
        env: Environment variable that the text was read from.
        item: Position of the entry ``url;key`` in that variable, when it is a list of such entries;
            the secret is then the part after the semicolon.
    """

    __slots__ = ("_value", "env", "item")

    def __init__(self, value: str, *, env: str | None = None, item: int | None = None) -> None:
        if not isinstance(value, str):
            raise GonkaConfigError(f"a secret must be text, not {type(value).__name__}")
        self._value = value
        self.env = env
        self.item = item

    @classmethod
    def of(cls, value: str | Secret) -> Secret:
        """*value* itself when it is a Secret, else wrapped (pydantic's SecretStr too)."""
        if isinstance(value, Secret):
            return value
        unwrap = getattr(value, "get_secret_value", None)
        return cls(value if unwrap is None else unwrap())

    @classmethod
    def from_env(
        cls,
        env: str,
        item: int | None = None,
        environ: Mapping[str, str] | Environment | None = None,
    ) -> Secret:
        """Reads a variable (or one entry of it), without surrounding white space.

        Raises:
            GonkaConfigError: The variable is not set here, or lacks that entry.
        """
        value = Environment.of(environ).get(env)
        if item is not None:
            entries = value.split(",")
            value = entries[item].partition(";")[2].strip() if item < len(entries) else ""
        if not value:
            raise GonkaConfigError(
                f"the environment variable {env} is not set in this process, "
                "but a value that was stored without its secret needs it",
                field=env,
            )
        return cls(value, env=env, item=item)

    def reveal(self) -> str:
        """The text itself. Use it where it is needed and keep it in no variable."""
        return self._value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(("gonka secret", self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Secret('{_HIDDEN if self._value else ''}')"

    def __str__(self) -> str:
        return _HIDDEN if self._value else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __iter__(self) -> NoReturn:
        raise TypeError("a Secret cannot be iterated; use reveal()")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        if self.env is not None:
            return Secret.from_env, (self.env, self.item)
        return Secret, (self._value,)
