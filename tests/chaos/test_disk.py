"""A disk that is full and a folder that may not be written to: said clearly, and mended."""

import pytest
from small import SETTINGS, digest, files, hidden

from disks import disk

NETWORKS = "results/tiny/zoos/digits/catalogue.csv"
ROOM = 400  # kilobytes: the images and the small networks fit in, the larger ones do not


def test_a_full_disk_is_named_and_with_room_the_run_goes_on(undisturbed, empty):
    whole = {name: digest(path) for name, path in files(undisturbed[0]).items()}
    arguments = (NETWORKS, "--cores", "1", *SETTINGS)
    with disk(empty.results, ROOM) as resize:
        ended = empty.run(*arguments)
        end = ended.text.partition("Exiting because a job execution failed")[2]
        assert ended.code != 0 and "Traceback" not in ended.text
        assert "No space left on device in" in end and "make room there, then run the same" in end
        assert str(empty.results) in end and "What is finished is kept" in end
        first = {name: path.stat().st_ino for name, path in files(empty).items()}
        assert not hidden(empty) and 0 < len(first)
        assert {name: digest(path) for name, path in files(empty).items()}.items() <= whole.items()

        resize(64 * 1024)
        ended = empty.run(*arguments)
        assert ended.code == 0, ended.text[-5000:]
        found = {name: digest(path) for name, path in files(empty).items()}
        assert "zoos/digits/catalogue.csv" in found and found.items() <= whole.items()
        assert all((empty.results / name).stat().st_ino == first[name] for name in first)


@pytest.mark.parametrize("below", ["results", "."])
def test_a_folder_that_may_not_be_written_to_is_named_before_work_starts(empty, below):
    folder = empty.folder / below
    with disk(folder, 64, "ro"):
        ended = empty.run(NETWORKS, "--cores", "1", *SETTINGS)
        assert ended.code != 0 and not ended.jobs and "Traceback" not in ended.text
        what = f"the folder {folder.resolve()} is on a read-only file system; make it writable"
        assert what in ended.text
        assert not list(folder.iterdir())
