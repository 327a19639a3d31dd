"""The one torch trainer, the networks it trains, and what they need from the machine."""

from tilth.training.adversarial import Adversary
from tilth.training.autoencoder import reconstruct, reconstruction_errors, train_autoencoder
from tilth.training.codes import Layout, divergence, principal, train_codes
from tilth.training.coding import decode, encode
from tilth.training.examination import Examination, examine, examined
from tilth.training.health import CODES, diagnose
from tilth.training.inference import outputs
from tilth.training.losses import LOSSES, cross_entropy, squared_error
from tilth.training.measuring import measure
from tilth.training.networks import ACTIVATIONS, INITIALIZATIONS, Dropout, initialize, mlp
from tilth.training.optimizers import OPTIMIZERS, SCHEDULES
from tilth.training.progress import Progress
from tilth.training.recording import Recorder
from tilth.training.restored import lost, lost_at_all
from tilth.training.runtime import pick_device, seeded, threads
from tilth.training.source import Resident, Source
from tilth.training.split import inner_split
from tilth.training.stream import Stream
from tilth.training.trainer import Epoch, Trainer
from tilth.training.vitals import Columns, Vitals
from tilth.training.watch import Watch

__all__ = [
    "ACTIVATIONS",
    "CODES",
    "INITIALIZATIONS",
    "LOSSES",
    "OPTIMIZERS",
    "SCHEDULES",
    "Adversary",
    "Columns",
    "Dropout",
    "Epoch",
    "Examination",
    "Layout",
    "Progress",
    "Recorder",
    "Resident",
    "Source",
    "Stream",
    "Trainer",
    "Vitals",
    "Watch",
    "cross_entropy",
    "decode",
    "diagnose",
    "divergence",
    "encode",
    "examine",
    "examined",
    "initialize",
    "inner_split",
    "lost",
    "lost_at_all",
    "measure",
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
