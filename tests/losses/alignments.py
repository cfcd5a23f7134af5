"""CTC by brute force: the probability of every alignment."""

import itertools

import numpy as np
from scipy import special

BLANK = 0


def read(alignment, blank=BLANK):
    """The labels of an alignment: runs count once, blanks are dropped."""
    return [key for key, _ in itertools.groupby(alignment) if key != blank]


def ctc(logits, skipped, labels, absent):
    """The loss of each sequence, as a sum over all alignments."""
    return np.array([one(*args) for args in zip(logits, skipped, labels, absent, strict=True)])


def one(logits, skipped, labels, absent):
    log_p, wanted = special.log_softmax(logits[skipped == 0], -1), list(labels[absent == 0])
    frames, classes = log_p.shape
    alignments = itertools.product(range(classes), repeat=frames)
    return -special.logsumexp([sum(log_p[range(frames), a]) for a in alignments if read(a) == wanted])
