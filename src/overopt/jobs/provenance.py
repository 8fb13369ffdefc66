"""
Where a result came from: the digest of the code that made it, and the record of its job.

Snakemake does not notice an edit in an imported module, so every rule passes the digest of its
script and of all it imports from this package as a param (docs/staleness.md).
"""

import ast
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from overopt.errors import UserError

PACKAGE = "overopt"
RECORDED_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "peft",
    "datasets",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "safetensors",
)


Roots = tuple[tuple[str, Path], ...]
"""Top packages whose sources are followed, each with the folder that holds it."""


@cache
def code_digest(script: Path, source_root: Path, plugins: tuple[str, ...] = ()) -> str:
    """SHA-256 over the syntax trees of a script and of every module it imports from the package.

    Imports are followed transitively through `source_root/overopt`, and through the packages of
    `plugins`, modules of users' own code that the job imports too. Docstrings, comments and
    formatting do not count; a change in any statement does.
    """
    digest = hashlib.sha256()
    folders = [folder for _, folder in _roots(source_root, plugins)]
    named = {script.name: script}
    for path in imported_sources(script, source_root, plugins):
        inside = next((folder for folder in folders if path.is_relative_to(folder)), None)
        if inside is not None and path != script:
            named[path.relative_to(inside).as_posix()] = path
    for name, path in sorted(named.items()):  # by name: wherever a plugin lies
        digest.update(f"{name}\0{_normal_form(path)}\0".encode())
    return digest.hexdigest()


def imported_sources(script: Path, source_root: Path, plugins: tuple[str, ...] = ()) -> list[Path]:
    """The script, the plugins, and every module of theirs they import, directly or not, sorted."""
    roots = _roots(source_root, plugins)
    seen: set[Path] = set()
    unread = [script, *(file for module in plugins for file in _files_of_module(module, roots))]
    while unread:
        path = unread.pop()
        if path not in seen:
            seen.add(path)
            unread += _imported_files(path, roots)
    return sorted(seen)


def _roots(source_root: Path, plugins: tuple[str, ...]) -> Roots:
    """Where the package and the top packages of plugins lie."""
    tops = dict.fromkeys(module.partition(".")[0] for module in plugins)
    return ((PACKAGE, source_root), *((top, _folder_of(top)) for top in tops if top != PACKAGE))


def _folder_of(top: str) -> Path:
    """Folder that holds a package or a module of users' own code."""
    spec = find_spec(top)
    if spec is None:
        raise UserError(f"plugins: there is no module {top!r}; put it back, or install it")
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations))).resolve().parent
    return Path(str(spec.origin)).resolve().parent


@cache
def _normal_form(path: Path) -> str:
    """The syntax tree as text, without positions and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        node.body = [statement for statement in node.body if not _is_bare_string(statement)]
    return _described(tree)


def _described(node: object) -> str:
    """A syntax tree as text, without empty and absent fields.

    `ast.dump` would give another text on each minor version of Python.
    """
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={_described(value)}"
            for name, value in ast.iter_fields(node)
            if value is not None and value != []
        ]
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join(_described(item) for item in cast(list[object], node))}]"
    return repr(node)


def _is_bare_string(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring, of a module, class, function or attribute."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


@cache
def _imported_files(path: Path, roots: Roots) -> tuple[Path, ...]:
    return tuple(
        file for name in _imported_names(path, roots) for file in _files_of_module(name, roots)
    )


def _imported_names(path: Path, roots: Roots) -> Iterator[str]:
    """Dotted names a file imports, relative imports resolved."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                root = next(folder for _, folder in roots if path.is_relative_to(folder))
                package = path.relative_to(root).parent.parts
                kept = package[: len(package) - (node.level - 1)]
                base = ".".join([*kept, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _files_of_module(name: str, roots: Roots) -> Iterator[Path]:
    """Files that importing this dotted name executes: every package on the way, and the module."""
    parts = name.split(".")
    root = dict(roots).get(parts[0])
    if root is None:
        return
    for end in range(1, len(parts) + 1):
        stem = root.joinpath(*parts[:end])
        for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
            if candidate.is_file():
                yield candidate


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_state(folder: Path) -> dict[str, str | bool | None]:
    """The commit checked out in this folder and whether tracked files differ from it."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    changes = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def package_versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that can change a number."""
    versions = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def device_name() -> str:
    """The accelerator in use, else the processor. Asks torch only where the job has loaded it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"cpu ({platform.machine()})"


def sealed(record: dict[str, object]) -> dict[str, object]:
    """A record with the SHA-256 of all it says, so that the audit sees any byte that changes."""
    return record | {"sha256": hashlib.sha256(canonical_json(record)).hexdigest()}


def canonical_json(content: object) -> bytes:
    """JSON, indented and with sorted keys, so that equal content is equal bytes."""
    return (json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def write_json(path: Path, content: object) -> None:
    """Write `canonical_json`, in one step: a reader sees the old file or the new one, no part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_bytes(canonical_json(content))
    os.replace(unfinished, path)
