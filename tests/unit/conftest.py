"""What several unit tests share."""

import pytest


@pytest.fixture(scope="module")
def one_thread():
    """Run torch on one thread, as sums are rounded by how they are split."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """A study in miniature; not to be changed."""
    import torch

    from toy import make

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = make(tmp_path_factory.mktemp("toy"))
    torch.set_num_threads(threads)
    return made
