"""Calls into the kernels, and what they ask meanwhile: a matrix product of NumPy, or whether to go on.

A kernel that runs for long asks every few hundredths of a second. Python then sees to its signals, as between two lines
of its own, and what they raise ends the call. ctypes prints what is raised in a function that C has called, and goes
on; here the call into the kernels raises it: no answer is made without a product that was interrupted.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from .forks import product_lock
from .threads import look_up

_pointer, _long = ctypes.c_void_p, ctypes.c_int64

CALLER = ctypes.CFUNCTYPE(None, _pointer)
"""The C type of the function that kernels ask, their last argument."""

NO_MEMORY, GIVEN_UP = -1, -2
"""What a kernel returns where the system has no more, and where a question was not answered."""

PIECE = 1 << 28
"""Multiply-adds of a product between two signals."""


class _Question(ctypes.Structure):
    _fields_ = [(name, _pointer) for name in "abc"] + [(name, _long) for name in ("batch", "m", "k", "n", "made")]


class Caller:
    """Whom the kernel of one call asks; `error` is what has ended it.

    A function checks for signals before its first line, where it can catch nothing yet. So C calls the `send` of a
    generator, which waits inside of its own ``try``.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.watch: Callable[[], None] | None = None
        answers = self._answers()
        next(answers)
        self.asked = CALLER(answers.send)

    def _answers(self) -> Generator[None, int, None]:
        question = _Question()
        try:
            while True:
                question = _Question.from_address((yield))
                _answer(question)
                if self.watch is not None:
                    self.watch()
        except GeneratorExit:
            return
        except BaseException as error:  # which may have struck after the answer
            self.error, question.made = error, 0
        yield  # nothing was called since the `except`, so that nothing else could strike

    def struck(self) -> BaseException:
        """What has ended the call, from now on with the one who raises it."""
        error, self.error = self.error, None
        return error or KeyboardInterrupt()


def _answer(question: _Question) -> None:
    if question.batch:
        _multiply(question)
    look_up()
    question.made = 1


def _multiply(question: _Question) -> None:
    """The product, in pieces of rows, and of columns where a few rows are long."""
    batch, m, k, n = question.batch, question.m, question.k, question.n
    a, b, c = _view(question.a, batch, m, k), _view(question.b, batch, k, n), _view(question.c, batch, m, n)
    width = max(PIECE // k // 64, 16)
    height = max(PIECE // k // min(width, n), 16)
    several = max(PIECE // k // n // m, 1)
    for i in range(0, batch, several):
        for row in range(0, m, height):
            for column in range(0, n, width):
                at = slice(i, i + several), slice(row, row + height), slice(column, column + width)
                with product_lock():
                    np.matmul(a[at[:2]], b[at[0], :, at[2]], out=c[at])


def _view(address: int, *shape: int) -> np.ndarray:
    return np.ctypeslib.as_array((ctypes.c_double * int(np.prod(shape))).from_address(address)).reshape(shape)


_idle: list[Caller] = []


def asking(kernel: Callable[..., int]) -> Callable[..., int]:
    """The kernel without its last argument, which every call has of its own: in any thread, also within another call.

    Calls raise what the caller raised when it was asked, and MemoryError where there is none left. `watch` is called
    whenever the kernel asks.
    """

    def call(*arguments: Any, watch: Callable[[], None] | None = None) -> int:
        try:
            caller = _idle.pop()
        except IndexError:
            caller = Caller()
        caller.watch = watch
        status = kernel(*arguments, caller.asked)
        if status < 0 or caller.error is not None:
            raise _failure(status, caller)
        _idle.append(caller)
        return status

    return call


def _failure(status: int, caller: Caller) -> BaseException:
    if status == GIVEN_UP or caller.error is not None:
        return caller.struck()
    return MemoryError("the system has no more memory for this call; give it a smaller budget, or less at once")
