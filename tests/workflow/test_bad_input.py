"""What is wrong in a study is said in one clear message, and nothing is made of it."""

import io
import random
import tarfile

import pytest

FIELDS = {
    "sead=3": "sead: no such key; did you mean seed? known keys are name, seed",
    "data={digits: {source: mnist}}": "data.digits.source: must be 'digits', 'cifar10', "
    "'tiny_imagenet' or 'folder', got 'mnist'",
    "zoos={digits: {shard_size: 0, instances: {train: 0}, training: {learning_rate: -0.1}}}": """
  zoos.digits.instances.train: must be greater than or equal to 1, got '0'
  zoos.digits.shard_size: must be greater than or equal to 1, got '0'
  zoos.digits.training.learning_rate: must be greater than 0, got '-0.1'""",
    "spaces={multiarch: {embedder: {latents: 4}}}": "spaces.multiarch.embedder.latents: "
    "no such key; did you mean latent? known keys are",
}
OTHERS = {
    "zoos={digits: {architectures: [LeNetLike, VGG16, ResNet8]}}": "zoos.digits.architectures: "
    "unknown architecture 'VGG16'; known are Le",
    "data={digits: {source: folder, path: gone.tar.xz}}": "data.digits.path: gone.tar.xz: "
    "no such file or fold",
    "data={digits: {source: cifar10, path: gone.tar.gz, size: 32, channels: 3, mean: [0, 0, 0], "
    "std: [1, 1, 1]}}": "data.digits.path: gone.tar.gz: no such file or folder",
}


def refused(place, *settings):
    """What Snakemake says of a study that it must refuse before anything runs."""
    ended = place.run("--cores", "1", "--config", *settings)
    assert ended.code != 0 and "Traceback" not in ended.text
    assert not (place.folder / "results").exists()
    return ended.text


def test_each_field_at_fault_is_named_with_what_is_allowed(empty):
    text = refused(empty, *FIELDS)
    for setting, message in FIELDS.items():
        assert text.count(message) == 1, setting


@pytest.mark.parametrize("setting", OTHERS)
def test_what_is_not_there_is_named_before_anything_runs(empty, setting):
    assert refused(empty, setting).count(OTHERS[setting]) == 1


def test_a_damaged_image_archive_is_named(empty):
    archive = empty.folder / "pictures.tar.gz"
    noise = random.Random(0)
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("cat/1.png", "dog/1.png"):
            entry = tarfile.TarInfo(name)
            entry.size = 5000
            tar.addfile(entry, io.BytesIO(noise.randbytes(5000)))
    archive.write_bytes(archive.read_bytes()[:6000])
    settings = ("data={digits: {source: folder, path: pictures.tar.gz}}", "spaces=[multiarch]")
    ended = empty.run("--cores", "1", "--config", *settings)
    log = (empty.results / "logs/data/digits/prepare_images.log").read_text()
    assert ended.code != 0 and len(log.splitlines()) == 1
    assert "images digits: failed: pictures.tar.gz" in log and log in ended.text
    assert "Traceback" not in ended.text
    assert not list(empty.results.rglob("*.h5"))


def test_a_truncated_shard_is_named(copied):
    shard = copied.results / "zoos/digits/ResNet8/shard_000.h5"
    shard.write_bytes(shard.read_bytes()[:20_000])
    ended = copied.run("--cores", "1")
    log = (copied.results / "logs/zoos/digits/catalogue.log").read_text()
    assert ended.code != 0 and len(log.splitlines()) == 1
    assert f"catalogue digits: failed: {shard}: truncated" in log and log in ended.text
    assert "Traceback" not in ended.text

    shard.unlink()
    again = copied.run("results/tiny/zoos/digits/ResNet8/shard_000.h5", "--dry-run")
    assert set(again.jobs) == {"extract_shard"}
