"""No line of retseg's own runs what a file holds: no pickles, no shell, no evaluated text."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("retseg", "docs", "benchmarks") for path in (ROOT / folder).rglob("*.py"))

NEVER_IMPORTED = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
NEVER_CALLED = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "pandas.read_pickle",
    "torch.hub.load",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "torch.serialization.add_safe_globals",
    "torch.serialization.safe_globals",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.unsafe_load",
}
HAS_TO_SAY = {"torch.load": ("weights_only", True), "numpy.load": ("allow_pickle", False)}
MAY_NEVER_SAY = {"weights_only": False, "allow_pickle": True, "shell": True}
ONLY_IN = {
    "hydra.utils.instantiate": {"retseg/build.py"},
    "hydra.utils.get_object": {"retseg/build.py"},
    "omegaconf.OmegaConf.load": set(),
    "torch.load": {"retseg/training/checkpoint_file.py"},
}
"""Calls that have one home in retseg, where what they are given was checked before."""


def broken_rules(text: str, name: str) -> Iterator[str]:
    nodes = list(ast.walk(ast.parse(text)))
    known: dict[str, str] = {}
    for node in nodes:
        for short, whole in imported(node):
            known[short] = whole
            if whole.split(".")[0] in NEVER_IMPORTED:
                yield f"{name}:{node.lineno}: imports {whole}"
    for node in nodes:
        if isinstance(node, ast.Call):
            for broken in broken_by_call(_dotted(node.func, known), node, name):
                yield f"{name}:{node.lineno}: {broken}"


def imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    """What a statement imports: the name that it gives, and the whole name."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            first = alias.name.split(".")[0]
            yield (alias.asname, alias.name) if alias.asname else (first, first)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def broken_by_call(called: str, node: ast.Call, name: str) -> Iterator[str]:
    said = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
    if called in NEVER_CALLED:
        yield f"calls {called}"
    if called in HAS_TO_SAY:
        word, value = HAS_TO_SAY[called]
        if said.get(word) is not value:
            yield f"calls {called} without {word}={value}"
    for word, value in MAY_NEVER_SAY.items():
        if said.get(word) is value:
            yield f"says {word}={value}"
    if name.startswith("retseg/") and name not in ONLY_IN.get(called, {name}):
        yield f"calls {called}, which has its home elsewhere"


def _dotted(node: ast.expr, known: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, known)}.{node.attr}"
    return known.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def test_no_source_file_breaks_a_rule():
    assert len(SOURCES) > 300
    names = [(path, path.relative_to(ROOT).as_posix()) for path in SOURCES]
    assert [broken for path, name in names for broken in broken_rules(path.read_text(encoding="utf-8"), name)] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import torch\ntorch.load(p)", "calls torch.load without weights_only=True"),
        ("from torch import load as get\nget(p, weights_only=flag)", "calls torch.load without weights_only=True"),
        ("import torch\ntorch.load(p, weights_only=False)", "says weights_only=False"),
        ("import numpy as np\nnp.load(p)", "calls numpy.load without allow_pickle=False"),
        ("import numpy as np\nnp.lib.format.read_array(p, allow_pickle=True)", "says allow_pickle=True"),
        ("def f():\n    import pickle", "imports pickle"),
        ("from cloudpickle import loads", "imports cloudpickle"),
        ("import yaml\nyaml.load(p, yaml.SafeLoader)", "calls yaml.load"),
        ("eval('1')", "calls eval"),
        ("import subprocess\nsubprocess.run('ls', shell=True)", "says shell=True"),
        ("import os\nos.system('ls')", "calls os.system"),
        ("import torch.hub\ntorch.hub.load('a', 'b')", "calls torch.hub.load"),
        ("from hydra.utils import instantiate\ninstantiate(c)", "calls hydra.utils.instantiate, which has its home"),
        ("from omegaconf import OmegaConf\nOmegaConf.load(p)", "calls omegaconf.OmegaConf.load, which has its home"),
        ("import torch\ntorch.load(p, weights_only=True)", "calls torch.load, which has its home elsewhere"),
    ],
)
def test_each_rule_finds_a_planted_line(text, said):
    assert any(said in broken for broken in broken_rules(text, "retseg/planted.py"))
