"""A narrower model out of a wide one: what does not matter goes, and the rest stays as it was."""

from __future__ import annotations

import pytest
import torch

from edge import command
from edge.errors import EdgeError
from tests.training.test_train import CONFIG
from training import channels, models, narrow
from training.checkpoint import load_model, save_checkpoint
from training.models.grid import GridNet

WIDE = {"width": 12, "stem": 8, "deep": 2, "looks": 2, "height": 24, "columns": 32}
NARROW = {**WIDE, "width": 8, "stem": 4}


def settled(network: torch.nn.Module) -> torch.nn.Module:
    """With statistics and weights as after some training, in eval mode."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if values.is_floating_point():
                values.copy_(
                    torch.rand(values.shape, generator=generator) * 0.5 + (0.5 if "running_var" in name else 0)
                )
    return network.eval()


def even(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The same importance for each channel of each group."""
    counts = {}
    for layer in channels.readers(network):
        if layer.gives:
            convolution = network.get_submodule(layer.name)[0]
            counts[layer.gives] = torch.ones(convolution.out_channels)
    return counts


@pytest.mark.parametrize(("name", "settings"), [("grid", WIDE), ("experts", {"laid": WIDE, "real": NARROW})])
def test_as_many_channels_give_the_same_model(name, settings):
    wide = settled(models.build(name, settings))
    same = narrow.narrowed(wide, models.build(name, settings), even(wide)).eval()
    picture = torch.rand(2, 3, 24, 32)
    with torch.inference_mode():
        for before, after in zip(wide.predict(picture), same.predict(picture), strict=True):
            torch.testing.assert_close(after, before)


