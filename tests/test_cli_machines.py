"""The commands on machines as a user meets them: fits and their files, killed fits, full disks, bad input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import pytest
from killed import kill

import tractable as tr
from tractable.cli import _fitting
from tractable.cli._options import ALGORITHMS, Steps
from tractable.cli._run import run
from tractable.formats import read_evidence

ASIA = str(Path(tr.__file__).parent / "examples" / "asia.bif")
N = 6
EVERY = (np.arange(2**N)[:, None] >> np.arange(N)) & 1


def patterns(n=120, seed=0):
    """Rows of two patterns with a few bits flipped."""
    rng = np.random.default_rng(seed)
    flips = rng.random((n, N)) < 0.05
    return (flips ^ np.array([[0, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, 1]])[rng.integers(0, 2, n)]).astype(np.uint8)


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
    """Run a command line with --json that must be answered; the record it prints."""

    def call(*argv: object) -> dict:
        code, out, err = cli(*argv, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return call


@pytest.fixture
def folder(tmp_path):
    """A folder with rows to learn from, rows to be scored, and rows with gaps."""
    np.save(tmp_path / "rows.npy", patterns())
    np.save(tmp_path / "held.npy", patterns(seed=1))
    np.savetxt(tmp_path / "gaps.csv", np.where(np.eye(3, N), np.nan, patterns(3)), delimiter=",")
    return tmp_path


@pytest.fixture
def machine(folder):
    """A machine that can be enumerated, in a file."""
    rng = np.random.default_rng(0)
    model = tr.restricted(
        couplings=rng.normal(size=(N, 3)), visible_bias=rng.normal(size=N), hidden_bias=rng.normal(size=3)
    )
    tr.save(model, folder / "m.safetensors")
    return model


def fit(folder, *options, hidden=3, output="m.safetensors"):
    """A command line that fits; all the fits of this file share their shapes and so their compiled step."""
    known = ("--hidden", hidden, "-o", folder / output, "--force", "--batch-size", 20, "--epochs", 3)
    return ("fit", "rbm", folder / "rows.npy", *known, "--no-yardstick", *options)


def log_p(model, rows):
    """log p(v) by enumeration of all visible and hidden states."""
    w, b, c = (
        np.asarray(a, float) for a in (model.couplings["visible", "hidden"], *(model.fields[g] for g in model.groups))
    )
    joint = lambda v: v @ b + np.logaddexp(0, v @ w + c).sum(axis=1)  # noqa: E731
    return joint(rows) - np.logaddexp.reduce(joint(EVERY))


class TestFit:
    def test_the_record_of_a_fit(self, ask, folder):
        found = ask(*fit(folder, "--validation", folder / "held.npy", "--epochs", 30, "--learning-rate", 0.5))
        model = tr.load(folder / "m.safetensors")
        assert found["model"] == str(folder / "m.safetensors") and found["epochs"] == len(found["history"]) == 30
        assert found["machine"]["groups"][1] == {"name": "hidden", "units": "bernoulli", "number": 3}
        assert 0 < found["seconds"] == found["history"][-1]["seconds"]
        for name, rows in (("train", patterns()), ("validation", patterns(seed=1))):
            certificate = found["log_likelihood"][name]
            assert (
                certificate["kind"] == "exact" and certificate["lower"] <= certificate["value"] <= certificate["upper"]
            )
            assert certificate["value"] == pytest.approx(log_p(model, rows).mean(), abs=1e-5)
            assert found["history"][-1][name]["value"] == pytest.approx(certificate["value"], abs=1e-5)
        assert certificate["value"] > -np.log(64) + 0.5
        assert sorted(path.name for path in folder.iterdir()) == ["gaps.csv", "held.npy", "m.safetensors", "rows.npy"]

    def test_text_shows_the_epochs_and_the_certified_likelihood(self, cli, folder):
        code, out, err = cli(*fit(folder, "--plot", folder / "curve.png"))
        assert (code, err) == (0, "")
        expected = log_p(tr.load(folder / "m.safetensors"), patterns()).mean()
        shown = re.search(r"log-likelihood of a train row = (\S+) \(exact\)", out)
        assert shown and float(shown[1]) == pytest.approx(expected, abs=1e-5)
        assert "hidden mean" in out and "m.safetensors" in out
        assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")

    def test_the_same_seed_gives_the_same_file(self, cli, folder):
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            assert cli(*fit(folder, "--seed", seed, "--no-live", output=f"{name}.safetensors"))[0] == 0
        a, b, c = ((folder / f"{name}.safetensors").read_bytes() for name in "abc")
        assert a == b != c

    def test_real_columns_are_learned_on_their_scale_and_written_in_their_own(self, ask, folder):
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(200, 2)) * [1e-3, 10] + [5, 1e4]
        rows[:, 1] += 3e4 * (rows[:, 0] - 5)
        np.save(folder / "rows.npy", rows)
        found = ask(*fit(folder, "--units", "gaussian", "--epochs", 20))
        value = found["log_likelihood"]["train"]["value"]
        normal = lambda cov: -0.5 * (np.linalg.slogdet(2 * np.pi * cov)[1] + 2)  # noqa: E731
        assert normal(np.diag(rows.var(axis=0))) - 0.1 < value < normal(np.cov(rows.T))
        assert found["history"][-1]["train"]["value"] == pytest.approx(value, abs=1e-2)
        assert ask("score", folder / "m.safetensors", folder / "rows.npy")["log_likelihood"]["value"] == pytest.approx(
            value
        )

    def test_deep_machines_after_pretraining(self, ask, folder, monkeypatch):
        asked = []

        def pretrain(model, rows, *, epochs, key, **how):
            asked.append((epochs, key, len(rows)))
            return model

        monkeypatch.setattr(_fitting, "pretrain", pretrain)
        command = ("fit", "dbm", folder / "rows.npy", "--hidden", "3,2", "-o", folder / "d.safetensors", "--epochs", 1)
        found = ask(*command, "--no-yardstick", "--pretrain", 4, "--seed", 2)
        assert [group["number"] for group in found["machine"]["groups"]] == [N, 3, 2] and asked == [(4, 2, 120)]
        assert found["log_likelihood"]["train"]["kind"] == "exact"

    def test_general_machines(self, ask, folder):
        command = ("fit", "boltzmann", folder / "rows.npy", "-o", folder / "b.safetensors", "--algorithm", "pseudo")
        found = ask(*command, "--epochs", 3)
        assert found["machine"]["parameters"] == N + N * N and found["log_likelihood"]["train"]["kind"] == "exact"

    @pytest.mark.parametrize("name", ALGORITHMS)
    def test_options_become_settings_of_the_learner(self, name):
        learner = Steps(
            algorithm=name, batch_size=7, learning_rate=0.25, momentum=0.5, weight_decay=1e-3, averaging=0.5
        ).learner()
        assert type(learner).__name__ == ALGORITHMS[name]
        found = (learner.batch_size, learner.learning_rate, learner.momentum, learner.weight_decay, learner.averaging)
        assert found == (7, 0.25, 0.5, 1e-3, 0.5)


@pytest.mark.skipif(os.name == "nt", reason="a system without kill -9")
def test_a_killed_fit_goes_on_to_the_same_model_bit_for_bit(cli, folder):
    """Killed when there is a checkpoint with some epochs, then --resume, in a process that began later."""
    options = ("--epochs", 30, "--checkpoint-seconds", 0)
    kill([str(a) for a in fit(folder, *options, output="killed.safetensors")], after=5)
    assert (folder / "killed.safetensors.checkpoint").exists() and not (folder / "killed.safetensors").exists()
    assert b'"epoch": 3' in (folder / "killed.safetensors.checkpoint").read_bytes().replace(b'\\"', b'"')
    assert cli(*fit(folder, *options, output="whole.safetensors"))[0] == 0
    assert cli(*fit(folder, *options, "--resume", output="killed.safetensors"))[0] == 0
    assert (folder / "killed.safetensors").read_bytes() == (folder / "whole.safetensors").read_bytes()
    assert not list(folder.glob("*.checkpoint"))


class TestCheckpoints:
    def test_one_that_is_there_must_be_meant(self, cli, folder):
        (folder / "m.safetensors.checkpoint").write_bytes(b"of someone else")
        code, out, err = cli(*fit(folder))
        assert (code, out) == (2, "") and "--resume" in err and err.count("\n") == 1
        assert (folder / "m.safetensors.checkpoint").read_bytes() == b"of someone else"

    @pytest.mark.parametrize("content", [b"", b"of someone else", bytes(100)])
    def test_a_damaged_one_is_refused_and_left_alone(self, cli, folder, content):
        (folder / "m.safetensors.checkpoint").write_bytes(content)
        code, out, err = cli(*fit(folder, "--resume"))
        assert (code, out) == (2, "") and "m.safetensors.checkpoint" in err and err.count("\n") == 1
        assert (folder / "m.safetensors.checkpoint").read_bytes() == content

    def test_one_of_another_fit_is_refused(self, cli, folder, monkeypatch):
        """Another size, seed, method, number of epochs, data, or version of the format."""
        monkeypatch.setattr(os, "unlink", lambda path: None)
        assert cli(*fit(folder))[0] == 0
        monkeypatch.undo()
        other = [("--seed", 1), ("--algorithm", "cd"), ("--epochs", 4), ("--learning-rate", 0.2)]
        for options in other:
            code, out, err = cli(*fit(folder, *options, "--resume"))
            assert (code, out, err.count("\n")) == (2, "", 1) and "another fit" in err
        assert "model" in cli(*fit(folder, "--resume", hidden=2))[2]
        np.save(folder / "rows.npy", patterns(seed=2))
        assert "data" in cli(*fit(folder, "--resume"))[2]
        np.save(folder / "rows.npy", patterns())
        assert cli(*fit(folder, "--resume"))[0] == 0

    def test_resume_without_one_starts_at_the_beginning(self, cli, folder):
        assert cli(*fit(folder, "--no-live", "--resume"))[0] == 0
        first = (folder / "m.safetensors").read_bytes()
        assert cli(*fit(folder, "--no-live"))[0] == 0
        assert (folder / "m.safetensors").read_bytes() == first


@contextmanager
def full_disk(n_bytes):
    """Files of this process may not grow beyond so many bytes."""
    resource = pytest.importorskip("resource")
    before, kept = resource.getrlimit(resource.RLIMIT_FSIZE), "jax_persistent_cache_min_compile_time_secs"
    cached_from = jax.config.values[kept]
    jax.config.update(kept, np.inf)  # nothing that is compiled here is kept by halves
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        jax.config.update(kept, cached_from)


class TestFullDisk:
    def test_a_fit_is_refused_at_once_and_the_old_model_stays(self, cli, folder, machine):
        old = (folder / "m.safetensors").read_bytes()
        with full_disk(100):
            code, out, err = cli(*fit(folder))
        assert (code, out, err.count("\n")) == (2, "", 1) and "m.safetensors.checkpoint: cannot be written" in err
        assert (folder / "m.safetensors").read_bytes() == old
        assert not list(folder.glob("*.checkpoint")) and not list(folder.glob(".*.part"))

    def test_a_model_that_cannot_be_written_leaves_its_checkpoint(self, cli, folder, monkeypatch):
        """The place is good when the fit begins and full when it ends: nothing learned is lost."""
        monkeypatch.setattr(tr, "save", _saved_to_full)
        code, out, err = cli(*fit(folder))
        assert (code, out, err.count("\n")) == (2, "", 1) and "m.safetensors: cannot be written" in err
        monkeypatch.undo()
        assert (folder / "m.safetensors.checkpoint").exists()
        assert cli(*fit(folder, "--resume"))[0] == 0 and not (folder / "m.safetensors.checkpoint").exists()
        resumed = (folder / "m.safetensors").read_bytes()
        assert cli(*fit(folder))[0] == 0 and (folder / "m.safetensors").read_bytes() == resumed

    @pytest.mark.parametrize("command", ["sample", "impute", "transform"])
    def test_an_output_is_written_whole_or_not_at_all(self, cli, folder, machine, command):
        np.save(folder / "out.npy", np.ones((2, 2)))
        old = (folder / "out.npy").read_bytes()
        data = () if command == "sample" else (folder / "rows.npy",)
        with full_disk(64):
            code, out, err = cli(command, folder / "m.safetensors", *data, "-o", folder / "out.npy")
        assert (code, out, err.count("\n")) == (2, "", 1) and "cannot be written" in err
        assert (folder / "out.npy").read_bytes() == old


def _saved_to_full(model, path):
    from tractable.formats import save

    with full_disk(100):
        save(model, path)


class TestMachines:
    def test_score_agrees_with_enumeration(self, ask, cli, folder, machine):
        expected = log_p(machine, patterns(seed=1)).mean()
        found = ask("score", folder / "m.safetensors", folder / "held.npy")["log_likelihood"]
        assert found["kind"] == "exact" and found["value"] == pytest.approx(expected, abs=1e-9)
        code, out, err = cli("score", folder / "m.safetensors", folder / "held.npy")
        assert (code, err) == (0, "") and f"{expected:.8f}"[:10] in out and "(exact)" in out

    def test_what_is_not_exact_comes_with_its_interval_and_verdict(self, ask, cli, folder, machine, monkeypatch):
        verdict = "unreliable: forward and reverse runs hardly overlap; use more temperatures"
        ends = {"lower_kind": "probabilistic", "upper_kind": "conditional", "assumes": "chains that have mixed"}
        found = tr.Certificate(-5.25, -6.5, -4.5, "conditional", 0.95, 0.25, verdict, **ends)
        monkeypatch.setattr(tr, "log_likelihood", lambda *_, **__: found)
        record = ask("score", folder / "m.safetensors", folder / "held.npy")["log_likelihood"]
        assert record == {**vars(found)}
        _, out, _ = cli("score", folder / "m.safetensors", folder / "held.npy")
        assert "-5.25 in [-6.5, -4.5] (conditional at 95 %)" in out and verdict in " ".join(out.split())

    def test_samples_have_the_density(self, ask, folder, machine):
        found = ask("sample", folder / "m.safetensors", "-n", 20000, "-o", folder / "s.npy", "--seed", 5)
        drawn = np.load(folder / "s.npy")
        assert found["rows"] == len(drawn) == 20000
        counts = np.bincount(drawn.astype(int) @ (1 << np.arange(N)), minlength=64) / 20000
        assert np.abs(counts - np.exp(log_p(machine, EVERY))).max() < 5 * np.sqrt(0.25 / 20000)

    def test_samples_of_a_network_are_states_by_name(self, ask, folder):
        for name in ("s.csv", "s.evid"):
            ask("sample", ASIA, "-n", 500, "-o", folder / name)
        net = tr.load(ASIA)
        rows = read_evidence(folder / "s.csv", net)
        assert rows == read_evidence(folder / "s.evid", net) and len(rows) == 500 and {*rows[0]} == {*net.states}
        smokers = sum(row["smoke"] == "yes" for row in rows) / 500
        assert abs(smokers - 0.5) < 5 * np.sqrt(0.25 / 500)

    def test_impute_fills_in_posterior_means(self, ask, folder, machine):
        ask("impute", folder / "m.safetensors", folder / "gaps.csv", "-o", folder / "whole.csv")
        whole, gaps = tr.read_data(folder / "whole.csv"), tr.read_data(folder / "gaps.csv")
        for row, filled in zip(gaps, whole, strict=True):
            off, on = (log_p(machine, np.where(np.isnan(row), x, row)[None])[0] for x in (0, 1))
            expected = np.where(np.isnan(row), 1 / (1 + np.exp(off - on)), row)
            assert filled == pytest.approx(expected, abs=1e-6)

    def test_chains_are_drawn_and_judged(self, ask, cli, folder, machine):
        how = ("--chains", 4, "--sweeps", 800, "--seed", 2)
        found = ask("diagnose", folder / "m.safetensors", *how, "--plot", folder / "traces.png")
        assert found["verdict"] == "converged"
        density = np.exp(log_p(machine, EVERY))
        visible = found["traces"][1]
        assert abs(visible["mean"] - density @ EVERY.mean(axis=1)) < 5 * visible["std_error"]
        assert (folder / "traces.png").read_bytes()[:4] == b"\x89PNG"
        _, out, _ = cli("diagnose", folder / "m.safetensors", *how)
        assert "4 chains of 800 sweeps: converged" in out

    def test_transform_gives_the_means_of_the_hidden_units(self, ask, folder, machine):
        ask("transform", folder / "m.safetensors", folder / "rows.npy", "-o", folder / "h.npy")
        theta = patterns() @ machine.couplings["visible", "hidden"] + machine.fields["hidden"]
        assert np.load(folder / "h.npy") == pytest.approx(1 / (1 + np.exp(-theta)), abs=1e-5)

    def test_explain_shows_groups_and_plans(self, cli, ask, folder, machine):
        code, out, err = cli("explain", folder / "m.safetensors")
        assert (code, err) == (0, "")
        for text in ("visible", "bernoulli", "coupled to", "gradient", "8 terms"):
            assert text in " ".join(out.split())
        found = ask("explain", folder / "m.safetensors", "--observed", "visible", "--query", "marginals")
        assert found["model"]["parameters"] == N * 3 + N + 3 and found["plans"][0]["method"] == "independent"

    def test_convert_keeps_a_machine(self, ask, folder, machine):
        ask("convert", folder / "m.safetensors", folder / "n.safetensors.gz")
        other = tr.load(folder / "n.safetensors.gz")
        assert np.array_equal(other.couplings["visible", "hidden"], machine.couplings["visible", "hidden"])


def bad_input(folder: Path) -> list[tuple[tuple, list[str]]]:
    """Command lines that cannot be answered, and what their one line has to say."""
    np.save(folder / "zero.npy", np.zeros((0, N)))
    np.save(folder / "narrow.npy", patterns()[:, :4])
    np.save(folder / "seven.npy", np.where(np.eye(120, N, k=-2), 7, patterns()))
    np.save(folder / "infinite.npy", np.where(np.eye(120, N), np.inf, 0.5))
    np.save(folder / "empty.npy", np.where(np.arange(120)[:, None] == 4, np.nan, patterns()))
    np.save(folder / "large.npy", np.full((4, N), 1e9))
    model, rows, new = folder / "m.safetensors", folder / "rows.npy", folder / "new.safetensors"

    def rbm(data, *options):
        return ("fit", "rbm", folder / data, "--hidden", 3, "-o", new, *options)

    return [
        (rbm("seven.npy"), ["row 2, column 0", "7", "0 or 1"]),
        (rbm("rows.npy", "--units", "spin"), ["row 0, column", "−1 or 1"]),
        (rbm("infinite.npy", "--units", "gaussian"), ["row 0, column 0", "inf", "finite"]),
        (rbm("large.npy", "--units", "categorical"), ["1e+09", "categorical"]),
        (rbm("rows.npy", "--units", "categorical", "--categories", 10**12), ["PiB", "machine has"]),
        (rbm("empty.npy"), ["row 4", "missing"]),
        (rbm("zero.npy"), ["zero.npy", "no rows"]),
        (rbm("rows.npy", "--validation", folder / "narrow.npy"), ["6 units", "4 columns"]),
        (rbm("rows.npy", "--validation", folder / "seven.npy"), ["row 2, column 0"]),
        (rbm("none.npy"), ["none.npy", "no such file"]),
        (rbm("rows.npy", "--hidden", 10**14), ["PiB", "fewer hidden units"]),
        (rbm("rows.npy", "--chains", 10**12), ["TiB", "smaller batches"]),
        (rbm("rows.npy", "--hidden", 0), ["--hidden"]),
        (rbm("rows.npy", "--batch-size", 0), ["--batch-size"]),
        (rbm("rows.npy", "--learning-rate", -1), ["--learning-rate"]),
        (rbm("rows.npy", "--algorithm", "pdc"), ["--algorithm", "pcd"]),
        (rbm("rows.npy", "--algorithm", "exact", "-k", 2), ["exact", "--k"]),
        (rbm("rows.npy", "--plot", folder / "curve.docx"), ["curve.docx", ".png"]),
        (rbm("rows.npy", "-o", folder / "m.npy"), ["m.npy", ".safetensors"]),
        (rbm("rows.npy", "-o", folder / "no" / "m.safetensors"), ["m.safetensors", "no such folder"]),
        (("fit", "rbm", rows, "--hidden", 3), ["--output"]),
        (("fit", "dbm", rows, "--hidden", "3,x", "-o", new), ["--hidden", "3,x"]),
        (("fit", "rmb", rows), ["rmb"]),
        (("score", model, folder / "narrow.npy"), ["6 units", "4 columns"]),
        (("score", model, folder / "seven.npy"), ["row 2, column 0"]),
        (("score", ASIA, rows), ["6 columns", "8 variables"]),
        (("transform", ASIA, rows, "-o", folder / "s.npy"), ["asia.bif", "BayesianNetwork"]),
        (("sample", model, "-n", 0, "-o", folder / "s.npy"), ["-n"]),
        (("sample", model, "-o", folder / "s.docx"), ["s.docx"]),
        (("sample", ASIA, "-o", folder / "s.npy"), ["s.npy", ".csv"]),
        (("impute", model, folder / "narrow.npy", "-o", folder / "s.npy"), ["6 units", "4 columns"]),
        (("transform", model, folder / "gaps.csv", "-o", folder / "s.npy"), ["row 0, column 0"]),
        (("query", model, "--joint", "--target", "hidden"), ["Boltzmann", "networks"]),
        (("separated", model, "visible", "hidden"), ["Boltzmann", "networks"]),
        (("explain", model, "--query", "filtering"), ["unknown query", "gradient"]),
        (("explain", model, "--observed", "hiden"), ["hiden"]),
        (("explain", ASIA, "--query", "gradient"), ["gradient", "map"]),
        (("convert", model, folder / "m.bif"), ["m.bif", ".safetensors"]),
    ]


def test_bad_input_gets_one_line_and_exit_code_2(cli, folder, machine):
    old = (folder / "m.safetensors").read_bytes()
    for argv, parts in bad_input(folder):
        code, out, err = cli(*argv)
        assert (code, out, err.count("\n")) == (2, "", 1), (argv, code, out, err)
        assert [part for part in parts if part not in err] == [], err
        assert not (folder / "new.safetensors").exists()
    assert (folder / "m.safetensors").read_bytes() == old


def test_an_exact_gradient_beyond_the_budget_is_refused(cli, folder):
    np.save(folder / "rows.npy", np.tile(patterns(), 10))
    code, out, err = cli(*fit(folder, "--algorithm", "exact", hidden=60))
    assert code == 3 and err.startswith("tractable: refused by the budget") and "2^60" in " ".join(out.split())


def test_memory_that_runs_out_after_all_is_said_in_one_line(cli, folder, machine, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.")

    monkeypatch.setattr(tr, "log_likelihood", full)
    code, out, err = cli("score", folder / "m.safetensors", folder / "held.npy")
    assert (code, out, err.count("\n")) == (2, "", 1) and "out of memory" in err


@pytest.mark.parametrize("command", ["rbm", "dbm", "boltzmann"])
def test_every_fit_has_help_with_an_example(cli, command):
    code, out, err = cli("fit", command, "--help")
    assert (code, err) == (0, "") and f":\n    tractable fit {command} " in out and "--resume" in out


@pytest.mark.parametrize("command", ["fit", "score", "sample", "impute", "transform"])
def test_help(cli, command):
    code, out, err = cli(command, "--help")
    assert (code, err) == (0, "") and f"tractable {command}" in out


def test_help_of_commands_on_machines_does_not_wait_for_jax():
    script = (
        "import sys\nfrom tractable.cli._run import run\nassert run(['fit', 'rbm', '--help']) == 0\n"
        "assert 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)
