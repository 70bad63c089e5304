/** An experiment that comes with the command: settings as an experiment file has them. */
export interface Preset {
  about: string
  settings: Record<string, unknown>
}

export const presets: Readonly<Record<string, Preset>> = {
  straggler: {
    about: 'synchronous and asynchronous training with and without one trainer that is five times as slow',
    settings: {
      name: 'straggler',
      title: 'One straggler: synchronous and asynchronous training',
      question:
        'How long does each strategy take to the same test loss when all 8 trainers are equally fast, and when one of them is five times as slow? What does not waiting cost in accuracy?',
      model: 'mlp?hidden=64',
      data: 'digits?train=4000&test=1000',
      trainers: 8,
      batch: 16,
      samples: 32_000,
      strategies: [
        'allreduce',
        { strategy: 'local-sgd', label: 'local SGD, H = 8', options: { h: 8 } },
        {
          strategy: 'diloco',
          label: 'DiLoCo, H = 8, AdamW',
          options: { h: 8 },
          optimizer: { name: 'adamw', weightDecay: 0 },
          lr: 0.004
        },
        { strategy: 'ad-psgd', label: 'AD-PSGD' },
        { strategy: 'sgp', label: 'SGP' },
        'gossip'
      ],
      delays: ['constant', 'straggler:5'],
      seeds: 5,
      lr: 0.05,
      grid: [0.02, 0.05, 0.1, 0.2],
      network: '10gbe',
      computeMs: 10,
      target: { loss: 0.5 },
      evaluations: 32
    }
  },
  softsync: {
    about: 'staleness-aware against fixed-rate softsync, 30 trainers, n = 1, 15, 30',
    settings: {
      name: 'softsync',
      title: 'n-softsync with 30 trainers: rates by staleness against a fixed rate',
      question:
        'Zhang et al. 2015 (arXiv 1511.05950) found with 30 trainers that 15- and 30-softsync stay at chance with a fixed rate, and that dividing the rate by the staleness brings every n to the accuracy of synchronous training. Does the same show here, at the rate that suits the synchronous baseline?',
      model: 'mlp?hidden=64',
      data: 'digits?train=4000&test=1000',
      trainers: 30,
      batch: 4,
      samples: 24_000,
      strategies: [
        { strategy: 'allreduce', label: 'synchronous' },
        ...[1, 15, 30].flatMap(n => [
          { strategy: 'softsync', label: `n = ${n}, by staleness`, options: { n, rule: 'stale', shards: 4 } },
          { strategy: 'softsync', label: `n = ${n}, fixed`, options: { n, rule: 'fixed', shards: 4 } }
        ])
      ],
      delays: ['lognormal:0.2'],
      seeds: 5,
      lr: 0.1,
      grid: [0.02, 0.05, 0.1, 0.2],
      network: '10gbe',
      computeMs: 10,
      target: { loss: 1 },
      evaluations: 24
    }
  },
  scaling: {
    about: 'throughput of allreduce with 1 to 32 simulated trainers, at a fixed total batch and at a fixed batch of each',
    settings: {
      name: 'scaling',
      title: 'Strong and weak scaling of allreduce, simulated',
      question:
        'How does throughput grow from 1 to 32 trainers when the total batch stays 256 (strong scaling), and when each trainer keeps a batch of 32 (weak scaling)? What does the larger total batch cost in loss after the same samples?',
      model: 'mlp?hidden=64',
      data: 'digits?train=4000&test=1000',
      trainers: 1,
      batch: 32,
      samples: 16_384,
      strategies: [
        ...[1, 2, 4, 8, 16, 32].map(n => ({ strategy: 'allreduce', label: `strong, ${n}`, trainers: n, batch: 256 / n })),
        ...[1, 2, 4, 8, 16, 32].map(n => ({ strategy: 'allreduce', label: `weak, ${n}`, trainers: n, batch: 32 }))
      ],
      delays: ['constant'],
      seeds: 5,
      lr: 0.05,
      grid: [0.02, 0.05, 0.1, 0.2],
      network: '10gbe',
      computeMs: 12,
      target: { loss: 1 },
      evaluations: 16
    }
  }
}
