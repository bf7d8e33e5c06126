"""The UAI reader, checked on files written by hand, and what it says about bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import complaint

from tractable.formats import load
from tractable.models import BayesianNetwork, MarkovNetwork

MARKOV = """MARKOV
3
2 3 1
4
2 1 0
1 1
0
3 2 0 1

6 1 2
3 4
5 6
3
.5 1e-300 2.5E2
1
7
6
1 2 3 4 5 6
"""
BAYES = """BAYES
3
2 2 3
3
3 1 2 0
1 1
2 1 2

12
0.1 0.9  0.2 0.8  0.3 0.7
0.4 0.6  0.5 0.5  0.6 0.4

2 0.25 0.75
6 0.2 0.3 0.5
  0.5 0.3 0.2
"""


def test_a_markov_file_lists_the_last_variable_fastest(tmp_path: Path) -> None:
    (tmp_path / "field.uai").write_text(MARKOV)
    net = load(tmp_path / "field.uai")
    assert isinstance(net, MarkovNetwork)
    assert net.name == "field"
    assert net.states == {"0": ("0", "1"), "1": ("0", "1", "2"), "2": ("0",)}
    assert [scope for scope, _ in net.factors] == [("1", "0"), ("1",), (), ("2", "0", "1")]
    assert net.packed.table(0).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert net.packed.table(1).tolist() == [0.5, 1e-300, 250]
    assert net.packed.table(2).tolist() == 7
    assert net.packed.table(3).tolist() == [[[1, 2, 3], [4, 5, 6]]]


def test_the_last_variable_of_a_scope_is_the_child(tmp_path: Path) -> None:
    (tmp_path / "net.uai").write_text(BAYES)
    net = load(tmp_path / "net.uai")
    assert isinstance(net, BayesianNetwork)
    assert net.parents == {"0": ("1", "2"), "1": (), "2": ("1",)}
    assert net.tables["0"][..., 0].tolist() == [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]
    assert net.tables["2"].tolist() == [[0.2, 0.3, 0.5], [0.5, 0.3, 0.2]]


def test_comments_and_layout_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "one.uai").write_text(BAYES)
    (tmp_path / "two.uai").write_text(
        "c\nc an example, 3 lines\n\n" + " ".join(BAYES.lower().split()).replace("bayes", "bayes # a comment 5\n")
    )
    one, two = load(tmp_path / "one.uai"), load(tmp_path / "two.uai")
    assert one.packed.values.tobytes() == two.packed.values.tobytes()


@pytest.mark.parametrize("text", ["MARKOV 0 0", "MARKOV 1 5 0", "MARKOV 0 1 0 1 3.5"])
def test_models_may_be_almost_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "net.uai").write_text(text)
    assert isinstance(load(tmp_path / "net.uai"), MarkovNetwork)


HUGE = 2**60
BAD = [
    ("network x {}", ":1: a UAI file begins with BAYES or MARKOV, found 'network'; is it another format?"),
    ("MARKOV", ":1: the number of variables needs 1 numbers, 0 are left; is the file cut short?"),
    (f"MARKOV\n{HUGE}\n2 2", ":3: the list of numbers of states needs 2^60 or more numbers, 2 are left"),
    ("MARKOV\n-3", ":2: '-3' is not a finite number ≥ 0"),
    ("MARKOV\n1.5\n2", ":2: expected a count for the number of variables, found 1.5"),
    ("MARKOV\n2\n2 0", ":3: variable 1 has no states; give it at least one"),
    (f"MARKOV\n2\n2 {HUGE}\n0", ":3: variable 1 claims 2^60 or more states, more than the file has numbers"),
    ("MARKOV\n2\n2 100000\n0", ":3: variable 1 claims 100000 states, more than the file has numbers"),
    (f"MARKOV\n1\n2\n{HUGE}\n1 0", ":4: the file claims 2^60 or more functions, more than it has numbers"),
    ("MARKOV\n1\n2\n1\n1 1\n2\n1 1", ":5: scope 0 names variable 1; the last one is 0"),
    ("MARKOV\n1\n2\n1\n2 0 0\n4\n1 1 1 1", ":5: scope 0 names variable 0 twice"),
    (f"MARKOV\n1\n2\n1\n{HUGE} 0", ":5: scope 0 needs 2^60 or more numbers, 1 are left"),
    ("MARKOV\n2\n2 3\n1\n2 0 1\n5\n1 1 1 1 1", ":6: table 0 claims 5 entries, its variables need 6"),
    (f"MARKOV\n2\n2 3\n1\n2 0 1\n{HUGE}\n1", ":6: table 0 claims 2^60 or more entries, its variables need 6"),
    ("MARKOV\n2\n2 3\n1\n2 0 1\n6\n1 1 1 1 1", ":7: table 0 needs 6 numbers, 5 are left; is the file cut short?"),
    ("MARKOV\n2\n2 3\n1\n2 0 1\n6\n1 1 1 1\n1 1 1\n", ":8: the last table is followed by 1 more number; are the"),
    ("MARKOV\n1\n2\n1\n1 0\n2\n1\n-1", ":8: '-1' is not a finite number ≥ 0"),
    ("MARKOV\n1\n2\n1\n1 0\n2\n1\nnan", ":8: 'nan' is not a finite number ≥ 0"),
    ("MARKOV\n1\n2\n1\n1 0\n2\n1\n1e400", ":8: '1e400' is not a finite number ≥ 0"),
    ("MARKOV\n1\n2\n1\n1 0\n2\n1\n1_0", ":8: '1_0' is not a number"),
    ("MARKOV\n1\n2\n1\n1 0\n2\n1\nx", ":8: 'x' is not a number"),
    ("BAYES\n1\n2\n1\n0\n1\n1", ":5: scope 0 is empty; in a BAYES file it ends with the child"),
    ("BAYES\n2\n2 2\n2\n1 0\n1 0\n2 .5 .5\n2 .5 .5", ":4: variable 0 is the last of two scopes; in a BAYES file"),
    ("BAYES\n2\n2 2\n1\n1 0\n2 .5 .5", ":4: some variable is the last of no scope; in a BAYES file"),
    ("BAYES\n2\n1 1\n2\n2 0 1\n2 1 0\n1 1\n1 1", ":8: the parents form a directed cycle: "),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[message[:60] for _, message in BAD])
def test_complaints_name_the_line_and_the_cause(text: str, message: str, tmp_path: Path) -> None:
    assert complaint(tmp_path / "net.uai", text).startswith(f"net.uai{message}")


def test_claims_are_checked_before_anything_is_allocated(tmp_path: Path) -> None:
    n = 5_000
    for text in (
        f"MARKOV\n{n}\n{'2 ' * n}\n1\n{n} {' '.join(map(str, range(n)))}\n{2**61}\n1",
        f"MARKOV\n{n}\n{'1000 ' * n}\n0\n",
        "MARKOV 1 2 1 1 0 2 1 " + "9" * 1_000_000,
        "MARKOV " + "1" * 1_000_000,
        "MARKOV " + "1 " * 500_000,
        f"MARKOV 1 1 {n} " + "0 " * n,
    ):
        complaint(tmp_path / "net.uai", text)
