"""Embed sentences by an encoder in a local folder: the mean over its words, of length 1."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tilth.errors import DataError, StageError

MOST_TOKENS = 512
"""Longer texts are cut, also where the model allows more: cost grows with the square of the length."""


def embed(texts: Sequence[str], model: str, device: str = "auto", batch_size: int = 64) -> np.ndarray:
    """Return one vector per text, float32 of shape (n_texts, width).

    Parameters
    ----------
    model : str
        A folder of an encoder and its tokenizer, as transformers saves them. Nothing is downloaded.
    device : str
        'auto' takes a GPU if there is one.
    batch_size : int
        Texts of about one length are embedded together.

    Raises
    ------
    DataError
        The folder holds no model.
    StageError
        transformers is not installed.
    """
    import torch

    from tilth.loaders.device import resolve_device

    tokenizer, encoder = _loaded(model)
    place = resolve_device(device)
    encoder.to(place)
    out = np.zeros((len(texts), width(model)), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), texts[i]))
    longest = min(tokenizer.model_max_length, _positions(encoder), MOST_TOKENS)
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            at = order[start : start + batch_size]
            told = tokenizer(
                [texts[i] for i in at], padding=True, truncation=True, max_length=longest, return_tensors="pt"
            ).to(place)
            states = encoder(**told).last_hidden_state.float()
            mask = told["attention_mask"].unsqueeze(-1).float()
            mean = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
            out[at] = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
    return out


def width(model: str) -> int:
    """Return how many numbers the model gives for a text."""
    return int(_loaded(model)[1].config.hidden_size)


def _positions(encoder: Any) -> int:
    # RoBERTa and its kin count positions from the padding on, so that two of them are no words.
    most = getattr(encoder.config, "max_position_embeddings", None) or MOST_TOKENS
    return (
        int(most) - 2
        if getattr(encoder.config, "model_type", "") in ("roberta", "xlm-roberta")
        else int(most)
    )


@lru_cache(maxsize=2)
def _loaded(model: str) -> tuple[Any, Any]:
    if not (Path(model) / "config.json").is_file():
        raise DataError(
            f"encode.text: '{model}' is no folder of a model (there is no config.json). Save an encoder and "
            "its tokenizer there with save_pretrained; nothing is downloaded."
        )
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise StageError(
            "encode.text: method 'sentence' needs transformers. Install it: pip install 'tilth[text]'"
        ) from error
    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    return tokenizer, AutoModel.from_pretrained(model, local_files_only=True).eval()
