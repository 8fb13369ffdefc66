"""Plugins: what they register, and how each fault of theirs is told."""

import json
import sys

import pytest

from overopt.config.methods import METHODS
from overopt.config.variants import VARIANTS
from overopt.errors import UserError
from overopt.jobs import plugins
from overopt.jobs.provenance import code_digest, imported_sources

METHOD = """
from overopt.config.methods import Method, register_method
register_method(Method("mine", "mine", "{form}", "step", is_binned=True, job="{job}"))
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a plugin into the present folder; all is as before at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(plugins, "_LOADED", {})
    before = dict(METHODS), dict(VARIANTS), set(sys.modules)

    def write(text: str, name: str = "a_plugin") -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    for table, entries in zip((METHODS, VARIANTS), before, strict=False):
        table.clear()
        table.update(entries)
    for name in set(sys.modules) - before[2]:
        if name.startswith("a_plugin"):
            del sys.modules[name]


def method(form: str = "rl", job: str = "a_plugin:run") -> str:
    return METHOD.format(form=form, job=job)


def test_a_method_is_registered_with_its_origin(write):
    module = write(method() + "def run(job, settings, files): ...\n")
    plugins.load_plugins([module])
    plugins.load_plugins([module])  # once only
    assert METHODS["mine"].job == "a_plugin:run"
    assert plugins.origin("methods", "mine") == [module]
    assert plugins.origin("methods", "ppo") == []
    assert plugins.registering([module], "methods", "forms") == [module]
    assert plugins.registering([module], "readers") == []
    assert plugins.code_modules([module]) == (module,)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1", "registers nothing; expected a call of register_method"),
        ("import nowhere_at_all", "imports 'nowhere_at_all', which is not installed"),
        ("1 / 0", r"fails when it is imported \(ZeroDivisionError: division by zero\)"),
        ("raise SystemExit", "fails when it is imported"),
        (method() + method(), "method 'mine' is registered already"),
        (method(job=""), "Method 'mine': job is ''; expected 'package.module:function'"),
        (method(job="no_module:run"), "but there is no module 'no_module'"),
        (method(form="cubic"), "form is 'cubic'; expected one of linear, best_of_n, rl"),
        (method(form="linear"), "form 'linear' has 1 parameters; expected a form with alpha and"),
        (method(form="power"), "form 'power' has 3 parameters; expected a form with alpha and"),
        (
            "from overopt.config.variants import *\nregister_variant(Variant('plain', 'x'))",
            "variant 'plain' is registered already",
        ),
    ],
)
def test_a_plugin_that_breaks_its_contract_is_refused(write, text, fault):
    module, before = write(text), (list(METHODS), list(VARIANTS))
    with pytest.raises(UserError, match=f"^plugins: a_plugin: .*{fault}"):
        plugins.load_plugins([module])
    assert (list(METHODS), list(VARIANTS)) == before


def test_a_plugin_that_is_not_there(write):
    with pytest.raises(UserError, match="plugins: a_plugin_of_mine.x: there is no module"):
        plugins.load_plugins(["a_plugin_of_mine.x"])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("def run(job): ...", r"found run\(job\) \(too many positional arguments\)"),
        ("run = 3", "found 3; expected a function run"),
        ("", "a_plugin has no 'run'; expected a function run"),
    ],
)
def test_a_function_of_another_signature_is_refused(write, monkeypatch, tmp_path, text, fault):
    monkeypatch.syspath_prepend(str(tmp_path))
    write(text)
    with pytest.raises(UserError, match=fault):
        plugins.resolve("a_plugin:run", ("job", "settings", "files"))


def test_settings_carry_the_plugins_of_a_job():
    assert plugins.with_plugins('{"b": 1}', []) == '{"b": 1}'
    text = plugins.with_plugins('{"b": 1}', ["mine"])
    assert json.loads(text) == {"job_plugins": ["mine"], "b": 1}
    assert plugins.without_plugins(text) == ('{"b": 1}', ["mine"])
    assert plugins.without_plugins('{"b": 1}') == ('{"b": 1}', [])


def test_the_digest_holds_a_plugin_and_what_it_imports(write, tmp_path):
    write("import a_plugin_helper\n" + method() + "def run(job, settings, files): ...\n")
    write("x = 1", "a_plugin_helper")
    script = tmp_path / "script.py"
    script.write_text("import json\n")
    source = tmp_path / "src"
    source.mkdir()
    plugins.load_plugins(["a_plugin"])
    alone = code_digest(script, source)
    both = code_digest(script, source, ("a_plugin",))
    assert alone != both
    names = {path.name for path in imported_sources(script, source, ("a_plugin",))}
    assert names == {"script.py", "a_plugin.py"}  # the helper is another top package
