"""What newcomers bring to the command line: tables with names, weights, ratings with gaps, and input that is odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sweep import some

import tractable as tr
from tractable.cli._run import run

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (30, 4))
PEOPLE = """sex,age,stars,fit,count
f,31,1,0,2
m,44.5,5,1,1
f,20,?,1,1
m,61,4,0,3
f,33,2,1,1
m,47,5,1,0
"""
QUICK = ("--steps", "20", "--hidden", "2", "--no-live", "--no-yardstick", "--quiet")


def text_of(rows: Any, names: str = "a,b,c,d") -> str:
    return "\n".join([names, *(",".join(map(str, row)) for row in np.asarray(rows).tolist())]) + "\n"


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with some tables, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text(PEOPLE)
    (tmp_path / "bits.csv").write_text(text_of(BITS))
    return tmp_path


def ask(capsys: Any, *words: str) -> str:
    """What a command answers."""
    code, shown = run(words), capsys.readouterr()
    assert code == 0, shown.err
    return shown.out


def refused(capsys: Any, *words: str) -> str:
    """The one line of a command that cannot be done."""
    code, shown = run(words), capsys.readouterr()
    assert (code, shown.err.count("\n")) == (2, 1), shown
    return shown.err


class TestTables:
    how = ("--units", "mixed", "--categories", "stars=1|2|3|4|5", "--ignore", "count", "-o", "m.safetensors")

    def test_columns_of_several_kinds_keep_their_names(self, at: Path, capsys: Any) -> None:
        ask(capsys, "fit", "rbm", "people.csv", *QUICK, *self.how)
        model: Any = tr.load("m.safetensors")
        units = model.units["visible"]
        assert [type(part).__name__ for part in units.parts] == ["Categorical", "Gaussian", "Categorical", "Bernoulli"]
        assert (units.columns.names, units.columns.ignored) == (("sex", "age", "stars", "fit"), ("count",))
        drawn = ask(capsys, "sample", "m.safetensors", "-n", "5", "-o", "-").splitlines()
        assert drawn[0] == "sex,age,stars,fit" and {row.split(",")[0] for row in drawn[1:]} <= {"f", "m"}
        turned = [line.split(",") for line in PEOPLE.splitlines()]
        (at / "turned.csv").write_text("\n".join(",".join(row[::-1]) for row in turned) + "\n")
        scores = [ask(capsys, "score", "m.safetensors", f"{name}.csv", "--json") for name in ("people", "turned")]
        assert scores[0] == scores[1]
        (at / "more.csv").write_text("sex,age,stars,fit\nx,1,1,1\n")
        err = refused(capsys, "score", "m.safetensors", "more.csv")
        assert "more.csv:2" in err and "'sex'" in err and "'x'" in err

    def test_gaps_get_states_or_what_is_expected(self, at: Path, capsys: Any) -> None:
        ask(capsys, "fit", "rbm", "people.csv", *QUICK, *self.how)
        likely = ask(capsys, "impute", "m.safetensors", "people.csv", "-o", "-").splitlines()
        expected = ask(capsys, "impute", "m.safetensors", "people.csv", "--expected", "-o", "-").splitlines()
        old = PEOPLE.splitlines()
        assert likely[:3] + likely[4:] == old[:3] + old[4:] == expected[:3] + expected[4:]
        model, case = tr.load("m.safetensors"), {"sex": "f", "age": 20.0, "fit": 1}
        p = np.asarray(tr.infer(model, case).marginals["visible"])[3:8]  # pyright: ignore
        assert likely[3] == f"f,20,{p.argmax() + 1},1,1"
        assert float(expected[3].split(",")[2]) == pytest.approx(p @ [1, 2, 3, 4, 5], abs=1e-6)

    def test_letters_are_states_of_one_kind(self, at: Path, capsys: Any) -> None:
        letters = np.array(list("ACGT"))[np.arange(24).reshape(8, 3) % 4]
        (at / "letters.csv").write_text(text_of(letters, "p1,p2,p3"))
        for kind in ("rbm", "boltzmann"):
            ask(capsys, "fit", kind, "letters.csv", *QUICK, "-o", f"{kind}.safetensors")
            drawn = ask(capsys, "sample", f"{kind}.safetensors", "-n", "9", "-o", "-").splitlines()
            assert drawn[0] == "p1,p2,p3" and {*"".join(drawn[1:])} <= {*"ACGT,"}
        model: Any = tr.load("rbm.safetensors")
        assert isinstance(model.units["visible"], tr.Categorical) and model.units["visible"].names == tuple("ACGT")

    def test_zeros_and_ones_with_a_header_stay_what_they_were(self, at: Path, capsys: Any) -> None:
        np.save("bits.npy", BITS)
        for name in ("bits.csv", "bits.npy"):
            ask(capsys, "fit", "rbm", name, *QUICK, "-o", f"{name}.safetensors")
        named, plain = (tr.load(f"{name}.safetensors") for name in ("bits.csv", "bits.npy"))
        own: Any = named.units["visible"]  # pyright: ignore
        assert isinstance(own, tr.Bernoulli) and own.columns is not None and own.columns.names == tuple("abcd")
        w = [np.asarray(model.couplings["visible", "hidden"]) for model in (named, plain)]  # pyright: ignore
        assert np.array_equal(*w)
        assert float(tr.log_likelihood(named, BITS)) == float(tr.log_likelihood(plain, BITS))
        ask(capsys, "sample", "bits.csv.safetensors", "-n", "4", "-o", "s.npy", "--quiet")
        assert np.load("s.npy").shape == (4, 4)

    def test_kinds_of_some_columns(self, at: Path, capsys: Any) -> None:
        words = ("--units", "gaussian:age,count", "--units", "categorical:sex,stars", "--units", "bernoulli:fit")
        ask(capsys, "fit", "rbm", "people.csv", *QUICK, *words, "-o", "m.safetensors")
        model: Any = tr.load("m.safetensors")
        assert [(type(part).__name__, part.n) for part in model.units["visible"].parts] == [
            ("Categorical", 1),
            ("Gaussian", 1),
            ("Categorical", 1),
            ("Bernoulli", 1),
            ("Gaussian", 1),
        ]

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ((), "people.csv:2: row 0, column 'age': the value 31.0 is not one of this unit: 0 or 1"),
            (("--units", "gausian"), "no units are 'gausian'; did you mean 'gaussian'?"),
            (("--units", "gaussian:age"), "'sex' is of no kind"),
            (("--units", "gaussian:agee"), "did you mean 'age'?"),
            (("--units", "categorical"), "the column 'age' holds real numbers such as 44.5"),
            (("--units", "mixed", "--categories", "stars=1|2"), "people.csv:3: row 1: variable 'stars': no state is 5"),
            (("--units", "categorical", "--ignore", "age", "--binarize", "0.5"), "none of these columns holds any"),
        ],
    )
    def test_what_does_not_fit_is_said(self, at: Path, capsys: Any, words: tuple[str, ...], told: str) -> None:
        assert told in refused(capsys, "fit", "rbm", "people.csv", *QUICK, *words, "-o", "m.safetensors")
        assert not Path("m.safetensors").exists()


def test_gray_columns_alone_are_cut_beside_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("gray,word\n" + "0.9,x\n0.2,y\n" * 6)
    ask(capsys, "fit", "rbm", "t.csv", *QUICK, "--binarize", "0.5", "-o", "m.safetensors")
    drawn = ask(capsys, "sample", "m.safetensors", "-n", "20", "-o", "-").split()
    assert {*drawn[1:]} <= {"0,x", "0,y", "1,x", "1,y"}


class TestExpected:
    def test_of_a_network(self, at: Path, capsys: Any) -> None:
        net = tr.bayesian_network({"a": ["1", "2", "5", "1"], "b": ["x", "y", "y", "x"]}, "a->b")
        tr.save(net, "net.bif")
        (at / "gaps.csv").write_text("a,b\n,y\n5,\n")
        found = ask(capsys, "impute", "net.bif", "gaps.csv", "--expected", "-o", "-").splitlines()
        p = tr.infer(net, {"b": "y"}).marginals["a"]
        assert float(found[1].split(",")[0]) == pytest.approx(p["1"] + 2 * p["2"] + 5 * p["5"])
        assert found[2] == "5,y"

    def test_of_mixtures_and_chains(self) -> None:
        table = {"s": [1, 5, 2, None, 5], "g": ["a", "b", None, "a", "b"], "x": [0.5, 1.5, 2.0, 1.0, 2.2]}
        levels = np.array([1, 2, 3, 4, 5])
        mixture = tr.mixture(table, 2, categories={"s": levels.tolist()}, key=0)
        found: Any = tr.impute(mixture, table, expected=True)
        r = np.asarray(tr.transform(mixture, {name: column[3:4] for name, column in table.items()}))
        part: Any = mixture.emissions
        where = next(i for i, own in enumerate(part.columns) if 0 in own)
        p = (r @ part.parts[where].tables[list(part.columns[where]).index(0)])[0]
        assert found["s"].tolist()[:3] == [1, 5, 2] and found["s"][3] == pytest.approx(p @ levels)
        assert found["g"].tolist() == tr.impute(mixture, table)["g"].tolist()
        codes = tr.mixture([[0, 1.0], [2, 0], [1, 1]], 2, "categorical", categories=3)
        own = np.asarray(tr.transform(codes, [[np.nan, 1.0]])) @ codes.free.means
        assert tr.impute(codes, [[np.nan, 1.0]], expected=True)[0, 0] == pytest.approx(own[0, 0])
        chain = tr.hidden_markov(table, 2, categories={"s": levels.tolist()}, key=0)
        whole: Any = tr.impute(chain, table, expected=True)
        assert 1 < whole["s"][3] < 5 and whole["s"].tolist()[:3] == [1, 5, 2]
        cut = tr.Sequences({**table, "id": [0, 0, 1, 1, 1]}, by="id")
        parts: Any = tr.impute(chain, cut, expected=True)
        assert [*parts[1]] == ["s", "g", "x", "id"] and 1 < parts[1]["s"][1] < 5

    def test_layers_have_no_categories(self, at: Path, capsys: Any) -> None:
        tr.save(tr.SigmoidBeliefNetwork([4, 2]), "s.safetensors")
        assert "no option 'expected'" in refused(capsys, "impute", "s.safetensors", "bits.csv", "--expected", "-o", "-")


class TestWeights:
    """A row of weight two is two rows."""

    weights = np.arange(30) % 3

    @pytest.fixture
    def tables(self, at: Path) -> None:
        (at / "weighted.csv").write_text(text_of(np.column_stack([BITS, self.weights]), "a,b,c,d,n"))
        (at / "twice.csv").write_text(text_of(np.repeat(BITS, self.weights, axis=0)))
        (at / "n.csv").write_text("\n".join(map(str, self.weights)) + "\n")

    def mixture(self, capsys: Any, *words: str) -> tuple[dict[str, Any], Any]:
        record = ask(capsys, "fit", "mixture", *words, "--components", "2", "--json", "-o", "m.safetensors", "--force")
        return json.loads(record), tr.load("m.safetensors")

    @pytest.mark.usefixtures("tables")
    def test_a_column_and_a_file_say_the_same(self, capsys: Any) -> None:
        (one, a), (two, b) = (
            self.mixture(capsys, name, "--weights", weights)
            for name, weights in (("weighted.csv", "n"), ("bits.csv", "n.csv"))
        )
        assert np.array_equal(a.weights, b.weights) and (one["aic"], one["bic"]) == (two["aic"], two["bic"])
        assert a.columns.names == tuple("abcd") and a.columns.ignored == ("n",)
        rows = np.repeat(BITS, self.weights, axis=0)
        assert one["aic"] == pytest.approx(float(tr.aic(a.unnamed, rows))) and one["bic"] == pytest.approx(
            float(tr.bic(a.unnamed, rows))
        )

    @pytest.mark.usefixtures("tables")
    def test_a_network_counts_with_them(self, capsys: Any) -> None:
        how = ("--structure", "a->b; c; d", "--force", "--quiet")
        ask(capsys, "fit", "network", "weighted.csv", "--weights", "n", *how, "-o", "one.bif")
        ask(capsys, "fit", "network", "twice.csv", *how, "-o", "two.bif")
        one, two = (tr.infer(tr.load(name), {}).marginals for name in ("one.bif", "two.bif"))  # pyright: ignore
        assert all(one[v]["1"] == pytest.approx(two[v]["1"], abs=1e-9) for v in "abcd")

    @pytest.mark.usefixtures("tables")
    def test_sequences_have_one_each(self, at: Path, capsys: Any) -> None:
        rows = np.column_stack([np.repeat(np.arange(10), 3), BITS, np.repeat(self.weights[:10], 3)])
        (at / "days.csv").write_text(text_of(rows, "id,a,b,c,d,n"))
        words = ("fit", "hmm", "days.csv", "--by", "id", "--states", "2", "--quiet", "-o", "h.safetensors")
        ask(capsys, *words, "--weights", "n")
        (at / "n10.csv").write_text("\n".join(map(str, self.weights[:10])) + "\n")
        ask(capsys, *words[:-1], "i.safetensors", "--ignore", "n", "--weights", "n10.csv")
        one, two = tr.load("h.safetensors"), tr.load("i.safetensors")
        assert np.array_equal(one.transition, two.transition)  # pyright: ignore
        rows[1, -1] = 7
        (at / "days.csv").write_text(text_of(rows, "id,a,b,c,d,n"))
        assert "days.csv:3: row 1: another weight" in refused(capsys, *words, "--weights", "n", "--force")

    @pytest.mark.usefixtures("tables")
    def test_machines_and_layers_take_them(self, capsys: Any) -> None:
        for kind in ("rbm", "sbn"):
            ask(capsys, "fit", kind, "weighted.csv", *QUICK, "--weights", "n", "-o", f"{kind}.safetensors")
            model: Any = tr.load(f"{kind}.safetensors")
            ask(capsys, "fit", kind, "bits.csv", *QUICK, "--weights", "n.csv", "-o", "n.safetensors", "--force")
            ask(capsys, "fit", kind, "bits.csv", *QUICK, "-o", "once.safetensors", "--force")
            other, once = tr.load("n.safetensors"), tr.load("once.safetensors")
            one, two, three = (np.asarray(tr.transform(m, BITS)) for m in (model, other, once))
            assert np.array_equal(one, two) and not np.array_equal(one, three)

    @pytest.mark.usefixtures("tables")
    @pytest.mark.parametrize(
        "words",
        [("rbm", *QUICK), ("sbn", *QUICK), ("network", "--structure", "a->b; c; d"), ("mixture", "--components", "2")],
    )
    @pytest.mark.parametrize("held", ["bits.csv", "weighted.csv"])
    def test_rows_that_are_followed_need_none(self, capsys: Any, words: tuple[str, ...], held: str) -> None:
        output = "m.bif" if words[0] == "network" else "m.safetensors"
        ask(capsys, "fit", *words, "weighted.csv", "--weights", "n", "--validation", held, "-o", output)

    @pytest.mark.usefixtures("tables")
    @pytest.mark.parametrize("command", ["rbm", "mixture"])
    @pytest.mark.parametrize(
        ("weights", "told"),
        [
            ("nn", "no column of weighted.csv; did you mean 'n'?"),
            ("short.csv", "weights must be 30 numbers, one for each row; got the shape (2,)"),
            ("bits.csv", "bits.csv: expected one column, got 4"),
            ("negative", "bad.csv:4: row 2: weights must be 30 finite numbers ≥ 0, got -1.0"),
            ("gap", "bad.csv:3: row 1: weights must be 30 finite numbers ≥ 0, got nan"),
            ("zero", "not all zero"),
        ],
    )
    def test_what_are_none_is_said(self, at: Path, capsys: Any, command: str, weights: str, told: str) -> None:
        (at / "short.csv").write_text("1\n2\n")
        gap = np.where(np.arange(30) == 1, "", "1")
        bad = np.column_stack([BITS, np.where(np.arange(30) == 2, -1, 1).astype(str), gap, ["0"] * 30])
        (at / "bad.csv").write_text(text_of(bad, "a,b,c,d,negative,gap,zero"))
        data = "bad.csv" if weights in ("negative", "gap", "zero") else "weighted.csv"
        more = ("--components", "2") if command == "mixture" else QUICK
        assert told in refused(capsys, "fit", command, data, "--weights", weights, *more, "-o", "m.safetensors")


class TestHiddenUnits:
    @pytest.mark.verify
    @pytest.mark.parametrize(
        ("kind", "layers"), some([("rbm", 1), ("helmholtz", 1), ("dbm", 2), ("sbn", 1), ("dbn", 2)], 3)
    )
    def test_they_follow_from_the_columns(self, at: Path, capsys: Any, kind: str, layers: int) -> None:
        words = (
            "fit",
            kind,
            "bits.csv",
            "--steps",
            "2",
            "--no-live",
            "--no-yardstick",
            "--json",
            "-o",
            "m.safetensors",
        )
        words += ("--pretrain", "1") if kind == "dbn" else ()
        found = json.loads(ask(capsys, *words, "-o", "m.safetensors"))
        assert [group["number"] for group in found["machine"]["groups"]] == [4] + [64] * layers
        ask(capsys, *words, "-o", "n.safetensors", "--start", "m.safetensors")

    def test_between_the_fewest_and_the_most(self) -> None:
        from tractable.learning.sizes import hidden_of

        assert [hidden_of(n) for n in (1, 64, 100, 784)] == [[64], [64], [100], [256]] and hidden_of(90, 2) == [90, 90]

    def test_a_model_of_other_layers_is_not_gone_on_from(self, at: Path, capsys: Any) -> None:
        tr.save(tr.deep([4, 3, 2]), "deep.safetensors")
        words = ("fit", "rbm", "bits.csv", "--start", "deep.safetensors", "-o", "m.safetensors")
        assert "expected hidden units 1 layer" in refused(capsys, *words)


class TestOddTables:
    """Each works, or is a sentence."""

    @pytest.mark.parametrize("kind", ["rbm", "sbn", "mixture"])
    @pytest.mark.parametrize(
        "rows", [BITS * [1, 0, 1, 1], BITS[:2], BITS[:1], BITS[:, :1]], ids=["flat", "2", "1", "col"]
    )
    def test_which_work(self, at: Path, capsys: Any, kind: str, rows: np.ndarray) -> None:
        (at / "t.csv").write_text(text_of(rows, "a,b,c,d"[: 2 * rows.shape[1] - 1]))
        more = ("--components", "2", "--quiet") if kind == "mixture" else QUICK
        ask(capsys, "fit", kind, "t.csv", *more, "-o", "m.safetensors")
        found = json.loads(ask(capsys, "score", "m.safetensors", "t.csv", "--json"))
        assert np.isfinite(found["log_likelihood"]["value"])

    def test_labels_of_one_class_are_a_column_that_does_not_vary(self, at: Path, capsys: Any) -> None:
        (at / "t.csv").write_text("a,label\n" + "0,yes\n1,yes\n" * 5)
        ask(capsys, "fit", "rbm", "t.csv", *QUICK, "-o", "m.safetensors")
        assert "1,yes" in ask(capsys, "sample", "m.safetensors", "-n", "20", "-o", "-")

    @pytest.mark.parametrize("kind", ["rbm", "sbn"])
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (text_of(BITS) + ",,,\n", "t.csv:32: row 30"),
            ("a,b\n" + "0,\n1,\n" * 4, "missing"),
            ("", "t.csv: the file is empty"),
            ("a,b,c,d\n", "t.csv: has a header, but no rows"),
            (text_of(BITS) + "1,0,oops,1\n", "'oops' is"),
            (text_of(BITS * 0.4), "0.4 is not one of this unit: 0 or 1; gray values are cut with binarize=0.5"),
        ],
        ids=["row", "column", "empty", "header", "word", "gray"],
    )
    def test_which_are_said(self, at: Path, capsys: Any, kind: str, text: str, told: str) -> None:
        (at / "t.csv").write_text(text)
        err = refused(capsys, "fit", kind, "t.csv", *QUICK, "-o", "m.safetensors")
        assert told in err and "t.csv" in err and not Path("m.safetensors").exists()

    def test_gray_where_there_were_zeros_and_ones(self, at: Path, capsys: Any) -> None:
        (at / "gray.csv").write_text(text_of(np.round(RNG.random((30, 4)), 2)))
        ask(capsys, "fit", "rbm", "bits.csv", *QUICK, "-o", "m.safetensors")
        again = ("fit", "rbm", "gray.csv", *QUICK, "--start", "m.safetensors", "-o", "n.safetensors")
        (at / "r.safetensors.checkpoint").write_bytes(b"of a fit to zeros and ones")
        resumed = ("fit", "rbm", "gray.csv", *QUICK, "--resume", "-o", "r.safetensors")
        for words in (("score", "m.safetensors", "gray.csv"), again, resumed):
            err = refused(capsys, *words)
            assert "gray.csv:2: row 0, column 'a'" in err and "gray values are cut" in err
        ask(capsys, *again, "--binarize", "draw")
