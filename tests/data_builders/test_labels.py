"""Class names map onto those of another data set, or are refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from data_builders.errors import UserError
from data_builders.labels import map_labels

HAM = ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')
ISIC_2019 = ('ak', 'bcc', 'bkl', 'df', 'mel', 'nv', 'scc', 'vasc')


def test_same_names_whatever_their_case_and_order():
  mapped = map_labels(['NV', 'Mel'], ['mel', 'nv'])

  assert mapped.dtype == np.int32
  assert mapped.tolist() == [1, 0]


def test_finer_classes_go_to_the_one_that_contains_them():
  assert map_labels(ISIC_2019, HAM).tolist() == [0, 1, 2, 3, 4, 5, 0, 6]


def test_a_finer_target_of_the_same_name_wins():
  assert map_labels(['ak'], ['akiec', 'ak']).tolist() == [1]


def test_a_coarse_class_cannot_be_split():
  with pytest.raises(UserError, match=r"'akiec'.*no counterpart"):
    map_labels(HAM, ISIC_2019)


def test_an_unknown_class_is_named():
  with pytest.raises(UserError, match="'unk'"):
    map_labels(['nv', 'unk'], HAM)
