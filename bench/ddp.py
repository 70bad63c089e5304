"""PyTorch DistributedDataParallel over Gloo on synthetic batches: the yardstick of bench/training.ts.

usage: ddp.py MODEL WORLD BATCH STEPS
One thread a rank. Prints samples a second of all ranks together, warm-up excluded.
"""
import os
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn as nn


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
    sys.exit(f"unknown model {name}")


def run(rank, name, world, batch, steps, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    torch.set_num_threads(1)
    torch.manual_seed(rank)
    shape, model = build(name)
    if world > 1:
        dist.init_process_group("gloo", rank=rank, world_size=world)
        model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    data = torch.rand(batch, *shape)
    labels = torch.randint(0, 10, (batch,))
    loss = nn.CrossEntropyLoss()
    warm_up = max(5, steps // 5)
    for step in range(warm_up + steps):
        if step == warm_up:
            if world > 1:
                dist.barrier()
            start = time.perf_counter()
        optimizer.zero_grad()
        loss(model(data), labels).backward()
        optimizer.step()
    if rank == 0:
        print(world * batch * steps / (time.perf_counter() - start))
    if world > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    _, name, world, batch, steps = sys.argv
    world, batch, steps = int(world), int(batch), int(steps)
    if world == 1:
        run(0, name, 1, batch, steps, 0)
    else:
        import socket

        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        mp.spawn(run, args=(name, world, batch, steps, port), nprocs=world)
