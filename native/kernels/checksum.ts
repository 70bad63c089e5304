/** CRC-32C by eight tables, polynomial 0x82f63b78 (reflected). */
let tables: Uint32Array[] | undefined

function build(): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, i) => {
    let crc = i
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    return crc
  })
  const all = [first]
  for (let k = 1; k < 8; k++) all.push(all[k - 1]!.map(crc => (crc >>> 8) ^ first[crc & 0xff]!))
  return all
}

export function checksum(bytes: Uint8Array, seed = 0): number {
  tables ??= build()
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [Uint32Array, ...Uint32Array[]]
  let crc = ~seed
  let i = 0
  for (; i + 8 <= bytes.length; i += 8) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    crc =
      t7![crc & 0xff]! ^
      t6![(crc >>> 8) & 0xff]! ^
      t5![(crc >>> 16) & 0xff]! ^
      t4![crc >>> 24]! ^
      t3![bytes[i + 4]!]! ^
      t2![bytes[i + 5]!]! ^
      t1![bytes[i + 6]!]! ^
      t0[bytes[i + 7]!]!
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]!) & 0xff]!
  return ~crc >>> 0
}
