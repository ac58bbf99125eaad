"""Norms and sums of floats, with a limit to what rounding can do to them.

Let u be half the distance from 1 to the next float, and γ_n = n·u/(1 − n·u): in whatever order n rounded
operations are done, a sum of products errs by at most γ_n times the sum of their sizes (Higham 2002, §3.1).
A norm is the root of a sum of squares, where nothing cancels: the true one is at most (1 + γ_n) times what
was computed. One sum over rows and one over columns keep n small.

A sum over records is a sum of floats too, and a record that joins it changes the order and the partial sums
of all others. So no sum is long: see `dp_sgd.clipping`.
"""

import math

import torch
from torch import Tensor

_FEW = 256  # records whose gradients are added up in the precision they have; of more, blocks
_BLOCK = 64  # of so many
_ROWS = 2**11  # rows of a product that are added up in the precision they have
_LONG = 2**13  # numbers in a row whose squares are


def gamma(operations: int, dtype: torch.dtype) -> float:
    """Return γ_n = n·u/(1 − n·u), and infinity where n·u is too large for it to say anything."""
    spent = operations * torch.finfo(dtype).eps / 2
    return spent / (1 - spent) if spent < 0.5 else math.inf


def norm_bounds(vectors: Tensor) -> Tensor:
    """Return upper bounds on the norms of the vectors (records, …), given how their norms are rounded.

    First over the last axis, then over what is left, in double precision. The 8 is for the roots, the last
    roundings, and those of the record's factor and of the product with it. A square below the smallest float
    may be lost.
    """
    rows = vectors.flatten(2) if vectors.ndim > 2 else vectors
    inner = rows.shape[-1]
    if inner > _LONG:  # slow, and seldom
        norms, inner = torch.linalg.vector_norm(rows, dim=-1, dtype=torch.float64), 0
    else:
        norms = torch.linalg.vector_norm(rows, dim=-1)
    if norms.ndim > 1:
        norms = torch.linalg.vector_norm(norms, dim=1, dtype=torch.float64)
    lost = (rows[0].numel() * torch.finfo(vectors.dtype).tiny) ** 0.5
    many = gamma(sum(rows.shape[1:]), torch.float64)  # what is added up in double precision
    return norms.to(vectors.dtype).add_(lost).mul_(1 + gamma(inner + 8, vectors.dtype) + many)


def weighted_sum(weights: Tensor, rows: Tensor) -> Tensor:
    """Return the sum of (records, …) over records, each times its weight.

    If they are many, in blocks, whose sums are added up, and stay, in double precision: else a record that
    joins would move the rounding of a long sum by more than is counted for it.
    """
    flat, whole = rows.reshape(len(rows), -1), len(rows) - len(rows) % _BLOCK
    if len(rows) <= _FEW or not flat.shape[1]:
        return (weights @ flat).view(rows.shape[1:])
    blocks = torch.bmm(weights[:whole].view(-1, 1, _BLOCK), flat[:whole].view(-1, _BLOCK, flat.shape[1]))
    total = blocks.squeeze(1).sum(0, dtype=torch.float64) + weights[whole:] @ flat[whole:]
    return total.view(rows.shape[1:])


def product_of_rows(left: Tensor, right: Tensor) -> Tensor:
    """Return leftᵀ · right over many rows: in blocks, whose products are added up in double precision."""
    if len(left) <= _ROWS:
        return left.T @ right
    total = torch.zeros(left.shape[1], right.shape[1], dtype=torch.float64, device=left.device)
    for some, others in zip(left.split(_ROWS), right.split(_ROWS), strict=True):
        total += some.T @ others
    return total
