"""What training borrows from the process and gives back: a device, random numbers, threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tilth.errors import TilthError, UnknownName

DEVICES = ("auto", "cuda", "mps", "cpu")


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """Return the torch device to train on.

    Parameters
    ----------
    device : {"auto", "cuda", "cuda:N", "mps", "cpu"} or torch.device
        ``"auto"`` takes CUDA where there is one, then Apple's MPS, then the CPU.

    Raises
    ------
    UnknownName
        The word names no device.
    TilthError
        The device is known, but this machine does not have it.

    Examples
    --------
    >>> pick_device("cpu")
    device(type='cpu')
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = str(device)
    if name == "auto":
        return torch.device(next(kind for kind, here in available.items() if here))
    kind = name.partition(":")[0]
    if kind not in available:
        raise UnknownName.among("device", name, DEVICES)
    if not available[kind]:
        raise TilthError(
            f"Device '{name}' was asked for, but torch finds none here. Use device='auto' or 'cpu'."
        )
    return torch.device(name)


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seed torch's random numbers inside the block, and put back the caller's afterwards.

    Only the CPU's and the given device's generators are touched: `torch.manual_seed` would also reseed every
    other device of the process, for good.

    Parameters
    ----------
    seed : int
        At least 0 and below 2**63.
    device : torch.device or str, default "cpu"
        The device whose generator (dropout, for instance) is seeded beside the CPU's.
    """
    device = torch.device(device)
    before = torch.random.get_rng_state()
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.random.set_rng_state(before)
        return
    module = torch.get_device_module(device)
    # MPS has one device and takes no index.
    where = (device,) if device.type == "cuda" else ()
    before_there = module.get_rng_state(*where)
    torch.default_generator.manual_seed(seed)
    with torch.cuda.device(device if device.type == "cuda" else None):
        module.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(before)
        module.set_rng_state(before_there, *where)


@contextmanager
def threads(n_jobs: int | None) -> Iterator[None]:
    """Let torch use `n_jobs` CPU threads inside the block, and its former number afterwards.

    Parameters
    ----------
    n_jobs : int or None
        Threads; -1 for one per core; None leaves torch's number as it is.
    """
    if n_jobs is None:
        yield
        return
    if n_jobs == 0:
        raise ValueError("n_jobs is 0; give a number of threads, -1 for one per core, or None.")
    before = torch.get_num_threads()
    torch.set_num_threads(n_jobs if n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + n_jobs))
    try:
        yield
    finally:
        torch.set_num_threads(before)
