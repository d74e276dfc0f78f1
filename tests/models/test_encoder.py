import pytest
import torch
import torchvision.models

from retseg.build import build_net, build_run
from retseg.commands.config_folder import compose_config
from retseg.errors import InputError
from retseg.models.encoder import LEVELS, EncoderUNet


@pytest.fixture
def fetched(monkeypatch):
    """What is asked of torchvision's servers; they answer with weights drawn from a seed."""
    asked, get_model = [], torchvision.models.get_model

    def answer(name, weights=None, **options):
        if weights is None:
            return get_model(name, weights=None)
        asked.append((name, weights))
        torch.manual_seed(7)
        return get_model(name, weights=None)

    monkeypatch.setattr(torchvision.models, "get_model", answer)
    return asked


@pytest.mark.parametrize("name", LEVELS)
def test_features_halve_and_have_the_stated_channels(name):
    net = EncoderUNet(encoder=name, width=2).eval()
    with torch.no_grad():
        features = list(net.encoder(torch.rand(1, 1, 64, 96)).values())
    assert [tuple(part.shape[1:]) for part in features] == [
        (width, 64 // 2**level, 96 // 2**level) for level, width in enumerate(LEVELS[name].widths, start=1)
    ]


def test_features_are_those_of_torchvision_for_a_gray_picture(fetched):
    net = EncoderUNet(encoder="resnet18", width=2, pretrained=True).eval()
    net.fetch_pretrained()
    torch.manual_seed(7)
    theirs = torchvision.models.get_model("resnet18", weights=None).eval()
    gray = torch.rand(1, 1, 64, 96)
    with torch.no_grad():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(gray.expand(-1, 3, -1, -1)))))
        expected = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x))))
        found = list(net.encoder(gray).values())[-1]
    assert torch.allclose(found, expected, atol=1e-4)
    assert fetched == [("resnet18", "DEFAULT")]


def test_nothing_is_fetched_unless_asked_for(fetched):
    net = EncoderUNet(width=2)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.fetch_pretrained()
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert fetched == []


def test_weights_are_fetched_when_training_starts_and_not_when_a_run_is_opened(fetched, tmp_path):
    options = ("model=encoder", "model.width=2", "model.pretrained=true", "logger=csv", "trainer.deterministic=false")
    asked_for = compose_config([*options, f"paths.run_dir={tmp_path}"])
    build_net(asked_for)
    assert fetched == []
    run = build_run(asked_for)
    assert fetched == [("resnet18", "DEFAULT")]
    torch.manual_seed(7)
    theirs = torchvision.models.get_model("resnet18", weights=None)
    assert torch.equal(run.module.net.encoder.layer1.get_submodule("0").conv1.weight, theirs.layer1[0].conv1.weight)


def test_says_what_to_do_where_there_are_no_weights(monkeypatch):
    def offline(*_, **__):
        raise OSError("Name or service not known")

    net = EncoderUNet(width=2, pretrained=True)
    monkeypatch.setattr(torchvision.models, "get_model", offline)
    with pytest.raises(InputError, match=r"model\.pretrained: no weights for resnet18 \(Name or .* go online once"):
        net.fetch_pretrained()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "vgg16"}, "model.encoder: 'vgg16' is none of resnet18, resnet34, mobilenet_v3_small"),
        ({"width": 0}, "model: width 0 and num_classes 8"),
        ({"upsample": "nearest"}, "model.upsample: 'nearest' is neither"),
    ],
)
def test_refuses_settings_that_make_no_network(options, message):
    with pytest.raises(InputError, match=message):
        EncoderUNet(**({"width": 2} | options))
