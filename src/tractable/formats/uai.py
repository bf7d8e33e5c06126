"""UAI model files: a preamble of counts and scopes, then one table per function, all separated by white space.

Variables and states are named by their index. In a ``BAYES`` file the last variable of each scope is the child.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from tractable.formats._base import (
    BadNumberError,
    FormatError,
    Numbers,
    Source,
    amount,
    encoded,
    first_bad,
    line_of_word,
    repeated,
    shown,
)
from tractable.formats._networks import Families, check_learned, rows_of
from tractable.models import BayesianNetwork, MarkovNetwork, ModelError
from tractable.models.sparse_tables import held

FREE_STATES = 2**16
"""How many more states a file may declare than it has numbers: variables in no function need no table."""

_KINDS = ("BAYES", "MARKOV")
_SCOPE_OF_PYAGRUM = re.compile(r"^\d+(?: \d+)+ {3}# \S.*$", re.MULTILINE)
_COMMENT = re.compile(r"#[^\n]*|^c(?:[ \t][^\n]*)?$|/\*.*?(?:\*/|\Z)|//[^\n]*", re.MULTILINE | re.DOTALL)


def read(source: Source) -> BayesianNetwork | MarkovNetwork:
    """The network in a UAI file, named after the file."""
    words = _Words(source)
    sizes = words.sizes()
    scopes, starts = words.scopes(len(sizes)), []
    tables = [words.table(j, [sizes[v] for v in scope], starts) for j, scope in enumerate(scopes)]
    words.finish()
    names = {size: tuple(map(str, range(size))) for size in set(sizes)}
    states = {str(v): names[size] for v, size in enumerate(sizes)}
    if words.kind == "BAYES" and (found := _bayesian(words, states, scopes, tables, starts)):
        return found
    factors = [_factor(scope, table, sizes) for scope, table in zip(scopes, tables, strict=True)]
    try:
        return MarkovNetwork(states, factors, source.stem)
    except ModelError as error:
        raise source.error(error) from None


def _factor(scope: Sequence[int], table: np.ndarray, sizes: Sequence[int]) -> tuple[tuple[str, ...], Any]:
    return tuple(map(str, scope)), held(table, [sizes[v] for v in scope])


def _bayesian(
    words: _Words,
    states: dict[str, tuple[str, ...]],
    scopes: Sequence[Sequence[int]],
    tables: Sequence[np.ndarray],
    starts: Sequence[int],
) -> BayesianNetwork | None:
    """The network; none, and a warning, where rows do not sum to one: then the tables are factors like any others."""
    children = [str(scope[-1]) for scope in scopes if scope]
    if sorted(children) != sorted(states):
        extra = repeated(children)
        what = f"variable {extra} is the last of two scopes" if extra else "some variable is the last of no scope"
        cause = f"{what}; in a BAYES file each variable is the last of one scope: its parents come before it"
        raise words.error(cause, 1 + len(states))
    parents = {child: tuple(map(str, scope[:-1])) for child, scope in zip(children, scopes, strict=True)}
    start = dict(zip(children, starts, strict=True))
    families = Families(states, parents, dict(zip(children, tables, strict=True)))
    if (uneven := families.uneven()) and not words.source.normalize:
        child, row, total = uneven
        cause = f"a row of the table of variable {child} sums to {total:.6g}, not to 1: read as MARKOV, not as BAYES"
        words.source.warn(cause, words.line(start[child] + row * len(states[child])))
        return None
    _warn_of_pyagrum(words.source, parents)
    name = words.source.stem
    return families.network(words.source, name, lambda v, row: words.line(start[v] + row * len(states[v])))


def _warn_of_pyagrum(source: Source, parents: Mapping[str, Sequence[str]]) -> None:
    """Say that a file looks like one of pyAgrum, which has several parents in the opposite order."""
    if max(map(len, parents.values()), default=0) > 1 and "   # " in (text := source.text()):
        found = [*_SCOPE_OF_PYAGRUM.finditer(text)]
        if len(found) == len(parents):
            source.warn(
                "the names behind the scopes are pyAgrum's way, which has parents in the opposite order: read as the "
                "format says; a BIF file or tr.from_pyagrum keeps the network",
                1 + text.count("\n", 0, found[0].start()),
            )


def without_comments(text: str) -> str:
    """The text without comments in any of the forms that people write; its lines keep their numbers."""
    return _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)


class _Words:
    """The numbers of a file and a position in them; counts are checked against what is there before use."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text()
        if "#" in self.text or "c" in self.text or "/" in self.text:
            self.text = without_comments(self.text)
        head = re.match(r"\s*(\S*)", self.text)
        self.kind = head[1].upper() if head else ""
        if self.kind not in _KINDS:
            found = shown(head[1] if head else "")
            raise self.error(f"a UAI file begins with BAYES or MARKOV, found {found}; is it another format?", -1)
        self.at = 0
        try:
            self.values = Numbers().parse(self.text, head.end() if head else 0)
        except BadNumberError:
            raise self._bad_number() from None

    def _bad_number(self) -> FormatError:
        words = (found[0] for found in islice(re.finditer(r"\S+", self.text), 1, None))
        index, cause = first_bad(words) or (0, "not a number")
        return self.error(cause + "; tables are not logarithms" * ("'-" in cause), index)

    def line(self, index: int) -> int:
        """The line of a number, the keyword before them not counted."""
        return line_of_word(self.text, index + 1)

    def error(self, cause: object, index: int | None = None) -> FormatError:
        return self.source.error(cause, None if index is None else self.line(index))

    def take(self, count: int, what: str) -> np.ndarray:
        """The next numbers."""
        left = len(self.values) - self.at
        if count > left:
            raise self.error(f"{what} needs {amount(count)} numbers, {left} are left; is the file cut short?", self.at)
        self.at += count
        return self.values[self.at - count : self.at]

    def counts(self, count: int, what: str) -> list[int]:
        """The next numbers, which must be whole."""
        found = self.take(count, what).tolist()
        whole = list(map(int, found))
        if whole != found:
            index = next(k for k, number in enumerate(found) if whole[k] != number)
            raise self.error(f"expected a count for {what}, found {found[index]:g}", self.at - count + index)
        return whole

    def sizes(self) -> list[int]:
        (n,) = self.counts(1, "the number of variables")
        sizes = self.counts(n, "the list of numbers of states")
        if 0 in sizes:
            raise self.error(f"variable {sizes.index(0)} has no states; give it at least one", 1 + sizes.index(0))
        if sum(sizes) > len(self.values) + FREE_STATES:
            widest = max(range(n), key=sizes.__getitem__)
            cause = f"variable {widest} claims {amount(sizes[widest])} states, more than the file has numbers"
            raise self.error(cause, 1 + widest)
        return sizes

    def scopes(self, n: int) -> list[list[int]]:
        (n_functions,) = self.counts(1, "the number of functions")
        if n_functions > len(self.values) - self.at:
            raise self.error(f"the file claims {amount(n_functions)} functions, more than it has numbers", self.at - 1)
        return [self._scope(j, n) for j in range(n_functions)]

    def _scope(self, j: int, n: int) -> list[int]:
        start = self.at
        (width,) = self.counts(1, f"the width of scope {j}")
        scope = self.counts(width, f"scope {j}")
        if scope and max(scope) >= n:
            raise self.error(f"scope {j} names variable {amount(max(scope))}; the last one is {n - 1}", start)
        if len(set(scope)) != width:
            raise self.error(f"scope {j} names variable {repeated(map(str, scope))} twice", start)
        if not scope and self.kind == "BAYES":
            raise self.error(f"scope {j} is empty; in a BAYES file it ends with the child", start)
        return scope

    def table(self, j: int, sizes: Sequence[int], starts: list[int]) -> np.ndarray:
        """The entries of function `j`, flat; where they start is noted in `starts`."""
        (claimed,), needed = self.counts(1, f"the number of entries of table {j}"), math.prod(sizes)
        if claimed != needed:
            raise self.error(
                f"table {j} claims {amount(claimed)} entries, its variables need {amount(needed)}", self.at - 1
            )
        starts.append(self.at)
        return self.take(needed, f"table {j}")

    def finish(self) -> None:
        if left := len(self.values) - self.at:
            cause = f"the last table is followed by {left} more number{'s' * (left > 1)}; are the counts right?"
            raise self.error(f"{cause} Evidence has a file of its own, .evid", self.at)


def write(model: BayesianNetwork | MarkovNetwork) -> bytes:
    """A network as UAI; names are lost, numbers are not."""
    if getattr(model, "family", None) != "tables":
        raise ModelError(f"a {type(model).__name__} cannot be written as .uai; write .safetensors instead")
    check_learned(model, ".uai")
    packed, sparse = model.outline, model.sparse
    scopes = [packed.scope(j).tolist() for j in range(packed.n_factors)]
    kind = "BAYES" if isinstance(model, BayesianNetwork) else "MARKOV"
    lines = [kind, str(len(packed.sizes)), " ".join(map(str, packed.sizes)), str(len(scopes))]
    lines += [" ".join(map(str, [len(scope), *scope])) for scope in scopes]
    for j, scope in enumerate(scopes):
        table = sparse[j] if j in sparse else packed.table(j)
        lines += ["", str(table.size)]
        for rows in rows_of(table, int(packed.sizes[scope[-1]]) if scope else 1):
            lines += ["\n".join(" ".join(map(repr, row)) for row in rows.tolist())]
    return encoded("\n".join(lines) + "\n")
