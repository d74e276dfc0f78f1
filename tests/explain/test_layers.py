import pytest

from retseg.errors import InputError
from retseg.explain.layers import layer_names, resolve_layers
from retseg.models.segnet import SegNet


@pytest.fixture
def net():
    return SegNet(width=4)


def test_names_are_convolutions_and_activations_then_aliases_then_softmax(net):
    names = layer_names(net)
    assert names[:4] == ["encoder1.conv1", "encoder1.relu1", "encoder1.conv2", "encoder1.relu2"]
    assert names[41:] == ["conv2d" + (f"_{i}" if i else "") for i in range(21)] + ["softmax"]
    assert not any("norm" in name for name in names)


def test_the_papers_names_stand_for_modules(net):
    assert resolve_layers(net, ["conv2d_20", "conv2d_19", "conv2d_10", "head", "decoder3"]) == {
        "conv2d_20": "softmax",
        "conv2d_19": "decoder1.relu2",
        "conv2d_10": "decoder5.relu1",
        "head": "head",
        "decoder3": "decoder3",
    }


def test_a_wrong_name_is_answered_with_the_closest_and_then_all(net):
    with pytest.raises(InputError) as error:
        resolve_layers(net, ["conv2d_20", "decoder1.relu3"])
    message = str(error.value)
    assert message.startswith(
        "layer 'decoder1.relu3' is not in this network; did you mean decoder1.relu2, decoder1.relu1, "
    )
    assert "; did you mean" not in message.split("others: ")[1]
    assert all(name in message for name in layer_names(net))


def test_a_name_like_no_other_is_answered_with_all(net):
    with pytest.raises(InputError, match=r"layer 'xyz' is not in this network; layers: encoder1\.conv1, "):
        resolve_layers(net, ["xyz"])


@pytest.mark.parametrize("layers", [[], [""]])
def test_no_name_at_all_is_refused(net, layers):
    with pytest.raises(InputError, match=r"layers: (none given|encoder1)|layer ''"):
        resolve_layers(net, layers)
