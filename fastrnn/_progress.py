"""The progress of a training run on stderr."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any

from fastrnn._callback import Callback, Logs, perplexity

if TYPE_CHECKING:
    from fastrnn.training import Trainer


class ProgressBar(Callback):
    """
    Progress of the whole run on stderr: loss, perplexity, tokens a second, time left; and one line an epoch.

    `unit` is what a token is called. On a terminal it is a bar, elsewhere a line every 10 s. Without `nats`
    the loss is no negative log-likelihood, and has no perplexity.
    """

    first_only = True

    def __init__(self, unit: str = "token", nats: bool = True) -> None:
        self.unit, self.nats = unit, nats
        self._bar: Any = None
        self._loss, self._shown = math.nan, 0.0

    def on_fit_begin(self, trainer: Trainer) -> None:
        """Open the bar, at the step where a resumed run goes on."""
        from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

        terminal = sys.stderr is not None and sys.stderr.isatty()
        self._pause = 0.2 if terminal else 10.0
        self._begin, self._shown, self._loss = time.monotonic(), time.monotonic(), math.nan
        self._counts = {
            "total": trainer.total_steps * trainer.tokens_per_step,
            "initial": trainer.steps_done * trainer.tokens_per_step,
        }
        look = {"unit": self.unit, "unit_scale": True}
        self._bar = tqdm(**self._counts, **look, mininterval=0.2, dynamic_ncols=True) if terminal else None

    def on_step_end(self, trainer: Trainer, logs: Logs) -> None:
        """Advance; the loss shown is smoothed over some 50 steps."""
        loss = logs["loss"]
        self._loss = loss if math.isnan(self._loss) else self._loss + 0.02 * (loss - self._loss)
        now = time.monotonic()
        if now - self._shown > self._pause:
            self._shown = now
            values = f"loss {self._loss:.3f}"
            values += f", perplexity {perplexity(self._loss):.2f}" if self.nats else ""
            if self._bar is not None:
                self._bar.set_postfix_str(values, refresh=False)
            else:
                self._print(trainer, values, now - self._begin)
        if self._bar is not None:
            self._bar.update(trainer.tokens_per_step)

    def on_epoch_end(self, trainer: Trainer, logs: Logs) -> None:
        """Print the epoch above the bar."""
        parts = [f"epoch {logs['epoch'] + 1}/{trainer.epochs}", f"loss {logs['loss']:.4f}"]
        if "validation_loss" in logs:
            loss = logs["validation_loss"]
            also = f" (perplexity {perplexity(loss):.2f})" if self.nats else ""
            parts.append(f"held-out loss {loss:.4f}{also}")
        known = ("epoch", "step", "loss", "lr", "validation_loss")
        parts += [f"{name} {value:.4f}" for name, value in logs.items() if name not in known]
        text = "  ".join([*parts, f"lr {logs['lr']:.3g}"])
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            _say(text)

    def on_fit_end(self, trainer: Trainer) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    def _print(self, trainer: Trainer, values: str, elapsed: float) -> None:
        from tqdm import tqdm

        text = tqdm.format_meter(
            trainer.steps_done * trainer.tokens_per_step,
            elapsed=elapsed,
            **self._counts,
            unit=self.unit,
            unit_scale=True,
            bar_format="{percentage:3.0f}% [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
            postfix=values,
        )
        _say(text)


def _say(text: str) -> None:
    """Print to stderr, where there is one."""
    if sys.stderr is not None:
        print(text, file=sys.stderr, flush=True)
