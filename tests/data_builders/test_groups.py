"""Groups are the connected components of a graph; scipy finds them independently."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
import scipy.sparse

from data_builders import groups


def test_shared_ids_and_pairs_connect_through_others():
  names = groups.connect(
    ['a', 'b', 'c', 'd', 'e'],
    ['L2', 'L2', 'L1', 'L3', 'L4'],
    ['P1', 'P2', 'P2', 'P3', ''],
    pairs=[('d', 'e'), ('a', 'not here')],
  )

  # a-b share L2, b-c share P2, d-e are a pair; the smallest lesion names the group.
  assert names.tolist() == ['L1', 'L1', 'L1', 'L3', 'L3']


def test_missing_ids_connect_nothing_and_the_image_names_the_group():
  names = groups.connect(['b', 'a', 'c'], ['', '', ''], pairs=[('a', 'b')])

  assert names.tolist() == ['a', 'a', 'c']


def test_a_lesion_names_the_group_even_if_an_image_id_is_smaller():
  assert groups.connect(['A', 'B'], ['Z', ''], pairs=[('A', 'B')]).tolist() == ['Z', 'Z']


def test_equal_values_in_different_columns_are_different_ids():
  assert len(set(groups.connect(['a', 'b'], ['1', '2'], ['2', '3']))) == 2


def test_agrees_with_scipy_on_random_graphs():
  generator = np.random.default_rng(0)
  for _ in range(20):
    num = 200
    lesions = generator.integers(0, 150, num)
    patients = generator.integers(0, 150, num)
    pairs = generator.integers(0, num, (20, 2))
    ids = [f'i{row:03d}' for row in range(num)]
    names = groups.connect(
      ids,
      [f'l{value}' for value in lesions],
      [f'p{value}' for value in patients],
      pairs=[(ids[one], ids[other]) for one, other in pairs],
    )
    # Nodes: images, then lesions, then patients.
    edges = np.concatenate(
      [
        np.stack([np.arange(num), num + lesions], axis=1),
        np.stack([np.arange(num), num + 150 + patients], axis=1),
        pairs,
      ]
    )
    graph = scipy.sparse.coo_array((np.ones(len(edges)), edges.T), shape=(num + 300, num + 300))
    _, components = scipy.sparse.csgraph.connected_components(graph, directed=False)
    ours = names[:, None] == names[None, :]
    oracle = components[:num, None] == components[None, :num]
    np.testing.assert_array_equal(ours, oracle)


def test_the_shipped_pairs_hold_ids_and_nothing_else():
  with groups.NEAR_DUPLICATES_PATH.open(newline='') as file:
    assert next(csv.reader(file)) == ['image_1', 'image_2']
  pairs = groups.near_duplicate_pairs()

  assert len(pairs) == len({frozenset(pair) for pair in pairs}) == 169
  assert all(re.fullmatch(r'ISIC_\d{7}(_downsampled)?', name) for pair in pairs for name in pair)


@pytest.mark.realdata
def test_every_pair_that_was_given_is_shipped(shared_data):
  with (shared_data / 'near_duplicates.csv').open(newline='') as file:
    given = [(row['image_1'], row['image_2']) for row in csv.DictReader(file)]
  assert len(given) == 124
  assert set(given) < set(groups.near_duplicate_pairs())
