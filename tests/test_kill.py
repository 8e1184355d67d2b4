"""kill -9 at random moments: the checkpoint is always whole, and the resumed run ends with the same bits."""

from __future__ import annotations

import random
import time

import pytest
from command import TINY, run, start

from fastrnn import checkpoint
from fastrnn.models import LanguageModel

# A checkpoint after every step, so that many of the kills hit a write.
ARGS = [*TINY, "--dropout", "0.2", "--checkpoint-every", "0", "--sample", "0"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    begin = time.monotonic()
    code, _, err = run(folder, "train", *ARGS)
    assert code == 0, err
    return LanguageModel.load(folder / "fastrnn.ckpt").flat_params.tobytes(), time.monotonic() - begin


def _kills(folder, unbroken, count: int, seed: int) -> None:
    """Start or resume, kill after a random while, look at the file; begin anew when a run has ended."""
    bits, seconds = unbroken
    path, draw, done, finished = folder / "fastrnn.ckpt", random.Random(seed), 0, 0
    while done < count or not finished:
        resumed = path.exists()
        process = start(
            folder, "train", *(["--resume", "--checkpoint-every", "0", "--sample", "0"] if resumed else ARGS)
        )
        if done < count:
            time.sleep(draw.uniform(0.0, seconds))
            process.kill()
        _, err = process.communicate(timeout=120)
        done += process.returncode == -9
        assert process.returncode in (0, -9), err
        if path.exists():
            tree = checkpoint.load(path)
            assert tree["training"]["info"]["hidden"] == 16
            if tree["training"]["finished"]:
                assert tree["model"]["parameters"].tobytes() == bits
                finished += 1
                path.unlink()


def test_a_few_kills(tmp_path, unbroken):
    _kills(tmp_path, unbroken, 5, seed=1)


@pytest.mark.heavy
def test_two_hundred_kills(tmp_path, unbroken):
    _kills(tmp_path, unbroken, 200, seed=2)
