"""What training borrows from the process is given back, also after an error."""

import pytest
import torch

from tilth.errors import TilthError, UnknownName
from tilth.training import pick_device, seeded, threads


def test_auto_takes_an_accelerator_only_where_there_is_one():
    available = torch.cuda.is_available() or torch.backends.mps.is_available()
    assert (pick_device("auto").type == "cpu") is not available


def test_unknown_device_offers_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'cuda'"):
        pick_device("cudo")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_absent_device_is_refused_by_name():
    with pytest.raises(TilthError, match="'cuda:1' was asked for"):
        pick_device("cuda:1")


def test_seeded_repeats_inside_and_restores_outside():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with seeded(7):
        first = torch.rand(3)
    with pytest.raises(KeyError), seeded(7):
        assert torch.equal(torch.rand(3), first)
        raise KeyError
    assert torch.equal(torch.rand(3), expected)


def test_threads_are_restored_and_zero_is_refused():
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    with threads(None):
        assert torch.get_num_threads() == before
    with threads(-1):
        assert torch.get_num_threads() >= 1
    assert torch.get_num_threads() == before
    with pytest.raises(ValueError, match="n_jobs is 0"), threads(0):
        pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_seeded_restores_the_cuda_generator():
    before = torch.cuda.get_rng_state()
    with seeded(3, "cuda"):
        torch.rand(3, device="cuda")
    assert torch.equal(torch.cuda.get_rng_state(), before)
