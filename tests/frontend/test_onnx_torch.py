"""Networks exported by torch, in both of its ways, against torch itself."""

import warnings

import numpy as np
import pytest
from tests.frontend.onnx_models import channels_last

from picojoule.frontend.load import load
from picojoule.graph.interpret import interpret
from picojoule.passes import compile_graph
from picojoule.sim.run import run
from picojoule.target import load as target

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


def plain():
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, groups=2), nn.LeakyReLU(0.1), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(32, 12), nn.ELU(), nn.Dropout(0.5), nn.Linear(12, 5),
        nn.Softmax(1),
    )  # fmt: skip


class Residual(torch.nn.Module):
    """Sums, concatenations, a global mean and a view, written as functions."""

    def __init__(self):
        super().__init__()
        self.one = torch.nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(3)
        self.two = torch.nn.Conv2d(6, 4, (1, 3), dilation=(1, 2))
        self.last = torch.nn.Linear(4, 5)
        self.other = torch.nn.Linear(4 * 12 * 8, 5)

    def forward(self, x):
        y = torch.relu(x + self.norm(self.one(x)))
        y = torch.sigmoid(self.two(torch.cat([x, y], 1)))
        return self.last(y.mean((2, 3))) + torch.tanh(self.other(y.view(y.size(0), -1)))


class Pooled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 7, 5, padding="same")
        self.pool = torch.nn.AdaptiveAvgPool2d(1)
        self.last = torch.nn.Linear(7, 5)

    def forward(self, x):
        return self.last(torch.flatten(self.pool(torch.nn.functional.elu(self.conv(x))), 1))


@pytest.mark.parametrize("open_batch", [True, False])
@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("build", [plain, Residual, Pooled])
def test_torch_exports(build, dynamo, open_batch, tmp_path):
    torch.manual_seed(3)
    net = build()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(8, 3, 12, 12))  # statistics of batch norm
    net.eval()
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _export(net, path, dynamo, open_batch)
    graph = load(path)
    x = torch.randn(4, 3, 12, 12)
    found = interpret(graph, channels_last(x.numpy()))[graph.output]
    np.testing.assert_allclose(found, net(x).detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("build", [plain, Residual, Pooled])
def test_exports_are_deployed(build, tmp_path):
    """From torch to integers in both engines, near the floats."""
    torch.manual_seed(4)
    net, path = build().eval(), tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _export(net, path, dynamo=True, open_batch=True)
    x = torch.randn(64, 3, 12, 12)
    want = net(x).detach().numpy()
    samples = channels_last(x.numpy())
    program = compile_graph(load(path), target("systolic_int8"), calibrate=samples)
    runs = [run(program, samples, engine=engine) for engine in ("numba", "reference")]
    assert np.array_equal(*(done.outputs["output"] for done in runs))
    assert (runs[0].answers() == want.argmax(1)).mean() > 0.9


def _export(net, path, dynamo, open_batch):
    """As users do it: one sample, or an open first axis."""
    sample = torch.randn(2 if open_batch else 1, 3, 12, 12)
    names = {"input_names": ["x"], "output_names": ["y"]}
    more = {"dynamo": dynamo}
    if open_batch and dynamo:
        more["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif open_batch:
        more["dynamic_axes"] = {"x": {0: "batch"}, "y": {0: "batch"}}
    torch.onnx.export(net, (sample,), str(path), **names, **more)
