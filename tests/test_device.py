"""Which device and dtype are chosen: `pytest tests/test_device.py`. CUDA and MPS are stand-ins here."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers.device import choose_device
from helpers.memory import available_memory


@pytest.fixture
def gpu(monkeypatch):
    """Make torch report a GPU of a given compute capability."""

    def pretend(capability: tuple[int, int], name: str = "Tesla T4") -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)

    return pretend


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_a_cpu_never_gets_half_precision(no_gpu):
    choice = choose_device()
    assert (choice.device.type, choice.dtype) == ("cpu", torch.float32)
    assert "float32" in choice.reason


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((7, 5), torch.float16), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)],
)
def test_a_gpu_gets_the_half_precision_it_has(gpu, capability, dtype):
    gpu(capability)
    choice = choose_device()
    assert (choice.device.type, choice.dtype) == ("cuda", dtype)
    assert "Tesla T4" in choice.reason and f"{capability[0]}.{capability[1]}" in choice.reason


def test_the_cpu_can_be_asked_for_beside_a_gpu(gpu):
    gpu((8, 0))
    assert choose_device("cpu").dtype == torch.float32


def test_mps_is_used_only_when_asked_for(no_gpu, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device().device.type == "cpu"
    assert "MPS" in choose_device().reason
    choice = choose_device("mps")
    assert (choice.device.type, choice.dtype) == ("mps", torch.float32)


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", 3.5, "meta"])
def test_an_unknown_device_is_named_with_what_is_allowed(no_gpu, device):
    with pytest.raises(ValueError, match="cpu") as caught:
        choose_device(device)
    assert repr(device).strip("'\"") in str(caught.value)


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps"])
def test_a_missing_device_is_refused(no_gpu, monkeypatch, device):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=device):
        choose_device(device)


def test_a_gpu_number_that_is_not_there_is_refused(gpu):
    gpu((7, 5))
    with pytest.raises(ValueError, match="cuda:1"):
        choose_device("cuda:1")


@pytest.mark.parametrize(
    ("unit", "parameters", "dtype"),
    [
        ("amx_bf16", 1_300_000_000, torch.bfloat16),
        ("avx512_bf16", 1_300_000_000, torch.bfloat16),
        (None, 1_300_000_000, torch.float32),
        ("amx_bf16", 7_000_000, torch.float32),
    ],
)
def test_a_cpu_runs_in_bfloat16_only_with_units_for_it_and_a_large_model(
    no_gpu, monkeypatch, tmp_path, unit, parameters, dtype
):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags\t\t: fpu avx2 avx512f {unit or ''} avx512_vnni\n", "utf-8")
    monkeypatch.setattr("helpers.device.Path", lambda path: cpuinfo)
    choice = choose_device(parameters=parameters)
    assert choice.dtype == dtype
    assert str(dtype).removeprefix("torch.") in choice.reason
    assert (unit or "AMX") in choice.reason or parameters < 1e9


def test_free_memory_is_no_more_than_the_machine_has():
    import psutil

    free = available_memory(torch.device("cpu"))
    assert 0 < free <= psutil.virtual_memory().total


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_a_limit_of_the_process_counts(limit):
    code = (
        "import resource, types\n"
        f"resource.setrlimit(resource.{limit}, (2 * 10**9, resource.RLIM_INFINITY))\n"
        "from helpers.memory import available_memory\n"
        "print(available_memory(types.SimpleNamespace(type='cpu')))\n"
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert 1e9 < int(done.stdout) < 2e9
