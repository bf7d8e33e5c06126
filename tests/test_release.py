"""Releases: the version by the last tag, workflows that can do no more than they must, the conda recipe."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import tractable as tr

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
OF_RELEASES = [*WORKFLOWS, *(ROOT / name for name in ("CITATION.cff", "SECURITY.md", "conda/recipe.yaml", "Makefile"))]
HOSTS = re.compile(r"https?://\S*|[\w-]+\.(org|com|io|dev)\b")

if not all(path.exists() for path in OF_RELEASES):
    pytest.skip("needs a checkout", allow_module_level=True)


def read(name: str | Path) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
JOBS = [(path.name, name, job) for path in WORKFLOWS for name, job in read(path)["jobs"].items()]


def version(root: Path, **environment: str) -> str:
    command = [sys.executable, "-c", "import hatch_build; print(hatch_build.version())"]
    return subprocess.run(
        command, cwd=root, env=os.environ | environment, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_the_version_is_that_of_the_last_tag_where_there_is_one(tmp_path: Path) -> None:
    front = tmp_path / "src" / "tractable" / "__init__.py"
    front.parent.mkdir(parents=True)
    front.write_text('__version__ = "7.1"\n')
    shutil.copy(ROOT / "hatch_build.py", tmp_path)

    def git(*words: str) -> None:
        who = ("-c", "user.name=someone", "-c", "user.email=nobody", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    assert version(tmp_path) == "7.1"  # as in what is unpacked
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert version(tmp_path) == "7.1"  # a clone without tags
    git("tag", "vacant")
    git("tag", "v8.0rc1")
    assert version(tmp_path) == "8.0rc1"
    git("commit", "-q", "--allow-empty", "-m", "second")
    assert version(tmp_path) == "8.0rc1.post1.dev1"
    assert version(tmp_path, PATH=str(tmp_path)) == "7.1"  # no git here


def test_the_changes_of_the_version_are_told() -> None:
    told = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = re.search(r"^## ([\w.]+), (unreleased|20\d\d-\d\d-\d\d)$", told, re.MULTILINE)
    assert first and first[1] == tr.__version__


@pytest.mark.parametrize("path", OF_RELEASES, ids=lambda path: path.name)
def test_no_host_is_named(path: Path) -> None:
    """The registry knows the workflow, not the other way round, and mirrors are a matter of who builds."""
    assert not HOSTS.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in used)


def test_jobs_may_do_no_more_than_they_must() -> None:
    assert read(".github/workflows/release.yml")["permissions"] == {}
    assert read(".github/workflows/ci.yml")["permissions"] == {"contents": "read"}
    writes = {
        (workflow, name, what)
        for workflow, name, job in JOBS
        for what, how in job.get("permissions", {}).items()
        if how != "read"
    }
    publishes = {("release.yml", "publish", what) for what in ("id-token", "attestations")}
    assert writes == publishes | {("release.yml", "page", "contents")}
    jobs = {name: job for _, name, job in JOBS}
    assert jobs["publish"]["environment"] == "release" and {*jobs["publish"]["needs"]} == {"smoke", "musl", "tests"}
    assert all("timeout-minutes" in job for _, _, job in JOBS)
    assert "secrets." not in "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)


def test_every_wheel_is_asked_for() -> None:
    targets = (ROOT / "hatch_build.py").read_text(encoding="utf-8").partition("TARGETS = {")[2].partition("}")[0]
    text = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    assert f'| wc -l)" = {targets.count(":")}' in text


def test_the_conda_recipe_asks_for_what_the_package_asks_for() -> None:
    recipe = read("conda/recipe.yaml")
    needs = [re.sub(r"(?=[<>=])", " ", need, count=1) for need in PROJECT["dependencies"]]
    assert recipe["requirements"]["run"] == [f"python {PROJECT['requires-python']}", *needs]
    assert recipe["about"]["license"] == PROJECT["license"] and recipe["about"]["summary"] == PROJECT["description"]
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    assert {re.sub(r"(?=[<>=])", " ", need, count=1) for need in built} <= {*recipe["requirements"]["host"]}
    smoke = (ROOT / "tests" / "smoke.py").read_text(encoding="utf-8")
    brought = {f"tests/{name}.py" for name in re.findall(r"^(?:import|from) (\w+)", smoke, re.MULTILINE)}
    own = {name for name in brought if (ROOT / name).exists()} | {"tests/smoke.py"}
    assert own <= {*recipe["tests"][0]["files"]["source"]}


def test_the_citation_is_of_this_package() -> None:
    cited = read("CITATION.cff")
    assert cited["authors"] == [{"name": "The tractable developers"}]
    assert (cited["title"], cited["license"]) == (PROJECT["name"], PROJECT["license"])
