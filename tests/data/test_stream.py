"""Batches: order, resumption, processes, devices."""

from __future__ import annotations

import grain
import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from data_builders.errors import UserError
from lesionjax.data.sampling import SAMPLINGS
from lesionjax.data.stream import eval_stream, to_device, train_stream


def take(iterator, count: int) -> list[dict[str, np.ndarray]]:
  return [jax.tree.map(np.asarray, next(iterator)) for _ in range(count)]


def read(dataset, count: int) -> list[dict[str, np.ndarray]]:
  iterator = iter(dataset)
  try:
    return take(iterator, count)
  finally:
    iterator.close()


def assert_same(left: list, right: list) -> None:
  assert len(left) == len(right)
  for a, b in zip(left, right, strict=True):
    assert a.keys() == b.keys()
    for key in a:
      np.testing.assert_array_equal(a[key], b[key])


def one_device() -> jax.sharding.Sharding:
  return jax.sharding.SingleDeviceSharding(jax.devices()[0])


def all_devices() -> jax.sharding.Sharding:
  mesh = jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
  return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))


def test_batches_hold_what_the_index_says(train):
  for batch in read(train_stream(train, 4, 16, seed=0), 3):
    assert batch['image'].dtype == np.uint8
    assert batch['label'].dtype == np.int32
    assert batch['index'].dtype == np.int64
    np.testing.assert_array_equal(batch['label'], train.labels[batch['index']])
    for row, index in enumerate(batch['index']):
      np.testing.assert_array_equal(batch['image'][row], train.decode(index, 16))


def test_uniform_shows_every_image_once_an_epoch(train):
  seen = np.concatenate([b['index'] for b in read(train_stream(train, 4, 8, seed=1), 37)])
  for epoch in seen.reshape(4, 37):
    np.testing.assert_array_equal(np.sort(epoch), np.arange(37))


@pytest.mark.parametrize('sampling', SAMPLINGS)
@pytest.mark.parametrize('num_threads', [0, 3])
@pytest.mark.parametrize('sharding', [None, one_device, all_devices])
def test_seven_batches_save_restore_five_equal_twelve(train, sampling, num_threads, sharding):
  def stream():
    dataset = train_stream(train, 8, 8, 2, sampling, num_threads=num_threads)
    return iter(dataset if sharding is None else to_device(dataset, sharding()))

  whole, first, second = stream(), stream(), stream()
  expected = take(whole, 12)
  got = take(first, 7)
  second.set_state(first.get_state())
  assert_same(got + take(second, 5), expected)
  for iterator in (whole, first, second):
    iterator.close()


def test_orbax_saves_and_restores_the_iterator(train, tmp_path):
  def stream():
    return iter(to_device(train_stream(train, 4, 8, seed=2), one_device()))

  first, second = stream(), stream()
  take(first, 7)
  handler = grain.checkpoint.CheckpointHandler()
  with ocp.Checkpointer(handler) as checkpointer:
    checkpointer.save(tmp_path / 'input', args=grain.checkpoint.CheckpointSave(first))
    checkpointer.restore(tmp_path / 'input', args=grain.checkpoint.CheckpointRestore(second))
  assert_same(take(second, 5), take(first, 5))
  first.close()
  second.close()


@pytest.mark.parametrize('make', [train_stream, eval_stream])
def test_two_processes_together_see_what_one_sees(train, make):
  arguments = {'seed': 0} if make is train_stream else {}
  one = read(make(train, 8, 8, **arguments), 5)
  halves = [
    read(make(train, 8, 8, **arguments, process_index=p, process_count=2), 5) for p in range(2)
  ]
  joined = [
    {key: np.concatenate([a[key], b[key]]) for key in a} for a, b in zip(*halves, strict=True)
  ]
  assert_same(joined, one)


def test_evaluation_covers_every_image_once_and_marks_the_padding(train):
  iterator = iter(eval_stream(train, 8, 8))
  batches = list(iterator)
  iterator.close()
  assert len(batches) == 5
  assert all(batch['image'].shape == (8, 8, 8, 3) for batch in batches)
  valid = np.concatenate([batch['valid'] for batch in batches])
  index = np.concatenate([batch['index'] for batch in batches])
  np.testing.assert_array_equal(index[valid], np.arange(37))
  assert (index[~valid] == -1).all()
  assert (batches[-1]['label'][5:] == 0).all()
  assert (batches[-1]['image'][5:] == 0).all()


def test_batches_arrive_sharded(train):
  batch = next(iterator := iter(to_device(train_stream(train, 8, 8, seed=0), all_devices())))
  iterator.close()
  assert batch['image'].sharding == all_devices()
  assert batch['image'].addressable_shards[3].data.shape == (1, 8, 8, 3)


@pytest.mark.parametrize(('batch_size', 'processes'), [(0, 1), (7, 2)])
def test_batch_sizes_that_do_not_divide_are_named(train, batch_size, processes):
  with pytest.raises(UserError, match=f'train.batch_size is {batch_size}'):
    train_stream(train, batch_size, 8, seed=0, process_count=processes)
