"""The one torch trainer, the networks it trains, and what they need from the machine."""

from tilth.training.autoencoder import reconstruct, reconstruction_errors, train_autoencoder
from tilth.training.codes import Layout, divergence, principal, train_codes
from tilth.training.coding import decode, encode
from tilth.training.losses import LOSSES, cross_entropy, squared_error
from tilth.training.networks import ACTIVATIONS, Dropout, initialize, mlp
from tilth.training.progress import Progress
from tilth.training.restored import lost, lost_at_all
from tilth.training.runtime import pick_device, seeded, threads
from tilth.training.source import Resident, Source
from tilth.training.split import inner_split
from tilth.training.stream import Stream
from tilth.training.trainer import Epoch, Trainer, outputs

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "Dropout",
    "Epoch",
    "Layout",
    "Progress",
    "Resident",
    "Source",
    "Stream",
    "Trainer",
    "cross_entropy",
    "decode",
    "divergence",
    "encode",
    "initialize",
    "inner_split",
    "lost",
    "lost_at_all",
    "mlp",
    "outputs",
    "pick_device",
    "principal",
    "reconstruct",
    "reconstruction_errors",
    "seeded",
    "squared_error",
    "threads",
    "train_autoencoder",
    "train_codes",
]
