"""Predictions of a finished run, and what cannot be predicted."""

from __future__ import annotations

import json
import shutil

import cv2
import jax
import numpy as np
import pytest

import lesionjax
from data_builders.errors import UserError
from lesionjax.runs import assembly, inference, run_data
from lesionjax.training.checkpoints import Checkpoints


def test_predict_equals_the_recorded_predictions(run):
  classifier = lesionjax.load(str(run))
  split = run_data.open_data(classifier.config, 'test')
  images = [split.decode(i, 16) for i in range(len(split))]
  prediction = classifier.predict(images, batch_size=24)
  with np.load(run / 'predictions_test.npz', allow_pickle=False) as found:
    np.testing.assert_allclose(prediction.probabilities, found['probabilities'], atol=1e-5)
    assert prediction.labels[0] == found['class_names'][found['probabilities'][0].argmax()]


def test_the_newest_weights_are_read_where_they_are_wanted(run, monkeypatch):
  config = lesionjax.load(run).config
  monkeypatch.setattr(Checkpoints, 'best_step', 1)
  monkeypatch.setattr(Checkpoints, 'last_step', 2)
  monkeypatch.setattr(Checkpoints, 'restore_weights', lambda self, step, like: step)
  model = assembly.make_model(config, 8)
  local = jax.sharding.SingleDeviceSharding(jax.devices()[0])
  assert inference.restore_best(run, model, 16, local) == 1
  assert inference.restore_best(run, model, 16, local, newest=True) == 2


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


def test_a_segmenter_finds_masks_of_the_images_own_sizes(segmenter, tmp_path):
  loaded = lesionjax.load(str(segmenter))
  rng = np.random.default_rng(0)
  images = [rng.integers(0, 256, (h, w, 3)).astype(np.uint8) for h, w in ((30, 40), (16, 16))]
  found = loaded.predict([*images, images[0]], batch_size=2)
  assert [mask.shape for mask in found.masks] == [(30, 40), (16, 16), (30, 40)]
  np.testing.assert_array_equal(found.masks[0], found.masks[2])
  assert found.confidence.shape == (3,)
  split = run_data.open_data(loaded.config, 'test')
  with np.load(segmenter / 'predictions_test.npz', allow_pickle=False) as recorded:
    expected = loaded.postprocess(recorded['probability'][0] / np.float32(255))
  again = loaded.predict([split.decode(0, 16)[..., :3]]).masks[0]
  assert (again == expected).mean() > 0.99  # a probability may round to the other byte


def test_a_run_that_looks_at_lesions_wants_masks(run, segmenter, tmp_path):
  copy = tmp_path / 'crops'
  shutil.copytree(run, copy)
  config = json.loads((copy / 'config.json').read_text())
  config['data']['lesion'] = 'crop'
  (copy / 'config.json').write_text(json.dumps(config))
  image, mask = np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), bool)
  image[5:10, 5:10], mask[5:10, 5:10] = 200, True
  classifier = lesionjax.load(str(copy))
  with pytest.raises(UserError, match='pass the masks'):
    classifier.predict([image])
  with pytest.raises(UserError, match='same size'):
    classifier.predict([image], masks=[mask[:5]])
  crop = image[4:11, 4:11]  # a tenth of five pixels, rounded: none; the margin of 0.1 is 0.5 px
  seen = classifier.predict([image], masks=[mask]).logits
  whole = lesionjax.load(str(run))
  np.testing.assert_allclose(seen, whole.predict([image[5:10, 5:10]]).logits, atol=1e-5)
  assert not np.allclose(seen, whole.predict([crop]).logits, atol=1e-5)
  np.testing.assert_allclose(
    classifier.predict([image], masks=[None]).logits, whole.predict([image]).logits, atol=1e-5
  )
  with pytest.raises(UserError, match='takes no masks'):
    whole.predict([image], masks=[mask])


@pytest.mark.parametrize('step', ['crop32', 'pad32', 'vga32', 'frame'])
def test_a_segmenter_whose_masks_would_lie_wrong_is_refused(step, segmenter, tmp_path):
  copy = tmp_path / 'copy'
  shutil.copytree(segmenter, copy)
  config = json.loads((copy / 'config.json').read_text())
  config['data']['preprocess'] = f'hair-{step}'
  (copy / 'config.json').write_text(json.dumps(config))
  with pytest.raises(UserError, match=f"trained on images after '{step}'.* without that step"):
    lesionjax.load(copy)
  config['data']['preprocess'] = 'stretch32-hair'  # masks are stretched back with their images
  (copy / 'config.json').write_text(json.dumps(config))
  loaded = lesionjax.load(copy)
  loaded.postprocess = lambda probability: np.ones(probability.shape, bool)
  assert loaded.predict([np.zeros((20, 60, 3), np.uint8)]).masks[0].all()
