"""Leaving classes out of a split, and the values of the key that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from configs import base
from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.data import unknown_classes
from lesionjax.data.records import Split


def _split(names, labels):
  count = len(labels)
  return Split(
    name='set/grouped',
    split='test',
    class_names=names,
    labels=np.array(labels, np.int32),
    image_ids=np.array([f'image_{row}' for row in range(count)]),
    group_ids=np.array([f'lesion_{row // 2}' for row in range(count)]),
    folds=np.zeros(count, np.int32),
    sources=(),
    places=np.zeros((count, 2), np.int64),
  )


def test_labels_close_up_and_left_out_ones_are_unknown():
  split = _split(('ak', 'bcc', 'mel', 'nv'), [0, 1, 2, 3, -1, 1])
  marked = unknown_classes.mark(split, ('bcc',))
  assert marked.class_names == ('ak', 'mel', 'nv')
  assert marked.labels.tolist() == [0, -1, 1, 2, -1, -1]
  assert marked.labels.dtype == np.int32


def test_in_other_data_finer_classes_go_with_the_coarser_one_and_none_need_be_there():
  split = _split(('AK', 'BCC', 'MEL', 'SCC'), [0, 1, 2, 3])
  marked = unknown_classes.mark(split, ('akiec', 'vasc'), other=True)
  assert marked.class_names == ('BCC', 'MEL')
  assert marked.labels.tolist() == [-1, 0, 1, -1]
  with pytest.raises(UserError, match="'akiec' is no class of the data"):
    unknown_classes.mark(split, ('akiec',))


def test_counts_are_of_what_is_known():
  split = unknown_classes.mark(_split(('ak', 'bcc', 'mel'), [0, 1, 1, 2, 2, 1]), ('bcc',))
  data = {'class_names': ['ak', 'bcc', 'mel'], 'splits': {'test': {}}, 'fingerprint': 'f'}
  told = unknown_classes.describe(data, {'test': split}, ('bcc',))
  assert told['class_names'] == ['ak', 'mel']
  assert told['fingerprint'] == 'f'
  assert told['splits']['test'] == {
    'images': 3, 'groups': 3, 'support': {'ak': 1, 'mel': 2}, 'left_out': 3
  }  # fmt: skip


@pytest.mark.parametrize(
  ('changes', 'told'),
  [
    ({'leave_out_classes': ('vasc', 'vasc')}, 'names a class twice'),
    ({'leave_out_classes': (3,)}, 'must be a tuple of class names'),
    ({'leave_out_classes': ('',)}, 'must be a tuple of class names'),
    ({'leave_out_classes': ('vasc',), 'test_split': 'validation'}, 'is learned from'),
    ({'leave_out_classes': ('ak',), 'classes': 'ham7'}, "'ak' is no class of the data"),
    ({'leave_out_classes': ('benign',), 'classes': 'binary'}, 'leaves fewer than two'),
  ],
)
def test_values_that_cannot_work_are_refused(changes, told):
  config = base.get_config()
  config_lib.validate(config)
  config.data.update(changes)
  with pytest.raises(UserError, match=told):
    config_lib.validate(config)


def test_classes_are_left_out_of_classifiers_only():
  config = base.get_config()
  config.data.leave_out_classes = ('vasc',)
  config.task = 'segment'
  config.train.loss = 'dice'
  with pytest.raises(UserError, match=r"is for classifiers: with config.task='segment'"):
    config_lib.validate(config)
