"""One temperature: found where it is known, bounded, and told where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from lesionjax.evaluation.calibration import temperature
from tests.evaluation.calibration.predictions import draw


@pytest.mark.parametrize('sharpness', [0.3, 1.0, 2.5])
def test_the_temperature_undoes_a_known_sharpness(sharpness):
  data = draw(4000, sharpness=sharpness)
  found = temperature.fit(data.logits, data.labels)
  assert found.value == pytest.approx(sharpness, rel=0.05)
  assert found.fitted
  assert not found.reason


def test_no_other_temperature_has_a_lower_log_loss():
  data = draw(300, sharpness=2.0, seed=1)
  found = temperature.fit(data.logits, data.labels).value
  best = temperature.log_losses(data.logits, data.labels, found).mean()
  for other in np.geomspace(*temperature.BOUNDS, 400):
    assert temperature.log_losses(data.logits, data.labels, float(other)).mean() >= best


def test_the_predicted_class_stays():
  data = draw(100, seed=2)
  for value in (0.05, 1.0, 20.0):
    scaled = temperature.probabilities_of(data.logits, value)
    assert (scaled.argmax(1) == data.logits.argmax(1)).all()
    np.testing.assert_allclose(scaled.sum(1), 1)


def test_a_bound_that_is_hit_is_told():
  labels = np.arange(40) % 3
  always_right, always_wrong = np.eye(3)[labels], np.eye(3)[(labels + 1) % 3]
  found = temperature.fit(always_right, labels)
  assert (found.value, found.fitted) == (0.05, False)
  assert 'bound of its range, 0.05: log loss asks for a lower one' in found.reason
  found = temperature.fit(always_wrong, labels)
  assert (found.value, found.fitted) == (20.0, False)
  assert 'asks for a higher one' in found.reason


def test_one_class_and_constant_logits_are_told_and_change_nothing():
  data = draw(50)
  found = temperature.fit(data.logits, np.zeros(50, int))
  assert (found.value, found.fitted) == (1.0, False)
  assert 'one class only' in found.reason
  found = temperature.fit(np.zeros((50, 3)), data.labels)
  assert (found.value, found.fitted) == (1.0, False)
  assert 'changes nothing' in found.reason


def test_huge_logits_do_not_overflow():
  logits = np.array([[1e4, 0.0], [0.0, 1e4], [1e4, 0.0]])
  labels = np.array([0, 1, 1])
  assert np.isfinite(temperature.log_losses(logits, labels, 0.05)).all()
  assert temperature.fit(logits, labels).value == 20.0
