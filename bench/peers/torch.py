"""PyTorch on the CPU: channels last; fp32 frozen and optimized for inference, bf16 as it is."""

import math
import warnings

import numpy as np
import torch
from torch import nn

import network
from peer import BasePeer, BaseTrainer

warnings.filterwarnings("ignore")  # that TorchScript will be replaced
LAST = torch.channels_last


def convolution_layers():
    channels = network.CHANNELS
    for filters, count in network.BLOCKS:
        for _ in range(count):
            yield from (nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True))
            channels = filters
        yield nn.MaxPool2d(2)


def dense_layers():
    features = (network.SIZE >> len(network.BLOCKS)) ** 2 * network.BLOCKS[-1][0]
    for _, units in network.DENSE:
        yield from (nn.Linear(features, units), nn.ReLU(inplace=True))
        features = units


def make_network():
    """Without the softmax."""
    return nn.Sequential(*convolution_layers(), nn.Flatten(), *list(dense_layers())[:-1])


def states(network_folder):
    """Weights in the order of the network's layers, as PyTorch has them."""
    for layers in network.convolutions(network_folder):
        for _, kernel, bias in layers:
            yield kernel.transpose(3, 2, 0, 1), bias
    for name, kernel, bias in network.dense_layers(network_folder):
        yield (network.rows_by_channel(kernel) if name == "fc1" else kernel).T, bias


class Peer(BasePeer):
    name = "PyTorch"
    precisions = ("fp32", "bf16")
    levels = ("", "avx2")
    start = """
import sys, numpy, torch
from torch import nn
folder, threads, picture = sys.argv[1:]
torch.set_num_threads(int(threads))
model = torch.load(folder + "/model.pt", weights_only=False, mmap=True)
pixels = torch.from_numpy(numpy.load(picture).transpose(0, 3, 1, 2))
with torch.inference_mode():
    print(model(pixels).argmax().item(), flush=True)
"""

    @classmethod
    def prepare(cls, folder, network_folder):
        if not (folder / "model.pt").exists():
            model = make_network().eval()
            owners = [layer for layer in model if isinstance(layer, (nn.Conv2d, nn.Linear))]
            for layer, (kernel, bias) in zip(owners, states(network_folder)):
                layer.weight.data = torch.from_numpy(np.array(kernel, order="C"))
                layer.bias.data = torch.from_numpy(np.array(bias))
            torch.save(model.to(memory_format=LAST), folder / "model.pt")
        return {}

    @staticmethod
    def environment(level):
        return {"ONEDNN_MAX_CPU_ISA": level.upper(), "ATEN_CPU_CAPABILITY": level,
                "MKL_ENABLE_INSTRUCTIONS": level.upper()} if level else {}

    def __init__(self, folder, batch, threads, precision):
        torch.set_num_threads(threads)
        self.type = torch.bfloat16 if precision == "bf16" else torch.float32
        model = torch.load(folder / "model.pt", weights_only=False, mmap=True)
        self.model = model.to(self.type)
        if precision == "fp32":
            example = self.place(np.zeros((batch, network.SIZE, network.SIZE, 3), np.float32))
            with torch.inference_mode():
                traced = torch.jit.freeze(torch.jit.trace(model, example))
                self.model = torch.jit.optimize_for_inference(traced)

    def version(self):
        return f"torch {torch.__version__}"

    def place(self, pictures):
        pixels = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2)
        return pixels.to(self.type, memory_format=LAST)

    def run(self, placed):
        with torch.inference_mode():
            return self.model(placed).float().softmax(1)

    def array(self, output):
        return output.numpy()


# ---- Training ------------------------------------------------------------------------------------

def augment(pixels):
    """A flip, a rotation and a zoom of each picture's own, as one affine map."""
    count = len(pixels)
    angle = (2 * torch.rand(count) - 1) * 0.1 * 2 * math.pi
    zoom = 1 + (2 * torch.rand(count) - 1) * 0.2
    flip = 1 - 2 * torch.randint(2, (count,)).float()
    cos, sin, zero = torch.cos(angle) * zoom, torch.sin(angle) * zoom, torch.zeros(count)
    theta = torch.stack([cos * flip, -sin, zero, sin * flip, cos, zero], 1).reshape(count, 2, 3)
    grid = nn.functional.affine_grid(theta, pixels.shape, align_corners=False)
    return nn.functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


class Trainer(BaseTrainer):
    precisions = ("fp32", "bf16")

    def __init__(self, what, pictures, labels, threads, precision):
        torch.set_num_threads(threads)
        self.bf16 = precision == "bf16"
        layers = list(convolution_layers())
        first = {"head": len(layers), "block5": len(layers) - 7, "all": 0}[what]
        self.frozen = nn.Sequential(*layers[:first]).to(memory_format=LAST).eval()
        features = (pictures.shape[1] >> len(network.BLOCKS)) ** 2 * network.BLOCKS[-1][0]
        self.trained = nn.Sequential(*layers[first:], nn.Flatten(), nn.Linear(features, 256),
                                     nn.Dropout(0.5), nn.Linear(256, 1)).to(memory_format=LAST)
        self.optimizer = torch.optim.RMSprop(self.trained.parameters(), lr=1e-5, alpha=0.9)
        self.means = torch.tensor(network.MEANS).reshape(1, 3, 1, 1)
        self.pictures = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        self.labels = torch.from_numpy(labels).reshape(-1, 1)

    def step(self):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            with torch.no_grad():
                pixels = augment(self.pictures).flip(1) - self.means
                features = self.frozen(pixels.contiguous(memory_format=LAST))
            logits = self.trained(features)
        loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()
