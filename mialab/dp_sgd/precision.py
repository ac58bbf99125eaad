"""Products of floats in full precision, whatever the global settings for TF32, bfloat16 and autocast are."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache

import torch


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Run a block in which products of floats are as precise as floats: the bounds rest on it."""
    lower = [(one, now) for one in _precisions(device) if (now := one.fp32_precision) not in ("none", "ieee")]
    autocast = torch.is_autocast_enabled(device.type)
    try:
        for one, _ in lower:
            one.fp32_precision = "ieee"
        with torch.autocast(device.type, enabled=False) if autocast else nullcontext():
            yield
    finally:
        for one, before in lower:
            one.fp32_precision = before


class _Older:
    """What torch before 2.9 has instead: one setting for products, and one for convolutions on a GPU."""

    @property
    def fp32_precision(self) -> str | tuple[str, bool]:
        """Return ``"ieee"``, or what is set."""
        now = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
        return "ieee" if now == ("highest", False) else now

    @fp32_precision.setter
    def fp32_precision(self, value: str | tuple[str, bool]) -> None:
        products, convolutions = ("highest", False) if isinstance(value, str) else value
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


@cache
def _precisions(device: torch.device) -> list:
    """List where torch keeps how precise products may be."""
    if not hasattr(torch.backends, "fp32_precision"):
        return [_Older()]
    libraries = [torch.backends.mkldnn]
    if device.type == "cuda":
        libraries = [torch.backends.cuda, torch.backends.cudnn]
    names = ("matmul", "conv", "rnn")
    found = [torch.backends, *libraries, *(getattr(one, name, None) for one in libraries for name in names)]
    return [one for one in found if hasattr(one, "fp32_precision")]
