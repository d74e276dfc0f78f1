"""Whether what retseg needs is installed, in versions that fit each other, and can be imported."""

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from retseg import __version__
from retseg.commands.doctor_findings import Finding, note, ok, problem
from retseg.commands.doctor_imports import Imported, import_all
from retseg.training.installed import FOR_DEVELOPERS, ROOT, extras, package_versions, requirements

KNOWN_BAD = {
    ("lightning", "2.6.2"): "was malware",
    ("lightning", "2.6.3"): "was malware",
    ("pytorch-lightning", "2.6.2"): "was malware",
    ("pytorch-lightning", "2.6.3"): "was malware",
}
"""Versions that must not stay, and why."""

EXTRAS = {
    "vendor": "Heidelberg files, DICOM segmentations, compressed DICOM",
    "sweep": "searches by Optuna (sweep=optuna)",
    "joblib": "several jobs of a sweep at once",
    "slurm": "jobs on a SLURM cluster",
    "export": "`retseg export` to ONNX, and faster prediction from it",
    "app": "`retseg view`",
    "tensorboard": "logger=tensorboard",
}
"""What each extra gives."""

_AGAIN = "run: pip install -U {}"


def check_python() -> Iterator[Finding]:
    """Python, and retseg itself."""
    try:
        wanted = SpecifierSet(distribution("retseg").metadata["Requires-Python"] or "")
    except PackageNotFoundError:
        yield note("retseg", f"{__version__}, not installed (a bare checkout at {ROOT.parent}): run pip install -e .")
        return
    found = platform.python_version()
    fits = wanted.contains(found, prereleases=True)
    yield (ok if fits else problem)("Python", f"{found}" + ("" if fits else f", expected {wanted}: make a new .venv"))
    yield ok("retseg", f"{__version__} at {ROOT}")


def check_versions() -> Iterator[Finding]:
    """Each dependency: there, of a version that retseg's metadata allows, and not known to be bad."""
    try:
        needed = requirements()
    except PackageNotFoundError:
        return  # said already
    fitting = []
    for one in needed:
        found = _version(one.name)
        if found is None:
            yield problem(one.name, f"not installed; {_AGAIN.format(_quoted(one))}")
        elif not one.specifier.contains(found, prereleases=True):
            yield problem(one.name, f"{found}, expected {one.specifier}; {_AGAIN.format(_quoted(one))}")
        else:
            fitting.append(one.name)
    yield ok("packages", f"{len(fitting)} of {len(needed)} are there in versions that fit")
    yield from _newer_pyproject({canonicalize_name(one.name) for one in needed})
    for (name, bad), why in KNOWN_BAD.items():
        if _version(name) == bad:
            yield problem(name, f"{bad} {why}; remove it at once, change your keys, then: pip install -U {name}")


def _newer_pyproject(known: set[str]) -> Iterator[Finding]:
    """In a checkout: dependencies that pyproject.toml names and the installation does not know of."""
    path = ROOT.parent / "pyproject.toml"
    try:
        import tomllib
    except ImportError:  # Python 3.10
        return
    if path.is_file():
        named = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
        if named.get("name") == "retseg":
            new = {canonicalize_name(Requirement(line).name) for line in named["dependencies"]} - known
            if new:
                told = f"installed before pyproject.toml named {', '.join(sorted(new))}: run pip install -e . again"
                yield note("retseg", told)


def check_each_other() -> Iterator[Finding]:
    """What installed packages ask of each other, by their own metadata."""
    direct, below = package_versions()
    found = {**direct, **below}
    wrong = []
    for name in found:
        for line in distribution(name).requires or ():
            one = Requirement(line)
            if one.marker is not None and not one.marker.evaluate({"extra": ""}):
                continue
            there = _version(one.name)
            if there is None or not one.specifier.contains(there, prereleases=True):
                told = f"{name} {found[name]} needs {one.name}{one.specifier}, found {there or 'none'}"
                wrong.append(problem(name, f"{told}; {_AGAIN.format(f'{name} {one.name}')}"))
    yield from wrong or [ok("each other", f"{len(found)} packages agree about each other's versions")]


def check_extras() -> Iterator[Finding]:
    """Extras: what is there, what is not, and what each gives."""
    try:
        names = extras()
    except PackageNotFoundError:
        return
    for name in names:
        if name == FOR_DEVELOPERS:
            continue
        gives = EXTRAS.get(name, "see pyproject.toml")
        added = requirements(name)
        absent = [one.name for one in added if _version(one.name) is None]
        old = [one for one in added if (found := _version(one.name)) and not one.specifier.contains(found)]
        if old:
            told = ", ".join(f"{one.name} {_version(one.name)}, expected {one.specifier}" for one in old)
            yield problem(name, f"{told}; run: pip install -U 'retseg[{name}]'")
        elif absent:
            yield note(name, f"not installed ({', '.join(absent)}); for {gives}: pip install 'retseg[{name}]'")
        else:
            yield ok(name, gives)


def check_imports() -> Iterator[Finding]:
    """Every installed dependency, imported in another process: whether it works, and how long it takes."""
    modules = _modules()
    imported = import_all(list(modules))
    works = [one for one in imported if one.error is None]
    for one in imported:
        if one.error is not None:
            yield problem(modules[one.module], _advice(modules[one.module], one))
    slowest = sorted(works, key=lambda one: -one.seconds)[:3]
    told = ", ".join(f"{modules[one.module]} {one.seconds:.1f} s" for one in slowest)
    yield ok("imports", f"{len(works)} of {len(imported)} in {sum(one.seconds for one in imported):.1f} s ({told})")


def _advice(name: str, one: Imported) -> str:
    """Why a package cannot be imported, and what to do."""
    assert one.error is not None
    if re.search(r"operator torchvision::\w+ does not exist", one.error):
        pair = f"torch {_version('torch')} and torchvision {_version('torchvision')}"
        return f"cannot be imported: {pair} do not belong together; run: pip install -U torch torchvision"
    return f"cannot be imported ({one.error:.200}); run: pip install --force-reinstall {name}"


def _modules() -> dict[str, str]:
    """The module to import of each dependency that is installed, extras included, in order; and its package."""
    try:
        named = requirements()
        for extra in extras():
            named += requirements(extra) if extra != FOR_DEVELOPERS else []
    except PackageNotFoundError:
        return {}
    tops: dict[str, list[str]] = {}
    for module, packages in packages_distributions().items():
        for package in packages:
            tops.setdefault(canonicalize_name(package), []).append(module)
    found = {}
    for one in named:
        modules = [module for module in tops.get(canonicalize_name(one.name), []) if not module.startswith("_")]
        if modules:
            found[_likest(modules, one.name)] = one.name
    return dict(sorted(found.items(), key=lambda pair: pair[1] != "torch"))  # most others import it


def _likest(modules: list[str], name: str) -> str:
    """Of a package's modules the one of its own name, else the first by name (`hydra` of hydra-core)."""
    own = re.sub(r"[-.]", "_", name).lower()
    return next((module for module in modules if module.lower() == own), sorted(modules)[0])


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _quoted(one: Requirement) -> str:
    return f"'{one.name}{one.specifier}'"
