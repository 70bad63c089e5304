"""One run of PyTorch's side of step.ts: step.py MODEL THREADS BATCH STEPS WARM_UP LR prints a line of JSON.

The models are those of the zoo, the batch is fixed, the optimizer SGD with momentum. Memory is the largest resident set.
"""
import json
import math
import resource
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    """A residual block whose shortcut has no parameters (He 2015, option A)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.stride = 2 if outputs > inputs else 1
        self.more = (outputs - inputs) // 2
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, self.stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )

    def forward(self, x):
        shortcut = x
        if self.stride > 1:
            shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))
        return F.relu(self.branch(x) + shortcut)


class Attention(nn.Module):
    def __init__(self, size, heads, length):
        super().__init__()
        self.heads = heads
        self.joint = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)
        self.register_buffer("mask", torch.full((length, length), -math.inf).triu(1))

    def forward(self, x):
        n, t, c = x.shape
        q, k, v = (p.view(n, t, self.heads, c // self.heads).transpose(1, 2) for p in self.joint(x).split(c, dim=2))
        shares = F.softmax(q @ k.transpose(2, 3) / math.sqrt(c // self.heads) + self.mask, dim=-1)
        return self.out((shares @ v).transpose(1, 2).reshape(n, t, c))


class Transformer(nn.Module):
    def __init__(self, size, heads, length):
        super().__init__()
        self.norm1 = nn.LayerNorm(size)
        self.attention = Attention(size, heads, length)
        self.norm2 = nn.LayerNorm(size)
        self.wide = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.wide(self.norm2(x))


class Gpt(nn.Module):
    def __init__(self, classes, length, size=48, heads=3, blocks=3):
        super().__init__()
        self.tokens = nn.Embedding(classes, size)
        self.places = nn.Parameter(torch.randn(length, size) * 0.02)
        self.blocks = nn.Sequential(*(Transformer(size, heads, length) for _ in range(blocks)))
        self.norm = nn.LayerNorm(size)
        self.head = nn.Linear(size, classes, bias=False)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.tokens(x) + self.places))).transpose(1, 2)


def build(name):
    if name == "mlp":
        return (1, 28, 28), nn.Sequential(
            nn.Flatten(), nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)
        )
    if name == "lenet":
        return (1, 28, 28), nn.Sequential(
            nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
        )
    if name == "cifar10-quick":
        pool = dict(kernel_size=3, stride=2, ceil_mode=True)
        return (3, 32, 32), nn.Sequential(
            nn.Conv2d(3, 32, 5, padding=2), nn.MaxPool2d(**pool), nn.ReLU(),
            nn.Conv2d(32, 32, 5, padding=2), nn.ReLU(), nn.AvgPool2d(**pool),
            nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.AvgPool2d(**pool),
            nn.Flatten(), nn.Linear(1024, 64), nn.Linear(64, 10),
        )
    if name == "resnet20":
        layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        inputs = 16
        for outputs in (16, 16, 16, 32, 32, 32, 64, 64, 64):
            layers.append(Block(inputs, outputs))
            inputs = outputs
        return (3, 32, 32), nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    if name == "gpt-nano":
        return (64,), Gpt(65, 64)
    sys.exit(f"unknown model {name}")


def main():
    _, name, threads, batch, steps, warm_up, rate = sys.argv
    batch, steps, warm_up = int(batch), int(steps), int(warm_up)
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    shape, model = build(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=float(rate), momentum=0.9)
    if name == "gpt-nano":
        data = torch.randint(0, 65, (batch, *shape))
        labels = torch.randint(0, 65, (batch, *shape))
    else:
        data = torch.rand(batch, *shape)
        labels = torch.randint(0, 10, (batch,))
    criterion = nn.CrossEntropyLoss()
    times, losses = [], []
    for step in range(warm_up + steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = criterion(model(data), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step >= warm_up:
            times.append((time.perf_counter() - start) * 1000)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"step": sorted(times)[len(times) // 2], "memory": memory, "first": losses[0], "last": losses[-1]}))


if __name__ == "__main__":
    main()
