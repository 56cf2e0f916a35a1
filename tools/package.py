"""Check what would be published.

python tools/package.py            build twice and compare, check metadata and contents, install
python tools/package.py --extras   install the wheel with each extra alone and use what it enables
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]

_BARE = """
import sys
import gonka_integrations
from gonka_integrations import GonkaConfig, PrivateKey
heavy = {"openai", "langchain_core", "llama_index.core", "httpx", "httpx2"} & set(sys.modules)
assert not heavy, heavy
assert PrivateKey.from_hex("1".zfill(64)).address == "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"
assert "site-packages" in gonka_integrations.__file__
from gonka_integrations import GonkaClientFactory, GonkaSession, Multiplexer
GonkaClientFactory(config=GonkaConfig(base_url="https://a.example/v1")).create_client()
"""
_USES = {
    "langchain": "from gonka_integrations import ChatGonka\n"
    "ChatGonka(model='m', base_url='https://a.example/v1', api_key='k')",
    "llama-index": "from gonka_integrations import GonkaLLM\n"
    "GonkaLLM(model='m', base_url='https://a.example/v1', api_key='k')",
    "fast": "import coincurve, aiohttp\nfrom gonka_integrations import PrivateKey\n"
    "PrivateKey.from_hex('1'.zfill(64), backend='coincurve').sign(bytes(32))",
    "keys": "from gonka_integrations import PrivateKey\n"
    "PrivateKey.from_mnemonic('abandon ' * 11 + 'about')",
    "proof": "import gonka_integrations.proof.verification",
    "devnet": "from gonka_integrations.devnet import Devnet\nwith Devnet(hosts=1): pass",
    "cli": "import subprocess, sys\n"
    "subprocess.run([sys.executable, '-m', 'gonka_integrations', '--version'], check=True)",
    "real-model": "import xllamacpp",
    "all": "from gonka_integrations import ChatGonka, GonkaLLM",
}


def run(*command: str | Path, **options: object) -> None:
    """Run a command; its failure ends this program."""
    done = subprocess.run([str(part) for part in command], check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))[:200]}")


def build(folder: Path) -> dict[str, Path]:
    """Build sdist and wheel into *folder*; suffix -> file."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, _ROOT,
        stdout=subprocess.DEVNULL)  # fmt: skip
    return {path.suffix: path for path in folder.iterdir()}


def same(first: Path, second: Path) -> bool:
    """Whether two files are equal byte for byte."""
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, second)}
    return len(digests) == 1


def check_contents(wheel: Path) -> None:
    """The wheel has what it must, and nothing else."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "gonka_integrations/py.typed" in names, "py.typed is missing"
    assert any(name.endswith("licenses/LICENSE") for name in names), "the licence is missing"
    tops = {name.split("/")[0] for name in names}
    strange = {t for t in tops if not t.startswith(("gonka_integrations", "llama_index"))}
    assert not strange, f"the wheel also has {strange}"


def install(folder: Path, wheel: Path, extra: str = "") -> Path:
    """A clean environment in *folder* with the wheel; its interpreter."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    target = f"{wheel}[{extra}]" if extra else str(wheel)
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", target)
    run(python, "-m", "pip", "--disable-pip-version-check", "check", stdout=subprocess.DEVNULL)
    return python


def check_package(scratch: Path) -> None:
    """Build twice, compare, check, install."""
    first, second = build(scratch / "first"), build(scratch / "second")
    for suffix, path in first.items():
        assert same(path, second[suffix]), f"{path.name} differs between two builds"
    run(sys.executable, "-m", "twine", "check", "--strict", *first.values())
    check_contents(first[".whl"])
    run(install(scratch / "bare", first[".whl"]), "-c", _BARE, cwd=scratch)
    sys.stdout.write("both builds are equal; the wheel works in a clean environment\n")


def check_extras(scratch: Path) -> None:
    """Install the wheel with each extra alone, and use it."""
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    wheel = build(scratch / "dist")[".whl"]
    for extra in extras:
        run(install(scratch / extra, wheel, extra), "-c", _USES[extra], cwd=scratch)
        sys.stdout.write(f"[{extra}] alone works\n")


def main(arguments: Sequence[str]) -> None:
    """Run the checks that were asked for."""
    with tempfile.TemporaryDirectory() as scratch:
        check_extras(Path(scratch)) if "--extras" in arguments else check_package(Path(scratch))


if __name__ == "__main__":
    main(sys.argv[1:])
