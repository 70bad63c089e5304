"""Exports a residual network, trains it on batches that are given, and says how that went.

usage: train.py FOLDER SPEC
FOLDER holds train.f32, train.i32, test.f32, test.i32: samples and labels, in the order of training. SPEC is JSON: shape, classes,
widths, blocks, batch, lr, gamma, stepSize, momentum, weightDecay: the rate is multiplied by gamma after every stepSize steps. Writes FOLDER/net.onnx, prints JSON: the loss of each step, the test accuracy.
"""
import json
import sys

import torch
import torch.nn.functional as F

from models import export, resnet


def read(folder, part, shape):
    data = torch.from_file(f"{folder}/{part}.f32", size=size(f"{folder}/{part}.f32"), dtype=torch.float32).reshape(-1, *shape)
    labels = torch.from_file(f"{folder}/{part}.i32", size=size(f"{folder}/{part}.i32"), dtype=torch.int32).long()
    return data, labels


def size(path):
    with open(path, "rb") as file:
        return file.seek(0, 2) // 4


def main(folder, spec):
    torch.set_num_threads(1)
    torch.manual_seed(3)
    model = resnet(spec["classes"], spec["widths"], spec["blocks"], spec["shape"][0])
    model.train()
    export(model, torch.randn(2, *spec["shape"]), f"{folder}/net.onnx")
    # Exporting ran the model and so moved its running statistics, here and in the file alike.
    optimizer = torch.optim.SGD(model.parameters(), spec["lr"], spec["momentum"], weight_decay=spec["weightDecay"])
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, spec["stepSize"], spec["gamma"])
    data, labels = read(folder, "train", spec["shape"])
    losses = []
    for at in range(0, len(labels), spec["batch"]):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data[at:at + spec["batch"]]), labels[at:at + spec["batch"]])
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    model.eval()
    data, labels = read(folder, "test", spec["shape"])
    with torch.no_grad():
        hits = sum((model(data[at:at + 256]).argmax(1) == labels[at:at + 256]).sum().item() for at in range(0, len(labels), 256))
    print(json.dumps({"losses": losses, "accuracy": hits / len(labels)}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
