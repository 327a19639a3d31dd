"""Train the network of `recipes/network.py` in Lightning, on rows that `recipes/network.yaml` prepares.

    pip install lightning
    python recipes/network_lightning.py --epochs 5
    python recipes/network_lightning.py --device cpu --devices 2

Lightning sets the epoch of the loaders and saves their place in its checkpoints, so that
``trainer.fit(..., ckpt_path=...)`` goes on in the middle of an epoch, with the batch that was next.
"""

from __future__ import annotations

import argparse
import logging

import lightning
import torch
from network import Network, loaders, network_for, prepared
from torch import Tensor, nn

from tilth.loaders import TableLoader


class Training(lightning.LightningModule):
    """Feed, train and validate."""

    net: Network

    def __init__(self) -> None:
        super().__init__()
        self.rows = prepared()

    def setup(self, stage: str) -> None:
        # Here, and not before: by now Lightning has started its processes, of which each takes its share.
        self.train_rows, self.test_rows = loaders(self.rows, device=self.trainer.strategy.root_device)

    def configure_model(self) -> None:
        if not hasattr(self, "net"):
            torch.manual_seed(0)
            self.net = network_for(self.train_rows)

    def train_dataloader(self) -> TableLoader:
        return self.train_rows

    def val_dataloader(self) -> TableLoader:
        return self.test_rows

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], number: int) -> Tensor:
        X, codes, y = batch
        return nn.functional.cross_entropy(self.net(X, codes), y)

    def validation_step(self, batch: tuple[Tensor, Tensor, Tensor], number: int) -> None:
        X, codes, y = batch
        right = (self.net(X, codes).argmax(1) == y).float().mean()
        self.log("accuracy", right, batch_size=len(y), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--device", default="auto", help="auto, cpu, gpu or mps, as Lightning names them")
    parser.add_argument("--devices", type=int, default=1, help="how many of them, one process for each")
    asked = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    trainer = lightning.Trainer(
        accelerator=asked.device,
        devices=asked.devices,
        max_epochs=asked.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    training = Training()
    trainer.fit(training)
    held_out = len(training.test_rows.dataset)
    if trainer.is_global_zero:
        print(f"accuracy {trainer.callback_metrics['accuracy']:.3f} on {held_out} test rows")


if __name__ == "__main__":
    main()
