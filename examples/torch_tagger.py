"""A tagger in PyTorch on our kernels: python torch_tagger.py [--epochs N] [--hidden H] [--plain].

Sequences of unlike lengths as PackedSequence through a bidirectional LSTM of two levels; the tag of a word
depends on words before and after it. The script is what a user of torch.nn has; ``accelerate`` is the one new
line, and ``--plain`` leaves it out: the losses are the same.
"""

import argparse

import torch
from torch.nn.utils.rnn import pack_sequence

import fastrnn.torch

WORDS, TAGS, ROWS = 40, 3, 16

arguments = argparse.ArgumentParser(description="Train a tagger.")
arguments.add_argument("--epochs", type=int, default=15)
arguments.add_argument("--hidden", type=int, default=64)
arguments.add_argument("--plain", action="store_true", help="torch's own layers")
options = arguments.parse_args()


class Tagger(torch.nn.Module):
    """Embedding, both directions, a linear layer."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(WORDS, 32)
        self.recurrent = torch.nn.LSTM(32, hidden, num_layers=2, dropout=0.1, bidirectional=True)
        self.head = torch.nn.Linear(2 * hidden, TAGS)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Packed words to scores of all of them, [N, TAGS]."""
        return self.head(self.recurrent(words._replace(data=self.embed(words.data)))[0].data)


def corpus(sentences: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Words, and tags: whether a word is below, equal to or above the mean of its neighbours."""
    found = []
    for length in torch.randint(3, 30, (sentences,)).tolist():
        words = torch.randint(0, WORDS, (length + 2,))
        found.append((words[1:-1], 1 + torch.sign(2 * words[1:-1] - words[:-2] - words[2:])))
        found[-1][1][[0, -1]] = 1  # the ends have a neighbour less
    return found


torch.manual_seed(0)
model, train, test = Tagger(options.hidden), corpus(512), corpus(64)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
if not options.plain:
    print(fastrnn.torch.accelerate(model))

for epoch in range(options.epochs):
    total = 0.0
    for start in range(0, len(train), ROWS):
        words, tags = zip(*train[start : start + ROWS], strict=True)
        packed = [pack_sequence(part, enforce_sorted=False) for part in (list(words), list(tags))]
        loss = torch.nn.functional.cross_entropy(model(packed[0]), packed[1].data)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch + 1}: loss {total * ROWS / len(train):.6f}")

model.eval()
with torch.no_grad():
    words, tags = (pack_sequence(list(part), enforce_sorted=False) for part in zip(*test, strict=True))
    right = (model(words).argmax(1) == tags.data).float().mean().item()
print(f"right: {right:.3f}")
