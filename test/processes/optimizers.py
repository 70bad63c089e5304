"""Reads [{optimizer, options, clip, start, gradients, rates}] as JSON, prints the parameters after the last step of each, in float64."""

import json
import sys

import torch

results = []
for case in json.load(sys.stdin):
    w = torch.tensor(case["start"], dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, case["optimizer"])([w], lr=case["rates"][0], **case["options"])
    for gradient, rate in zip(case["gradients"], case["rates"]):
        for group in optimizer.param_groups:
            group["lr"] = rate
        w.grad = torch.tensor(gradient, dtype=torch.float64)
        if case["clip"] is not None:
            torch.nn.utils.clip_grad_norm_([w], case["clip"])
        optimizer.step()
    results.append(w.tolist())
json.dump(results, sys.stdout)
