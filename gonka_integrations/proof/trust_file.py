"""How trusted headers are written to a file and read back.

::

    {"version": 1, "roots": {ROOT: {"epoch": 56, "headers": [HEADER, ...], "sets": {HASH: SET}}}}

A SET is a list of [public key in base64, power]; a HEADER names its set by the hash.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .cometbft import Timestamp, Validator, ValidatorSet
from .errors import MalformedPayload, TrustError
from .json_values import as_integer, as_list, as_object, from_base64, from_hex, load_json
from .light import TrustedHeader

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAX_HEADERS", "read_root", "write_root"]

MAX_HEADERS: Final = 256
_VERSION: Final = 1
_MAX_FILE_BYTES: Final = 16 << 20
_WRITABLE_BY_OTHERS: Final = 0o022


def read_root(path: Path, root_id: str) -> tuple[dict[int, TrustedHeader], int]:
    """Headers by height, and the highest proven epoch, of one trust root; empty without a file.

    Raises:
        TrustError: The file is damaged, or others than its owner can write it.
    """
    roots = _read_roots(path)
    try:
        return _decode(roots.get(root_id))
    except (MalformedPayload, AttributeError, LookupError, TypeError, ValueError) as error:
        raise _unreadable(path, str(error)) from error


def write_root(path: Path, root_id: str, headers: Mapping[int, TrustedHeader], epoch: int) -> None:
    """Write one trust root, keeping the others in the file.

    The epoch never goes back: another process may have proven a later one meanwhile.

    Raises:
        OSError: The file cannot be written.
        TrustError: The file that is there cannot be read.
    """
    _, known = read_root(path, root_id)
    roots = dict(_read_roots(path))
    roots[root_id] = _encode(headers, max(epoch, known))
    _replace_file(path, json.dumps({"version": _VERSION, "roots": roots}).encode())


def _encode(headers: Mapping[int, TrustedHeader], epoch: int) -> dict[str, Any]:
    sets = {header.validators.hash.hex(): header.validators for header in headers.values()}
    return {
        "epoch": epoch,
        "headers": [
            {
                "height": header.height,
                "hash": header.hash.hex().upper(),
                "time": [header.time.seconds, header.time.nanos],
                "next_validators_hash": header.next_validators_hash.hex().upper(),
                "validators": header.validators.hash.hex(),
            }
            for header in headers.values()
        ],
        "sets": {
            name: [[base64.b64encode(v.public_key).decode(), v.power] for v in one.validators]
            for name, one in sets.items()
        },
    }


def _decode(root: Any) -> tuple[dict[int, TrustedHeader], int]:
    if root is None:
        return {}, 0
    fields = as_object(root, "trust store")
    sets = {
        name: ValidatorSet(
            tuple(Validator(from_base64(key, name), as_integer(power, name, 1)) for key, power in v)
        )
        for name, v in as_object(fields.get("sets"), "sets").items()
    }
    if any(validators.hash.hex() != name for name, validators in sets.items()):
        raise MalformedPayload("a validator set does not have the hash it is filed under")
    headers = {}
    for one in as_list(fields.get("headers"), "headers", MAX_HEADERS):
        seconds, nanos = one["time"]
        height = as_integer(one["height"], "height", 1)
        if one["validators"] not in sets:
            raise MalformedPayload(f"the validator set of header {height} is missing")
        headers[height] = TrustedHeader(
            height,
            from_hex(one["hash"], "hash", 64),
            Timestamp(as_integer(seconds, "seconds"), as_integer(nanos, "nanos", 0, 999_999_999)),
            from_hex(one["next_validators_hash"], "next_validators_hash", 64),
            sets[one["validators"]],
        )
    return headers, as_integer(fields.get("epoch", 0), "epoch", 0)


def _read_roots(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            body = file.read(_MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    if sys.platform != "win32" and mode & _WRITABLE_BY_OTHERS:
        raise TrustError(
            f"trust store: {path} can be written by others (mode {mode & 0o777:o}); what it says "
            f"cannot be trusted. If you know its content: chmod 600 {path}"
        )
    try:
        content = as_object(load_json(body, "file", limit=_MAX_FILE_BYTES), "file")
        as_integer(content.get("version"), "version", _VERSION, _VERSION)
        return as_object(content.get("roots"), "roots")
    except MalformedPayload as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> TrustError:
    return TrustError(
        f"trust store: {path} cannot be read ({why}); remove it to start anew from the trust root"
    )


def _replace_file(path: Path, data: bytes) -> None:
    """Write *data* to *path* so that readers see the old or the new content, never a part."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
