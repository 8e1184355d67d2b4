"""Quality of word vectors on data/enwiki by processes that average rows, beside one process.

python bench/quality_distributed.py --processes 4 --seeds 1 2 3 --lines 3400

Processes are forks of this one with one thread each, over torch.distributed; with one it is the plain model.
Prints WS-353, SimLex and analogies of each seed, as bench/quality_word2vec.py does.
"""

from __future__ import annotations

import argparse
import os
import socket
import tempfile
import traceback
from pathlib import Path

from quality_word2vec import enwiki, first_lines
from word_vectors import judge

import fastrnn


def work(corpus: Path, processes: int, rank: int, port: int, seed: int, args: argparse.Namespace) -> None:
    """One process; the first one prints."""
    fastrnn.set_num_threads(1)
    model = fastrnn.Word2Vec(vector_size=100, sg=1, window=5, negative=5, workers=1, seed=seed)
    model.build_vocab(corpus_file=str(corpus))
    if processes == 1:
        model.train(corpus_file=str(corpus), epochs=args.epochs)
    else:
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        os.environ.update(where, RANK=str(rank), WORLD_SIZE=str(processes))
        group = fastrnn.distributed.connect(timeout=600)
        options = {"every": args.every, "hot": args.hot}
        fastrnn.distributed.train_word2vec(model, corpus, epochs=args.epochs, group=group, **options)
    if rank == 0:
        found = judge(args.data, model.wv.index_to_key, model.wv.vectors)
        print(f"{processes} processes, seed {seed}:", {k: round(v, 3) for k, v in found.items()}, flush=True)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--every", type=int, default=1 << 14)
    parser.add_argument("--hot", type=int, default=1 << 10)
    parser.add_argument("--lines", type=int, help="only so many lines of the corpus, of 1,000 words each")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FASTRNN_DATA", "data")))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    args = parser.parse_args()
    corpus = enwiki(args.data, args.work)
    if args.lines:
        corpus = first_lines(corpus, args.lines)
    for seed in args.seeds:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        pids = []
        for rank in range(args.processes):
            pid = os.fork()
            if not pid:
                try:
                    work(corpus, args.processes, rank, port, seed, args)
                    os._exit(0)
                except BaseException:
                    traceback.print_exc()
                    os._exit(1)
            pids.append(pid)
        ends = [os.waitpid(pid, 0)[1] for pid in pids]
        if any(ends):
            raise SystemExit("a process failed")


if __name__ == "__main__":
    main()
