"""A notebook: a real kernel whose cells predict, restarted and shut down as a person does it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager
from program import PROGRAMS, environment, made_of, settled
from running import Running

pytestmark = pytest.mark.e2e
CELL = "import ledger; ledger.predict(300)"
AGAIN = "ledger.predict(200)"
KERNEL_S = 30


class Notebook:
    """A kernel, and what its cells predicted."""

    def __init__(self, folder: Path, model: str, endpoint: str) -> None:
        self.model, self.account = model, folder / "account"
        self.manager = KernelManager(kernel_name="python3")
        self.manager.kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.manager.start_kernel(env=environment(endpoint, model, self.account), cwd=str(PROGRAMS))

    def run(self, cell: str) -> None:
        """Run a cell to its end."""
        client = self.manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(KERNEL_S)
        answer = client.execute(cell, reply=True, timeout=KERNEL_S)
        client.stop_channels()
        assert answer["content"]["status"] == "ok", answer["content"]


@pytest.fixture
def notebook(receiver: Running, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    one = Notebook(tmp_path, request.node.name, f"http://{receiver.grpc}")
    yield one
    one.manager.shutdown_kernel(now=True)


def all_counted(receiver: Running, notebook: Notebook) -> bool:
    made = made_of(notebook.account).ended
    return settled(receiver, notebook.model, made) == made > 0


def test_a_kernel_that_is_restarted(receiver: Running, notebook: Notebook) -> None:
    notebook.run(CELL)
    notebook.manager.restart_kernel()
    notebook.run(CELL)
    assert all_counted(receiver, notebook)


def test_a_kernel_that_is_shut_down(receiver: Running, notebook: Notebook) -> None:
    notebook.run(CELL)
    notebook.run(AGAIN)
    notebook.manager.shutdown_kernel()
    assert all_counted(receiver, notebook)


def test_a_kernel_that_is_interrupted_goes_on(receiver: Running, notebook: Notebook) -> None:
    notebook.run(CELL)
    notebook.manager.interrupt_kernel()
    notebook.run(AGAIN)
    notebook.manager.shutdown_kernel()
    assert all_counted(receiver, notebook)
