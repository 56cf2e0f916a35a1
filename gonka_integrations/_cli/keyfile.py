"""Key files: where `gonka keys` puts a key, so that none is shown or typed as an argument.

The format is that of environment files, ``NAME=value`` a line, so that shells, containers and
process managers read it too::

    # Gonka account gonka1…, path m/44'/1200'/0'/0/0
    GONKA_PRIVATE_KEY=<64 hexadecimal digits>
    GONKA_MNEMONIC="<the words, for backup>"
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.keys import PrivateKey
from ..core.secrets import Secret
from ..errors import GonkaConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["default_path", "read", "write"]

_KEY = "GONKA_PRIVATE_KEY"
_WORDS = "GONKA_MNEMONIC"
_FIELD = "key-file"


def default_path(environ: Mapping[str, str] | None = None) -> Path:
    """``gonka/key.env`` below ``$XDG_CONFIG_HOME``, by default ``~/.config``."""
    base = (os.environ if environ is None else environ).get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "gonka" / "key.env"


def write(
    path: Path, address: str, key: Secret, words: Secret | None = None, *, force: bool = False
) -> None:
    """Writes a key file that only its owner may read.

    Args:
        path: Where; folders are made.
        address: For the comment in the file.
        key: 64 hexadecimal digits.
        words: The backup words the key comes from, if any.
        force: Whether to replace a file that is there.

    Raises:
        GonkaConfigError: There is a file already, or it cannot be written.
    """
    lines = [f"# Gonka account {address}. Keep this file secret.", f"{_KEY}={key.reveal()}"]
    if words is not None:
        lines.append(f'{_WORDS}="{words.reveal()}"')
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise GonkaConfigError(
            f"{_FIELD}: {path} exists; name another file, or replace it with --force", field=_FIELD
        ) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)
        file.write("\n".join(lines) + "\n")


def read(path: Path) -> PrivateKey:
    """The key in a key file, or in a file that has nothing but the hexadecimal digits.

    Raises:
        GonkaConfigError: There is no such file, others may read it, or it has no key.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except OSError as trouble:
        raise GonkaConfigError(f"{_FIELD}: {path}: {trouble.strerror}", field=_FIELD) from None
    if mode & 0o077:
        raise GonkaConfigError(
            f"{_FIELD}: others may read {path} (mode {mode:04o}); run: chmod 600 {path}",
            field=_FIELD,
        )
    return PrivateKey.from_hex(_key_in([line for line in lines if line and line[0] != "#"], path))


def _key_in(lines: list[str], path: Path) -> Secret:
    for line in lines:
        name, equals, value = line.removeprefix("export ").partition("=")
        if equals and name.strip() == _KEY:
            return Secret(value.strip().strip("\"'"))
    if len(lines) == 1 and "=" not in lines[0]:
        return Secret(lines[0])
    raise GonkaConfigError(f"{_FIELD}: {path} has no line {_KEY}=…", field=_FIELD)
