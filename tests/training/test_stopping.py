"""SIGTERM where no step is under way: at start-up and in evaluation."""

import os
import signal

import pytest

from lesionjax.training.stopping import Interrupted, interrupted_by_sigterm


def test_sigterm_becomes_a_sentence_and_the_handler_comes_back():
  before = signal.getsignal(signal.SIGTERM)
  with (
    pytest.raises(Interrupted, match='Stopped; the same command carries on from there'),
    interrupted_by_sigterm(),
  ):
    os.kill(os.getpid(), signal.SIGTERM)
  assert signal.getsignal(signal.SIGTERM) is before
