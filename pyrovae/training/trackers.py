"""Trackers: the quantities of a training run for a program that draws them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyrovae.training.callbacks import Callback
from pyrovae.training.history import Record

if TYPE_CHECKING:
    from pyrovae.training.run import Run


class TensorBoard(Callback):
    """The quantities of each epoch as scalars for TensorBoard, over the number of steps.

    `tensorboard --logdir FOLDER` shows them while training goes on. A folder holds one run: a run
    that begins anew takes the place of what the folder showed before, and one that is resumed goes
    on behind the step it is resumed from. The files of before are kept either way.

    Arguments:
        folder: where the events are written; it is made where it does not exist.

    Raises:
        ImportError: TensorBoard is not installed.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import torch, pyrovae
        >>> from pyrovae.likelihoods import Normal
        >>> from pyrovae.networks import MLP
        >>> from pyrovae.posteriors import MeanFieldNormal
        >>> from pyrovae.priors import StandardNormal
        >>> vae = pyrovae.VAE(prior=StandardNormal(2), likelihood=Normal((5,)),
        ...                   posterior=MeanFieldNormal(), encoder=MLP((8,)), decoder=MLP((8,)))
        >>> with TemporaryDirectory() as folder:
        ...     history = pyrovae.fit(vae, torch.randn(100, 5), epochs=3, seed=0, batch_size=50,
        ...                           callbacks=[TensorBoard(folder)])
        ...     len(list(Path(folder).glob("events.*")))
        1
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()
        self._writer: Any = None
        _writer_class()  # said before hours of training, not after

    def on_start(self, run: "Run") -> None:
        """Open a file of events, which hides those of steps that are not in this run's past."""
        if not run.processes.first:  # a folder holds one run, however many processes train it
            return
        first = run.step + 1 if run.epoch > 0 else 0
        self._writer = _writer_class()(str(self.folder), purge_step=first)

    def on_epoch(self, run: "Run", record: Record) -> None:
        """Write the epoch's quantities, so that they can be seen at once."""
        if self._writer is None:
            return
        for name, value in record.items():
            if name != "step":
                self._writer.add_scalar(name, value, record["step"])
        self._writer.flush()

    def on_end(self, run: "Run") -> None:
        """Close the file, also where training ended by an error."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _writer_class() -> Any:
    """Return torch's writer of events, which needs TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            'TensorBoard is not installed; install it by pip install "pyrovae[tensorboard]"'
        ) from error
    return SummaryWriter
