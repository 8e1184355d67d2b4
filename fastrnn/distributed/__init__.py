"""Training on more than one process or machine: averages over torch.distributed (gloo) or MPI.

>>> group = fastrnn.distributed.connect()              # in a program started by torchrun or mpiexec
>>> Trainer(model, optimizer, distributed=group).fit(data, epochs)
>>> fastrnn.distributed.train_word2vec(model, corpus, epochs=5, group=group)

See ``docs/distributed.md``.
"""

from ._connect import connect as connect
from ._group import Group as Group
from ._group import PeerError as PeerError
from ._word2vec import train_word2vec as train_word2vec
