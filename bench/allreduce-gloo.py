"""Peer of bench/allreduce.ts: RANKS REPEATS BYTES...; prints bytes and the median in milliseconds, on rank 0."""
import os
import sys
import tempfile
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def run(rank, ranks, repeats, sizes, store):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=ranks)
    for size in sizes:
        array = torch.zeros(size // 4)
        times = []
        warm = 5 if size > 10_000_000 else 30
        for i in range(warm + repeats):
            dist.barrier()
            begun = time.perf_counter()
            dist.all_reduce(array)
            if i >= warm:
                times.append((time.perf_counter() - begun) * 1000)
        if rank == 0:
            print(size, "%.6f" % sorted(times)[repeats // 2], flush=True)


if __name__ == "__main__":
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    ranks, repeats = int(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(run, (ranks, repeats, [int(a) for a in sys.argv[3:]], os.path.join(folder, "store")), nprocs=ranks)
