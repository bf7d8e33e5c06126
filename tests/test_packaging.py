"""The build: with which compiler the kernels are compiled, and what a wheel and a source distribution hold."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from sweep import some

import tractable as tr
from tractable.kernels import levels

ROOT = Path(__file__).parent.parent
SOURCES = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE")
C_FILE = """#include <math.h>
#if defined(__GNUC__) && !defined(_WIN32)
__attribute__((visibility("default")))
#endif
double twice_the_root(double x) { return 2 * sqrt(x); }
"""

LIBRARIES = ("_kernels.v2.so", "_kernels.v3.so", "_kernels.v4.so", "_kernels.processor.so")

pytestmark = pytest.mark.skipif(not (ROOT / "hatch_build.py").exists(), reason="needs the source tree")


@pytest.fixture(scope="module")
def hook():
    """The build hook as a module."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    """A folder with one small C file, and the one that says which processor this is."""
    (tmp_path / "small.c").write_text(C_FILE)
    shutil.copy(ROOT / "src/tractable/kernels/processor.c", tmp_path)
    return tmp_path


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    """A PATH on which there is no C compiler."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)


def needed_libraries(hook) -> set[str]:
    """The libraries of a build for this machine."""
    names = LIBRARIES if hook.target().machine == "x86_64" else ("_kernels.so",)
    return {name.replace(".so", hook.SUFFIX) for name in names}


def needs_compiler(hook) -> list[str]:
    return hook.system_compiler() or pytest.skip("no C compiler on this machine")


def calls(folder: Path) -> list[float]:
    """What the function gives in each of the libraries that this machine runs."""
    found = []
    for library in levels.available(folder).values():
        function = ctypes.CDLL(str(library)).twice_the_root
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
        found.append(function(9.0))
    return found


def commands(hook, monkeypatch) -> list[list[str]]:
    """Makes the hook keep what it runs."""
    kept: list[list[str]] = []
    attempt = hook.attempt
    monkeypatch.setattr(hook, "attempt", lambda command: kept.append(command) or attempt(command))
    return kept


