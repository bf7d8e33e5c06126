"""The command line as a user meets it: what it prints, its exit codes, and its one line about bad input."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import brute_force
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tractable as tr
from tractable.cli import _text
from tractable.cli._run import run

ASIA = str(Path(tr.__file__).parent / "examples" / "asia.bif")


@pytest.fixture(scope="module")
def net():
    return tr.load(ASIA)


@pytest.fixture
def cli(capsys):
    """Run a command line in this process; its exit code, stdout and stderr."""

    def call(*argv: object) -> tuple[int, str, str]:
        code = run([str(a) for a in argv])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def ask(cli):
    """Run a command line with --json that must be answered; the records it prints."""

    def call(*argv: object) -> list[dict]:
        code, out, err = cli(*argv, "--json")
        assert (code, err) == (0, "")
        return [json.loads(line, parse_constant=_not_standard) for line in out.splitlines()]

    return call


def _not_standard(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def agrees(found: dict[str, dict[str, float]], net, evidence) -> None:
    expected = brute_force.marginals(net, evidence)
    assert set(found) == set(expected)
    for variable, table in expected.items():
        assert found[variable] == pytest.approx(dict(zip(net.states[variable], table, strict=True)), abs=1e-12)


CASE = {"asia": "yes", "dysp": "yes"}


class TestQuery:
    ARGS = ("query", ASIA, "--evidence", "asia=yes,dysp=yes")

    def test_json_agrees_with_enumeration(self, ask, net):
        (record,) = ask(*self.ARGS)
        assert set(record) == {"log_evidence", "marginals", "plan"}
        found = record["log_evidence"]
        assert found["value"] == pytest.approx(brute_force.log_partition(net, CASE), abs=1e-12)
        assert found["lower"] <= found["value"] <= found["upper"] and found["kind"] == "exact"
        agrees(record["marginals"], net, CASE)

    def test_plan_is_priced(self, ask):
        (record,) = ask(*self.ARGS)
        plan = record["plan"]
        assert plan["method"] and plan["why"]
        assert plan["flops"] > 0 and plan["bytes"] > 0 and plan["seconds"] > 0

    def test_target_chooses_the_variables(self, ask):
        (record,) = ask(*self.ARGS, "--target", "tub,lung")
        assert list(record["marginals"]) == ["tub", "lung"]

    def test_joint_agrees_with_enumeration(self, ask, net):
        (record,) = ask(*self.ARGS, "--target", "lung,tub", "--joint")
        expected = brute_force.joint_marginal(net, ["lung", "tub"], CASE)
        assert len(record["joint"]) == 4
        for cell in record["joint"]:
            index = tuple(net.states[v].index(cell["states"][v]) for v in ("lung", "tub"))
            assert cell["p"] == pytest.approx(expected[index], abs=1e-12)

    def test_map_agrees_with_enumeration(self, ask, net):
        (record,) = ask(*self.ARGS, "--map")
        best = pytest.approx(brute_force.most_probable(net, CASE)[1], abs=1e-12)
        assert record["log_probability"] == best
        assert record["log_probability_certificate"]["kind"] == "exact"
        assert brute_force.log_weight(net, {**record["map"], **CASE}) == best

    def test_impossible_evidence_is_an_answer(self, cli, ask):
        args = ("query", ASIA, "--evidence", "lung=yes,either=no", "--target", "tub", "--joint", "--map")
        (record,) = ask(*args)
        assert record["log_evidence"] == {"value": "-inf", "lower": "-inf", "upper": "-inf", "kind": "exact"}
        assert (record["marginals"], record["joint"], record["map"]) == ({}, [], {})
        assert record["log_probability"] == "-inf"
        code, out, err = cli(*args)
        assert (code, err) == (0, "") and "impossible" in out

    def test_text_says_why_what_it_cost_and_the_answer(self, cli, net):
        code, out, err = cli(*self.ARGS, "--map", "--target", "lung,tub", "--joint")
        assert (code, err) == (0, "")
        log_p = brute_force.log_partition(net, CASE)
        for expected in ("elimination", "cost:", "multiply-adds", f"{log_p:.10g} (exact)", "most probable together"):
            assert expected in out

    def test_long_marginals_end_with_a_remark(self, cli, tmp_path):
        states = {f"x{i}": ["a", "b"] for i in range(40)}
        big = tr.BayesianNetwork(states, {}, {v: [0.25, 0.75] for v in states})
        tr.save(big, tmp_path / "big.bif")
        code, out, _ = cli("query", tmp_path / "big.bif")
        assert code == 0 and "20 rows more" in out and "x29" in out and "x30" not in out


class TestEvidenceFiles:
    def test_csv_gives_one_object_a_line(self, ask, net, tmp_path):
        file = tmp_path / "cases.csv"
        file.write_text("asia,dysp,smoke\nyes,,no\n,yes,\n,,\n")
        records = ask("query", ASIA, "--evidence-file", file)
        cases = [{"asia": "yes", "smoke": "no"}, {"dysp": "yes"}, {}]
        for record, case in zip(records, cases, strict=True):
            assert record["log_evidence"]["value"] == pytest.approx(brute_force.log_partition(net, case), abs=1e-12)
            agrees(record["marginals"], net, case)

    def test_rows_agree_with_single_cases(self, ask, tmp_path):
        file = tmp_path / "cases.csv"
        file.write_text("asia,dysp\nyes,yes\nno,\n")
        together = ask("query", ASIA, "--evidence-file", file, "--target", "lung,bronc", "--joint", "--map")
        for record, text in zip(together, ("asia=yes,dysp=yes", "asia=no"), strict=True):
            (alone,) = ask("query", ASIA, "--evidence", text, "--target", "lung,bronc", "--joint", "--map")
            assert record["map"] == alone["map"]
            assert record["log_evidence"]["value"] == pytest.approx(alone["log_evidence"]["value"], abs=1e-12)
            for here, there in zip(record["joint"], alone["joint"], strict=True):
                assert here["states"] == there["states"] and here["p"] == pytest.approx(there["p"], abs=1e-12)

    def test_evidence_typed_beside_a_file_holds_for_every_row(self, ask, net, tmp_path):
        file = tmp_path / "cases.csv"
        file.write_text("asia\nyes\nno\n")
        records = ask("query", ASIA, "--evidence-file", file, "--evidence", "dysp=yes")
        for record, asia in zip(records, ("yes", "no"), strict=True):
            expected = brute_force.log_partition(net, {"asia": asia, "dysp": "yes"})
            assert record["log_evidence"]["value"] == pytest.approx(expected, abs=1e-12)

    def test_uai_variables_and_states_are_named_by_index(self, ask, net, tmp_path):
        ask("convert", ASIA, tmp_path / "asia.uai.gz")
        (tmp_path / "asia.evid").write_text("2 0 0 7 0\n")
        (record,) = ask("query", tmp_path / "asia.uai.gz", "--evidence-file", tmp_path / "asia.evid", "--target", "3")
        expected = brute_force.marginals(net, CASE)["lung"]
        assert record["marginals"] == {"3": pytest.approx({"0": expected[0], "1": expected[1]}, abs=1e-12)}

    def test_text_has_a_row_for_each_case(self, cli, tmp_path):
        file = tmp_path / "cases.csv"
        file.write_text("lung,either\nyes,no\nno,\n,yes\n")
        code, out, err = cli("query", ASIA, "--evidence-file", file, "--map", "--marginals")
        assert (code, err) == (0, "") and "log evidence" in out and "log probability" in out
        rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit() and " exact " in line]
        assert [row[:3] for row in rows] == [
            ["1", "-inf", "exact"],
            ["2", f"{math.log(0.945):.10g}", "exact"],
            ["3", f"{math.log(0.064828):.10g}", "exact"],
        ]

    def test_a_file_of_many_cases_is_one_batch(self, ask, net, tmp_path):
        """Also with impossible rows in between, which have no posterior."""
        file = tmp_path / "cases.csv"
        file.write_text("lung,either,xray\n" + "yes,no,\nyes,,yes\n,no,\n" * 100)
        records = ask("query", ASIA, "--evidence-file", file)
        expected = [math.nan, brute_force.log_partition(net, {"lung": "yes", "xray": "yes"})]
        expected.append(brute_force.log_partition(net, {"either": "no"}))
        for i, record in enumerate(records):
            if i % 3:
                assert record["log_evidence"]["value"] == pytest.approx(expected[i % 3], abs=1e-12)
            else:
                assert record["log_evidence"]["value"] == "-inf" and record["marginals"] == {}
        assert len(records) == 300 and len(records[1]["marginals"]) == 8


NAMES = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"')


class TestNamesAsTyped:
    """State names may hold what separates: = , < and blanks."""

    @pytest.fixture
    def odd(self, tmp_path):
        states = {"A": ["<5", "5-12", "x,y"], "A=b": ["c", "b=c"], "Asy/Patch": ["no way", "yes"]}
        tables = {"A": [0.2, 0.3, 0.5], "A=b": [0.6, 0.4], "Asy/Patch": [0.1, 0.9]}
        path = tmp_path / "odd.safetensors"
        tr.save(tr.BayesianNetwork(states, {}, tables), path)
        return path

    @pytest.mark.parametrize(
        ("text", "p"),
        [
            ("A=<5", 0.2),
            ('A="x,y"', 0.5),
            ('"A=x,y"', 0.5),
            ("A=b=c", 0.6),
            ("A=b=b=c", 0.4),
            (" A = 5-12 , Asy/Patch = no way ", 0.03),
        ],
    )
    def test_assignments(self, ask, odd, text, p):
        (record,) = ask("query", odd, "--evidence", text)
        assert record["log_evidence"]["value"] == pytest.approx(math.log(p), abs=1e-12)

    def test_an_option_given_twice_adds(self, ask, odd):
        (record,) = ask("query", odd, "--evidence", "A=<5", "--evidence", "A=b=c", "--target", "A", "--target", "A=b")
        assert record["log_evidence"]["value"] == pytest.approx(math.log(0.12), abs=1e-12)
        assert list(record["marginals"]) == ["A", "A=b"]

    @given(st.dictionaries(st.text(NAMES, min_size=1).map(str.strip).filter(bool), st.text(NAMES).map(str.strip)))
    def test_whatever_is_quoted_comes_back(self, evidence):
        """Where the model has the variables, names may hold anything but a double quote and a blank at either end."""
        text = ",".join(f'"{variable}={state}"' for variable, state in evidence.items())
        assert _text.assignments(text, {variable: [state] for variable, state in evidence.items()}) == evidence

    @given(st.text())
    def test_any_text_is_read_or_refused(self, text):
        try:
            assert all(isinstance(state, str) for state in _text.assignments(text, {"A": ["x"]}).values())
        except tr.ModelError as error:
            assert str(error)


class TestExplain:
    def test_json_has_a_plan_for_each_query(self, ask):
        (record,) = ask("explain", ASIA)
        assert record["model"]["kind"] == "BayesianNetwork" and record["model"]["variables"] == 8
        assert {plan["query"] for plan in record["plans"]} == {"marginals", "evidence", "map"}

    @pytest.mark.parametrize("query", ["marginals", "evidence", "map"])
    def test_one_query(self, ask, query):
        (record,) = ask("explain", ASIA, "--query", query, "--observed", "asia,dysp")
        (plan,) = record["plans"]
        assert plan["query"] == query and set(plan["observed"]) == {"asia", "dysp"}

    def test_text_prices_and_says_why(self, cli):
        code, out, err = cli("explain", ASIA)
        (why,) = {plan.why for plan in tr.explain(tr.load(ASIA), query="marginals")}
        assert (code, err) == (0, "")
        assert "".join(why.split()) in "".join(out.split())

    def test_a_refused_plan_is_an_answer_here(self, ask):
        (record,) = ask("explain", ASIA, "--memory", "1", "--query", "marginals")
        assert record["plans"][0]["method"] is None


class TestSeparated:
    def test_open_path_is_shown(self, cli):
        code, out, err = cli("separated", ASIA, "asia", "smoke", "--given", "dysp")
        assert (code, err) == (0, "") and "asia → tub → either ← lung ← smoke" in out

    def test_json(self, ask):
        (record,) = ask("separated", ASIA, "asia", "smoke,bronc")
        assert record["separated"] is True and record["path"] == []
        (record,) = ask("separated", ASIA, "tub", "lung", "--given", "xray")
        assert record["separated"] is False and record["path"] == ["tub", "either", "lung"]


class TestConvert:
    @pytest.mark.parametrize("suffix", [".bif", ".xmlbif.gz", ".safetensors", ".uai"])
    def test_the_answer_stays(self, cli, ask, tmp_path, suffix):
        code, out, _ = cli("convert", ASIA, tmp_path / f"out{suffix}")
        assert code == 0 and f"out{suffix}" in "".join(out.split())
        evidence = "0=0,7=0" if suffix == ".uai" else "asia=yes,dysp=yes"
        (record,) = ask("query", tmp_path / f"out{suffix}", "--evidence", evidence)
        (original,) = ask("query", ASIA, "--evidence", "asia=yes,dysp=yes")
        assert record["log_evidence"]["value"] == pytest.approx(original["log_evidence"]["value"], abs=1e-12)


def bad_input(folder: Path) -> list[tuple[tuple, list[str]]]:
    """Command lines that cannot be answered, and what their one line has to say."""
    (folder / "empty.bif").write_text("")
    (folder / "net.txt").write_text("network x {}")
    (folder / "cut.bif").write_text("network x {\n}\nvariable a {\n  type discrete [ 2 ] { yes")
    (folder / "twice.csv").write_text("asia,asia\nyes,no\n")
    (folder / "unknown.csv").write_text("asai\nyes\n")
    (folder / "state.csv").write_text("asia\nyes\nmaybe\n")
    (folder / "asia.csv").write_text("asia\nyes\n")
    query = ("query", ASIA, "--evidence")
    file = ("query", ASIA, "--evidence-file")
    return [
        ((*query, "asai=yes"), ["asai", "did you mean 'asia'"]),
        ((*query, "asia=yse"), ["asia", "yse", "did you mean 'yes'"]),
        ((*query, "asia=yes,asia=no"), ["asia", "twice"]),
        ((*query, "asia=yes, asia=yes"), ["asia", "twice"]),
        ((*query, "asia=yes", "--evidence", "asia=no"), ["asia", "twice"]),
        ((*query, "asia"), ["VARIABLE=STATE", "asia"]),
        ((*query, 'asia="yes'), ["quote"]),
        ((*query, "asia="), ["asia", "''"]),
        ((*query, "asia=yes", "--evidence-file", folder / "asia.csv"), ["asia", "twice", "asia.csv"]),
        ((*file, folder / "twice.csv"), ["twice.csv", "asia", "twice"]),
        ((*file, folder / "unknown.csv"), ["unknown.csv:1", "asai", "'asia'"]),
        ((*file, folder / "state.csv"), ["state.csv:3", "maybe"]),
        ((*file, folder / "none.csv"), ["none.csv"]),
        ((*file, folder), [str(folder), "directory"]),
        (("query", folder / "empty.bif"), ["empty.bif", "empty"]),
        (("query", folder / "missing.bif"), ["missing.bif"]),
        (("query", folder), [str(folder), "directory"]),
        (("query", folder / "net.txt"), ["net.txt"]),
        (("query", folder / "cut.bif"), ["cut.bif:4"]),
        (("query", ASIA, "--target", "lnug"), ["lnug", "'lung'"]),
        (("query", ASIA, "--joint"), ["--target"]),
        (("query", ASIA, "--memory", "lots"), ["lots"]),
        (("query", ASIA, "--memory", "-1"), ["-1"]),
        (("explain", ASIA, "--observed", "asai"), ["asai", "'asia'"]),
        (("explain", ASIA, "--query", "mode"), ["--query", "mode"]),
        (("explain", folder / "missing.bif"), ["missing.bif"]),
        (("separated", ASIA, "asia", "smkoe"), ["smkoe", "'smoke'"]),
        (("separated", ASIA, "asia", "asia"), ["asia"]),
        (("convert", ASIA, folder / "out.docx"), ["out.docx"]),
        (("convert", ASIA, folder / "no" / "out.bif"), ["out.bif"]),
        (("convert", folder / "missing.bif", folder / "out.bif"), ["missing.bif"]),
        (("query",), ["MODEL"]),
        (("query", ASIA, "--evidnce", "a=b"), ["--evidnce"]),
        (("qeury", ASIA), ["qeury"]),
    ]


@pytest.mark.parametrize("number", range(34))
def test_bad_input_gets_one_line_and_exit_code_2(cli, tmp_path, number):
    argv, parts = bad_input(tmp_path)[number]
    code, out, err = cli(*argv)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and err.endswith("\n") and "Traceback" not in err
    for part in parts:
        assert part in err


def test_every_bad_input_is_tried(tmp_path):
    assert len(bad_input(tmp_path)) == 34


class TestRefusal:
    @pytest.fixture
    def grid(self, tmp_path):
        """A 12 × 12 grid, which no order eliminates within a kilobyte."""
        n = 12
        states = {f"x{i}_{j}": ["0", "1"] for i in range(n) for j in range(n)}
        right = [((f"x{i}_{j}", f"x{i}_{j + 1}"), [[1, 2], [3, 1]]) for i in range(n) for j in range(n - 1)]
        down = [((f"x{i}_{j}", f"x{i + 1}_{j}"), [[1, 2], [3, 1]]) for i in range(n - 1) for j in range(n)]
        tr.save(tr.MarkovNetwork(states, right + down), tmp_path / "grid.safetensors")
        return tmp_path / "grid.safetensors"

    def test_exit_code_3_with_the_plan(self, cli, grid):
        code, out, err = cli("query", grid, "--memory", "1KiB")
        assert code == 3 and "Traceback" not in err
        assert err.startswith("tractable: refused by the budget")
        assert "refused" in out and "memory" in out

    def test_json(self, cli, grid):
        code, out, err = cli("query", grid, "--memory", "1KiB", "--json")
        record = json.loads(out)
        assert code == 3 and err.count("\n") == 1
        assert record["refused"] and record["plan"]["method"] is None

    def test_advice_helps(self, cli, grid):
        """What the plan advises to observe is affordable once observed."""
        _, out, _ = cli("query", grid, "--exact", "--memory", "4KiB", "--json")
        advice = json.loads(out)["plan"]["advice"]
        code, out, _ = cli(
            "explain", grid, "--query", "marginals", "--memory", "4KiB", "--observed", ",".join(advice), "--json"
        )
        assert advice and code == 0 and json.loads(out)["plans"][0]["method"]


class TestProcess:
    """What only a process of its own can show."""

    QUERY = (sys.executable, "-m", "tractable", "query", ASIA, "--evidence", "asia=yes")

    @pytest.mark.parametrize("flags", [(), ("--json",), ("--map", "--json")])
    def test_a_query_imports_little(self, flags):
        script = (
            "import sys\nfrom tractable.cli._run import run\n"
            f"assert run({[*self.QUERY[3:], *flags]!r}) == 0\n"
            "print('\\n', *sorted(m for m in sys.modules if '.' not in m))"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        loaded = set(done.stdout.splitlines()[-1].split())
        assert "numpy" in loaded
        heavy = {"jax", "networkx", "scipy", "pandas", "narwhals", "safetensors", "pydantic", "asyncio", "matplotlib"}
        assert not loaded & (heavy | ({"rich"} if "--json" in flags else set()))

    def test_a_reader_that_leaves_is_no_error(self):
        for flags in ((), ("--json",)):
            with subprocess.Popen(
                [*self.QUERY, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout and process.stderr
                process.stdout.close()
                assert process.stderr.read() == ""
            assert process.returncode in (0, 1)

    def test_bad_input_leaves_with_2(self):
        done = subprocess.run([*self.QUERY[:4], "missing.bif"], capture_output=True, text=True)
        assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1

    def test_ascii_terminals_get_the_answer(self):
        done = subprocess.run(self.QUERY, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
        assert done.returncode == 0 and done.stderr == b"" and b"(exact)" in done.stdout


@pytest.mark.parametrize("command", [(), ("explain",), ("query",), ("separated",), ("convert",)])
def test_help_has_an_example(cli, command):
    code, out, err = cli(*command, "--help")
    assert (code, err) == (0, "") and "Usage: tractable" in out
    assert not command or f"Examples:\n    tractable {command[0]} " in out


def test_version(cli):
    assert cli("--version") == (0, f"{tr.__version__}\n", "")


def test_a_defect_is_not_taken_for_bad_input(cli, monkeypatch):
    monkeypatch.setattr(tr, "load", lambda path: int("not a number"))
    with pytest.raises(ValueError, match="not a number"):
        cli("query", ASIA)