def test_channels_that_nothing_reads_are_left_out_without_a_difference():
    """A narrow model is put into a wide one, among channels whose readers have weights of zero."""
    small = settled(GridNet(**NARROW))
    wide = settled(GridNet(**WIDE))
    places: dict[str, torch.Tensor] = {channels.SINGLE: torch.arange(3)}
    generator = torch.Generator().manual_seed(1)
    layers = list(channels.readers(wide))
    for layer in layers:
        if layer.gives and layer.gives not in places:
            one, other = (m.get_submodule(layer.name)[0].out_channels for m in (small, wide))
            depthwise = wide.get_submodule(layer.name)[0].groups > 1 and layer.reads != layer.gives
            chosen = torch.randperm(other, generator=generator)[:one].sort().values
            places[layer.gives] = places[layer.reads] if depthwise else chosen
    with torch.no_grad():
        for layer in layers:
            mine, theirs = (m.get_submodule(layer.name) for m in (small, wide))
            if layer.gives:
                for name, values in mine[1].state_dict().items():
                    if values.ndim:
                        theirs[1].state_dict()[name][places[layer.gives]] = values
            mine, theirs = (m[0] if layer.gives else m for m in (mine, theirs))
            out = places[layer.gives] if layer.gives else torch.arange(theirs.weight.shape[0])
            inputs = places[layer.reads]
            if layer.twice:
                inputs = torch.cat([inputs, inputs + theirs.in_channels // 2])
            if theirs.groups > 1:
                theirs.weight[out] = mine.weight
            elif isinstance(theirs, torch.nn.ConvTranspose2d):
                theirs.weight.zero_()
                theirs.weight[inputs] = mine.weight
            else:
                theirs.weight.zero_()
                theirs.weight[out[:, None], inputs[None]] = mine.weight
            if theirs.bias is not None:
                theirs.bias.copy_(mine.bias)
    matters = {group: torch.zeros(len(ones)).index_fill(0, places[group], 1.0) for group, ones in even(wide).items()}
    again = narrow.narrowed(wide, GridNet(**NARROW), matters).eval()
    picture = torch.rand(2, 3, 24, 32)
    with torch.inference_mode():
        for model in (wide, again):
            for expected, given in zip(small.predict(picture), model.predict(picture), strict=True):
                torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


@pytest.fixture
def config(tmp_path, pairs_folder):
    path = tmp_path / "narrow.toml"
    path.write_text(CONFIG.replace("width = 16,", "width = 8, stem = 4, deep = 2, looks = 2,"))
    return path


def test_one_command_makes_the_narrower_checkpoint(config, tmp_path, capsys):
    wide = save_checkpoint(tmp_path / "wide.safetensors", settled(GridNet(**WIDE)), "grid", WIDE)
    out = tmp_path / "start.safetensors"
    call = ["--checkpoint", str(wide), "--config", str(config), "--data", str(tmp_path), "--out", str(out)]
    assert narrow.main([*call, "--batches", "2"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    model = load_model(out)
    assert model.down4[0].out_channels == 8 and model.down2[0].out_channels == 4 and len(model.at8) == 2


def test_each_network_of_a_model_of_experts_is_made_narrower(config, tmp_path):
    both = {"laid": WIDE, "real": {**WIDE, "looks": 1}}
    wide = save_checkpoint(tmp_path / "wide.safetensors", settled(models.build("experts", both)), "experts", both)
    grid = 'name = "grid"\nconfiguration = { width = 8, stem = 4, deep = 2, looks = 2, height = 24, columns = 32 }'
    assert grid in config.read_text()
    networks = """[model.configuration]
laid = { width = 8, stem = 4, deep = 2, looks = 2, height = 24, columns = 32 }
real = { width = 4, stem = 8, deep = 2, height = 24, columns = 32 }"""
    config.write_text(config.read_text().replace(grid, f'name = "experts"\n{networks}'))
    out = tmp_path / "start.safetensors"
    call = ["--checkpoint", str(wide), "--config", str(config), "--data", str(tmp_path), "--out", str(out)]
    assert narrow.main([*call, "--batches", "2"]) == 0
    model = load_model(out)
    assert [model.laid.down4[0].out_channels, model.laid.down2[0].out_channels] == [8, 4]
    assert [model.real.down4[0].out_channels, model.real.down2[0].out_channels] == [4, 8]
    config.write_text(config.read_text().replace("width = 4", "width = 16"))
    with pytest.raises(EdgeError, match=r"asks for a real\.width of 16 and the checkpoint has 12"):
        narrow.main([*call, "--batches", "2"])


PHOTOGRAPHS = """
[sources.photographs]
kind = "unlabelled"
folders = ["pairs/hazy"]
weight = 9.0
"""


def test_channels_are_judged_without_the_photographs_that_have_no_clear_picture(config, tmp_path, capsys):
    wide = save_checkpoint(tmp_path / "wide.safetensors", settled(GridNet(**WIDE)), "grid", WIDE)
    call = ["--checkpoint", str(wide), "--config", str(config), "--data", str(tmp_path), "--batches", "2", "--out"]
    plain, mixed = tmp_path / "plain.safetensors", tmp_path / "mixed.safetensors"
    assert narrow.main([*call, str(plain)]) == 0
    config.write_text(config.read_text() + PHOTOGRAPHS)
    assert narrow.main([*call, str(mixed)]) == 0
    assert "left out: sources.photographs has no clear pictures" in capsys.readouterr().err
    assert mixed.read_bytes() == plain.read_bytes()
    head, _, rest = config.read_text().partition("[sources.pairs]")
    config.write_text(f"{head}[validation{rest.partition('[validation')[2]}")
    assert command.run(narrow.main, [*call, str(mixed)]) == 1
    assert "no source with a weight above 0" in capsys.readouterr().err


def test_what_cannot_be_made_narrower_is_told_before_it_is_tried(config, tmp_path, capsys):
    wide = save_checkpoint(tmp_path / "wide.safetensors", settled(GridNet(**WIDE)), "grid", WIDE)
    call = ["--checkpoint", str(wide), "--config", str(config), "--out", str(tmp_path / "start.safetensors")]
    text = config.read_text()
    for asked, told in (
        (("width = 8", "width = 16"), "asks for a width of 16 and the checkpoint has 12"),
        (("deep = 2", "deep = 3"), "asks for deep = 3 and the checkpoint has 2"),
        (("looks = 2, ", ""), "asks for looks = 1 and the checkpoint has 2"),
    ):
        config.write_text(text.replace(*asked))
        assert command.run(narrow.main, call) == 1
        assert told in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        narrow.main([*call, "--batches", "0"])
    assert ended.value.code == 2


def test_a_deeper_model_may_start_from_the_narrower_one_where_it_says_what_that_lacks(config, tmp_path):
    wide = save_checkpoint(tmp_path / "wide.safetensors", settled(GridNet(**WIDE)), "grid", WIDE)
    deeper = config.read_text().replace("deep = 2", "deep = 3")
    config.write_text(deeper.replace("[training]", 'initial_lacks = ["at8.2"]\n[training]'))
    out = tmp_path / "start.safetensors"
    call = ["--checkpoint", str(wide), "--config", str(config), "--data", str(tmp_path), "--out", str(out)]
    assert narrow.main([*call, "--batches", "1"]) == 0
    assert len(load_model(out).at8) == 2


def test_channels_that_change_the_answer_matter_most(config, tmp_path, pairs_folder):
    from training.config import read_config

    network = GridNet(**WIDE)
    settled(network)
    with torch.no_grad():
        network.cell.weight[:5] = 0  # what the first five channels of the finest map say is not heard at the end
        network.down4[0].weight[:, :5] = 0
        network.fuse2.body[0][0].weight[:5] = 0
        network.at2.body[0][0].weight[:5] = 0
    matters = narrow.importance(network, read_config(config), tmp_path, 2)["half"]
    assert set(matters.argsort()[:5].tolist()) == set(range(5))
