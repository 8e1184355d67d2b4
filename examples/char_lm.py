"""A character language model out of layers: python char_lm.py FILE [--updates N] [--hidden H] [--sample N].

What `fastrnn train` does, without Trainer: truncated back-propagation through parallel streams,
a state that is carried from chunk to chunk, clipping, Adam, and sampling one character at a time.
"""

import argparse

import numpy as np

import fastrnn

STREAMS, STEPS = 16, 64  # B rows read the text side by side, T characters at a time

arguments = argparse.ArgumentParser(description="Train a character language model.")
arguments.add_argument("text", help="a UTF-8 text of some 100,000 characters or more")
arguments.add_argument("--updates", type=int, default=1000)
arguments.add_argument("--hidden", type=int, default=128)
arguments.add_argument("--sample", type=int, default=200)
options = arguments.parse_args()

with open(options.text, encoding="utf-8") as file:
    text = file.read()
alphabet = sorted(set(text))
ids = np.array([alphabet.index(character) for character in text], np.int32)
chunks = (len(ids) - 1) // (STREAMS * STEPS)
if not chunks:
    raise SystemExit(f"{options.text}: expected more than {STREAMS * STEPS} characters, got {len(ids)}")
length = chunks * STEPS
inputs = ids[: STREAMS * length].reshape(STREAMS, length).T  # [time, stream]
targets = ids[1 : STREAMS * length + 1].reshape(STREAMS, length).T

V, H = len(alphabet), options.hidden
body = fastrnn.Sequential(
    fastrnn.Embedding(V, H, seed=0),
    fastrnn.LSTM(H, H, num_layers=2, dropout=0.1, seed=1),
)
head = fastrnn.losses.LinearCrossEntropy(H, V, seed=2)
model = fastrnn.value_and_grad(body, head)
optimizer = fastrnn.optim.Adam(model, lr=3e-3)

state, mean = None, np.log(V)
for update in range(options.updates):
    chunk = update % chunks
    if chunk == 0:
        state = None  # the streams begin again
    at = slice(chunk * STEPS, (chunk + 1) * STEPS)
    loss, state = model(inputs[at], targets[at], state, key=update)
    optimizer.step(max_norm=1.0)
    mean += 0.02 * (loss - mean)
    if (update + 1) % 50 == 0 or update + 1 == options.updates:
        print(f"update {update + 1:5}  loss {mean:.3f} nats a character", flush=True)

draw = np.random.default_rng(0)
state, token, written = None, int(ids[0]), []
for _ in range(options.sample):
    y, state = body(np.array([[token]], np.int32), state)  # one step of one row
    logits = head.logits(y)[0, 0].astype(np.float64)
    p = np.exp(logits - logits.max())
    token = int(draw.choice(V, p=p / p.sum()))
    written.append(alphabet[token])
print("".join(written))
