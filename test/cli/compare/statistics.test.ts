import t from 'tap'
import { curve } from '../../../cli/compare/curves.ts'
import { interval, paired, pairedRatio, studentQuantile } from '../../../cli/compare/statistics.ts'
import { timeToTarget } from '../../../cli/compare/target.ts'
import { cell, result } from './fixtures.ts'

t.test("Student's quantiles are those of the tables", async t => {
  const table: [number, number][] = [
    [1, 12.706],
    [2, 4.303],
    [4, 2.776],
    [9, 2.262],
    [29, 2.045],
    [120, 1.98]
  ]
  for (const [degrees, value] of table) t.ok(Math.abs(studentQuantile(degrees) - value) < 1e-3, `${degrees}`)
})

t.test('an interval needs two values', async t => {
  t.equal(interval([]).n, 0)
  t.same(interval([3]), { n: 1, mean: 3 })
  const { mean, half } = interval([1, 2, 3, 4, 5])
  t.equal(mean, 3)
  t.ok(Math.abs(half! - 2.7764 * Math.sqrt(2.5 / 5)) < 1e-3)
})

t.test('pairs are by seed', async t => {
  const a = new Map([
    [1, 10],
    [2, 20],
    [3, 30]
  ])
  const b = new Map([
    [1, 5],
    [2, 10],
    [4, 1]
  ])
  t.equal(paired(a, b).n, 2)
  const { ratio, low, high } = pairedRatio(a, b)
  t.ok(Math.abs(ratio - 0.5) < 1e-12)
  t.ok(Math.abs(low! - 0.5) < 1e-9 && Math.abs(high! - 0.5) < 1e-9)
})

t.test('the time to a target lies on the line between two evaluations', async t => {
  const { points } = result({ losses: [2, 1, 0.5] })
  t.equal(timeToTarget(points, { loss: 1.5 }), 150)
  t.equal(timeToTarget(points, { loss: 2 }), 100)
  t.equal(timeToTarget(points, { loss: 0.1 }), undefined)
})

t.test('a curve is the mean of runs read between their evaluations, and ends with the shortest', async t => {
  const points = curve(
    cell({
      losses: [
        [2, 1, 0],
        [4, 3, 2, 1]
      ]
    }),
    'time',
    p => p.loss
  )
  t.equal(points[0]!.x, 100)
  t.equal(points.at(-1)!.x, 300)
  t.ok(Math.abs(points[0]!.mean - 3) < 1e-12)
  t.ok(Math.abs(points[30]!.mean - 2) < 1e-12)
  t.ok(points[30]!.low < 2 && points[30]!.high > 2)
})
