"""Streams that cannot show every character: arrows, dashes and Greek letters are written in ASCII, names escaped."""

from __future__ import annotations

import codecs
import os
import unicodedata
from io import TextIOWrapper

NAME = "tractable-ascii"
"""ASCII under a name of its own: the argument parser writes UTF-8 where it finds plain ASCII."""

WRITTEN = {"−": "-", "–": "-", "—": "-", "…": "...", "→": "->", "←": "<-", "×": "x", "·": "*", "≥": ">=", "≤": "<="}
WRITTEN |= {"≠": "!=", "±": "+/-", "∞": "inf", "µ": "u", "²": "^2", "½": "1/2", "ᵀ": "^T", "Σ": "sum", "∏": "prod"}
WRITTEN |= {"\u0303": "~", "\u0304": "-", "∂": "d", "∇": "grad ", "─": "-", "━": "-"}
WRITTEN |= dict.fromkeys("█▉▊▋▌", "#") | dict.fromkeys("▍▎▏", " ") | {"▒": "="}


def needed(stream: TextIOWrapper) -> bool:
    """Whether a stream cannot show every character, or is told not to by ``LC_ALL=C``."""
    plain = os.environ.get("LC_ALL") in ("C", "POSIX") and not {"PYTHONUTF8", "PYTHONIOENCODING"} & os.environ.keys()
    return plain or not codecs.lookup(stream.encoding).name.startswith("utf")


def prepare(stream: TextIOWrapper) -> None:
    """Write to a stream what it has no characters for in others."""
    codecs.register_error(NAME, _replaced)
    codecs.register(lambda name: CODEC if name.replace("_", "-") == NAME else None)
    own = codecs.lookup(stream.encoding).name
    stream.reconfigure(encoding=NAME if own in ("ascii", "utf-8") else own, errors=NAME)


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_written, error.object[error.start : error.end])), error.end


def _written(character: str) -> str:
    """The character in ASCII: one of ours in words, one of a name escaped."""
    if character in WRITTEN:
        return WRITTEN[character]
    kind, _, letter = unicodedata.name(character, "").rpartition(" LETTER ")
    if kind.startswith("GREEK") and letter.isalpha():
        return letter.lower() if "SMALL" in kind else letter.capitalize()
    return character.encode("ascii", "backslashreplace").decode()


def _encode(text: str, errors: str = NAME) -> tuple[bytes, int]:
    return text.encode("ascii", NAME), len(text)


class _Encoder(codecs.IncrementalEncoder):
    def encode(self, input: str, final: bool = False) -> bytes:
        return _encode(input)[0]


CODEC = codecs.CodecInfo(_encode, codecs.ascii_decode, incrementalencoder=_Encoder, name=NAME)
