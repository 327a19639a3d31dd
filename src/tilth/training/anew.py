"""A network of the user's, begun anew: its weights drawn by a seed, whatever it had learned before."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer

from tilth.errors import DataError, listed
from tilth.training.runtime import seeded

CALLABLE = "a callable (n_inputs, n_outputs) that returns the module"


def begun(
    module: nn.Module | Callable[[int, int], nn.Module], few: Tensor, outputs: int, seed: int
) -> nn.Module:
    """Return a network that begins from weights drawn by a seed, on the CPU, in float32.

    Parameters
    ----------
    module : nn.Module or callable
        A module is copied, its lazy layers take their shapes from `few`, and each of its layers draws its
        weights anew by ``reset_parameters``. A callable takes the size of the second axis of `few`, and
        `outputs`; what it returns is copied, and begins as it is.
    few : Tensor of shape (n_rows, ...)
        Rows as the network is to get them.
    outputs : int
        Numbers that it is to answer per row.
    seed : int
        torch's global random state is left as it was.

    Raises
    ------
    DataError
        There is nothing to train, weights that cannot be drawn anew, or answers of another shape.
    """
    prototype = isinstance(module, nn.Module)
    with seeded(seed):
        made = module if isinstance(module, nn.Module) else _called(module, few.shape[1], outputs)
        network = _copied(made).to("cpu", torch.float32)
        # A pass first: lazy layers have no weights before it.
        answer = _answer(network, few)
    _check(answer, (len(few), outputs))
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise DataError(
            "Network: the module has no weights to train: none of its parameters requires a gradient."
        )
    if prototype:
        fixed = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
        if fixed:
            raise DataError(
                f"Network: the module holds weights that are not to be trained ({listed(fixed)}), and a "
                f"module begins from weights drawn anew. Where they are to stay, pass {CALLABLE} with them."
            )
        if left := draw_anew(network, seed):
            raise DataError(
                f"Network: the module's parameters {listed(left)} cannot be drawn anew, since no "
                "reset_parameters() sets them: what they have learned may be of rows that are held out. Give "
                f"the layer that holds them a reset_parameters(), or pass {CALLABLE}."
            )
    return network


def draw_anew(network: nn.Module, seed: int, device: torch.device | str = "cpu") -> list[str]:
    """Draw the weights anew, in place, as each layer does by itself.

    Parameters
    ----------
    network : nn.Module
        Without lazy layers that have no shape yet.
    seed : int
        torch's global random state is left as it was.
    device : torch.device or str, default "cpu"
        Where the network lies.

    Returns
    -------
    list of str
        Parameters that no layer has drawn: they are as they were.
    """
    # torch counts how often a tensor was written to.
    before = {name: parameter._version for name, parameter in network.named_parameters()}
    with seeded(seed, device):
        for module in network.modules():
            # Attention and whole transformers name it as private.
            for name in ("reset_parameters", "_reset_parameters"):
                reset = getattr(module, name, None)
                if callable(reset):
                    reset()
                    break
    return [name for name, parameter in network.named_parameters() if parameter._version == before[name]]


def _copied(module: nn.Module) -> nn.Module:
    # torch cannot copy buffers that have no shape yet, as those of a lazy batch norm.
    shapeless = [buffer for buffer in module.buffers() if isinstance(buffer, UninitializedBuffer)]
    make: Any = UninitializedBuffer  # whose signature is not declared
    known = {id(each): make(device=each.device, dtype=each.dtype) for each in shapeless}
    return copy.deepcopy(module, known)


def _called(module: Callable[[int, int], nn.Module], inputs: int, outputs: int) -> nn.Module:
    try:
        signature(module).bind(inputs, outputs)
    except TypeError as error:
        raise DataError(
            f"Network: pass a module, or {CALLABLE}. What was passed cannot be called so: {error}."
        ) from error
    except ValueError:  # what is written in C may have no signature
        pass
    made = module(inputs, outputs)
    if not isinstance(made, nn.Module):
        raise DataError(
            f"Network: called with ({inputs}, {outputs}), what was passed returned a {type(made).__name__}. "
            "It must return a torch.nn.Module."
        )
    return made


def _answer(network: nn.Module, few: Tensor) -> Any:
    network.eval()
    try:
        with torch.no_grad():
            answer = network(few)
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        raise DataError(
            f"Network: the module cannot take a batch of shape {tuple(few.shape)}: {error}. Fit its first "
            f"layer to that, such as by nn.LazyLinear or nn.LazyConv2d, or pass {CALLABLE}."
        ) from error
    network.train()
    return answer


def _check(answer: Any, shape: Sequence[int]) -> None:
    """Raise where a network does not answer in this shape; of one number per row, (n_rows,) will do."""
    rows, outputs = shape
    if not isinstance(answer, Tensor):
        raise DataError(f"Network: the module must return one tensor; it returned a {type(answer).__name__}.")
    if tuple(answer.shape) == (rows, outputs) or (outputs == 1 and tuple(answer.shape) == (rows,)):
        return
    wanted = "one value per row" if outputs == 1 else f"one logit for each of {outputs} classes"
    raise DataError(
        f"Network: the module answers a batch of {rows} rows in shape {tuple(answer.shape)}; it must be "
        f"{(rows, outputs)}: {wanted}. Fit its last layer to that, or pass {CALLABLE}."
    )
