"""Whole splits in memory: the same images, batches and training as from a stream."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.data import memory
from lesionjax.data.stream import eval_stream, train_stream


def batches(dataset, count: int) -> list[dict[str, np.ndarray]]:
  iterator = iter(dataset)
  try:
    return [jax.tree.map(np.asarray, next(iterator)) for _ in range(count)]
  finally:
    iterator.close()


def test_every_image_is_decoded_as_the_stream_does(train):
  pixels = memory.decode_all(train, 16, num_threads=2)
  assert (pixels.shape, pixels.dtype) == ((37, 16, 16, 3), np.uint8)
  for row in range(len(train)):
    np.testing.assert_array_equal(pixels[row], train.decode(row, 16))


@pytest.mark.parametrize('sampling', ['uniform', 'balanced'])
def test_batches_from_memory_are_those_of_the_stream(train, sampling, monkeypatch):
  expected = batches(train_stream(train, 8, 16, 3, sampling), 11)
  expected_eval = batches(eval_stream(train, 8, 16), 5)
  pixels = memory.decode_all(train, 16)
  monkeypatch.setattr(type(train), 'decode', None)  # would be noticed
  for got, wanted in (
    (batches(train_stream(train, 8, 16, 3, sampling, pixels=pixels), 11), expected),
    (batches(eval_stream(train, 8, 16, pixels=pixels), 5), expected_eval),
  ):
    for a, b in zip(got, wanted, strict=True):
      jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize('devices', [1, 8])
def test_resident_images_are_picked_inside_the_step(train, devices):
  mesh = jax.make_mesh(
    (devices,), ('data',), axis_types=(jax.sharding.AxisType.Auto,), devices=jax.devices()[:devices]
  )
  spec = jax.sharding.PartitionSpec
  replicated = jax.sharding.NamedSharding(mesh, spec())
  sharded = jax.sharding.NamedSharding(mesh, spec('data'))
  pixels = memory.decode_all(train, 16)
  resident = memory.place(pixels, replicated)
  (batch,) = batches(train_stream(train, 16, 16, 0, images=False), 1)
  assert 'image' not in batch
  index = jax.device_put(batch['index'].astype(np.int32), sharded)
  got = jax.jit(memory.gather)({'resident': resident, 'index': index, 'label': batch['label']})
  assert got.keys() == {'image', 'label'}
  np.testing.assert_array_equal(got['image'], pixels[batch['index']])
  if devices > 1:
    assert got['image'].sharding.is_equivalent_to(sharded, 4)


def test_what_does_not_fit_is_told_before_it_is_decoded(train, monkeypatch):
  monkeypatch.setattr(memory, 'free_bytes', lambda: 1000)
  with pytest.raises(UserError, match=r"keeps 37 images of 16x16 px .*: use 'stream'"):
    memory.decode_all(train, 16)


def test_free_memory_is_the_least_of_machine_and_container(tmp_path):
  def write(name, text):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)

  assert memory.free_bytes(tmp_path) is None
  write('proc/meminfo', 'MemTotal: 9000 kB\nMemAvailable: 5000 kB\n')
  assert memory.free_bytes(tmp_path) == 5000 * 1024
  write('sys/fs/cgroup/memory.max', 'max\n')
  write('sys/fs/cgroup/memory.current', '700\n')
  write('sys/fs/cgroup/memory.stat', 'anon 500\ninactive_file 150\n')
  assert memory.free_bytes(tmp_path) == 5000 * 1024
  write('sys/fs/cgroup/memory.max', '1000\n')
  assert memory.free_bytes(tmp_path) == 1000 - 700 + 150


def test_a_damaged_image_is_named(train, monkeypatch):
  def damaged(self, index, size_px):
    raise UserError(f'Image {index} is damaged')

  monkeypatch.setattr(type(train), 'decode', damaged)
  with pytest.raises(UserError, match='is damaged'):
    memory.decode_all(train, 16)
