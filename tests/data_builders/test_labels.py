"""Class names map onto those of another data set, or are refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from data_builders import labels
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


def test_diagnoses_are_benign_or_malignant():
  binary = labels.SCHEMES['binary']
  malignant = {'ak', 'scc', 'akiec', 'bcc', 'mel', 'melanoma'}
  for name in {*HAM, *ISIC_2019, 'nevus', 'lentigo NOS', 'melanoma'}:
    assert map_labels([name], binary).tolist() == [int(name in malignant)]


def test_classes_without_counterpart_may_be_left_without_label():
  assert map_labels(['unk', 'nv', 'akiec'], ISIC_2019, missing=-1).tolist() == [-1, 5, -1]


def test_the_finest_classes_in_common():
  assert labels.common_scheme([HAM, HAM]) == HAM
  assert labels.common_scheme([(*ISIC_2019, 'unk')]) == ISIC_2019
  assert labels.common_scheme([HAM, (*ISIC_2019, 'unk')]) == HAM
  assert labels.common_scheme([ISIC_2019, ('benign', 'malignant')]) == ('benign', 'malignant')
  with pytest.raises(UserError, match='no classes in common'):
    labels.common_scheme([HAM, ('cat', 'dog')])
