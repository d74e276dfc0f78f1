"""What is installed, by each package's own metadata, and which code of retseg runs. Imports nothing heavy."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions, metadata, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
"""The package's own folder."""

FOR_DEVELOPERS = "dev"
"""The extra that no run needs."""

_GIT_S = 20.0


def requirements(extra: str | None = None) -> list[Requirement]:
    """What retseg needs on this machine, or what an extra adds. PackageNotFoundError where retseg is not installed."""
    found = [Requirement(line) for line in requires("retseg") or ()]
    plain = [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]
    if extra is None:
        return plain
    with_extra = [one for one in found if one.marker is not None and one.marker.evaluate({"extra": extra})]
    return [one for one in with_extra if one not in plain]


def extras() -> list[str]:
    """Names of retseg's extras. PackageNotFoundError where retseg is not installed."""
    return sorted(metadata("retseg").get_all("Provides-Extra") or ())


def package_versions() -> tuple[dict[str, str], dict[str, str]]:
    """Versions of what retseg names as its dependencies, and of all that these need in turn; what is absent left out.

    The extras count where they are installed, that for developers does not. Where retseg itself is not installed (a
    bare checkout) nothing says what it needs: then the first has every package that is installed.
    """
    try:
        named = requirements()
        for extra in extras():
            named += requirements(extra) if extra != FOR_DEVELOPERS else []
    except PackageNotFoundError:
        return _sorted({one.name: one.version for one in distributions() if one.name}), {}
    direct: dict[str, str] = {}
    below: dict[str, str] = {}
    for requirement in named:
        if requirement.name not in direct and (found := _distribution(requirement.name)) is not None:
            direct[requirement.name] = found.version
    seen = {canonicalize_name(name) for name in direct} | {"retseg"}
    waiting = [_distribution(name) for name in direct]
    while waiting:
        for name in _needed(waiting.pop()):
            if canonicalize_name(name) not in seen and (found := _distribution(name)) is not None:
                seen.add(canonicalize_name(name))
                below[name] = found.version
                waiting.append(found)
    return _sorted(direct), _sorted(below)


def _needed(package: Distribution | None) -> Iterator[str]:
    """Names of what a package needs here, its extras left out."""
    for line in (package.requires if package else None) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def _distribution(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _sorted(versions: dict[str, str]) -> dict[str, str]:
    return {name: versions[name] for name in sorted(versions, key=str.lower)}


def code_facts() -> dict[str, Any]:
    """Which retseg runs: sha256 over its Python and YAML files; in a checkout the commit, and whether files differ."""
    conf = ROOT / "conf" if (ROOT / "conf").is_dir() else ROOT.parent / "conf"
    digest = hashlib.sha256()
    for folder in (ROOT, conf):
        for path in sorted(path for ending in ("*.py", "*.yaml") for path in folder.rglob(ending)):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(folder.parent).as_posix()} {len(content)}\n".encode() + content)
    return {"sha256": digest.hexdigest(), **_git_facts(ROOT.parent)}


def _git_facts(root: Path) -> dict[str, Any]:
    """Commit of a checkout; is_dirty: whether tracked files are changed. Both None outside one, or without git."""
    git = shutil.which("git") if (root / ".git").exists() else None
    answers = []
    for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no", "--", "retseg", "conf"]):
        answers.append(None if git is None else _said([git, "-C", str(root), *arguments]))
    commit, changed = answers
    return {"commit": commit or None, "is_dirty": None if changed is None or not commit else bool(changed)}


def _said(command: list[str]) -> str | None:
    """What git answers, None where it refuses (a checkout of another user) or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_GIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
