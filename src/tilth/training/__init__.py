"""The one torch trainer, the networks it trains, and what they need from the machine."""

from tilth.training.autoencoder import reconstruct, reconstruction_errors, train_autoencoder
from tilth.training.losses import LOSSES, cross_entropy, squared_error
from tilth.training.networks import ACTIVATIONS, Dropout, initialize, mlp
from tilth.training.runtime import pick_device, seeded, threads
from tilth.training.split import inner_split
from tilth.training.trainer import Epoch, Trainer, outputs

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "Dropout",
    "Epoch",
    "Trainer",
    "cross_entropy",
    "initialize",
    "inner_split",
    "mlp",
    "outputs",
    "pick_device",
    "reconstruct",
    "reconstruction_errors",
    "seeded",
    "squared_error",
    "threads",
    "train_autoencoder",
]
