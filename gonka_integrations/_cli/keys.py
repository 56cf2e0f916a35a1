"""`gonka keys`: make, show the address of, and import keys. No key is ever printed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..config import GonkaConfig
from ..core.keys import PrivateKey
from ..core.secrets import Secret
from ..errors import GonkaClientError, GonkaConfigError
from . import keyfile, screen
from .options import AsJson, KeyFile

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Keys of Gonka accounts, kept in files of mode 0600.")

_STRENGTH = {12: 128, 15: 160, 18: 192, 21: 224, 24: 256}
_PATH = "m/44'/1200'/0'/0/0"

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="File to write. Default: ~/.config/gonka/key.env"),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file when it exists.")]
DerivationPath = Annotated[
    str, typer.Option("--path", help="BIP-32 path. Some wallets used Cosmos' coin type 118.")
]


@app.command("new")
def new(
    out: Out = None,
    words: Annotated[int, typer.Option(help="Length of the backup: 12, 15, 18, 21 or 24.")] = 24,
    path: DerivationPath = _PATH,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Make a key with backup words, and write both to a file that only you can read."""
    if words not in _STRENGTH:
        raise GonkaConfigError("words: a backup has 12, 15, 18, 21 or 24 words", field="words")
    backup = _fresh_words(_STRENGTH[words])
    _store(out, *_from_words(backup, path), backup, force=force, as_json=as_json)


@app.command("address")
def address(key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """Print the address of the key in a file, in the environment or in the default file."""
    key = _key_at_hand(key_file)
    if as_json:
        screen.emit({"address": key.address, "public_key": key.public_key.hex()})
    else:
        screen.note(key.address)


@app.command("import")
def import_(
    out: Out = None,
    path: DerivationPath = _PATH,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Store a key given on standard input: 64 hexadecimal digits, or backup words.

    On a terminal it is asked for and not shown.
    """
    given = _asked()
    if len(given.reveal().split()) > 1:
        _store(out, *_from_words(given, path), given, force=force, as_json=as_json)
    else:
        key = PrivateKey.from_hex(given)
        digits = Secret(given.reveal().lower().removeprefix("0x"))
        _store(out, key, digits, None, force=force, as_json=as_json)


def _from_words(words: Secret, path: str) -> tuple[PrivateKey, Secret]:
    from ..core.mnemonics import derive  # noqa: PLC0415 - an optional dependency is behind it

    digits = derive(words, Secret(""), path)
    return PrivateKey.from_hex(digits), digits


def _fresh_words(strength: int) -> Secret:
    try:
        from mnemonic import Mnemonic  # noqa: PLC0415 - optional
    except ImportError:
        raise GonkaClientError(
            "backup words need one more package: pip install 'gonka-integrations[keys]'"
        ) from None
    return Secret(Mnemonic("english").generate(strength))


def _asked() -> Secret:
    if sys.stdin.isatty():
        text = typer.prompt("Private key or backup words (not shown)", hide_input=True, err=True)
    else:
        text = sys.stdin.read()
    return Secret(str(text).strip())


def _key_at_hand(key_file: Path | None) -> PrivateKey:
    if key_file is not None:
        return keyfile.read(key_file)
    key = GonkaConfig.from_env().private_key
    if key is not None:
        return key
    default = keyfile.default_path()
    if default.exists():
        return keyfile.read(default)
    raise GonkaConfigError(
        f"private_key: no key is at hand; give --key-file, set GONKA_PRIVATE_KEY, or make one "
        f"with `gonka keys new` (it writes {default})",
        field="private_key",
    )


def _store(
    out: Path | None,
    key: PrivateKey,
    digits: Secret,
    words: Secret | None,
    *,
    force: bool,
    as_json: bool,
) -> None:
    path = out or keyfile.default_path()
    keyfile.write(path, key.address, digits, words, force=force)
    if as_json:
        screen.emit({"address": key.address, "file": str(path)})
        return
    screen.note(f"address  {key.address}")
    screen.note(f"file     {path} (mode 0600; it has the key, so keep a copy in a safe place)")
    screen.note(f"use      gonka doctor --key-file {shlex.quote(str(path))}")
    screen.note(f"         set -a; . {_sourced(path)}; set +a   # for your programs")


def _sourced(path: Path) -> str:
    """As a shell's `.` takes it: a bare name would be looked for along PATH."""
    return shlex.quote(str(path) if path.is_absolute() else f"./{path}")
