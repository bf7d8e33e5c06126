"""Matrix products that the kernels ask of NumPy, and what strikes while one is made.

ctypes prints what is raised in a function that C has called, and goes on. Here it ends the run, and the call into the
kernels raises it: no answer is made without a product that was interrupted.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

_pointer, _long = ctypes.c_void_p, ctypes.c_int64

MATMUL = ctypes.CFUNCTYPE(None, _pointer)
"""The C type of the function that makes a product."""

GIVEN_UP = -2
"""What a kernel returns where a product was not made."""


class _Product(ctypes.Structure):
    _fields_ = [(name, _pointer) for name in "abc"] + [(name, _long) for name in ("batch", "m", "k", "n", "made")]


class Products:
    """The products of one run; `error` is what has ended it.

    A function checks for signals before its first line, where it can catch nothing yet. So C calls the `send` of a
    generator, which waits inside of its own ``try``.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        made = self._made()
        next(made)
        self.matmul = MATMUL(made.send)

    def _made(self) -> Generator[None, int, None]:
        try:
            while True:
                _make(_Product.from_address((yield)))
        except GeneratorExit:
            return
        except BaseException as error:
            self.error = error
        yield  # nothing was called since the `except`, so that nothing else could strike

    def struck(self) -> BaseException:
        """What has ended the run, from now on with the one who raises it."""
        error, self.error = self.error, None
        return error or KeyboardInterrupt()


def _make(product: _Product) -> None:
    batch, m, k, n = product.batch, product.m, product.k, product.n
    np.matmul(_view(product.a, batch, m, k), _view(product.b, batch, k, n), out=_view(product.c, batch, m, n))
    product.made = 1


def _view(address: int, *shape: int) -> np.ndarray:
    return np.ctypeslib.as_array((ctypes.c_double * int(np.prod(shape))).from_address(address)).reshape(shape)


_idle: list[Products] = []


def with_products(kernel: Callable[..., int], *arguments: Any) -> int:
    """What a kernel returns that takes, after these arguments, a function for its products.

    Raises what was raised in one. Every call has `Products` of its own, in whatever thread, also within another call.
    """
    try:
        products = _idle.pop()
    except IndexError:
        products = Products()
    status = kernel(*arguments, products.matmul)
    if status == GIVEN_UP:
        raise products.struck()
    _idle.append(products)
    return status
