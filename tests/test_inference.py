"""Predictions of a finished run, and what cannot be predicted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import lesionjax
from data_builders.errors import UserError
from lesionjax import assembly


def test_predict_equals_the_recorded_predictions(run):
  classifier = lesionjax.load(str(run))
  split = assembly.open_data(classifier.config, 'test')
  images = [split.decode(i, 16) for i in range(len(split))]
  prediction = classifier.predict(images, batch_size=24)
  with np.load(run / 'predictions_test.npz', allow_pickle=False) as found:
    np.testing.assert_allclose(prediction.probabilities, found['probabilities'], atol=1e-5)
    assert prediction.labels[0] == found['class_names'][found['probabilities'][0].argmax()]


def test_predict_takes_files_and_names_bad_ones(run, tmp_path):
  classifier = lesionjax.load(run)
  cv2.imwrite(str(tmp_path / 'a.png'), np.full((40, 60, 3), 128, np.uint8))
  assert classifier.predict([tmp_path / 'a.png']).probabilities.sum() == pytest.approx(1)
  (tmp_path / 'bad.jpg').write_bytes(b'no image')
  with pytest.raises(UserError, match=r'bad\.jpg'):
    classifier.predict([str(tmp_path / 'bad.jpg')])
  with pytest.raises(UserError, match='uint8'):
    classifier.predict(np.zeros((1, 8, 8, 3)))
  with pytest.raises(UserError, match='no image'):
    classifier.predict([])
