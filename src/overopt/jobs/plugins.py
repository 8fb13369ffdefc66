"""
Users' own code: Python modules that a config names (`plugins`), and what they register.

A plugin calls `register_method`, `register_variant`, `register_form` or `register_reader` when it
is imported. It is looked for in the folder where the study runs and among the installed
packages. Functions that a job runs are named as "package.module:function" and imported by that job
alone, so that a plugin can be read without torch.
"""

import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overopt.errors import UserError

REGISTRIES = {
    "methods": ("overopt.config.methods", "METHODS"),
    "variants": ("overopt.config.variants", "VARIANTS"),
    "forms": ("overopt.theory.forms", "FORMS"),
    "readers": ("overopt.config.hub", "READERS"),
}
"""Tables that a plugin may add to: module and name of each."""
FUNCTIONS = ("job", "train", "load", "read")
"""Fields of an entry that name a function, as "package.module:function"."""
KEY = "job_plugins"
"""Key of the settings of a job, as JSON, that names the plugins it imports."""


@dataclass(frozen=True)
class Plugin:
    """One plugin that was imported.

    Attributes
    ----------
    module : its dotted name.
    registered : names of its entries, by table.
    code_modules : itself and the modules of the functions that its entries name.
    """

    module: str
    registered: Mapping[str, tuple[str, ...]]
    code_modules: tuple[str, ...]


_LOADED: dict[str, Plugin] = {}


def load_plugins(modules: Sequence[str]) -> None:
    """Import these modules, each once, and check what they register.

    Raises
    ------
    UserError
        A module is missing, fails when it is imported, registers nothing or a name twice, or
        registers an entry that breaks its contract. Nothing of it stays registered.
    """
    if modules and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last, so that it hides no installed package
    for module in modules:
        if module not in _LOADED:
            _LOADED[module] = _load(module)


def origin(table: str, name: str) -> list[str]:
    """The plugin that registered this name in this table; none for the project's own."""
    return [p.module for p in _LOADED.values() if name in p.registered.get(table, ())]


def registering(modules: Sequence[str], *tables: str) -> list[str]:
    """Find those of these plugins that registered anything in these tables."""
    return [m for m in modules if any(_LOADED[m].registered.get(table) for table in tables)]


def code_modules(modules: Sequence[str]) -> tuple[str, ...]:
    """Modules whose source belongs to the code of jobs that import these plugins."""
    return tuple(dict.fromkeys(name for m in modules for name in _LOADED[m].code_modules))


def with_plugins(settings: str, modules: Sequence[str]) -> str:
    """Settings of a job as JSON, with the plugins that it imports; unchanged without any."""
    if not modules:
        return settings
    return json.dumps({KEY: list(modules), **json.loads(settings)}, sort_keys=True)


def without_plugins(settings: str) -> tuple[str, list[str]]:
    """What `with_plugins` was given."""
    if f'"{KEY}"' not in settings:
        return settings, []
    content = json.loads(settings)
    modules = content.pop(KEY, [])
    return json.dumps(content, sort_keys=True), modules


def resolve(place: str, parameters: Sequence[str]) -> Callable[..., Any]:
    """Import a function named as "package.module:function".

    Raises
    ------
    UserError
        There is no such module or function, or it does not take these parameters by position.
    """
    module, _, name = place.partition(":")
    expected = f"expected a function {name}({', '.join(parameters)})"
    try:
        function = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise UserError(f"{place}: no module {error.name!r}; {expected}") from error
    except AttributeError:
        raise UserError(f"{place}: {module} has no {name!r}; {expected}") from None
    if not callable(function):
        raise UserError(f"{place}: found {function!r}; {expected}")
    signature = inspect.signature(function)
    try:
        signature.bind(*parameters)
    except TypeError as error:
        raise UserError(f"{place}: found {name}{signature} ({error}); {expected}") from None
    return function


# Importing one.


def _load(module: str) -> Plugin:
    tables = {table: _table(table) for table in REGISTRIES}
    before = {table: dict(entries) for table, entries in tables.items()}
    try:
        _import(module)
        new = {
            table: tuple(name for name in entries if name not in before[table])
            for table, entries in tables.items()
        }
        if not any(new.values()):
            raise UserError(
                "registers nothing; expected a call of register_method, register_variant, "
                "register_form or register_reader when it is imported"
            )
        entries = [tables[table][name] for table, names in new.items() for name in names]
        functions = [place for entry in entries for place in _functions(module, entry)]
        _check_methods(tables["methods"], new["methods"], tables["forms"])
    except UserError as error:
        for table, entries in tables.items():
            entries.clear()
            entries.update(before[table])
        sys.modules.pop(module, None)
        raise UserError(f"plugins: {module}: {error}") from None
    code = dict.fromkeys([module, *(place.partition(":")[0] for place in functions)])
    return Plugin(module, new, tuple(code))


def _table(name: str) -> dict[str, Any]:
    module, attribute = REGISTRIES[name]
    return getattr(importlib.import_module(module), attribute)


def _import(module: str) -> None:
    importlib.invalidate_caches()
    try:
        importlib.import_module(module)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise UserError(
                f"there is no module {error.name!r}, neither in {Path.cwd()} nor installed; put it "
                "there, install it, or correct the name"
            ) from None
        raise UserError(f"imports {error.name!r}, which is not installed; install it") from None
    except (Exception, SystemExit) as error:
        raise UserError(
            f"fails when it is imported ({type(error).__name__}: {error}); "
            f"`python -c 'import {module}'` shows where"
        ) from error


def _functions(module: str, entry: object) -> Iterator[str]:
    """Functions that an entry names; UserError where a module of theirs is not there."""
    for field in FUNCTIONS:
        place = getattr(entry, field, None)
        if place is None:  # of a form: its functions are in the entry
            continue
        what = f"{type(entry).__name__} {getattr(entry, 'name', '?')!r}"
        home, _, function = str(place).partition(":")
        if not (home and function.isidentifier()):
            raise UserError(
                f"{what}: {field} is {place!r}; expected 'package.module:function', such as "
                f"'{module}:{field}'"
            )
        try:
            is_there = importlib.util.find_spec(home) is not None
        except ModuleNotFoundError:
            is_there = False
        if not is_there:
            raise UserError(f"{what}: {field} is {place!r}, but there is no module {home!r}")
        yield place


def _check_methods(
    methods: Mapping[str, Any], new: Sequence[str], forms: Mapping[str, Any]
) -> None:
    """Refuse methods whose law is no form, or one that has not an alpha and a beta."""
    for name in new:
        form = methods[name].form
        if form not in forms:
            raise UserError(
                f"Method {name!r}: form is {form!r}; expected one of {', '.join(forms)}, or "
                "register_form before it"
            )
        if (number := forms[form].num_parameters) != 2:
            raise UserError(
                f"Method {name!r}: form {form!r} has {number} parameters; expected a form with "
                "alpha and beta, since every curve is fitted by these two"
            )
