"""Names in figures: always text and never mathematics, cut where they are long, in letters that some font has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

LETTERS = 28
"""A name has at most so many."""

FALLBACKS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Noto Sans JP", "Source Han Sans SC", "Source Han Sans"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "SimHei"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Arial Unicode MS", "Noto Sans"),
    *(
        "Noto Sans Arabic",
        "Noto Sans Hebrew",
        "Noto Sans Devanagari",
        "Noto Sans Thai",
        "Noto Emoji",
        "Segoe UI Symbol",
    ),
)
"""Fonts with the letters of many scripts; those that are installed are asked for what the usual font lacks."""

PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
"""How a name is drawn: a dollar sign is one."""


@cache
def _fonts() -> tuple[tuple[str, frozenset[int]], ...]:
    """The usual font and those of `FALLBACKS` that are installed, each with its letters."""
    from matplotlib import font_manager

    usual = font_manager.FontProperties().get_name()
    there = {font.name for font in font_manager.fontManager.ttflist}
    names = [usual, *(name for name in FALLBACKS if name in there and name != usual)]
    files = [font_manager.findfont(font_manager.FontProperties(family=[name])) for name in names]
    letters = (frozenset(font_manager.get_font(file).get_charmap()) for file in files)
    return tuple(zip(names, letters, strict=True))


def shown(name: Any, letters: int = LETTERS) -> str:
    r"""A name as it is drawn: without what no font has or nobody sees, which is told by its number, and not too long.

    >>> shown("a" * 30 + "z", 9), shown("tab\there")
    ('aaaa…aaaz', 'tab\\there')
    """
    whole = str(name)
    whole = whole if len(whole) <= 4 * letters else whole[: 2 * letters] + whole[-2 * letters :]
    drawn = [_letter(letter) for letter in whole]
    size = sum(map(len, drawn))
    if size <= letters:
        return "".join(drawn)
    return _first(drawn, letters // 2) + "…" + _first(drawn[::-1], letters - letters // 2 - 1, back=True)


def _letter(letter: str) -> str:
    return letter if letter.isascii() and letter.isprintable() else _letter_of_a_font(letter)


@lru_cache(4096)
def _letter_of_a_font(letter: str) -> str:
    there = letter.isprintable() and any(ord(letter) in known for _, known in _fonts())
    return letter if there else letter.encode("unicode_escape").decode()


def _first(drawn: Sequence[str], most: int, back: bool = False) -> str:
    """So many letters, none of them in part."""
    out: list[str] = []
    for own in drawn:
        most -= len(own)
        if most < 0:
            break
        out.append(own)
    return "".join(out[::-1] if back else out)


def families(text: str) -> list[str]:
    """The fonts that a text needs, the usual one first."""
    first, *others = _fonts()
    lacking = {ord(letter) for letter in text} - first[1] if not text.isascii() else set()
    out = [first[0]]
    for name, known in others:
        if lacking & known:
            out.append(name)
            lacking -= known
    return out


def plain(text: str) -> dict[str, Any]:
    """How a text is drawn as it is."""
    return {**PLAIN, "family": families(text)}


def name_axes(ax: Axes, x: Any = "", y: Any = "") -> None:
    """Names of axes; one that is empty stays."""
    for told, label in ((x, ax.set_xlabel), (y, ax.set_ylabel)):
        if text := shown(told, LETTERS * 3):
            label(text, **plain(text))


def put(ax: Axes, x: float, y: float, text: str, **style: Any) -> Text:
    """A text, as it is."""
    return ax.text(x, y, text, **plain(text), **style)


def name_ticks(axis: Any, places: Iterable[float], names: Iterable[Any], letters: int = LETTERS, **style: Any) -> None:
    """Names along an axis."""
    labels = [shown(name, letters) for name in names]
    axis.set_ticks(list(places), labels, **plain("".join(labels)), **style)


def name_legend(ax: Any, handles: Sequence[Any], names: Iterable[Any], **style: Any) -> None:
    """A legend with names."""
    labels = [shown(name) for name in names]
    legend = ax.legend(handles, [f" {label}" if label.startswith("_") else label for label in labels], **style)
    for text in legend.get_texts():
        text.update(plain(text.get_text()))


@lru_cache(1)
def _renderer() -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(1, 1, 720)


@lru_cache(16384)
def width_of(text: str, size: float, weight: str = "normal") -> float:
    """The width of a line of text in points."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties(family=families(text), size=size, weight=weight)
    return _renderer().get_text_width_height_descent(text, font, False)[0] / 10
