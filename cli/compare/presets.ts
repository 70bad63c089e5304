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
  }
}