class TestCompiler:
    @pytest.mark.parametrize("march", ["native", "", "no-such-machine"])
    def test_any_instruction_set_ends_in_a_library(self, hook, folder, monkeypatch, march):
        """Also one that the compiler does not know: then its own default is taken. Libraries of earlier builds go."""
        needs_compiler(hook)
        hook.build(folder)
        monkeypatch.setenv("TRACTABLE_MARCH", march)
        assert [path.name for path in hook.build(folder)] == [f"_kernels{hook.SUFFIX}"]
        assert calls(folder) == [6.0]
        assert {path.name for path in folder.iterdir()} == {"small.c", "processor.c", f"_kernels{hook.SUFFIX}"}

    def test_nothing_is_made_for_this_machine_alone(self, hook, folder, monkeypatch):
        """Unless asked for: each library is compiled for the oldest processor, or for that and one level more."""
        needs_compiler(hook)
        (folder / f"_kernels{hook.SUFFIX}").touch()  # of an earlier build
        kept = commands(hook, monkeypatch)
        assert {path.name for path in hook.build(folder)} == needed_libraries(hook)
        assert calls(folder) and set(calls(folder)) == {6.0}
        assert kept and not [command for command in kept if "native" in shlex.join(command)]
        compiled = [command for command in kept if "-c" in command]
        if hook.target().machine == "x86_64":
            assert len(compiled) == 4
            assert all({"-march=x86-64", "-march=x86_64"} & {*command} for command in compiled)
            assert [command for command in compiled if "-mavx2" in command and "-mavx512f" not in command]
            linked = [command for command in kept if "_kernels." in shlex.join(command) and "-c" not in command]
            assert linked and not [command for command in linked if "-mavx2" in command]  # what comes along is plain
            (last,) = (command for command in compiled if any("processor.c" in word for word in command))
            assert not [word for word in last if word.startswith(("-msse", "-mavx"))]

    def test_cc_comes_first(self, hook, folder, monkeypatch):
        log, compiler = folder / "log", needs_compiler(hook)
        script = folder / "my-cc"
        script.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {shlex.join(compiler)} "$@"\n')
        script.chmod(0o755)
        monkeypatch.setenv("CC", f"{script} -DWITH_AN_ARGUMENT")
        assert (
            all(library.exists() for library in hook.build(folder))
            and "-DWITH_AN_ARGUMENT" in log.read_text()
            and "small.c" in log.read_text()
        )

    def test_a_compiler_that_does_not_work_is_passed_over(self, hook, folder, monkeypatch):
        compiler = needs_compiler(hook)
        broken = folder / "broken-cc"
        broken.write_text("#!/bin/sh\nexit 1\n")
        broken.chmod(0o755)
        monkeypatch.setenv("CC", str(broken))
        assert hook.compiler()[0] != str(broken)
        monkeypatch.setenv("CC", shlex.join(compiler))
        assert hook.compiler() == compiler

    def test_without_one_the_zig_wheel_is_asked_for(self, hook, no_compiler):
        assert hook.KernelsHook.dependencies(None) == ["ziglang"]

    def test_with_one_it_is_asked_for_where_it_runs(self, hook, monkeypatch):
        """As pages need it; a machine that it is not made for does without them."""
        needs_compiler(hook)
        monkeypatch.setattr(hook.platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(hook.sys, "platform", "linux")
        assert hook.KernelsHook.dependencies(None) == ["ziglang"]
        monkeypatch.setattr(hook.platform, "machine", lambda: "vax")
        assert hook.KernelsHook.dependencies(None) == []

    def test_what_a_page_carries_is_compiled_with_zig_or_left_out(self, hook, monkeypatch, tmp_path):
        pytest.importorskip("ziglang", reason="the ziglang wheel is not installed")
        kernels = ROOT / "src/tractable/kernels"
        (made,) = hook.build_for_pages(kernels, tmp_path)
        assert made.read_bytes().startswith(b"\0asm") and made.stat().st_size < 100_000
        monkeypatch.setattr(hook, "find_spec", lambda name: None)
        assert hook.build_for_pages(kernels, tmp_path) == []

    def test_without_any_the_error_says_what_to_install(self, hook, folder, no_compiler, monkeypatch):
        monkeypatch.setattr(hook, "find_spec", lambda name: None)
        with pytest.raises(SystemExit, match=r"gcc or clang.*CC.*ziglang"):
            hook.build(folder)

    def test_the_zig_wheel_is_used_where_it_is(self, hook, no_compiler, monkeypatch):
        monkeypatch.setattr(hook, "find_spec", lambda name: name == "ziglang")
        assert hook.compiler() == [sys.executable, "-m", "ziglang", "cc"]

    def test_the_zig_wheel_compiles(self, hook, folder, no_compiler):
        pytest.importorskip("ziglang", reason="the ziglang wheel is not installed")
        hook.build(folder)
        assert set(calls(folder)) == {6.0}

    @pytest.mark.skipif(sys.platform == "win32", reason="its home is another")
    def test_zig_needs_no_home(self, hook, monkeypatch, tmp_path):
        monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert "ZIG_GLOBAL_CACHE_DIR" not in hook.surroundings()
        for home in (lambda: monkeypatch.setenv("HOME", str(tmp_path / "none")), lambda: monkeypatch.delenv("HOME")):
            home()
            assert Path(hook.surroundings()["ZIG_GLOBAL_CACHE_DIR"]).is_dir()

    @pytest.mark.verify
    @pytest.mark.parametrize("name", some(["aarch64-linux-musl", "x86_64-windows-gnu", "aarch64-macos.11.0"], 1))
    def test_the_zig_wheel_compiles_for_others(self, hook, folder, monkeypatch, name):
        pytest.importorskip("ziglang", reason="the ziglang wheel is not installed")
        monkeypatch.setenv("TRACTABLE_TARGET", name)
        made = hook.build(folder)
        starts = {".so": b"\x7fELF", ".dll": b"MZ", ".dylib": b"\xcf\xfa\xed\xfe"}
        assert made and all(path.read_bytes().startswith(starts[path.suffix]) for path in made)

    def test_an_error_in_the_source_is_shown(self, hook, folder):
        needs_compiler(hook)
        (folder / "small.c").write_text("double f(void) { return no_such_name; }\n")
        with pytest.raises(SystemExit, match="no_such_name"):
            hook.build(folder)

    def test_a_tree_without_sources_is_an_error(self, hook, tmp_path):
        with pytest.raises(SystemExit, match="no C sources"):
            hook.build(tmp_path)


class TestTargets:
    @pytest.mark.parametrize(
        ("name", "tag", "names"),
        [
            ("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64.manylinux2014_x86_64", LIBRARIES),
            ("aarch64-linux-musl", "musllinux_1_2_aarch64", ("_kernels.so",)),
            ("aarch64-macos.11.0", "macosx_11_0_arm64", ("_kernels.dylib",)),
            ("x86_64-windows-gnu", "win_amd64", tuple(name.replace(".so", ".dll") for name in LIBRARIES)),
        ],
    )
    def test_each_has_its_libraries_and_its_tag(self, hook, monkeypatch, name, tag, names):
        monkeypatch.setenv("TRACTABLE_TARGET", name)
        monkeypatch.setattr(hook, "find_spec", lambda name: True)
        monkeypatch.setattr(hook, "works", lambda *_: True)
        at = hook.target()
        assert at.tag == tag and at.command[3:6] == ["cc", "-target", name]
        assert ("-fPIC" in at.command) == ("windows" not in name)
        made = hook.libraries(at, [Path("a.c"), Path("processor.c")], Path("out"))
        assert tuple(library.path.name for library in made) == names

    def test_an_unknown_one_is_refused(self, hook, monkeypatch):
        monkeypatch.setenv("TRACTABLE_TARGET", "vax")
        with pytest.raises(SystemExit, match=r"'vax', which is none of x86_64-linux-gnu.2.17, "):
            hook.target()

    def test_they_are_made_by_zig(self, hook, monkeypatch):
        monkeypatch.setenv("TRACTABLE_TARGET", "aarch64-linux-musl")
        assert hook.KernelsHook.dependencies(None) == ["ziglang"]


def in_haste(folder, hook):
    """The environment in which the compiler takes a third of the time; how fast the kernels run is tested elsewhere."""
    if os.name == "nt":
        return {}
    compiler = folder / "compiler"
    compiler.write_text(f'#!/bin/sh\nexec {shlex.join(hook.compiler())} "$@" -O0\n')
    compiler.chmod(0o755)
    return {"CC": str(compiler)}


@pytest.fixture(scope="module")
def distributions(hook, tmp_path_factory):
    """A wheel and a source distribution, built from a copy of the tree."""
    needs_compiler(hook)
    tree = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        shutil.copy(ROOT / name, tree / name)
    ignore = shutil.ignore_patterns("__pycache__", "_kernels.*")
    shutil.copytree(ROOT / "src", tree / "src", ignore=ignore)
    command = [sys.executable, "-m", "hatchling", "build", "-d", "out"]
    subprocess.run(command, cwd=tree, check=True, capture_output=True, env=os.environ | in_haste(tree, hook))
    (wheel,) = tree.glob("out/*.whl")
    (source,) = tree.glob("out/*.tar.gz")
    return wheel, source


class TestDistributions:
    def test_the_wheel_is_for_this_platform_and_any_python(self, distributions, hook):
        wheel, _ = distributions
        assert wheel.name == f"tractable-{tr.__version__}-py3-none-{hook.platform_tag()}.whl"
        assert "Root-Is-Purelib: false" in self.read(wheel, "WHEEL")

    def test_the_wheel_holds_what_runs(self, distributions, hook):
        wheel, _ = distributions
        names = set(zipfile.ZipFile(wheel).namelist())
        needed = {"examples/asia.bif", "py.typed", "cli/__init__.py"}
        assert {f"tractable/{name}" for name in needed} <= names
        compiled = {name for name in names if name.startswith("tractable/kernels/_kernels.")}
        needed = needed_libraries(hook) | ({hook.PAGE} if importlib.util.find_spec("ziglang") else set())
        assert compiled == {f"tractable/kernels/{name}" for name in needed}
        assert not [name for name in names if "tests" in name or "hatch_build" in name]
        assert "tractable = tractable.cli:main" in self.read(wheel, "entry_points.txt")

    def test_the_installed_wheel_answers(self, distributions, tmp_path):
        """Unpacked where no source tree is near, it finds its kernels and its example, and writes nothing: neither the
        folder nor a home need be writable, nor be there."""
        wheel, _ = distributions
        installed = tmp_path / "installed"
        zipfile.ZipFile(wheel).extractall(installed)
        before = sorted(installed.rglob("*"))
        for path in (*before, installed):
            path.chmod(0o555)
        script = "from tractable.cli import main; main()"
        argv = ["query", installed / "tractable" / "examples" / "asia.bif", "--evidence", "asia=yes"]
        env = {"PYTHONPATH": str(installed), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
        for home in ({}, {"HOME": str(tmp_path / "none")}):
            done = subprocess.run(
                [sys.executable, "-c", script, *argv], cwd=installed, env=env | home, capture_output=True, text=True
            )
            assert (done.returncode, done.stderr) == (0, "") and "-4.605170186" in done.stdout
        assert sorted(installed.rglob("*")) == before and not (tmp_path / "none").exists()

    def test_the_source_distribution_can_be_built_again(self, distributions):
        _, source = distributions
        with tarfile.open(source) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        needed = {"hatch_build.py", "pyproject.toml", "LICENSE", "src/tractable/examples/asia.bif"}
        kernels = {path.relative_to(ROOT).as_posix() for path in (ROOT / "src/tractable/kernels").rglob("*.[ch]")}
        assert kernels and needed | kernels <= names
        compiled = (sysconfig.get_config_var("SHLIB_SUFFIX") or ".so", ".wasm")
        assert not [name for name in names if name.endswith(compiled)]

    def read(self, wheel: Path, name: str) -> str:
        return zipfile.ZipFile(wheel).read(f"tractable-{tr.__version__}.dist-info/{name}").decode()


class TestPackage:
    def test_the_verb_and_the_room_named_plan_live_together(self):
        script = (
            "import tractable as tr, tractable.posterior, tractable.plan as room\n"
            "from tractable.plan import Plan\n"
            "assert callable(tr.plan) and tr.Plan is Plan and tr.plan.__module__.startswith('tractable.plan')"
        )
        subprocess.run([sys.executable, "-c", script], check=True)

    def test_names_are_listed_and_unknown_ones_refused(self):
        assert set(tr.__all__) <= set(dir(tr))
        with pytest.raises(AttributeError, match="no attribute 'infre'"):
            tr.infre  # noqa: B018

    def test_the_shipped_example_has_the_figures_of_the_paper(self):
        """Lauritzen & Spiegelhalter 1988: the tables of their opening example, read as P(yes | parents)."""
        net = tr.load(Path(tr.__file__).parent / "examples" / "asia.bif")
        yes = {v: table[..., 0].ravel().tolist() for v, table in net.tables.items()}
        assert yes == {
            "asia": [0.01],
            "tub": [0.05, 0.01],
            "smoke": [0.5],
            "lung": [0.1, 0.01],
            "bronc": [0.6, 0.3],
            "either": [1.0, 1.0, 1.0, 0.0],
            "xray": [0.98, 0.05],
            "dysp": [0.9, 0.8, 0.7, 0.1],
        }
        assert net.parents["either"] == ("lung", "tub") and net.parents["dysp"] == ("bronc", "either")

    def test_run_time_dependencies_stay_few(self):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        names = {dependency.split(">")[0] for dependency in project["dependencies"]}
        assert names == {"narwhals", "numpy", "rich", "safetensors", "typer"}
