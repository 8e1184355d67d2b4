"""The command line: what it prints and where, its exit codes, and one clear line for every error."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from command import SCRIPT, TEXT, TINY, run, start

from fastrnn import _run, checkpoint
from fastrnn.cli import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, *run(folder, "train", *TINY, "--sample", "30")


def test_training_prints_results_to_stdout_and_progress_to_stderr(trained):
    folder, code, out, err = trained
    assert code == 0, err
    loss, ngram = (
        float(re.search(rf"{name} +([\d.]+) nats/character", out)[1]) for name in ("loss", "model")
    )
    verdict, difference = re.search(
        r"LSTM is (\w+) than the 6-gram model by ([\d.]+) nats/character", out
    ).groups()
    assert verdict == ("better" if loss < ngram else "worse")
    assert float(difference) == pytest.approx(abs(loss - ngram), abs=2e-4)  # four decimals are printed
    assert "--- a sample of 30 characters ---" in out
    assert "epoch 2/2  loss" in err
    assert "epoch" not in out
    assert sorted(os.listdir(folder)) == ["fastrnn.ckpt", "text.txt"]


def test_a_checkpoint_is_not_overwritten_by_accident(trained):
    folder, *_ = trained
    before = (folder / "fastrnn.ckpt").read_bytes()
    code, out, err = run(folder, "train", *TINY)
    assert (code, out) == (2, "")
    assert err == (
        "fastrnn: error: fastrnn.ckpt exists: go on with --resume, or give --checkpoint PATH or --overwrite\n"
    )
    assert (folder / "fastrnn.ckpt").read_bytes() == before
    code, _, err = run(folder, "train", *TINY, "--overwrite", "--sample", "0")
    assert code == 0, err
    assert (folder / "fastrnn.ckpt").read_bytes() == before  # the same run, the same bits


def test_resuming_a_finished_run_says_so(trained):
    folder, *_ = trained
    before = (folder / "fastrnn.ckpt").read_bytes()
    assert run(folder, "train", "--resume")[:2] == (
        0,
        "The run in fastrnn.ckpt is finished; nothing to resume.\n",
    )
    assert (folder / "fastrnn.ckpt").read_bytes() == before


def test_a_time_limit_and_then_the_same_bits(trained, tmp_path):
    folder, *_ = trained
    code, out, err = run(tmp_path, "train", *TINY, "--time-limit", "0", "--checkpoint", "b c")
    assert code == 0, err
    assert "time limit reached; go on with: fastrnn train --resume --checkpoint 'b c'" in err
    assert "held-out loss" in out
    assert checkpoint.load(tmp_path / "b c")["training"]["steps_done"] == 1
    code, _, err = run(tmp_path, "train", "--resume", "--checkpoint", "b c", "--threads", "1")
    assert code == 0, err
    ours, theirs = checkpoint.load(tmp_path / "b c"), checkpoint.load(folder / "fastrnn.ckpt")
    assert ours["model"]["parameters"].tobytes() == theirs["model"]["parameters"].tobytes()


def test_words(tmp_path):
    code, out, err = run(tmp_path, "train", *TINY, "--words", "--vocabulary", "9", "--sample", "5")
    assert code == 0, err
    assert "9 words" in err
    assert "nats/word" in out
    code, out, err = run(tmp_path, "sample", "-n", "3", "--prompt", "Pack my")
    assert code == 0, err
    assert out.startswith("Pack my ")
    assert "<unk>" not in out


def test_sampling(trained):
    folder, *_ = trained
    sample = ["sample", "-n", "50", "--prompt", "Pack", "--seed", "3"]
    code, first, err = run(folder, *sample)
    assert (code, err) == (0, "")
    assert first.startswith("Pack")
    assert len(first) == 4 + 50 + 1
    assert run(folder, *sample)[1] == first
    assert run(folder, *sample[:-1], "4")[1] != first
    greedy = [run(folder, *sample[:-1], seed, "--top-k", "1")[1] for seed in "12"]
    assert greedy[0] == greedy[1] == run(folder, *sample, "--temperature", "0")[1]


def test_info(tmp_path):
    code, out, err = run(tmp_path, "info")
    assert (code, err) == (0, "")
    for name in (
        "fastrnn",
        "instruction set",
        "threads",
        "compiler",
        "OpenMP",
        "L2 cache",
        "measured FMA peak",
    ):
        assert re.search(rf"^{name} +\S", out, re.MULTILINE), name
    assert run(tmp_path, "--version")[1].startswith("fastrnn ")


def _sigint(process: subprocess.Popen) -> None:
    while "epoch 1/" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)


def test_ctrl_c_stops_and_the_checkpoint_stands(tmp_path):
    # One step of this model takes some 0.1 s.
    big = ["--text", "text.txt", "--epochs", "1000", "--hidden", "512", "--batch", "16", "--steps", "100"]
    process = start(tmp_path, "train", *big)
    _sigint(process)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("interrupted; the checkpoint stands, go on with: fastrnn train --resume\n")
    assert "Traceback" not in err
    assert checkpoint.load(tmp_path / "fastrnn.ckpt")["training"]["info"]["hidden"] == 512
    assert sorted(os.listdir(tmp_path)) == ["fastrnn.ckpt", "text.txt"]


def test_a_reader_that_leaves_is_no_error(trained):
    folder, *_ = trained
    process = start(folder, "sample", "-n", "3000")
    process.stdout.close()
    with process:
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""


def test_a_reader_of_the_progress_that_leaves_is_an_error(tmp_path):
    """The run is not finished, and says so by its exit code."""
    process = start(tmp_path, "train", *TINY[:2], "--epochs", "3000", *TINY[4:], "--checkpoint-every", "0")
    while "model:" not in process.stderr.readline():
        pass
    process.stderr.close()
    with process:
        assert process.wait(timeout=60) == 1
    assert not checkpoint.load(tmp_path / "fastrnn.ckpt")["training"]["finished"]


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_training_without_a_stderr(tmp_path, stderr):
    """There is nobody to tell about progress; where messages cannot be written, the exit code tells."""
    (tmp_path / "text.txt").write_text(TEXT)
    command = " ".join([str(SCRIPT), "train", *TINY, "--sample", "0", stderr])
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    if stderr == "2>&-":
        assert done.returncode == 0
        assert "held-out loss" in done.stdout
    else:
        assert done.returncode == 2


def test_similar(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v").write_text("4 2\nword 1 0\nnear 2 2\nfar -1 0\nside 0 5\n")
    assert main(["similar", "v", "word"]) == 0
    assert capsys.readouterr().out == " 0.7071  near\n 0.0000  side\n-1.0000  far\n"
    assert main(["similar", "v", "word", "side", "--negative", "far", "--topn", "1"]) == 0
    assert capsys.readouterr().out == " 0.9487  near\n"


BAD = [
    (["train", "--text", "absent"], "text: cannot read .*absent': No such file or directory"),
    (["train", "--text", "."], "text: cannot read .*Is a directory"),
    (["train", "--text", "empty"], "text: expected some text, got an empty file"),
    (["train", "--text", "binary"], "text: expected UTF-8 text, got a binary file"),
    (["train", "--text", "latin1"], "text: expected UTF-8 text, got byte 0xfc at 2"),
    (["train", "--text", "short"], r"text: expected at least batch \* steps \+ 1"),
    (
        ["train", *TINY, "--checkpoint", "absent/a"],
        "checkpoint: cannot write 'HERE/absent/a': No such file or directory",
    ),
    (["train", *TINY, "--vocabulary", "9"], "--vocabulary: expected together with --words"),
    (["train", "--resume"], "checkpoint: cannot read 'fastrnn.ckpt': No such file or directory"),
    (
        ["train", "--resume", "--checkpoint", "latin1"],
        "checkpoint: expected a fastrnn checkpoint, got 'latin1'",
    ),
    (["similar", "absent", "word"], "vectors: cannot read 'absent': No such file or directory"),
    (["similar", "empty", "word"], "vectors: 'empty', byte 0: expected a line with the count and the size"),
    (["similar", "text.txt", "word"], "vectors: 'text.txt', byte 5: expected a number, got 'text'"),
    (["similar", "vectors", "wrod"], "key: expected one of the 3 keys, got 'wrod'; near spellings: 'word'"),
    (["similar", "cut", "word"], "vectors: 'cut' ends at byte 12, in vector 2 of 2"),
    (["sample", "--checkpoint", "empty"], "checkpoint: 'empty' is truncated: 0 bytes"),
    (["sample", "--checkpoint", "text.txt"], "checkpoint: expected a fastrnn checkpoint"),
]


@pytest.mark.parametrize(("args", "message"), BAD, ids=[" ".join(args) for args, _ in BAD])
def test_errors_are_one_line(tmp_path, monkeypatch, capsys, args, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("some text " * 200)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "binary").write_bytes(b"a\0b")
    (tmp_path / "latin1").write_bytes(b"gr\xfcn und viel mehr")
    (tmp_path / "short").write_text("short")
    (tmp_path / "vectors").write_text("3 2\nword 1 0\nnear 2 1\nfar -1 0\n")
    (tmp_path / "cut").write_text("2 2\nword 1 0")
    before = sorted(os.listdir(tmp_path))
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(rf"fastrnn: error: {message.replace('HERE', re.escape(str(tmp_path)))}", err)
    assert err.splitlines()[-1].startswith("fastrnn: error: ")
    assert "Traceback" not in err
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--epochs", "0", "a positive whole number"),
        ("--hidden", "-3", "a positive whole number"),
        ("--dropout", "1", "0 <= p < 1"),
        ("--lr", "nan", "a positive number"),
        ("--seed", "x", "a whole number of at least 0"),
        ("--batch", "1.5", "a positive whole number"),
        ("--time-limit", "x", "a number of at least 0"),
        ("--vocabulary", "1", "a whole number of at least 2"),
    ],
)
def test_bad_options_exit_with_two(capsys, option, value, expected):
    with pytest.raises(SystemExit) as caught:
        main(["train", option, value])
    assert caught.value.code == 2
    assert f"argument {option}: expected {expected}, got {value}\n" in capsys.readouterr().err


def test_resume_with_another_text_or_option(trained, tmp_path):
    folder, *_ = trained
    (tmp_path / "fastrnn.ckpt").write_bytes((folder / "fastrnn.ckpt").read_bytes())
    (tmp_path / "other").write_text("another text " * 100)
    code, out, err = run(tmp_path, "train", "--resume", "--text", "other")
    assert (code, out) == (2, "")
    assert (
        err == "fastrnn: error: --text: expected the text that fastrnn.ckpt was trained on, got another one\n"
    )
    code, out, err = run(tmp_path, "train", "--resume", "--hidden", "17")
    assert (code, out) == (2, "")
    assert err == "fastrnn: error: --hidden: expected 16, as the run began, got 17; leave it out\n"


def test_without_the_default_text_an_error_names_the_option(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    assert main(["train", "--checkpoint", str(tmp_path / "a")]) == 2
    assert (
        "this Python comes without pydoc_data, the default text; give --text FILE" in capsys.readouterr().err
    )


def test_the_default_text_is_the_language_reference():
    pytest.importorskip("pydoc_data.topics")
    text = _run._text(None)
    assert len(text) > 400_000
    assert "lambda" in text


def test_the_script_is_installed_beside_python():
    assert SCRIPT.exists()


@pytest.mark.filterwarnings("always")
def test_a_full_disk_on_the_way_is_a_warning_and_at_the_end_an_error(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("some text " * 200)
    save = checkpoint.save

    def full(path, tree):
        if tree["training"]["steps_done"]:
            raise OSError(28, f"checkpoint: cannot write {path!r}: No space left on device")
        save(path, tree)

    monkeypatch.setattr(checkpoint, "save", full)
    assert main(["train", *TINY, "--checkpoint-every", "0"]) == 2
    lines, message = (
        capsys.readouterr().err.splitlines(),
        f"cannot write '{tmp_path}/fastrnn.ckpt': No space left on device",
    )
    assert f"fastrnn: warning: checkpoint: {message}; the one before it stands" in lines
    assert lines[-1] == f"fastrnn: error: checkpoint: {message}"
    assert checkpoint.load("fastrnn.ckpt")["training"]["steps_done"] == 0


@pytest.mark.heavy
def test_the_default_run_beats_the_6_gram_model_within_ten_minutes(tmp_path):
    process = start(tmp_path, "train")
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert re.search(r"LSTM is better than the 6-gram model by [\d.]+ nats/character", out)
