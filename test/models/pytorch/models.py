"""Whole models, exported by PyTorch, with the loss and the gradients that autograd finds for one batch.

usage: models.py FOLDER
For each model writes NAME.onnx, and NAME.json: the batch, the summed loss, the gradients by parameter.
"""
import json
import sys
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.onnx import TrainingMode


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.short = None
        if stride != 1 or inputs != outputs:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.short is None else self.short(x)))


def resnet(classes=10, widths=(8, 16), blocks=1, channels=3):
    layers = [nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    inputs = widths[0]
    for i, width in enumerate(widths):
        for block in range(blocks):
            layers.append(Residual(inputs, width, 2 if i > 0 and block == 0 else 1))
            inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = [p.reshape(-1, t, self.heads, c // self.heads) for p in self.qkv(x).split(c, dim=2)]
        scores = torch.einsum("bthd,bshd->bhts", q, k) / (c // self.heads) ** 0.5
        mask = torch.tril(torch.ones(t, t, dtype=torch.bool))
        weights = scores.masked_fill(~mask, -1e9).softmax(dim=-1)
        return self.out(torch.einsum("bhts,bshd->bthd", weights, v).reshape(-1, t, c))


class Transformer(nn.Module):
    """Predicts a class at every position: a language model in small."""

    def __init__(self, words=11, width=12, length=6):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(0.1 * torch.randn(length, width))
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, 3)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.head = nn.Linear(width, words, bias=False)

    def forward(self, ids):
        x = self.words(ids) + self.places
        x = x + self.attention(self.norm1(x))
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return self.head(x)


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cells = kind(5, 7, batch_first=True, bidirectional=kind is nn.LSTM)
        self.head = nn.Linear(14 if kind is nn.LSTM else 7, 4)

    def forward(self, x):
        return self.head(self.cells(x)[0].mean(dim=1))


class Mobile(nn.Module):
    """Depthwise convolutions, squeeze and excitation, hard swishes, group and instance normalisation."""

    def __init__(self):
        super().__init__()
        self.expand = nn.Conv2d(3, 12, 1)
        self.depthwise = nn.Conv2d(12, 12, 3, 2, 1, groups=12)
        self.norm = nn.GroupNorm(3, 12)
        self.squeeze = nn.Conv2d(12, 4, 1)
        self.excite = nn.Conv2d(4, 12, 1)
        self.project = nn.Conv2d(12, 8, 1)
        self.instance = nn.InstanceNorm2d(8, affine=True)
        self.slope = nn.PReLU(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = F.hardswish(self.norm(self.depthwise(F.hardswish(self.expand(x)))))
        s = F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1)))
        x = x * F.hardsigmoid(self.excite(s))
        return self.head(self.slope(self.instance(self.project(x))).mean(dim=(2, 3)))


class Classic(nn.Module):
    """Response normalisation over channels, overlapping and average pooling that rounds up, transposed convolution, bilinear resizing; a class at every pixel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 8, 3, padding=1)
        self.down = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.up = nn.ConvTranspose2d(8, 6, 4, 2, 1)
        self.head = nn.Conv2d(6, 3, 1)

    def norm(self, x):
        # PyTorch's own exports a branch on whether there are any elements.
        near = F.avg_pool3d(x.pow(2).unsqueeze(1), (5, 1, 1), 1, (2, 0, 0)).squeeze(1)
        return x / (1 + 0.1 * near) ** 0.75

    def forward(self, x):
        x = F.max_pool2d(F.elu(self.norm(self.conv(x))), 3, 2, ceil_mode=True)
        x = F.avg_pool2d(F.leaky_relu(self.down(x), 0.1), 2, 2, padding=1)
        x = F.softplus(self.up(x))
        return self.head(F.interpolate(x, size=(9, 9), mode="bilinear", align_corners=False))


def models():
    torch.manual_seed(7)
    image = torch.randn(4, 3, 12, 12)
    yield "resnet", resnet(), image, torch.randint(10, (4,))
    yield "transformer", Transformer(), torch.randint(11, (3, 6)), torch.randint(11, (3, 6))
    yield "lstm", Recurrent(nn.LSTM), torch.randn(3, 6, 5), torch.randint(4, (3,))
    yield "gru", Recurrent(nn.GRU), torch.randn(3, 6, 5), torch.randint(4, (3,))
    yield "mobile", Mobile(), image, torch.randint(5, (4,))
    yield "classic", Classic(), torch.randn(3, 2, 9, 9), torch.randint(3, (3, 9, 9))


def export(model, example, path):
    """A file that still has what training needs: no folded batch normalisation, no shared equal initial values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, example, path, opset_version=16, training=TrainingMode.TRAINING, do_constant_folding=False,
            input_names=["data"], output_names=["scores"], dynamic_axes={"data": {0: "batch"}, "scores": {0: "batch"}},
        )


def main(folder):
    torch.set_num_threads(1)
    for name, model, data, labels in models():
        model.train()
        with torch.no_grad():
            for p in model.parameters():
                # No two parameters alike, so that none hides behind another.
                p.add_(0.05 * torch.randn_like(p))
        # Exporting runs the model once, which moves running statistics and nothing else.
        export(model, data, f"{folder}/{name}.onnx")
        scores = model(data)
        if scores.dim() == 3:
            scores = scores.transpose(1, 2)
        loss = F.cross_entropy(scores, labels, reduction="sum")
        loss.backward()
        result = {
            "shape": list(data.shape), "data": data.flatten().tolist(), "labels": labels.flatten().tolist(), "loss": loss.item(),
            "gradients": {n: p.grad.flatten().tolist() for n, p in model.named_parameters()},
        }
        with open(f"{folder}/{name}.json", "w") as file:
            json.dump(result, file)


if __name__ == "__main__":
    main(sys.argv[1])
