"""One vocabulary for all pages."""

from lib.report.methods import IN, LOOKS, glossary, label, listed, look, ordered


def test_a_method_means_what_its_experiment_says():
    assert label("latent") == "Latent" and label("latent", "retrieval") == "Latents"
    assert look("latent", "interpolation").words == "decoded from between the two latents"
    assert look("weights").color == look("weights", "interpolation").color
    assert label("decoded (paper)") == "Decoded (paper)"
    assert label("my_own_method") == "my own method"


def test_methods_come_in_one_order_and_unknown_ones_last():
    methods = ["mine", "constant", "decoded (paper)", "decoded", "refined", "decoded"]
    assert ordered(methods) == ["decoded", "decoded (paper)", "refined", "constant", "mine"]


def test_a_glossary_has_what_is_explained_once():
    found = glossary(["decoded", "decoded", "mine"])
    assert [name for name, _ in found] == ["Decoded"]


def test_names_in_a_sentence():
    assert listed(["A"]) == "A" and listed(["A", "B", "C"], "or") == "A, B or C"


def test_no_two_methods_of_an_experiment_have_one_name():
    for experiment, words in IN.items():
        labels = [label(name, experiment) for name in words]
        assert len(set(labels)) == len(labels), experiment
    assert all(found.label for found in LOOKS.values())
