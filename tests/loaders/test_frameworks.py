"""Loaders in the frameworks that users train with: Lightning, accelerate, torch.compile, autocast."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import tilth
from tilth.loaders import StreamLoader, TableLoader

ROWS, SIZE = 100, 16
STEPS = -(-ROWS // SIZE)

Make = Callable[..., Any]


@pytest.fixture(params=["table", "stream"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Make equal loaders of one kind; the first feature tells which row it is."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"row": np.arange(ROWS), "a": rng.normal(0, 1, ROWS), "y": np.arange(ROWS) % 2})
    told = {"batch_size": SIZE, "device": "cpu", "random_state": 3}
    if request.param == "table":
        return lambda **more: TableLoader(frame.drop("y"), frame["y"], **{**told, **more})
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=10)
    told |= {"slice_rows": 5, "buffer_rows": 40}
    return lambda **more: StreamLoader(tmp_path / "rows.parquet", "y", **{**told, **more})


def rows_of(loader: Any) -> list[list[int]]:
    return [batch[0][:, 0].int().tolist() for batch in loader]


# Lightning


@pytest.fixture(scope="module")
def lightning() -> Any:
    lightning = pytest.importorskip("lightning")
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return lightning


@pytest.fixture
def trainer(lightning: Any, tmp_path: Path) -> Callable[..., Any]:
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    quiet |= {"enable_model_summary": False, "accelerator": "cpu", "default_root_dir": tmp_path}
    return lambda **more: lightning.Trainer(**{**quiet, "max_epochs": 3, **more})


@pytest.fixture
def module(lightning: Any) -> Callable[[], Any]:
    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Linear(1, 2)
            self.seen: list[tuple[int, int, list[int]]] = []
            self.checked: list[int] = []

        def training_step(self, batch: tuple[Tensor, ...], number: int) -> Tensor:
            X, y = batch
            self.seen.append((self.current_epoch, number, X[:, 0].int().tolist()))
            return nn.functional.cross_entropy(self.net(X[:, 1:]), y)

        def validation_step(self, batch: tuple[Tensor, ...], number: int) -> None:
            self.checked += batch[0][:, 0].int().tolist()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    return Module


def test_lightning_trains_and_validates_on_every_row_in_the_order_of_each_epoch(
    make: Make, trainer: Make, module: Make
) -> None:
    model, loader = module(), make()
    trainer(num_sanity_val_steps=0).fit(model, loader, make(shuffle=False))
    own = make()
    expected = [batch for _ in range(3) for batch in rows_of(own)]
    assert [rows for _, _, rows in model.seen] == expected
    assert [(epoch, n) for epoch, n, _ in model.seen] == [(e, n) for e in range(3) for n in range(STEPS)]
    epochs = [expected[i * STEPS : (i + 1) * STEPS] for i in range(3)]
    assert all(sorted(row for batch in epoch for row in batch) == list(range(ROWS)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert model.checked == 3 * list(range(ROWS))


def test_lightning_resumes_in_mid_epoch_by_its_own_checkpoint(
    make: Make, trainer: Make, module: Make, lightning: Any, tmp_path: Path
) -> None:
    place = tmp_path / "middle.ckpt"

    class Saves(lightning.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == STEPS + 3:
                trainer.save_checkpoint(place)

    whole = module()
    trainer(callbacks=[Saves()]).fit(whole, make(), make(shuffle=False))
    resumed = module()
    # The file is our own: it holds no more than numbers and tensors, but in Lightning's classes.
    trainer().fit(resumed, make(), make(shuffle=False), ckpt_path=place, weights_only=False)
    assert resumed.seen == whole.seen[STEPS + 3 :]
    for a, b in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_lightning_takes_a_share_of_the_batches(make: Make, trainer: Make, module: Make) -> None:
    model = module()
    trainer(max_epochs=2, limit_train_batches=2, limit_val_batches=1).fit(model, make(), make(shuffle=False))
    first, second = make(), make()
    second.set_epoch(1)
    assert [rows for _, _, rows in model.seen] == rows_of(first)[:2] + rows_of(second)[:2]


# accelerate


@pytest.fixture
def accelerator() -> Any:
    accelerate = pytest.importorskip("accelerate")
    return lambda: accelerate.Accelerator(cpu=True)


def test_accelerate_hands_the_loader_on_as_it_is(make: Make, accelerator: Make) -> None:
    loader = make()
    net = nn.Linear(1, 2)
    prepared = accelerator().prepare(net, torch.optim.SGD(net.parameters(), 0.1), loader)
    assert prepared[2] is loader and rows_of(prepared[2]) == rows_of(make())


def test_accelerate_saves_and_resumes_the_place_in_an_epoch(
    make: Make, accelerator: Make, tmp_path: Path
) -> None:
    one, loader = accelerator(), make()
    one.register_for_checkpointing(loader)
    batches = iter(loader)
    for _ in range(3):
        next(batches)
    one.save_state(tmp_path / "state")
    two, again = accelerator(), make()
    two.register_for_checkpointing(again)
    two.load_state(tmp_path / "state")
    assert rows_of(again) == rows_of(batches)
    assert rows_of(again) == rows_of(loader)  # and both go on with the next epoch


# PyTorch itself


def network(width: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 2))


def test_a_compiled_model_is_compiled_no_more_often_than_with_torchs_loader(make: Make) -> None:
    from torch._dynamo.testing import CompileCounter

    def compiled(loader: Any) -> int:
        torch.compiler.reset()
        counter = CompileCounter()
        net = torch.compile(network(2), backend=counter)
        for _ in range(2):
            for X, y in loader:
                nn.functional.cross_entropy(net(X), y).backward()
        return int(counter.frame_count)

    peer = DataLoader(TensorDataset(torch.randn(ROWS, 2), torch.arange(ROWS) % 2), SIZE, shuffle=True)
    assert 1 <= compiled(make()) <= compiled(peer)
    assert compiled(make(drop_last=True)) == 1


def test_a_compiled_step_gives_what_the_step_gives(make: Make) -> None:
    def trained(compile: bool) -> Tensor:
        torch.compiler.reset()
        net = network(2)
        step = torch.compile(net, backend="aot_eager") if compile else net
        optimizer = torch.optim.SGD(net.parameters(), 0.01)
        for X, y in make():
            optimizer.zero_grad()
            nn.functional.cross_entropy(step(X / ROWS), y).backward()
            optimizer.step()
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    torch.testing.assert_close(trained(True), trained(False))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_training_in_mixed_precision_lowers_the_loss(make: Make, dtype: str) -> None:
    net = network(2)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    loader = make(dtype=dtype)
    losses = []
    for _ in range(20):
        for X, _ in loader:
            with torch.autocast("cpu", torch.bfloat16):
                out = net(X / X.new_tensor([ROWS, 1]))
                assert out.dtype == torch.bfloat16
                loss = nn.functional.cross_entropy(out.float(), (X[:, 1] > 0).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert np.mean(losses[-STEPS:]) < 0.5 * np.mean(losses[:STEPS])


def test_a_dataset_of_a_pipeline_feeds_torchs_loader_with_workers() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(ROWS, 3)), np.arange(ROWS) % 2
    dataset = tilth.Pipeline([tilth.ScaleStandard()]).fit(X, y).dataset(X, y)
    told: dict[str, Any] = {"batch_size": SIZE, "shuffle": True}
    expected = list(
        DataLoader(TensorDataset(*dataset.tensors), **told, generator=torch.Generator().manual_seed(1))
    )
    made = list(DataLoader(dataset, **told, num_workers=2, generator=torch.Generator().manual_seed(1)))
    assert all(
        torch.equal(a, b) for pair in zip(made, expected, strict=True) for a, b in zip(*pair, strict=True)
    )
