"""Who predicts best, and what else sections of one architecture say."""

import pytest

from lib.report.sections import arithmetic, latent_optimization, property_prediction, sampling
from lib.report.sections.property_prediction import winner
from single_fixture import write_alone


@pytest.fixture
def page(tmp_path):
    return write_alone(tmp_path / "results").load()


def test_who_predicts_best_is_said_plainly(page):
    frame = page["property_prediction"]
    assert winner(frame, "test_accuracy") == (
        "latent",
        "latent (ridge) wins, R² 0.97 against 0.90 of what the encoder sees (ridge)",
    )
    assert winner(frame, "epochs")[0] == "statistics"
    short = property_prediction.section(page).shortcomings
    assert short[0].startswith("For epochs, the latent is not the best predictor: weight")
    frame.loc[frame["features"] == "observed", "r2"] = 0.95
    assert "is ahead, within the interval" in winner(frame, "test_accuracy")[1]


def test_each_experiment_is_told_beside_its_controls(page):
    told = {
        make: make.section(page).verdicts[0].answer
        for make in (latent_optimization, sampling, arithmetic)
    }
    assert told[latent_optimization].startswith("Test accuracy from poor networks: latent moved")
    assert "; from random latents" in told[latent_optimization]
    assert told[sampling].startswith("As drawn: drawn from kernels 9")
    assert "; after 1 epoch: drawn from kernels" in told[sampling]
    assert "latents +20." in told[arithmetic] and "at scale 1" in told[arithmetic]
    said = latent_optimization.section(page).shortcomings[0]
    assert said.startswith("Optimised latents reach 95.8") and "what the decoder can write" in said
