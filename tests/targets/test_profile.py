"""What each layer takes, as the runtimes that tell it say."""

import time
from statistics import median

import numpy as np
import pytest

import targets
from edge.bundle import Bundle


@pytest.mark.parametrize(("name", "kind"), [("openvino_bundle", "Convolution"), ("grid_bundle", "Conv")])
def test_layers_add_up_to_about_the_network(request, name, kind):
    bundle = Bundle.read(request.getfixturevalue(name))
    target = targets.load(bundle.manifest.target)
    size = bundle.manifest.input
    picture = np.random.default_rng(0).integers(0, 256, (size["height"], size["width"], 3), np.uint8)
    layers = target.layer_times(bundle, "CPU", 1, picture)
    assert any(kind in layer[1] for layer in layers)
    assert all(layer[0] and layer[3] >= 0 for layer in layers)
    network = target.open(bundle, "CPU", 1)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        network(picture)
        times.append(1e3 * (time.perf_counter() - start))
    network.close()
    assert 0 < sum(layer[3] for layer in layers) < 20 * median(times)
