"""A zoo as later steps need it: healthy networks, by architecture."""

from __future__ import annotations

import pytest

from lib.zoo import population
from lib.zoo.population import PopulationError
from lib.zoo.store import Catalogue
from toy import NAMES

pytestmark = pytest.mark.usefixtures("one_thread")


def test_diverged_networks_are_left_out_and_none_left_is_an_error(toy):
    catalogue = Catalogue.load(toy.catalogue)
    catalogue.frame.loc[catalogue.frame["network"] == "LeNetLike-0005", "status"] = "diverged"
    found = population.load(catalogue, NAMES, "train", toy.images, "mine")
    assert found["LeNetLike"].names == ["LeNetLike-0004", "LeNetLike-0006"]
    assert population.flats(found)["LeNetLike"].equal(toy.networks["LeNetLike"][[0, 2]])
    best = found["VanillaCNN"]
    assert best.best().equal(best.flat[best.frame["validation_accuracy"].argmax()])
    assert list(found) == list(NAMES)
    catalogue.frame["status"] = "diverged"
    wanted = (
        "no test network of ResNet8 is left, all have diverged; lower zoos.mine.training.learning"
    )
    with pytest.raises(PopulationError, match=wanted):
        population.load(catalogue, ["ResNet8"], "test", toy.images, "mine")
